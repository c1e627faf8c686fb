"""Moving counts between energy axes: nothing is lost, means follow the overlap, counts stay Poisson."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.base.axis import channel_edges, redistribute
from velatura.base.errors import InputError


def covering(axis: np.ndarray, gain: float) -> np.ndarray:
    edges = channel_edges(axis)
    channels = int(np.ceil((edges[-1] - edges[0]) / gain)) + 2
    return edges[0] - gain / 2 + gain * np.arange(channels)


@given(channels=st.integers(2, 40), gain=st.floats(0.002, 0.05), quadratic=st.floats(0, 1e-5), seed=st.integers(0, 99))
def test_totals_are_conserved(channels: int, gain: float, quadratic: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(5, (3, channels)).astype(np.uint16)
    axis = 0.3 + 0.01 * np.arange(channels) + quadratic * np.arange(channels) ** 2
    moved = redistribute(counts, axis, covering(axis, gain), rng=rng)
    assert np.array_equal(moved.sum(axis=-1), counts.sum(axis=-1))


def test_same_axis_changes_nothing(rng: np.random.Generator) -> None:
    counts = rng.poisson(5, (4, 5, 50)).astype(np.uint16)
    axis = -0.95 + 0.01 * np.arange(50)
    assert np.array_equal(redistribute(counts, axis, axis, rng=rng), counts)


def test_means_are_the_overlaps_and_variances_stay_poisson(rng: np.random.Generator) -> None:
    """Flat Poisson counts of mean 9 in channels of 10 eV have mean and variance 6.3 in channels of 7 eV."""
    axis = 0.01 * np.arange(20)
    target = covering(axis, 0.007)
    counts = rng.poisson(9, (40_000, 20)).astype(np.uint16)
    moved = redistribute(counts, axis, target, rng=rng)[:, 1:-3].astype(float)
    assert moved.mean(axis=0) == pytest.approx(6.3, rel=0.01)  # 5 standard deviations of a mean of 40,000
    assert moved.var(axis=0) == pytest.approx(6.3, rel=0.04)
    correlation = np.corrcoef(moved, rowvar=False)[np.triu_indices(moved.shape[1], 1)]
    assert np.abs(correlation).max() < 0.025


def test_mean_energy_is_kept(rng: np.random.Generator) -> None:
    axis, target = 0.01 * np.arange(100), -0.02 + 0.0037 * np.arange(300)
    counts = np.zeros((1000, 100), np.uint16)
    counts[:, 64] = 100
    moved = redistribute(counts, axis, target, rng=rng).sum(axis=0)
    assert np.average(target, weights=moved) == pytest.approx(0.64, abs=1e-4)


def test_axis_that_does_not_cover_is_refused(rng: np.random.Generator) -> None:
    axis = 0.01 * np.arange(100)
    with pytest.raises(InputError, match=r"must cover the old one, -0.005 to 0.995 keV; found -0.005 to 0.895"):
        redistribute(np.zeros((1, 100), np.uint16), axis, axis[:-10], rng=rng)
