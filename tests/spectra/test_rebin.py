import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.spectra.rebin import rebin, rebin_spectra, rebin_to


def small(rng, dtype=np.uint8, channels=24, **axis):
    return make_cube(rng.integers(0, np.iinfo(dtype).max, (3, 5, channels), dtype, endpoint=True), **axis)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("factor", [1, 2, 3, 8, 24])
def test_counts_are_conserved_exactly_and_never_overflow(rng, dtype, factor):
    cube = small(rng, dtype)
    thin = rebin(cube, factor)
    assert thin.sizes["energy"] == 24 // factor
    np.testing.assert_array_equal(
        thin.counts.sum("energy", dtype=np.uint64), cube.counts.sum("energy", dtype=np.uint64)
    )


def test_the_axis_is_the_mean_of_each_group_even_when_bent(rng):
    cube = small(rng, zero=-0.9, gain=0.02, quadratic=1e-4, anode="Rh")
    thin = rebin(cube, 4)
    np.testing.assert_allclose(thin.energy, cube.energy.values.reshape(-1, 4).mean(axis=1), rtol=0, atol=1e-12)
    assert thin.counts.attrs["anode"] == "Rh"


def test_rebinning_twice_is_rebinning_once(rng):
    cube = small(rng)
    np.testing.assert_array_equal(rebin(rebin(cube, 2), 3).counts, rebin(cube, 6).counts)


def test_a_lazy_cube_stays_lazy(rng):
    eager = small(rng)
    lazy = make_cube(da.from_array(eager.counts.values, chunks=(1, 5, 24)), live_time=np.ones((3, 5)))
    thin = rebin(lazy, 4)
    assert isinstance(thin.counts.data, da.Array)
    assert "live_time" in thin
    np.testing.assert_array_equal(thin.counts.values, rebin(eager, 4).counts.values)


def test_a_factor_that_does_not_divide_is_refused_or_crops_on_demand(rng):
    cube = small(rng)
    with pytest.raises(InputError, match="does not divide 24 channels; take 4"):
        rebin(cube, 5)
    thin = rebin(cube, 5, crop=True)
    assert thin.sizes["energy"] == 4
    assert int(thin.counts.sum()) == int(cube.counts[..., :20].sum())


@pytest.mark.parametrize("factor", [0, -2, 25])
def test_an_impossible_factor_is_refused(rng, factor):
    with pytest.raises(InputError, match="must be 1 to 24"):
        rebin(small(rng), factor)


def test_rebin_spectra_drops_only_what_is_left_over(rng):
    counts, energy = rng.integers(0, 9, (2, 10)), np.arange(10) * 0.5
    thin, axis = rebin_spectra(counts, energy, 3)
    np.testing.assert_array_equal(thin, [[row[i : i + 3].sum() for i in (0, 3, 6)] for row in counts])
    assert axis == pytest.approx([0.5, 2.0, 3.5])


@given(st.floats(0.3, 4.0), st.floats(-0.5, 0.5), st.integers(2, 60))
def test_any_axis_conserves_counts(gain, start, channels):
    energy = np.sort(np.random.default_rng(channels).random(channels)) * channels + np.arange(channels)
    counts = np.random.default_rng(1).integers(0, 1000, (3, channels))
    target = np.arange(energy[0] - 3 + start, energy[-1] + 3 + 2 * gain, gain)
    moved = rebin_to(counts, energy, target)
    assert moved.sum(axis=-1) == pytest.approx(counts.sum(axis=-1), rel=1e-12)
    assert moved.min() >= -1e-9


def test_the_same_axis_gives_the_same_counts_and_a_narrow_one_is_refused(rng):
    counts, energy = rng.integers(0, 50, (4, 32)), 0.2 + np.arange(32) * 0.1
    assert rebin_to(counts, energy, energy) == pytest.approx(counts)
    with pytest.raises(InputError, match="must cover"):
        rebin_to(counts, energy, energy[2:-2])
    assert rebin_to(counts, energy, energy[2:-2], crop=True) == pytest.approx(counts[:, 2:-2])
