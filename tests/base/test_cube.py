"""The cube refuses nonsense at birth; counts are whole or refused."""

from copy import deepcopy

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from velatura.base.cube import lazy_counts, make_cube, whole_counts, with_axis
from velatura.base.errors import CalibrationError, InputError

COUNTS = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)


def test_cube_has_names_units_and_defaults() -> None:
    cube = make_cube(COUNTS, zero=-0.1, gain=0.02, anode="Rh", pitch=None)
    assert cube.counts.dims == ("y", "x", "energy")
    assert cube.energy.attrs["units"] == "keV"
    assert cube.energy.values == pytest.approx([-0.1, -0.08, -0.06, -0.04])
    assert cube.valid.values.all()
    assert cube.counts.attrs == {"zero": -0.1, "gain": 0.02, "quadratic": 0.0, "anode": "Rh"}


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        (COUNTS[0], {}, "found 2 axes of uint16"),
        (COUNTS.astype(np.int16), {}, "found 3 axes of int16"),
        (COUNTS[:0], {}, r"found the shape \(0, 3, 4\)"),
        (COUNTS, {"valid": np.ones((3, 2), bool)}, r"valid must have one value a pixel, \(2, 3\); found \(3, 2\)"),
        (COUNTS, {"live_time": np.ones(6)}, "live_time must have one value a pixel"),
    ],
)
def test_what_is_no_cube_is_refused(counts: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_cube(counts, **options)


@pytest.mark.parametrize(
    "axis", [{"gain": 0.0}, {"gain": -0.01}, {"zero": np.nan}, {"gain": np.inf}, {"gain": 0.01, "quadratic": -0.01}]
)
def test_energy_must_rise(axis: dict[str, float]) -> None:
    with pytest.raises(CalibrationError, match=r"energy must rise with the channel.*two points, e\.g\. --calib"):
        make_cube(COUNTS, **axis)


def test_another_axis_shares_the_counts_and_keeps_the_rest() -> None:
    cube = make_cube(COUNTS, anode="Mo", live_time=np.full((2, 3), 0.5))
    moved = with_axis(cube, zero=0.1, gain=0.02, calibration="two points")
    assert np.shares_memory(moved.counts.values, COUNTS)
    assert moved.energy.values[0] == 0.1
    assert moved.counts.attrs["anode"] == "Mo"
    assert moved.counts.attrs["calibration"] == "two points"
    assert np.array_equal(moved.live_time, cube.live_time)
    assert cube.energy.values[0] == 0.0


@given(hnp.arrays(st.sampled_from(["i8", "u4", "f4", "f8", ">i2"]), (2, 3), elements=st.integers(0, 2**15 - 1)))
def test_whole_values_of_any_type_are_kept(counts: np.ndarray) -> None:
    whole = whole_counts(counts)
    assert np.issubdtype(whole.dtype, np.unsignedinteger)
    assert np.array_equal(whole, counts)


@pytest.mark.parametrize(
    ("most", "dtype"),
    [(255, np.uint8), (256, np.uint16), (65535, np.uint16), (65536, np.uint32), (2**32 - 1, np.uint32)],
)
def test_narrowest_type_that_holds_all(most: int, dtype: type) -> None:
    assert whole_counts(np.array([0, most])).dtype == dtype


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, -2], "not be negative; found -2"),
        ([1.0, -3.0], "not be negative; found -3"),
        ([1.0, 0.25], r"whole numbers; found 0.25 \(scale 1\). Give --scale"),
        ([1.0, np.nan], "finite; found NaN or infinity"),
        ([1.0, np.inf], "finite"),
        ([1, 2**32], "fit 32 bits; found 4294967296"),
        ([1e30], "fit 32 bits"),
    ],
)
def test_what_cannot_be_counts(values: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        whole_counts(np.array(values))


def test_asked_width_is_kept_or_refused() -> None:
    assert whole_counts(np.array([1, 2]), dtype=np.uint16).dtype == np.uint16
    with pytest.raises(InputError, match="fit 8 bits; found 256"):
        whole_counts(np.array([256]), dtype=np.uint8)


def test_scaling_gives_whole_counts() -> None:
    assert whole_counts(np.array([0.1, 0.7], np.float32), 10).tolist() == [1, 7]
    assert whole_counts(np.array([2, 4], np.uint8), 0.5).tolist() == [1, 2]


def test_lazy_counts_read_only_what_is_asked() -> None:
    read = []

    class Source:
        shape, dtype = (6, 3, 4), np.dtype(">i4")

        def __getitem__(self, index):
            read.append(index[0])
            return np.ones(self.shape, self.dtype)[index]

    counts = lazy_counts(Source(), rows=2)
    assert isinstance(counts, da.Array)
    assert counts.dtype == np.uint32
    assert read == []
    assert counts[2:4].compute(scheduler="synchronous").sum() == 24
    assert [(rows.start, rows.stop) for rows in read] == [(2, 4)]


def test_lazy_counts_travel_between_processes() -> None:
    lazy = deepcopy(lazy_counts(COUNTS.astype(np.int16), rows=1))
    assert np.array_equal(lazy[1:].compute(), COUNTS[1:])
