"""The noun of the house: a cube of counts with its energy axis. Only this module builds and checks it.

A cube is an `xarray.Dataset` with
    counts[y, x, energy]   unsigned integers, numpy or (lazily) dask
    valid[y, x]            bool, False where the scanner gave nothing
    live_time[y, x]        seconds, only where it is known
and the coordinate `energy` in keV (channel centres). `counts.attrs` holds `zero` [keV], `gain` [keV/channel] and, when
known, `calibration` (where the axis came from), `anode`, `tube_voltage` [kV], `incidence_angle`, `take_off_angle`
[deg], `pitch` [mm], `instrument`, `source` (name and hash of the original).
"""

from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import DTypeLike

from velatura.base.errors import CalibrationError, InputError

DIMS = ("y", "x", "energy")
ACQUISITION = ("anode", "tube_voltage", "incidence_angle", "take_off_angle", "pitch", "instrument", "calibration")
BAND_BYTES = 64 * 2**20  # counts held at once by one reader; several bands are alive when reading ahead


def make_cube(
    counts: Any,
    *,
    zero: float = 0.0,
    gain: float = 0.01,
    quadratic: float = 0.0,
    valid: np.ndarray | None = None,
    live_time: np.ndarray | None = None,
    **acquisition: Any,
) -> xr.Dataset:
    """Build a cube on the axis `energy = zero + gain * channel + quadratic * channel**2`.

    counts: unsigned integers [y, x, channel], numpy or dask; zero: [keV]; gain: [keV/channel];
    quadratic: [keV/channel2]; valid: bool [y, x], by default all True; live_time: [s] [y, x];
    acquisition: further attributes (module docstring). None values are left out.
    Raises InputError for the wrong rank, dtype or size and CalibrationError for an axis that does not rise.
    """
    if counts.ndim != 3 or not np.issubdtype(counts.dtype, np.unsignedinteger):
        raise InputError(
            f"counts must be unsigned integers [y, x, channel]; found {counts.ndim} axes of {counts.dtype}"
        )
    if 0 in counts.shape:
        raise InputError(f"a cube needs at least one pixel and one channel; found the shape {tuple(counts.shape)}")
    height, width, channels = counts.shape
    valid = np.ones((height, width), bool) if valid is None else np.asarray(valid, bool)
    images = {"valid": valid} | ({} if live_time is None else {"live_time": np.asarray(live_time, np.float32)})
    for name, image in images.items():
        if image.shape != (height, width):
            raise InputError(f"{name} must have one value a pixel, {(height, width)}; found {image.shape}")
    axis = energy_axis(channels, zero=zero, gain=gain, quadratic=quadratic)
    attributes = {"zero": float(zero), "gain": float(gain), "quadratic": float(quadratic), **acquisition}
    attributes = {name: value for name, value in attributes.items() if value is not None}
    return xr.Dataset(
        {"counts": (DIMS, counts, attributes), **{name: (DIMS[:2], image) for name, image in images.items()}},
        coords={"energy": ("energy", axis, {"units": "keV"})},
    )


def energy_axis(channels: int, *, zero: float, gain: float, quadratic: float = 0.0) -> np.ndarray:
    """Return channel centres [keV], float64 [channel], after checking that they are finite and rise."""
    channel = np.arange(channels)
    finite = np.all(np.isfinite([zero, gain, quadratic]))
    axis = zero + gain * channel + quadratic * channel**2 if finite else np.zeros(channels)
    if not finite or gain <= 0 or np.any(np.diff(axis) <= 0):
        raise CalibrationError(
            f"energy must rise with the channel; found zero {zero} keV, gain {gain} keV/channel, "
            f"quadratic {quadratic}. Give two points, e.g. --calibration 640=6.404,1055=10.551"
        )
    return axis


def with_axis(cube: xr.Dataset, *, zero: float, gain: float, quadratic: float = 0.0, **notes: Any) -> xr.Dataset:
    """Return the cube on another energy axis; counts are shared, not copied. `notes` go into the attributes."""
    attributes = {**cube.counts.attrs, **notes, "zero": zero, "gain": gain, "quadratic": quadratic}
    live_time = cube.live_time.values if "live_time" in cube else None
    return make_cube(cube.counts.data, valid=cube.valid.values, live_time=live_time, **attributes)


def whole_counts(counts: np.ndarray, scale: float = 1.0, *, dtype: DTypeLike | None = None) -> np.ndarray:
    """Return `counts * scale` as unsigned integers of `dtype`, or of the narrowest width that holds them.

    Unsigned integers pass unchanged when scale is 1 and no dtype is asked for. Raises InputError for negative,
    fractional or non-finite values and for those that `dtype` cannot hold, and says how to scale them.
    """
    if scale == 1.0 and np.issubdtype(counts.dtype, np.unsignedinteger) and dtype in (None, counts.dtype):
        return counts
    whole = counts if scale == 1.0 and np.issubdtype(counts.dtype, np.integer) else _rounded(counts, scale)
    if (least := whole.min(initial=0)) < 0:
        raise InputError(
            f"counts must not be negative; found {least:g}. Was a background subtracted? Read the raw file"
        )
    most = int(whole.max(initial=0))
    widths = [np.dtype(width) for width in ((np.uint8, np.uint16, np.uint32) if dtype is None else (dtype,))]
    for width in widths:
        if most < 2 ** (8 * width.itemsize):
            return whole.astype(width)
    raise InputError(f"counts must fit {8 * widths[-1].itemsize} bits; found {most}. Is the data type right?")


def _rounded(counts: np.ndarray, scale: float) -> np.ndarray:
    """Return `counts * scale` rounded, in floating point, after checking that rounding changes nothing that matters."""
    scaled = counts if scale == 1.0 else counts * np.float64(scale)
    if not np.all(np.isfinite(scaled)):
        raise InputError("counts must be finite; found NaN or infinity. Mask or repair these pixels before reading")
    whole = np.rint(scaled)
    rest = np.abs(scaled - whole)
    if np.max(rest, initial=0) > 1e-3:
        raise InputError(
            f"counts must be whole numbers; found {counts.ravel()[np.argmax(rest)]!s} (scale {scale:g}). "
            "Give --scale, the factor that turns the stored values into counts"
        )
    return whole


@dataclass(frozen=True)
class WholeCounts:
    """An array-like [y, x, channel] of any real numbers, seen as unsigned whole counts; checked as it is read.

    8- and 16-bit integers keep their width, all others become 32 bits wide: no detector counts further.
    """

    source: Any
    """Array-like with `shape`, `dtype` and slicing."""
    scale: float = 1.0
    """Factor that turns stored values into whole counts."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(y, x, channel)."""
        return self.source.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """Unsigned dtype of what is read."""
        stored = np.dtype(self.source.dtype)
        narrow = self.scale == 1.0 and stored.kind in "iu" and stored.itemsize <= 2
        return np.dtype(f"u{stored.itemsize}") if narrow else np.dtype(np.uint32)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read, check and convert one part."""
        return whole_counts(np.asarray(self.source[index]), self.scale, dtype=self.dtype)


def lazy_counts(source: Any, *, rows: int | None = None, scale: float = 1.0) -> da.Array:
    """Wrap an array-like [y, x, channel] (`shape`, `dtype`, slicing) as dask bands of whole rows; nothing is read.

    source: real numbers of any type; each band is checked and becomes unsigned when it is read (`WholeCounts`);
    rows: rows a band, by default as many as fit 64 MiB, at least one; scale: factor that turns values into counts.
    """
    whole = WholeCounts(source, scale)
    height, width, channels = whole.shape
    if rows is None:
        widest = max(whole.dtype.itemsize, np.dtype(source.dtype).itemsize)
        rows = BAND_BYTES // max(1, width * channels * widest)
    chunks = (min(max(1, rows), height), width, channels)
    return da.from_array(whole, chunks=chunks, name=False, asarray=True, meta=np.empty((0, 0, 0), whole.dtype))
