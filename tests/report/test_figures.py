"""Figures: upright, square, without pixels of another map, bars of the right length, no global state."""

import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from velatura.report.drawing import DPI, POINT, as_png, as_svg, legible
from velatura.report.figures import figures, save_figures
from velatura.report.map_figures import lay_out, map_sheet, marked_map
from velatura.report.overview import overview
from velatura.report.panels import MapPanel, blend
from velatura.report.raster import LEFT_OUT
from velatura.report.spectrum_figures import cluster_spectra, cluster_spectrum, scan_spectra, thinned


def drawn(figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(as_png(figure))).convert("RGB"))


def map_pixels(panel: MapPanel) -> np.ndarray:
    """The map itself, cut out of the drawn sheet."""
    layout = lay_out([panel])
    left, bottom = layout.corner(0)
    width, height = layout.picture
    box = np.array([layout.height - bottom - height, layout.height - bottom, left, left + width]) * DPI / POINT
    top, low, start, end = np.rint(box).astype(int)
    return drawn(map_sheet([panel]))[top:low, start:end]


@pytest.mark.parametrize("shape", [(11, 11), (7, 40), (40, 7), (1, 9), (9, 1)])
def test_the_first_pixel_is_at_the_top_left(shape: tuple[int, int]) -> None:
    image = np.zeros(shape)
    image[0, 0] = 1
    pixels = map_pixels(MapPanel("map", image))
    height, width = pixels.shape[:2]
    assert np.all(pixels[2, 2] == 255)
    down, across = np.flatnonzero(pixels[2:-2, 2, 0] > 200), np.flatnonzero(pixels[2, 2:-2, 0] > 200)
    assert len(down) == pytest.approx(height / shape[0], abs=4)
    assert len(across) == pytest.approx(width / shape[1], abs=4)
    assert height / shape[0] == pytest.approx(width / shape[1], abs=2)


def test_nothing_is_smoothed() -> None:
    image = np.indices((9, 9)).sum(0) % 2
    assert set(np.unique(map_pixels(MapPanel("board", image.astype(float))))) == {0, 255}


def test_missing_pixels_are_sand() -> None:
    image = np.full((4, 4), np.nan)
    assert np.all(map_pixels(MapPanel("empty", image))[4:-4, 4:-4] == LEFT_OUT)


def test_the_bar_is_ten_millimetres_long() -> None:
    panel, pitch = MapPanel("map", np.ones((30, 80))), 0.5
    layout = lay_out([panel])
    left, bottom = layout.corner(0)
    pixels = drawn(map_sheet([panel], pitch=pitch))
    row = pixels[round((layout.height - bottom + 9) * DPI / POINT), :, 0]
    start = round(left * DPI / POINT)
    length = np.argmax(row[start + 2 :] > 128) + 2
    expected = 10 / pitch / 80 * layout.picture[0] * DPI / POINT
    assert length == pytest.approx(expected, abs=2)


def test_rings_mark_the_spots() -> None:
    pixels = drawn(marked_map(MapPanel("map", np.zeros((50, 50))), [("1", 25.0, 25.0)]))
    gold = (pixels[..., 0] > 150) & (pixels[..., 2] < 90)
    plain = drawn(map_sheet([MapPanel("map", np.zeros((50, 50)))]))
    assert gold.sum() > 20
    assert not ((plain[..., 0] > 150) & (plain[..., 2] < 90)).any()


@pytest.mark.parametrize("clusters", [1, 2, 30])
def test_any_number_of_clusters(segment, clusters: int) -> None:
    maps = segment(clusters=clusters)
    assert drawn(cluster_spectra(maps)).std() > 5


def test_large_maps_are_averaged_and_say_so() -> None:
    figure = map_sheet([MapPanel("large", np.ones((3000, 4000), np.float32))])
    assert "shown with 6 × 6 pixels averaged" in [text.get_text() for text in figure.texts]


def test_thinning_keeps_the_mean_per_channel(rng: np.random.Generator) -> None:
    values = rng.uniform(0, 9, 1200)
    assert thinned(values, np.ones(1200, bool), most=300) == pytest.approx(values.reshape(300, 4).mean(1))
    assert thinned(values, np.arange(1200) < 100, most=300) == pytest.approx(values[:100])


def test_spectra_without_counts_are_drawn_too(elements, segment) -> None:
    empty = elements()
    for name in ("sum_spectrum", "max_spectrum", "background", "fit"):
        empty[name] *= 0
    maps = segment()
    maps["spectrum"] *= 0
    maps["mean_spectrum"] *= 0
    for figure in (scan_spectra(empty), cluster_spectrum(maps, 0)):
        assert as_png(figure)[:4] == b"\x89PNG"


def test_texts_are_never_read_as_formulas(segment) -> None:
    maps = segment().assign_coords(cluster=["$\\foo$", "<b>", "_^"])
    assert as_png(map_sheet([MapPanel("$\\frac$", np.ones((4, 4)), heading="$", lines=("$\\x$",))]))
    assert as_png(cluster_spectra(maps))


def test_svg_has_the_pages_colours_and_its_own_names(segment) -> None:
    maps = segment()
    one, two = (as_svg(cluster_spectrum(maps, 0), name=name) for name in ("one", "two"))
    assert one.startswith("<svg")
    assert 'id="one-' in one
    assert 'id="two-' in two
    assert "currentColor" in one
    assert "http" not in one
    assert one.replace("one-", "two-") == two


def test_svg_rounds_places_but_no_words(segment) -> None:
    maps = segment()
    maps["spectrum"] *= 0.01
    maps["mean_spectrum"] *= 0.01
    svg = as_svg(cluster_spectrum(maps, 0), name="one")
    assert ">0.01<" in svg
    assert not re.search(r'[" ]\d+\.\d\d', "".join(re.findall(r"<[^>]*>", svg)))


def test_pale_and_dark_colours_become_legible() -> None:
    assert legible("#0072b2") == "#0072b2"
    assert legible("#f0e442") not in {"#f0e442", "#ffffff"}
    assert legible("#000000") != "#000000"


def test_all_figures_are_written_and_the_settings_put_back(content, tmp_path) -> None:
    before = dict(mpl.rcParams)
    paths = save_figures(tmp_path / "figures", content)
    assert dict(mpl.rcParams) == before
    assert {path.stem for path in paths} == {
        *("labels", "memberships", "cluster-spectra", "confidence", "anomalies", "composites", "hidden"),
        *("composite-P1", "composite-P2", "element-maps", "scan-spectra", "calibration"),
        *("pigment-map", "pigments", "pigments-unknown", "pigment-regions", "pigment-lines"),
    }
    assert sorted(tmp_path.glob("figures/*")) == sorted(paths)
    for path in paths:
        assert np.asarray(Image.open(path).convert("L")).std() > 5


def test_no_figure_without_results(content) -> None:
    assert list(figures(type(content)("empty"))) == []


def test_announced_maps_are_added_in_their_colours() -> None:
    images = np.zeros((2, 1, 3))
    images[0, 0, 0] = images[1, 0, 1] = 0.5
    images[:, 0, 2] = 1
    assert blend(images, ("#ff0000", "#0000ff", "#00ff00")).tolist() == [[[128, 0, 0], [0, 0, 128], [255, 0, 255]]]


@pytest.mark.parametrize("hidden", [(True, True), (False, False)])
def test_the_overview_is_one_picture_of_sixteen_hundred_pixels(segment, elements, hidden) -> None:
    maps = segment().assign_coords(hidden=("proposal", list(hidden)))
    figure = overview(maps, np.full((24, 18, 3), 0.5), elements=elements(), pitch=2.0)
    picture = np.asarray(Image.open(io.BytesIO(as_png(figure))))
    assert picture.shape[1] == 1600
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == [
        "What the eye sees",
        "What may lie beneath" if any(hidden) else "Best proposal, not hidden",
    ]
