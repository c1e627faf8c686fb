"""Panels: fixed scales, honest captions, left-out pixels."""

import numpy as np
import pytest

from velatura.report import panels
from velatura.report.raster import LEFT_OUT


def test_memberships_are_shown_on_one_fixed_scale(segment) -> None:
    maps = segment()
    maps["membership"] *= 0.2
    assert {(panel.low, panel.high, panel.ends) for panel in panels.membership_panels(maps)} == {(0, 1, ("0", "1"))}


def test_pixels_left_out_have_no_value(segment) -> None:
    maps = segment()
    shown = [*panels.membership_panels(maps), *panels.proposal_panels(maps), panels.anomaly_panel(maps)]
    assert all(np.array_equal(np.isfinite(panel.image), maps.used.values) for panel in shown)
    assert np.all(panels.label_panel(maps).image[0] == LEFT_OUT)


def test_labels_have_the_clusters_colours(segment) -> None:
    maps = segment()
    image = panels.label_panel(maps).image
    for index, colour in enumerate(maps.colour.values):
        assert np.all(image[maps.labels.values == index] == panels.rgb_of(str(colour)))


def test_element_maps_state_their_clip(elements) -> None:
    line = elements().isel(line=0)
    panel = panels.element_panel(line)
    low, high = np.percentile(line.intensity.values, panels.CLIP)
    assert (panel.low, panel.high) == pytest.approx((low, high))
    assert panel.ends == (panels.number(low), f"{panels.number(high)} counts")


def test_net_counts_below_zero_are_black(elements) -> None:
    line = elements().isel(line=0)
    line["intensity"] -= 100
    assert panels.element_panel(line).low == 0


def test_the_detection_note_counts_pixels(elements) -> None:
    image, limit = np.array([[1.0, 30.0, 40.0, np.nan]]), np.full((1, 4), 20.0)
    assert panels.detection_note(image, limit) == "67 % of pixels above the detection limit (20 counts)"
    assert panels.detection_note(image * np.nan, limit) == "detection limit not known"


def test_a_line_without_any_value_says_so(elements) -> None:
    line = elements().isel(line=0)
    line["intensity"] *= np.nan
    assert panels.element_panel(line).lines == ("no values",)
