"""Counts are kept, energies add, and the draw is Poisson: laws, SciPy's distribution, and channel-by-channel sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from velatura.physics.counting import jitter, pile_up, poisson, smooth_background

BLOCK = (1024, 1024)
KEY = jax.random.key(20261120)
CHANNEL = np.arange(1024.0)
FWHM = 3.5  # channels, of the peaks below


def peaks(*places: float) -> np.ndarray:
    """Gaussian peaks of 1000 counts, float32 [channel]."""
    sigma = FWHM / np.sqrt(8 * np.log(2))
    edges = stats.norm.cdf((np.arange(1025) - 0.5 - np.array(places)[:, None]) / sigma)
    return (1000 * np.diff(edges).sum(axis=0)).astype(np.float32)


def mean_and_variance(spectrum: jax.Array) -> tuple[float, float]:
    counts = np.asarray(spectrum, np.float64)
    mean = counts @ CHANNEL / counts.sum()
    return mean, counts @ (CHANNEL - mean) ** 2 / counts.sum()


@pytest.mark.parametrize("zero_channel", [0.0, 96.0, -12.5, 7.3])
def test_pile_up_equals_the_sum_over_pairs(rng: np.random.Generator, zero_channel: float) -> None:
    spectrum = rng.gamma(0.5, 20.0, 200).astype(np.float32)
    expected = spectrum * 0.94
    for i, one in enumerate(spectrum.astype(float)):
        for j, other in enumerate(spectrum.astype(float)):
            place = i + j - zero_channel  # energies add
            low = int(np.floor(place))
            for channel, share in ((low, low + 1 - place), (low + 1, place - low)):
                if 0 <= channel < 200:
                    expected[channel] += 0.03 * share * one * other / spectrum.sum()
    given = pile_up(spectrum, 0.03, zero_channel=zero_channel)
    np.testing.assert_allclose(given, expected, rtol=2e-5)


def test_pile_up_takes_one_count_a_pair_and_keeps_the_energy() -> None:
    spectrum, zero = peaks(150.0, 250.0), 50.0
    piled = pile_up(spectrum, 0.02, zero_channel=zero)
    assert piled.sum() == pytest.approx(spectrum.sum() * 0.98, rel=1e-5)
    energies = [np.asarray(s, np.float64) @ (CHANNEL - zero) for s in (spectrum, piled)]
    assert energies[1] == pytest.approx(energies[0], rel=1e-4)
    assert piled[250] == pytest.approx(spectrum[250] * 0.96 + 0.02 * spectrum.max() / 2 / 2 / np.sqrt(2), rel=0.02)
    for peak, share in ((250, 0.25), (350, 0.5), (450, 0.25)):  # 2 x 150 - 50 lies under the line at 250
        extra = np.asarray(piled - spectrum * 0.96)[peak - 12 : peak + 13].sum()
        assert extra == pytest.approx(0.02 * 2000 * share, rel=1e-3)


def test_pile_up_of_nothing_and_without_probability() -> None:
    assert not np.any(pile_up(jnp.zeros(1024), 0.02))
    np.testing.assert_allclose(pile_up(peaks(200.0), 0.0), peaks(200.0), atol=1e-30)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (1.003, 0.5), (0.997, -0.5), (1.0, 0.25), (0.9, 3.0)])
def test_jitter_moves_lines_and_keeps_counts_and_width(gain: float, offset: float) -> None:
    for place in (100.0, 512.3, 800.0):
        moved = jitter(peaks(place), gain, offset)
        mean, variance = mean_and_variance(moved)
        assert moved.sum() == pytest.approx(1000, rel=1e-5)
        assert mean == pytest.approx(gain * place + offset, abs=6e-3)
        assert variance == pytest.approx(gain**2 * mean_and_variance(peaks(place))[1], rel=0.03)
        assert moved.min() >= -1e-4


def test_jitter_without_drift_changes_nothing() -> None:
    spectrum = peaks(3.0, 400.0, 1020.0)
    np.testing.assert_allclose(jitter(spectrum, 1.0, 0.0), spectrum, atol=1e-4)


def test_jitter_of_counts_is_never_negative(rng: np.random.Generator) -> None:
    counts = rng.poisson(rng.gamma(0.1, 10.0, 1024)).astype(np.float32)
    moved = jitter(counts, 0.9973, 2.31, blur=0.0)
    assert moved.min() >= -1e-4
    assert moved.sum() == pytest.approx(counts.sum(), rel=1e-2)


@pytest.mark.parametrize("blur", [0.2, 0.8, 2.0])
def test_blur_adds_its_variance(blur: float) -> None:
    blurred = jitter(peaks(300.0), 1.0, 0.0, blur=blur)
    mean, variance = mean_and_variance(blurred)
    assert blurred.sum() == pytest.approx(1000, rel=1e-5)
    assert mean == pytest.approx(300.0, abs=1e-3)
    assert variance == pytest.approx(mean_and_variance(peaks(300.0))[1] + blur**2, rel=1e-3)


def test_gradients_are_finite() -> None:
    def loss(spectrum: jax.Array, gain: jax.Array, offset: jax.Array, blur: jax.Array) -> jax.Array:
        moved = jitter(pile_up(spectrum, 0.02, zero_channel=3.5), gain, offset, blur=blur)
        return jnp.sum(moved**2)

    for spectrum in (jnp.asarray(peaks(200.0)), jnp.zeros(1024)):
        slopes = jax.grad(loss, argnums=(0, 1, 2, 3))(spectrum, jnp.float32(1.0), jnp.float32(0.3), jnp.float32(0.0))
        assert all(np.all(np.isfinite(slope)) for slope in slopes)


def test_background_is_a_constant_and_an_exponential() -> None:
    axis = jnp.asarray(-0.96 + np.arange(1024) * 0.04, jnp.float32)
    background = np.asarray(smooth_background(axis, decay=8.0, constant=0.3), np.float64)
    assert background.sum() == pytest.approx(1, rel=1e-5)
    assert not background[axis <= 0].any()
    above = background - 0.3 / (axis > 0).sum()
    assert above[500] / above[300] == pytest.approx(np.exp(-1.0), rel=1e-3)


@pytest.mark.parametrize("mean", [0.01, 0.1, 0.5, 1.0, 3.0, 8.0, 11.9, 12.1, 14.0, 20.0, 50.0, 200.0, 1000.0])
def test_counts_are_poisson(mean: float) -> None:
    """Mean, variance and frequencies of a million draws, beside SciPy's distribution."""
    counts = np.asarray(poisson(jnp.full(BLOCK, mean, jnp.float32), key=KEY)).ravel()
    assert counts.dtype == np.uint32
    assert counts.mean() == pytest.approx(mean, rel=4 * np.sqrt(1 / mean / counts.size))
    assert counts.var() == pytest.approx(mean, rel=4 * np.sqrt((2 + 1 / mean) / counts.size))
    value, law = np.arange(counts.max() + 1), stats.poisson(mean)
    seen = np.bincount(counts) / counts.size
    assert np.abs(np.cumsum(seen) - law.cdf(value)).max() < 2e-4 + 2 / np.sqrt(counts.size)
    usual = law.pmf(value) > 1e-4
    expected = law.pmf(value[usual])
    chi2 = ((seen[usual] - expected) ** 2 / expected).sum() * counts.size
    # by chance as many as there are values; the expansion just above 12 adds 1.4e-5 a draw
    assert chi2 < stats.chi2(usual.sum()).isf(1e-3) + 2e-5 * counts.size * (mean > 12)
    assert counts.max() <= law.isf(1e-9) + 1


def test_channels_and_rows_are_independent() -> None:
    draws = [np.asarray(poisson(jnp.full(BLOCK, 5.0), key=key), np.float64) for key in jax.random.split(KEY)]
    columns = np.corrcoef(np.concatenate([draw[:, :64] for draw in draws], axis=1).T) - np.eye(128)
    rows = np.corrcoef(draws[0][:64]) - np.eye(64)
    assert max(np.abs(columns).max(), np.abs(rows).max()) < 6 / np.sqrt(1024)


def test_the_same_key_gives_the_same_counts(rng: np.random.Generator) -> None:
    expected = jnp.asarray(rng.gamma(0.5, 20.0, BLOCK), jnp.float32)
    first = poisson(expected, key=KEY)
    assert np.array_equal(first, poisson(expected, key=jax.random.key(20261120)))
    assert not np.array_equal(first, poisson(expected, key=jax.random.key(1)))


def test_nothing_gives_nothing_and_bright_channels_do_not_wrap() -> None:
    assert not np.any(poisson(jnp.array([0.0, -1e-3, -5.0]), key=KEY))
    assert int(poisson(jnp.array([1e7, 1.0, 1.0]), key=KEY)[0]) == pytest.approx(1e7, rel=0.002)
    bright = poisson(jnp.array([1e5, 6e4, 30.0]), key=KEY, dtype=jnp.uint16)
    assert bright.dtype == jnp.uint16
    assert bright[0] == 65535
    assert abs(int(bright[1]) - 60000) < 1500
