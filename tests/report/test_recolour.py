"""The recoloured picture in the report: stamped wherever it stands, upright, and honest where nothing can be said."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr
from PIL import Image

from velatura.chain.demo import colour_score, colours_beside
from velatura.report.content import DemoTruth, ReportContent
from velatura.report.figures import figures
from velatura.report.map_figures import map_sheet
from velatura.report.page import render
from velatura.report.raster import LEFT_OUT
from velatura.report.recolour_files import export_colours
from velatura.report.recolour_panels import hidden_panels, stamped_sheet, stamped_view, surface_panels
from velatura.report.recolour_picture import (
    SHORT,
    as_picture,
    enlargement,
    stamped,
    stamped_png,
    transparent,
)
from velatura.report.recolour_section import colour_finding

STAMP = "A hypothesis, not evidence: for a test."


def make_maps(height: int = 12, width: int = 9, *, trust: float = 0.6, hidden: bool = True) -> xr.Dataset:
    """Red above, blue below; the first pixel has no answer; something green lies beneath the last row."""
    rgb = np.zeros((height, width, 3), np.float32)
    rgb[: height // 2, :, 0], rgb[height // 2 :, :, 2], rgb[0, 0] = 1, 1, np.nan
    beneath = np.full_like(rgb, np.nan)
    beneath[-1] = (0, 1, 0) if hidden else np.nan
    there = np.isfinite(rgb[..., 0])
    row = {"region": "A1", "pixels": 1200, "colour": "#ff0000", "trust": 0.5, "found": "chalk", "open": True,
           "sentence": "in region A1 <nothing> is sure"}  # fmt: skip
    return xr.Dataset(
        {
            "rgb": (("y", "x", "colour"), rgb),
            "error": (("y", "x"), np.where(there, 12.0, np.nan).astype(np.float32)),
            "trust": (("y", "x"), np.where(there, trust, 0).astype(np.float32)),
            "hidden_rgb": (("y", "x", "colour"), beneath),
            "hidden_trust": (("y", "x"), np.where(np.isfinite(beneath[..., 0]), 0.3, 0).astype(np.float32)),
            "invisible": (("y", "x"), there),
        },
        {"colour": ["red", "green", "blue"]},
        {"stamp": STAMP, "notes": json.dumps(["lakes & blacks are not seen"]), "regions": json.dumps([row])},
    )


def pictures(html: str) -> list[Image.Image]:
    """Those of the page that say in their own text that they are stamped."""
    found = [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"image/png;base64,([^\"]+)", html)]
    return [one for one in found if "Disclaimer" in one.text]


@pytest.mark.parametrize("width", [1, 96, 480, 1500])
@pytest.mark.parametrize("words", [SHORT, "A hypothesis, not evidence: " + "and many more words " * 6])
def test_the_stamp_lies_below_the_picture_and_can_be_read(width, words) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (20, width, 3), np.uint8)
    image, factor = stamped(picture, words), enlargement((20, width))
    height = 20 * factor
    np.testing.assert_array_equal(image[:height:factor, ::factor], picture)
    strip = image[height:].astype(int)
    assert image.shape[1] >= 480
    bright = (strip.min(axis=-1) > 200).nonzero()
    assert np.ptp(bright[1]) > 0.4 * image.shape[1]
    assert bright[1].min() > 0
    assert bright[1].max() < image.shape[1] - 1
    assert bright[0].min() > 0
    assert bright[0].max() < len(strip) - 1
    lines = (strip.min(axis=-1) > 200).any(axis=1)
    tallest = max(len(run) for run in "".join("x" if row else " " for row in lines).split())
    assert tallest >= 480 / 28 * 0.6


@pytest.mark.parametrize("shape", [(5000, 1), (40_000, 3)])
def test_a_narrow_scan_is_not_enlarged_beyond_measure(shape) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (*shape, 4), np.uint8)
    image, factor = stamped(picture), enlargement(shape)
    height, width = (factor * side for side in shape)
    assert height <= max(16_384, shape[0])
    assert image.shape[1] == 480
    np.testing.assert_array_equal(image[:height:factor, :width:factor], picture)
    assert (image[:height, width:] == (29, 27, 24, 255)).all()
    assert (image[height:, :, :3].min(axis=-1) > 200).any()


def test_a_narrow_scan_keeps_its_shape_on_the_page() -> None:
    view = stamped_view(surface_panels(make_maps(900, 2))[0], "x", longest=1000)
    assert view.height == pytest.approx(900, rel=0.01)
    assert view.width == pytest.approx(480 / 18, abs=0.5)  # a dark field beside it
    assert view.bar_percent == pytest.approx(100 * 18 / 480)  # one pixel


def test_no_answer_is_sand_on_the_page_and_transparent_in_files() -> None:
    maps = make_maps()
    picture, file = as_picture(maps.rgb.values), transparent(maps.rgb.values)
    assert tuple(picture[0, 0]) == LEFT_OUT
    assert tuple(picture[0, 1]) == (255, 0, 0)
    assert file[0, 0, 3] == 0
    assert (file[1:, :, 3] == 255).all()


def test_the_file_tells_it_too() -> None:
    with Image.open(io.BytesIO(stamped_png(as_picture(make_maps().rgb.values), STAMP, told={"Title": "x"}))) as file:
        assert file.text["Disclaimer"] == STAMP
        assert file.text["Title"] == "x"


@pytest.mark.parametrize("kind", ["tiff", "png", "csv"])
def test_the_photograph_is_written_beside_and_stamped_alike(kind: str, tmp_path: Path) -> None:
    maps = make_maps()
    maps["photo_rgb"] = maps.rgb * 0.5
    files = {path.name: path for path in export_colours(tmp_path, maps, kind=kind)}
    if kind == "csv":
        assert "photo_rgb_red" in files["colours.csv"].read_text().splitlines()[1]
    elif kind == "png":
        with Image.open(files["photo_rgb.png"]) as file:
            assert file.text["Disclaimer"] == STAMP
    else:
        with tifffile.TiffFile(files["photo_rgb.tif"]) as file:
            assert file.pages[0].description == STAMP
            np.testing.assert_array_equal(file.asarray(), maps.photo_rgb)


def test_the_section_shows_stamped_pictures_upright_notes_and_regions() -> None:
    html = render(ReportContent("panel", recolour=make_maps(), pitch=0.5))
    assert html.count(STAMP) >= 1
    assert "Lakes &amp; blacks are not seen." in html
    assert "In region A1 &lt;nothing&gt; is sure." in html
    assert "1,200" in html
    shown = pictures(html)
    assert len(shown) == 6
    for picture in shown:
        pixels = np.asarray(picture.convert("RGB"))
        assert (pixels[-1] < 40).all()
    surface = np.asarray(shown[0].convert("RGB"))
    assert tuple(surface[5, -1]) == (255, 0, 0)
    assert tuple(surface[surface.shape[1] * 12 // 9 - 5, -1]) == (0, 0, 255)


def test_parts_that_are_missing_are_left_out() -> None:
    assert 'id="colours"' not in render(ReportContent("panel"))
    bare = make_maps().drop_vars(["hidden_rgb", "hidden_trust", "invisible"])
    bare.attrs = {"stamp": STAMP}
    html = render(ReportContent("panel", recolour=bare))
    assert "What lies beneath" not in html
    assert "region by region" not in html
    assert not hidden_panels(make_maps(hidden=False))


def test_the_finding_says_when_colours_are_not_to_be_trusted() -> None:
    assert "not to be trusted as a whole (mean trust 0.12)" in colour_finding(make_maps(trust=0.12))
    assert "to be read with its trust map (mean trust 0.60)" in colour_finding(make_maps())
    assert "from the spectra alone" in colour_finding(make_maps())
    assert "from the spectra and a photograph," in colour_finding(make_maps().assign_attrs(photo="{}"))
    nothing = make_maps()
    nothing.rgb.values[:] = np.nan
    assert "No pixel" in colour_finding(nothing)
    assert render(ReportContent("panel", recolour=nothing))


def test_figures_are_stamped_over_every_picture() -> None:
    drawn = dict(figures(ReportContent("panel", recolour=make_maps())))
    assert list(drawn) == ["recoloured", "recoloured-beneath"]
    texts = [text.get_text() for axes in drawn["recoloured"].axes for text in axes.texts]
    assert texts.count(SHORT) == 3
    narrow = stamped_sheet(surface_panels(make_maps(90, 6)))
    plain = map_sheet(surface_panels(make_maps(90, 6)), most=3)
    for axes, strip in zip(narrow.axes[:3], narrow.axes[3:], strict=True):
        written, box = strip.texts[0].get_window_extent(), strip.get_window_extent()
        assert box.width == pytest.approx(axes.get_window_extent().width)
        assert written.width < box.width
        assert box.y0 == pytest.approx(axes.get_window_extent().y1)
    assert len(plain.axes) == 3


def test_truth_beside_colours_is_scored_and_only_the_found_ones_are_stamped() -> None:
    maps = make_maps()
    truth = xr.Dataset({"rgb": maps.rgb.fillna(0), "hidden_rgb": maps.hidden_rgb.fillna(0)})
    truth["hidden"] = ("y", "x"), np.zeros((12, 9), np.int8)
    truth.hidden.values[-2:] = 1
    surface, beneath = colours_beside(truth, maps)
    assert surface.score.startswith("mean CIEDE2000 0.0 (one mean colour everywhere: ")
    assert beneath.score.endswith("in 50% of its pixels")
    assert colours_beside(truth, None) == ()
    shown = DemoTruth(truth.rgb.values, truth.hidden_rgb.values, colours=(surface, beneath))
    html = render(ReportContent("panel", truth=shown))
    assert len(pictures(html)) == 2
    assert "True colours" in html


def test_colours_are_scored_where_they_are() -> None:
    truth, found = np.zeros((4, 5, 3), np.float32), np.zeros((4, 5, 3), np.float32)
    found[0] = 1
    assert colour_score("x", truth, found).score.startswith("mean CIEDE2000 25.0")
    assert "no pixel" in colour_score("x", truth, np.full_like(found, np.nan)).score
