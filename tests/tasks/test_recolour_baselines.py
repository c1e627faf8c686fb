"""Baselines of recolouring: exact on noiseless spectra, as good as an independent solver, and refusals."""

import numpy as np
import pytest
from scipy.optimize import nnls

from velatura.base.errors import InputError
from velatura.tasks import recolour_baselines
from velatura.tasks.recolour_baselines import (
    mean_colour,
    mixed_palette_colour,
    mixture_colour,
    nearest_palette_colour,
    palette_shares,
)

CHANNELS = 200


@pytest.fixture
def palette() -> tuple[np.ndarray, np.ndarray]:
    """Five pigments of two lines each on a common background; spectra [pigment, channel], colours."""
    channel = np.arange(CHANNELS)
    lines = [(30, 150), (60, 75), (90, 60), (120, 150), (180, 30)]
    spectra = [sum(np.exp(-(((channel - at) / 4) ** 2)) for at in pair) + 0.05 for pair in lines]
    rgb = [(0.95, 0.94, 0.9), (0.7, 0.1, 0.1), (0.1, 0.2, 0.6), (0.8, 0.6, 0.2), (0.1, 0.1, 0.1)]
    return np.array(spectra), np.array(rgb, np.float32)


def test_each_pigment_gets_its_own_colour(palette) -> None:
    spectra, rgb = palette
    np.testing.assert_array_equal(nearest_palette_colour(1000 * spectra, spectra, rgb), rgb)
    np.testing.assert_allclose(mixed_palette_colour(1000 * spectra, spectra, rgb), rgb, atol=2e-3)


@pytest.mark.parametrize("kind", [np.uint16, np.int64, np.float32])
def test_noise_of_a_scan_is_overcome(palette, kind, rng: np.random.Generator) -> None:
    spectra, rgb = palette
    pigment = rng.integers(len(rgb), size=300)
    counts = rng.poisson(300 * (spectra / spectra.sum(axis=1, keepdims=True))[pigment]).astype(kind)
    found = nearest_palette_colour(counts, 7 * spectra, rgb)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, rgb[pigment])


def test_blocks_do_not_show(palette, monkeypatch, rng: np.random.Generator) -> None:
    spectra, rgb = palette
    counts = rng.poisson(20 * rng.dirichlet(np.ones(5), 50) @ spectra)
    whole = [work(counts, spectra, rgb) for work in (nearest_palette_colour, mixed_palette_colour)]
    monkeypatch.setattr(recolour_baselines, "BLOCK", 16)
    np.testing.assert_array_equal(nearest_palette_colour(counts, spectra, rgb), whole[0])
    np.testing.assert_allclose(mixed_palette_colour(counts, spectra, rgb), whole[1], atol=1e-5)


def test_shares_are_those_of_an_independent_solver(palette, rng: np.random.Generator) -> None:
    spectra, _ = palette
    shapes = spectra / spectra.sum(axis=1, keepdims=True)
    truth = rng.dirichlet(np.full(5, 0.5), 40)
    counts = rng.poisson(2000 * truth @ shapes)
    shares = palette_shares(counts, spectra)
    mean = shapes.mean(axis=0)
    weight = 1 / np.sqrt(np.maximum(mean, 0.01 * mean.mean()))
    expected = np.array([nnls((shapes * weight).T, row * weight)[0] for row in counts])
    np.testing.assert_allclose(shares, expected / expected.sum(axis=1, keepdims=True), atol=1e-4)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert np.abs(shares - truth).mean() < 0.02


def test_an_empty_spectrum_gets_the_mean_of_the_palette(palette) -> None:
    spectra, rgb = palette
    for work in (nearest_palette_colour, mixed_palette_colour):
        np.testing.assert_allclose(work(np.zeros((2, CHANNELS), np.uint16), spectra, rgb), [rgb.mean(axis=0)] * 2)


def test_no_spectra_give_no_colours(palette) -> None:
    spectra, rgb = palette
    for work in (nearest_palette_colour, mixed_palette_colour):
        assert work(np.zeros((0, CHANNELS)), spectra, rgb).shape == (0, 3)


def test_mixtures_of_paint_are_darker_than_of_light() -> None:
    """Pure pigments keep their colour; half white and half black is darker than the middle of both."""
    rgb = np.array([[1.0, 1.0, 1.0], [0.1, 0.1, 0.1]])
    pure = mixture_colour(np.eye(2), rgb)
    np.testing.assert_allclose(pure, rgb, atol=1e-6)
    assert np.all(mixture_colour(np.array([0.5, 0.5]), rgb) < 0.5)


def test_mean_colour_weighs_pixels(rng: np.random.Generator) -> None:
    small, large = np.full((1, 2, 3), 255, np.uint8), np.zeros((3, 2, 3), np.float32)
    np.testing.assert_allclose(mean_colour([small, large]), [0.25] * 3)
    with pytest.raises(InputError, match="needs a picture; found none"):
        mean_colour(iter(()))


def test_what_does_not_match_is_refused(palette) -> None:
    spectra, rgb = palette
    counts = np.ones((4, CHANNELS))
    with pytest.raises(InputError, match=r"must match; found \(4, 199\), \(5, 200\) and \(5, 3\)"):
        nearest_palette_colour(counts[:, 1:], spectra, rgb)
    with pytest.raises(InputError, match="must match"):
        mixed_palette_colour(counts, spectra, rgb[:2])
    with pytest.raises(InputError, match="each with counts"):
        nearest_palette_colour(counts, spectra * np.array([0, 1, 1, 1, 1])[:, None], rgb)
