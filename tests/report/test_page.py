"""The page: valid, self-contained, complete, safe against hostile texts, and right when parts are missing."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from velatura.base.cube import make_cube
from velatura.report.content import DemoTruth, ReportContent, TruthPassage, cube_facts
from velatura.report.page import render, write_report
from velatura.report.views import record_rows

VOID = {"meta", "link", "img", "br", "hr", "input"}
HOSTILE = '<script>alert(1)</script> & "quotes" $\\foo$'


class Page(HTMLParser):
    """Texts, addresses, ids and balance of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open, self.texts, self.addresses, self.ids, self.tags, self.styles = [], [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "action", "srcset"}:
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.styles.append(data)
        else:
            self.texts.append(data)


def pictures(html: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_the_page_is_valid_and_needs_nothing_outside_itself(content) -> None:
    page = Page(render(content))
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not {"script", "iframe", "object", "embed"} & set(page.tags)
    assert not re.search(r"url\((?!#)|@import", " ".join(page.styles))
    assert len(page.ids) == len(set(page.ids))
    inner = {address[1:] for address in page.addresses if address.startswith("#")}
    assert inner <= set(page.ids)


def test_every_cluster_line_proposal_and_fact_is_there(content) -> None:
    text = Page(render(content)).text
    for result, name in ((content.segment, "cluster"), (content.segment, "proposal"), (content.elements, "line"),
                         (content.identify, "region")):  # fmt: skip
        assert all(str(value) in text for value in result[name].values)
    for words in ("Portrait of a lady", "scan.rpl", "ab12", "Pb-La lies on As-Ka.", "142 eV wide", "possibly hidden"):
        assert words in text
    assert "-12.0 ± 2.0" in text
    assert "fuzzifier 1.5" in text


def test_pictures_are_the_maps_upright_and_on_the_fixed_scale(content) -> None:
    membership = content.segment.membership
    membership[:] = 0.25
    membership[0, 1, 0] = 1
    shown = [image for image in pictures(render(content)) if image.ndim == 3 and image[1, 0, 0] == 255]
    assert any(np.all(image[1:].reshape(-1, 3)[1:] == 64) for image in shown)


def test_the_bar_is_length_over_pitch(content) -> None:
    bars = re.findall(r'class="rule" style="width:([\d.]+)%"></i><b>([\d.]+) mm', render(content))
    width, pitch = 18, content.pitch
    assert bars
    assert all(
        float(percent) == pytest.approx(100 * float(length) / pitch / width, abs=0.01) for percent, length in bars
    )


def test_an_uncertainty_that_is_not_known_is_not_shown(content) -> None:
    line = replace(content.calibration.lines[0], uncertainty=float("inf"))
    text = Page(render(replace(content, calibration=replace(content.calibration, lines=(line,))))).text
    assert "6.404 +1.5 The band" in text


@pytest.mark.parametrize("pitch", [None, 0.0, float("nan")])
def test_without_pitch_there_are_no_millimetres(content, pitch: float | None) -> None:
    text = Page(render(replace(content, pitch=pitch, facts=()))).text
    assert " mm" not in text
    assert "5 px" in text


def test_spots_are_listed_with_pixels_and_millimetres(content) -> None:
    text = Page(render(content)).text
    assert "17, 23 8.75, 11.75 3.00 1" in text


def test_hostile_texts_are_only_texts(content) -> None:
    segment = content.segment.assign_coords(
        cluster=[HOSTILE, "C2", "C3"],
        elements=("cluster", [HOSTILE] * 3),
        colour=("cluster", ["red;}</style><script>"] * 3),
        members=("proposal", [HOSTILE] * 2),
        signature=("proposal", [HOSTILE] * 2),
    )
    segment.attrs["parameters"] = HOSTILE
    elements = content.elements.assign_coords(line=[HOSTILE, "Fe-Ka", "Hg-La", "Pb-La"])
    elements.attrs["warnings"] = f'["{HOSTILE}"]'.replace(HOSTILE, HOSTILE.replace('"', "'").replace("\\", ""))
    identify = content.identify.assign_coords(xrf_class=[HOSTILE, *"BCD"], members=("xrf_class", [HOSTILE] * 4))
    identify.attrs |= {"invisible": HOSTILE, "notes": HOSTILE, "parameters": HOSTILE}
    hostile = replace(
        content, title=HOSTILE, segment=segment, elements=elements, identify=identify, facts=((HOSTILE, HOSTILE),),
        provenance=({HOSTILE: HOSTILE, "verb": HOSTILE},),
    )  # fmt: skip
    page = Page(render(hostile))
    assert "script" not in page.tags
    assert page.text.count("<script>alert(1)</script>") >= 10


@pytest.mark.parametrize(
    "kept", [(), ("elements",), ("segment",), ("identify",), ("facts", "calibration"), ("provenance",)]
)
def test_missing_parts_are_left_out(content, kept: tuple[str, ...]) -> None:
    part = ReportContent("Only a part", **{name: getattr(content, name) for name in kept})
    page = Page(render(part))
    assert ("Membership maps" in page.text) == ("segment" in kept)
    assert ("Element maps" in page.text) == ("elements" in kept)
    assert ("Each pigment" in page.text) == ("identify" in kept)
    assert ("Calibration" in page.text) == ("calibration" in kept)
    assert "None" not in page.text


@pytest.mark.parametrize("left_out", ["composite", "anomaly", "entropy", "spectrum_error"])
def test_a_segmentation_without_one_of_its_maps(content, left_out: str) -> None:
    segment = content.segment.drop_vars(left_out)
    assert Page(render(replace(content, segment=segment))).text


def test_a_segmentation_without_proposals_announces_nothing(content) -> None:
    none = replace(content, segment=content.segment.isel(proposal=slice(0)))
    text = Page(render(none)).text
    assert "Nothing hidden was found" in text
    assert "Nothing is proposed" in text
    assert "possibly hidden" not in text.lower()


def test_an_element_result_without_spectra_or_limits(content) -> None:
    bare = content.elements.drop_vars(["sum_spectrum", "max_spectrum", "fit", "background", "uncertainty"])
    text = Page(render(ReportContent("bare", elements=bare.drop_vars("detection_limit")))).text
    assert "Spectra of the whole scan" not in text
    assert "detection limit" not in text


def test_maps_without_values_and_rows_of_one_pixel(elements, segment) -> None:
    for height, width in ((1, 9), (9, 1), (1, 1)):
        maps, lines = segment(height, width), elements(height, width)
        lines["intensity"][:2] = np.nan
        page = Page(render(ReportContent("thin", elements=lines, segment=maps)))
        assert "no values" in page.text


def test_large_maps_stay_within_the_budget(elements) -> None:
    html = render(ReportContent("large", elements=elements(1200, 900, lines=4)))
    shapes = {image.shape[:2] for image in pictures(html)}
    assert max(max(shape) for shape in shapes) <= 1500
    assert sum(height * width for height, width in shapes) < 9e6


def test_truth_beside_found(content) -> None:
    picture = np.full((24, 18, 3), 0.5)
    passage = TruthPassage("flesh", np.ones((24, 18)), "P1", "correlation 0.91")
    truth = DemoTruth(picture, picture, (passage, replace(passage, found="gone")), (("ARI", ".97"),))
    text = Page(render(replace(content, truth=truth))).text
    assert "flesh truth" in text
    assert "P1 found correlation 0.91" in text
    assert "ARI .97" in text


def test_a_failed_page_leaves_the_old_one(content, tmp_path) -> None:
    path = write_report(tmp_path / "new" / "report.html", content)
    old = path.read_text()
    broken = replace(content, elements=content.elements.drop_vars("intensity"))
    with pytest.raises((AttributeError, KeyError), match="intensity"):
        write_report(path, broken)
    assert path.read_text() == old
    assert list(path.parent.iterdir()) == [path]


def test_facts_of_a_cube() -> None:
    valid = np.ones((3, 4), bool)
    valid[0, 0] = False
    counts, times = np.ones((3, 4, 50), np.uint16), np.full((3, 4), 0.2)
    cube = make_cube(counts, zero=-0.1, gain=0.1, valid=valid, live_time=times, pitch=0.25, anode="Rh", tube_voltage=50)
    facts = dict(cube_facts(cube))
    assert facts["Size"] == "4 × 3 pixels, 1 × 0.75 mm at 0.25 mm a pixel"
    assert facts["Channels"] == "50, from -0.100 to 4.800 keV"
    assert facts["Pixels with data"] == "11 of 12"
    assert facts["Live time"] == "0.2 s a pixel"
    assert facts["Tube voltage"] == "50 kV"
    assert "Instrument" not in facts


def test_records_are_flat_and_short() -> None:
    record = {"seed": None, "on": True, "values": list(range(40)), "nested": {"a": 0.1 + 0.2}, "json": "{broken"}
    record["found"] = [{"line": "Fe-Ka", "counts": 3}, {"line": "Pb-La", "counts": 4}]
    assert record_rows(record) == [
        ("seed", "–"), ("on", "yes"), ("values", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 … (40 values)"),
        ("nested: a", "0.3"), ("json", "{broken"), ("found", "line Fe-Ka counts 3; line Pb-La counts 4"),
    ]  # fmt: skip
