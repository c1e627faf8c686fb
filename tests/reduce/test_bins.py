"""Laws of rebinning: counts conserved, whole channels, the same keV on another axis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.base.axis import channel_edges
from velatura.base.errors import InputError
from velatura.reduce.bins import bins_at, make_bins, rebin


@given(st.integers(30, 300), st.floats(0.005, 0.04), st.floats(-0.5, 0.2), st.floats(0.01, 0.2), st.integers(0, 99))
def test_all_counts_in_the_window_are_kept(channels, gain, zero, width, seed):
    energy = zero + gain * np.arange(channels)
    low = energy[channels // 10]
    try:
        bins = make_bins(energy, width=width, window=(low, None))
    except InputError:
        assert gain * channels < 3 * width
        return
    counts = np.random.default_rng(seed).integers(0, 60000, (4, channels)).astype(np.uint16)
    start = int(bins.position[0])
    assert start in (channels // 10, channels // 10 + 1)
    np.testing.assert_array_equal(rebin(counts, bins).sum(1, dtype=np.float64), counts[:, start:].sum(1))


def test_bins_hold_whole_channels_of_the_asked_width():
    bins = make_bins(0.01 * np.arange(2048), width=0.08, window=(0.5, 16.0))
    assert set(np.diff(bins.position)) <= {8.0, *range(4, 13)}
    np.testing.assert_array_equal(np.diff(bins.position)[:-1], 8)
    np.testing.assert_allclose(np.diff(bins.edges)[:-1], 0.08)
    assert bins.edges[0] >= 0.5
    assert bins.edges[-1] <= 16.0


def test_rebinning_equals_a_loop_over_channels(rng):
    energy = -0.1 + 0.011 * np.arange(333)
    bins = make_bins(energy, width=0.05)
    counts = rng.poisson(3, (5, 333)).astype(np.uint8)
    of_channel = np.searchsorted(bins.edges, energy) - 1
    expected = np.zeros((5, len(bins.centres)))
    for channel, bin_ in enumerate(of_channel):
        if 0 <= bin_ < len(bins.centres):
            expected[:, bin_] += counts[:, channel]
    np.testing.assert_array_equal(rebin(counts, bins), expected)


def test_bins_of_one_scan_lie_at_the_same_energies_on_another_axis():
    energy, other = 0.01 * np.arange(1024), -0.05 + 0.0127 * np.arange(900)
    bins = make_bins(energy, width=0.08)
    moved = bins_at(bins.edges, other)
    density = lambda e: 50 + 1e5 * np.exp(-0.5 * ((e - 6.4) / 0.5) ** 2)  # noqa: E731 counts per keV, smooth
    here = rebin(density(energy)[None] * 0.01, bins)
    there = rebin(density(other)[None] * 0.0127, moved)
    np.testing.assert_allclose(there, here, rtol=2e-3)


def test_bins_on_their_own_axis_are_found_again(rng):
    energy = 0.3 + 0.0099 * np.arange(700)
    bins = make_bins(energy, width=0.07)
    again = bins_at(bins.edges, energy)
    np.testing.assert_array_equal(again.position, bins.position)


def test_shared_channels_conserve_counts_between_the_outer_borders(rng):
    energy = 0.013 * np.arange(400)
    counts = rng.poisson(20, (3, 400)).astype(np.uint16)
    edges = channel_edges(energy)
    bins = bins_at(np.linspace(edges[0], edges[-1], 61), energy)
    np.testing.assert_allclose(rebin(counts, bins).sum(1), counts.sum(1), rtol=1e-6)


def test_parts_off_the_axis_stay_empty():
    bins = bins_at(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), 0.1 * (np.arange(20) + 0.5))
    np.testing.assert_allclose(rebin(np.ones((1, 20), np.uint8), bins), [[10, 10, 0, 0]])


def test_a_window_without_channels_says_what_the_scan_covers():
    with pytest.raises(InputError, match=r"window 30 to 40 keV .* scan covers -0.01 to 5.12 keV"):
        make_bins(0.01 * np.arange(512), window=(30.0, 40.0))
    with pytest.raises(InputError, match="width above 0"):
        make_bins(0.01 * np.arange(512), width=0)
