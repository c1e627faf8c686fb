"""Laws of the scalings: noise of known size, pixel by pixel, and the formulas of their sources."""

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.reduce.scaling import SCALINGS, channel_factor, check_scaling, scale_pixels

LINEAR = ("keenan-kotula", "sum", "none")


def test_formulas(rng):
    counts = rng.poisson(4, (6, 9)).astype(np.float32)
    mean = counts.mean(1, keepdims=True)
    np.testing.assert_allclose(scale_pixels(counts, "keenan-kotula").values, counts / np.sqrt(mean), rtol=1e-6)
    np.testing.assert_allclose(scale_pixels(counts, "sum").values, counts / mean, rtol=1e-6)
    np.testing.assert_allclose(scale_pixels(counts, "sqrt").values, 2 * np.sqrt(counts + 3 / 8), rtol=1e-6)
    np.testing.assert_allclose(scale_pixels(counts, "log1p").values, np.log1p(counts), rtol=1e-6)
    np.testing.assert_array_equal(scale_pixels(counts, "none").values, counts)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_blocks_are_independent(rng, scaling):
    counts = rng.poisson(3, (20, 7)).astype(np.float32)
    whole, parts = scale_pixels(counts, scaling), [scale_pixels(c, scaling) for c in (counts[:8], counts[8:])]
    np.testing.assert_array_equal(whole.values, np.vstack([p.values for p in parts]))
    np.testing.assert_allclose(whole.noise, sum(p.noise for p in parts), rtol=1e-5)
    np.testing.assert_allclose(whole.noise.sum(), whole.pixel_noise.sum(), rtol=1e-5)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("level", [0.2, 30.0])
def test_the_noise_estimate_is_the_variance_over_repeated_draws(rng, scaling, level):
    mean = level * rng.uniform(0.5, 2, (1, 40))
    counts = rng.poisson(np.repeat(mean, 20000, 0)).astype(np.float32)
    scaled = scale_pixels(counts, scaling)
    # one pixel drawn again and again: its spread is noise alone; the pixel factor varies a little with the draw
    ratio = scaled.noise / len(counts) / scaled.values.var(0)
    assert np.all(ratio > 0.9), ratio.min()
    assert np.all(ratio < (1.1 if scaling in LINEAR or level > 1 else 1.45)), ratio.max()


@pytest.mark.parametrize("scaling", ["keenan-kotula", "sum"])
def test_noise_is_one_after_the_channel_factor(rng, scaling):
    counts = rng.poisson(rng.uniform(5, 80, 30), (4000, 30)).astype(np.float32)
    scaled = scale_pixels(counts, scaling)
    values = scaled.values * channel_factor(scaled.noise / len(counts), scaling)
    np.testing.assert_allclose(values.var(0), 1, atol=0.12)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_pixels_without_counts_stay_finite(scaling):
    scaled = scale_pixels(np.zeros((3, 5), np.float32), scaling)
    assert all(np.all(np.isfinite(part)) for part in scaled)
    np.testing.assert_array_equal(scaled.noise, 0)


def test_an_unknown_scaling_is_refused_with_a_hint():
    with pytest.raises(InputError, match="unknown scaling 'log'; did you mean \"log1p\""):
        check_scaling("log")
