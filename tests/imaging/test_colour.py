"""Colours: published check values, round trips, and the scale by type."""

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.imaging.colour import as_srgb, colour_difference, lab_to_srgb, srgb_to_lab

PAIRS = (  # Sharma, Wu and Dalal (2005), Color Research & Application 30, 21, table 1
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (61, -5, 29), 22.8977),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
)


@pytest.mark.parametrize(("one", "other", "difference"), PAIRS)
def test_differences_are_the_published_ones(one, other, difference) -> None:
    assert colour_difference(np.array(one, float), np.array(other, float)) == pytest.approx(difference, abs=5e-5)
    assert colour_difference(np.array(other, float), np.array(one, float)) == pytest.approx(difference, abs=5e-5)


def test_black_to_white_is_a_hundred() -> None:
    black, white = srgb_to_lab(np.array([[0, 0, 0], [1, 1, 1]]))
    np.testing.assert_allclose(white, [100, 0, 0], atol=0.02)
    assert colour_difference(black, white) == pytest.approx(100, abs=0.02)


def test_lab_of_the_red_primary() -> None:
    """The red primary of sRGB (Lindbloom's tables, D65)."""
    np.testing.assert_allclose(srgb_to_lab(np.array([1.0, 0, 0])), [53.24, 80.09, 67.20], atol=0.03)


def test_there_and_back(rng: np.random.Generator) -> None:
    rgb = rng.uniform(size=(7, 5, 3))
    np.testing.assert_allclose(lab_to_srgb(srgb_to_lab(rgb)), rgb, atol=1e-4)


def test_colours_beyond_the_screen_are_clipped() -> None:
    rgb = lab_to_srgb(np.array([[50.0, 0, 200], [90, -120, 0]]))
    assert rgb.min() == 0
    assert rgb.max() <= 1


def test_the_type_says_the_scale() -> None:
    nearly_black = np.ones((1, 1, 3), np.uint8)
    np.testing.assert_allclose(as_srgb(nearly_black), 1 / 255)
    np.testing.assert_allclose(as_srgb(nearly_black.astype(float)), 1.0)
    assert as_srgb(nearly_black).dtype == np.float32


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((2, 2, 3), 200.0), "must lie within 0 to 1.0; found 200.0"),
        (np.full((2, 2, 3), -1), "must lie within 0 to 255; found -1"),
        (np.full((2, 2, 3), np.nan), "must lie within"),
        (np.zeros((2, 2, 4)), r"found the shape \(2, 2, 4\)"),
        (np.zeros((2, 3), bool), "must be numbers; found bool"),
    ],
)
def test_what_is_no_colour_is_refused(image, message) -> None:
    with pytest.raises(InputError, match=message):
        as_srgb(image)
