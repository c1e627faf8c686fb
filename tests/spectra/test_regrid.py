"""Fast moving of counts between axes: nothing is lost, shares follow the binomial law, each spectrum by its own key."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from velatura.base.axis import channel_edges, redistribute
from velatura.spectra.regrid import regrid

GRID = 0.5 + (np.arange(64) + 0.5) * 0.04


@settings(max_examples=25, deadline=None)
@given(channels=st.integers(2, 60), gain=st.floats(0.003, 0.2), zero=st.floats(-0.5, 1.0), seed=st.integers(0, 99))
def test_every_count_on_the_new_axis_is_kept(channels: int, gain: float, zero: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(5, (3, channels)).astype(np.uint16)
    axis = zero + gain * np.arange(channels)
    whole = np.sort(np.concatenate([[axis[0] - gain], axis, [axis[-1] + gain]]))
    moved = regrid(counts, axis, whole[0] + np.arange(64) * (whole[-1] - whole[0]) / 63, key=jax.random.key(seed))
    np.testing.assert_array_equal(moved.sum(axis=1), counts.sum(axis=1))
    inside = (channel_edges(axis)[:-1] >= GRID[0] - 0.02) & (channel_edges(axis)[1:] <= GRID[-1] + 0.02)
    kept = regrid(counts, axis, GRID, key=jax.random.key(seed)).sum(axis=1)
    assert np.all(kept >= counts[:, inside].sum(axis=1))
    assert np.all(kept <= counts.sum(axis=1))


def test_same_axis_changes_nothing(rng: np.random.Generator) -> None:
    counts = rng.poisson(5, (7, 64)).astype(np.uint16)
    np.testing.assert_array_equal(regrid(counts, GRID, GRID, key=jax.random.key(0)), counts)


@pytest.mark.parametrize(
    ("number", "share"), [(1, 0.3), (12, 0.5), (40, 0.1), (17, 0.49), (30, 0.8), (300, 0.03), (2000, 0.4)]
)
def test_a_channel_is_shared_by_the_binomial_law(number: int, share: float) -> None:
    axis = np.array([1.0, 2.0])
    target = np.array([0.5 + share - 0.5, 0.5 + share + 0.5])  # its middle edge cuts the first channel
    counts = np.broadcast_to(np.array([number, 0], np.uint16), (60_000, 2))
    below = regrid(counts, axis, np.concatenate([target, [target[-1] + 1]]), key=jax.random.key(1))[:, 0]
    cumulative = np.cumsum(np.bincount(below, minlength=number + 1)) / len(below)
    exact = binom.cdf(np.arange(number + 1), number, share)
    assert np.abs(cumulative - exact).max() < 2.1 / np.sqrt(len(below))  # Kolmogorov and Smirnov, 3e-4


def test_wide_channels_are_shared_as_exactly_as_by_the_exact_draw(rng: np.random.Generator) -> None:
    axis, target = 1.0 + 0.2 * np.arange(8), 0.9 + 0.03 * np.arange(60)
    counts = np.broadcast_to(np.array([3, 50, 0, 7, 400, 1, 0, 20], np.uint16), (20_000, 8))
    fast = regrid(counts, axis, target, key=jax.random.key(2)).astype(float)
    exact = redistribute(counts, axis, target, rng=rng).astype(float)
    error = np.sqrt(np.maximum(exact.var(axis=0), 1e-3) / len(counts))
    assert np.abs(fast.mean(axis=0) - exact.mean(axis=0)).max() <= 5 * np.sqrt(2) * error.max()
    np.testing.assert_allclose(fast.var(axis=0), exact.var(axis=0), rtol=0.08, atol=0.02)
    np.testing.assert_allclose(np.cov(fast.T), np.cov(exact.T), atol=2.5)


def test_a_spectrum_is_drawn_alike_in_any_company(rng: np.random.Generator) -> None:
    counts = rng.poisson(4, (1300, 50)).astype(np.uint16)
    axis = 0.4 + 0.05 * np.arange(50)
    whole = regrid(counts, axis, GRID, key=jax.random.key(3))
    parts = [
        regrid(counts[a:b], axis, GRID, key=jax.random.key(3), first=a) for a, b in ((0, 7), (7, 1100), (1100, 1300))
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert np.any(whole != regrid(counts, axis, GRID, key=jax.random.key(4)))


def test_what_the_scan_does_not_cover_holds_nothing(rng: np.random.Generator) -> None:
    counts = rng.poisson(4, (5, 40)).astype(np.uint16)
    axis = 1.0 + 0.03 * np.arange(40)
    moved = regrid(counts, axis, GRID, key=jax.random.key(3))
    edges = channel_edges(GRID)
    outside = (edges[1:] <= axis[0] - 0.015) | (edges[:-1] >= axis[-1] + 0.015)
    assert outside.sum() > 20
    assert not moved[:, outside].any()
