"""The section of the pigments: what is found, named, drawn and said, for none, one and many of them."""

import base64
import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.base.workspace import create_workspace, write_maps
from velatura.chain.page import make_report
from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.report.colour_scale import ProbabilityScale
from velatura.report.content import ReportContent
from velatura.report.decided_spectra import DecidedSpectrum, decided_spectrum
from velatura.report.drawing import as_png
from velatura.report.figures import figures
from velatura.report.legend_colours import legend_colours
from velatura.report.page import render
from velatura.report.panels import rgb_of
from velatura.report.pigment_panels import (
    NOTHING,
    STRANGE,
    evidence_panels,
    probability_panels,
    region_panel,
    region_spots,
    strongest_panels,
)
from velatura.report.pigment_result import best_evidence, by_size, deciding, evidence_rows, found_groups
from velatura.report.pigment_section import pigment_figures
from velatura.report.pigment_words import group_words, pigment_finding, unseen_words
from velatura.report.raster import LEFT_OUT

OWN = [(0.95, 0.93, 0.89), (0.79, 0.58, 0.23), (0.23, 0.43, 0.65), (0.85, 0.21, 0.16), (0.17, 0.16, 0.15)]


def lab(colours: list[str]) -> np.ndarray:
    return srgb_to_lab(np.array([rgb_of(colour) for colour in colours]) / 255)


def test_the_scale_is_even_in_lightness_and_turns_amber_at_the_threshold() -> None:
    """Even to the rounding of 8 bits; grey has no chroma, amber has 20 and more."""
    probabilities = np.linspace(0, 1, 101)
    light, a, b = srgb_to_lab(ProbabilityScale(0.6).rgb(probabilities[None])[0] / 255).T
    assert np.diff(light) == pytest.approx(np.full(100, (light[-1] - light[0]) / 100), abs=0.9)
    chroma = np.hypot(a, b)
    assert chroma[:60].max() < 1
    assert chroma[60:].min() > 20


def test_pixels_without_an_answer_are_sand() -> None:
    assert ProbabilityScale(0.5).rgb(np.array([[np.nan, 0.0]]))[0].tolist() == [list(LEFT_OUT), [14, 14, 14]]


def test_the_scale_on_the_page_has_its_step_at_the_threshold() -> None:
    assert ProbabilityScale(0.4).gradient.count("40.0%") == 2


def test_colours_of_a_legend_are_apart_and_near_their_own() -> None:
    chosen = legend_colours(OWN, reserved=(NOTHING, STRANGE))
    assert chosen == legend_colours(OWN, reserved=(NOTHING, STRANGE))
    every = lab([*chosen, NOTHING, STRANGE])
    apart = colour_difference(every[:, None], every[None])[~np.eye(len(every), dtype=bool)]
    assert apart.min() > 13
    assert colour_difference(lab(chosen)[:4], srgb_to_lab(np.array(OWN[:4]))).max() < 16


def test_many_alike_get_colours_of_their_own() -> None:
    chosen = legend_colours([(0.95, 0.95, 0.95)] * 24)
    assert len(set(chosen)) == 24


def test_groups_come_by_area_in_the_words_of_conservators(identify) -> None:
    groups = found_groups(identify())
    assert [group.title for group in groups] == [
        "lead white, massicot or red lead", "cinnabar or vermilion", "titanium white", "azurite or malachite",
    ]  # fmt: skip
    assert groups[1].elements == "mercury and sulphur"
    assert [bool(pixels) for pixels in groups[1].pixels] == [False, True]
    assert groups[0].pixels == (23 * 18, 0)  # the first row has no answer


def test_what_lies_outside_the_period_is_flagged(identify) -> None:
    flags = {group.name: group.flag for group in found_groups(identify())}
    assert flags.pop("Ti") == "not before 1916, outside the period 1600-1650: a retouch?"
    assert not any(flags.values())
    late = identify().assign_coords(outside_period=("xrf_class", [True] * 4))
    late.attrs["parameters"] = '{"period": "2000-2010"}'
    assert {group.name: group.flag for group in found_groups(late)}["Ti"] == "outside the period 2000-2010"


def test_groups_of_few_pixels_are_named_but_not_drawn_unless_they_are_flagged(identify) -> None:
    groups = found_groups(identify())
    sizes = {"Pb": 4000, "Hg": 900, "Ti": 2, "Cu": 300, "Fe": 60, "Sb": 20}
    rows = [
        replace(groups[0], name=name, pixels=(size, 0), flag="outside the period" * (name == "Ti"))
        for name, size in sorted(sizes.items(), key=lambda pair: -pair[1])
    ]
    drawn, named = by_size(rows, asked=5000)
    assert [group.name for group in drawn] == ["Pb", "Hg", "Cu", "Fe", "Ti"]
    assert [group.name for group in named] == ["Sb"]


def test_another_result_is_refused(identify) -> None:
    with pytest.raises(InputError, match="`probability` along paint, xrf_class, y, x; found none"):
        found_groups(identify().drop_vars("probability"))
    with pytest.raises(InputError, match="two paints, visible and hidden; found 1"):
        found_groups(identify().isel(paint=[0]))


def test_each_pixel_shows_its_largest_share(identify) -> None:
    maps = identify()
    visible, hidden = strongest_panels(maps, found_groups(maps))
    colour_of = {words.rsplit(" ", 2)[0]: rgb_of(colour) for colour, words in visible.legend}
    assert tuple(visible.image[5, 0]) == colour_of["lead white, massicot or red lead"]
    assert tuple(visible.image[5, -1]) == colour_of["azurite or malachite"]
    assert tuple(visible.image[-1, -1]) == rgb_of(STRANGE)
    assert tuple(visible.image[0, 0]) == LEFT_OUT
    assert tuple(hidden.image[5, 0]) == rgb_of(NOTHING)
    assert {words.rsplit(" ", 2)[0] for _, words in hidden.legend} == {"cinnabar or vermilion", "none beneath"}


def test_visible_and_hidden_share_the_scale_and_have_their_own_threshold(identify) -> None:
    maps = identify()
    maps.threshold[1] = 0.95
    group = found_groups(maps.assign_coords(threshold=maps.threshold))[0]
    visible, hidden = probability_panels(maps, group)
    assert (visible.scale.threshold, hidden.scale.threshold) == pytest.approx((0.6, 0.95))
    assert (visible.heading, hidden.heading) == ("found in 100 %", "not found")
    assert np.isnan(visible.image[0]).all()


def test_unknown_and_beneath_are_maps_too(identify) -> None:
    assert [panel.name for panel in evidence_panels(identify())] == [
        "A paint beneath", "Unknown material", "Strangeness",
    ]  # fmt: skip


def test_the_evidence_is_read_with_its_lines(identify) -> None:
    maps = identify()
    rows = evidence_rows(maps)
    assert rows[0].lines == (("Pb-La", 4.2), ("Hg-La", -0.4))
    assert (rows[-1].title, rows[-1].paint) == ("none of them", "")
    assert deciding("Pb L alpha 4, <b>, Zn-Ka +x") == ()
    best = best_evidence(rows, found_groups(maps)[1])
    assert (best.paint, best.xrf_class) == ("hidden", "Hg")
    words = " ".join(group_words(found_groups(maps)[1], best, asked=414))
    assert "X-rays do not tell these apart: cinnabar, vermilion" in words
    assert "it is hidden in 80 % of the pixels; the sum of the region says 0.97, decided by Pb-La" in words


def test_a_fit_of_the_region_is_told(identify) -> None:
    maps = identify()
    rows = json.loads(maps.attrs["evidence"])
    rows[1] |= {"refined_mass": 1.234, "refined_mass_low": 0.91, "refined_mass_high": 1.6, "hidden_layer": "needed"}
    maps.attrs["evidence"] = json.dumps(rows)
    group = found_groups(maps)[1]
    told = group_words(group, best_evidence(evidence_rows(maps), group), asked=414)[-1]
    assert told.endswith("finds 1.2 (0.91 to 1.6) mg/cm² of it; a paint beneath is needed.")
    html = render(ReportContent("fit", identify=maps))
    assert '<th class="n">Fitted mass</th>' in html
    assert html.count("1.2 (0.91 to 1.6)") == 2


def test_each_region_has_its_name_inside_it(identify) -> None:
    maps = identify()
    maps["regions"][:] = -1
    maps["regions"][3:8, 2:11] = 0
    ((name, x, y),) = region_spots(maps)
    assert name == "A1"
    assert (3 < x < 10, y) == (True, 5.5)
    shown = region_panel(maps).image
    assert tuple(shown[0, 0]) == LEFT_OUT
    assert (shown[3:8, 2:11] == shown[5, 5]).all()


def test_regions_that_are_the_clusters_of_the_page_are_not_shown_again(content, segment) -> None:
    assert 'id="regions-0"' in render(content)
    same = content.identify.assign_coords(region=["C1"])
    assert 'id="regions-0"' not in render(replace(content, identify=same, segment=segment(clusters=1)))


def test_the_finding_says_what_is_visible_beneath_and_unknown(identify) -> None:
    maps = identify()
    told = pigment_finding(maps, found_groups(maps))
    assert told.startswith(
        "Three groups of pigments were found in the visible paint: lead white, massicot or red lead;"
    )
    assert "Beneath it: cinnabar or vermilion." in told
    assert told.endswith("In 0.2 % of the pixels something fits no pigment of the table.")
    assert unseen_words(maps) == "madder lake, carbon black"
    none = identify(classes=0)
    assert pigment_finding(none, []).startswith("No groups of pigments were found in the visible paint. None")


@pytest.mark.parametrize(("classes", "shape"), [(0, (6, 5)), (1, (40, 3)), (1, (1, 1)), (20, (3, 30))])
def test_any_number_of_pigments_and_any_shape(identify, classes: int, shape: tuple[int, int]) -> None:
    content = ReportContent("panel", identify=identify(*shape, classes=classes))
    html = render(content)
    assert html.count('class="card pigment"') == classes
    drawn = dict(figures(content))
    assert ("pigments" in drawn) == (classes > 0)
    for figure in drawn.values():
        assert as_png(figure)[:4] == b"\x89PNG"


def test_the_page_carries_the_whole_table(content) -> None:
    stored = re.search(r'href="data:text/csv;base64,([^"]+)" download="evidence.csv"', render(content))[1]
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(stored).decode())))
    assert [row["xrf_class"] for row in rows] == ["Pb", "Hg", "Ti", "Cu", "unknown"]
    assert (rows[0]["deciding_lines"], rows[-1]["share"]) == ("Pb-La +4.2, Hg-La -0.4", "")


@pytest.mark.parametrize("missing", ["share", "unknown", "strangeness", "unexplained", "region_spectrum", "threshold"])
def test_parts_may_be_missing(content, missing: str) -> None:
    part = ReportContent("part", identify=content.identify.drop_vars(missing))
    assert "Each pigment" in render(part)


def test_a_result_without_evidence_shows_maps_alone(content) -> None:
    bare = content.identify.assign_attrs(evidence="[]")
    html = render(ReportContent("bare", identify=bare))
    assert "<h3>Evidence</h3>" not in html
    assert "pigment-lines" not in dict(pigment_figures(replace(content, identify=bare)))


def test_lines_that_speak_for_a_pigment_are_red_and_those_against_blue() -> None:
    energy = 0.02 * np.arange(700)
    counts = 50 + 4000 * np.exp(-0.5 * ((energy - 10.55) / 0.08) ** 2)
    pixels = {}
    for drop in (2.0, -2.0):
        figure = decided_spectrum(DecidedSpectrum("lead", energy, counts, (("Pb-La", drop), ("no line", 0.1))))
        names = [text.get_text() for text in figure.axes[0].texts]
        assert names == ["Pb-La"]
        rgb = np.frombuffer(figure.canvas.buffer_rgba() if figure.canvas.draw() is None else b"", np.uint8)
        red, _, blue, _ = rgb.reshape(-1, 4).astype(int).T
        pixels[drop] = (np.sum(red - blue > 80), np.sum(blue - red > 80))
    assert pixels[2.0][0] > 500 > pixels[2.0][1]
    assert pixels[-2.0][1] > 500 > pixels[-2.0][0]


def test_a_report_of_a_workspace_holds_the_pigments_as_page_figures_and_maps(identify, tmp_path) -> None:
    maps = identify()
    workspace = create_workspace(tmp_path / "panel.zarr", make_cube(np.ones((24, 18, 50), np.uint16), zero=0, gain=0.1))
    write_maps(workspace, "identify", maps)
    files = make_report(workspace)
    assert "Each pigment" in files.page.read_text(encoding="utf-8")
    assert {path.stem for path in files.figures} >= {"pigment-map", "pigments", "pigment-lines"}
    names = {path.name for path in files.maps}
    assert {"probability_visible_Pb.tif", "probability_hidden_Hg.tif", "hidden.tif", "unknown.tif"} <= names
    written = next(path for path in files.maps if path.name == "probability_hidden_Hg.tif")
    assert tifffile.imread(written) == pytest.approx(maps.probability.sel(paint="hidden", xrf_class="Hg").values)
