"""Energy axis and live time in an HDF5 file: searched in the attributes and the neighbours of the counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from velatura.io.hdf5_layouts import axis_names, text
from velatura.io.hints import Hints

ENERGIES = ("energy", "Energy", "EnergyVector", "energies")
CALIBRATIONS = ("calibration", "Energy_Calibration", "energy_calibration")
TERMS = (
    ("cal_offset", "cal_slope", "cal_quad"),
    ("e_offset", "e_linear", "e_quadratic"),
    ("zero", "gain", "quadratic"),
)
LIVE_TIMES = ("live_time", "livetime", "LiveTimes")
LONGEST = 1e3  # no pixel takes this many seconds: a larger live time is in microseconds
EV = 1e-3  # keV


@dataclass(frozen=True)
class Known:
    """A small array as `Hints` wants it."""

    values: np.ndarray

    @property
    def dtype(self) -> np.dtype:
        """Of the values."""
        return self.values.dtype

    def load(self) -> np.ndarray:
        """Return the values."""
        return self.values


def find_axis(node: Any, number: int, channels: int) -> tuple[dict[str, float], str]:
    """Return zero, gain, quadratic [keV] for detector `number`, as far as the file tells, and where they came from.

    A polynomial beside the counts comes before an energy axis, and the nearest comes first.
    """
    for name, value in _neighbours(node):
        polynomial = _polynomial(value, number) if name in CALIBRATIONS else None
        if polynomial is not None:
            return polynomial, f"file: {name}"
    for place in _places(node):
        for names in TERMS:
            found = [np.ravel(place.attrs[name]) for name in names if name in place.attrs]
            if len(found) >= 2 and all(values.dtype.kind in "iuf" and values.size for values in found):
                own = np.array([values[number if values.size > number else 0] for values in found])
                polynomial = _polynomial(own, 0)
                if polynomial is not None:
                    return polynomial, f"file: {', '.join(names[: len(found)])}"
    for name, value in _neighbours(node):
        if (name in ENERGIES or name == _energy_of_signal(node)) and np.shape(value) == (channels,) and channels > 2:
            return Hints({"energy": Known(np.asarray(value, np.float64))}).axis("", 0, channels)[0], f"file: {name}"
    return Hints({}).axis("", 0, channels)


def find_live_time(node: Any, number: int, shape: tuple[int, int]) -> np.ndarray | None:
    """Return the live time [s] [y, x] of detector `number` where the file has one; flat ones are in order of rows."""
    for name, values in _neighbours(node):
        if name not in LIVE_TIMES or not np.size(values) or values.dtype.kind not in "iuf":
            continue
        if values.size != shape[0] * shape[1]:
            detectors = [
                axis for axis, length in enumerate(values.shape) if values.size == length * shape[0] * shape[1]
            ]
            if not detectors or number >= values.shape[detectors[0]]:
                continue
            values = values.take(number, axis=detectors[0])
        times = values.reshape(shape).astype(np.float64)
        times = times * (1e-6 if np.median(times) > LONGEST else 1.0)
        if np.all((times >= 0) & (times < 1e6)):  # also refuses NaN
            return times.astype(np.float32)
    return None


def _places(node: Any) -> Iterator[Any]:
    """The set and the groups around it, nearest first, and energy sets beside it."""
    yield node
    yield from (node.parent[name] for name in ENERGIES if name in node.parent)
    yield node.parent
    yield node.parent.parent


def _neighbours(node: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Small sets beside the counts and one group up, by name, with their values; nearest first."""
    import h5py

    own = _energy_of_signal(node)
    wanted = dict.fromkeys((*([own] if own else []), *ENERGIES, *CALIBRATIONS, *LIVE_TIMES))
    for group in (node.parent, node.parent.parent):
        for name in wanted:
            child = group.get(name)
            if isinstance(child, h5py.Dataset) and child.dtype.kind in "iuf" and 0 < (child.size or 0) < node.size:
                yield name, child[()]


def _energy_of_signal(node: Any) -> str | None:
    """Name of the energy axis of a NeXus signal."""
    for name in axis_names(node.parent.attrs):
        units = node.parent[name].attrs.get("units", "") if name in node.parent else ""
        if "energ" in name.lower() or text(units).lower() in ("kev", "ev"):
            return name
    return None


def _polynomial(values: np.ndarray, number: int) -> dict[str, float] | None:
    """Zero, gain and quadratic [keV] from [zero, gain(, quadratic)], or a row of these a detector; None if it is none.

    Zero 0 and gain 1 are what programs write when nothing is known.
    """
    rows = np.asarray(values, np.float64)
    own = rows[min(number, len(rows) - 1)] if rows.ndim == 2 and len(rows) else rows
    rises = own.ndim == 1 and len(own) in (2, 3) and np.all(np.isfinite(own)) and own[1] > 0
    if not rises or tuple(own[:2]) == (0, 1):
        return None
    scale = EV if own[1] >= 1 else 1.0  # a channel of 1 keV or more is one of eV
    return {name: float(value) * scale for name, value in zip(("zero", "gain", "quadratic"), own, strict=False)}
