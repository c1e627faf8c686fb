"""Which axis of a nameless array is which: energy, detector, y and x."""

from math import prod
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from velatura.base.cube import lazy_counts, make_cube
from velatura.base.errors import InputError

LEAST_CHANNELS = 128
MOST_DETECTORS = 8


def work_out_axes(shape: tuple[int, ...], axes: str | None = None) -> str:
    """Return one letter an axis, of y, x, e (energy) and d (detector), e.g. "yxe" or "yxde".

    shape: lengths of 3 axes, or of 4 with a detector axis. axes: what the user said; it is checked, not guessed.
    The longest axis of at least 128 is energy and of a fourth axis at most 8 long is the detector; y and x keep their
    order. An array is ambiguous when more than one axis could be energy, unless the longest is also the last one or
    four times the next; or when two axes could be the detector. Raises InputError then, naming `--axes`.
    """
    if axes is not None:
        return _checked(shape, axes.lower())
    if len(shape) not in (3, 4):
        raise InputError(f"a scan has 3 axes (y, x, energy), or 4 with detectors; found {len(shape)}: {shape}")
    left = list(range(len(shape)))
    letters = dict.fromkeys(left, "")
    if len(shape) == 4:
        detector = _only([axis for axis in left if shape[axis] <= MOST_DETECTORS], shape, "detector (8 or fewer)")
        letters[detector] = "d"
        left.remove(detector)
    energy = _energy_axis(shape, left)
    left.remove(energy)
    letters |= {energy: "e", left[0]: "y", left[1]: "x"}
    return "".join(letters.values())


def _energy_axis(shape: tuple[int, ...], axes: list[int]) -> int:
    long = sorted((axis for axis in axes if shape[axis] >= LEAST_CHANNELS), key=lambda axis: (shape[axis], axis))
    if len(long) > 1 and (long[-1] == axes[-1] or shape[long[-1]] >= 4 * shape[long[-2]]):
        return long[-1]
    return _only(long, shape, f"energy ({LEAST_CHANNELS} or more)")


def _only(found: list[int], shape: tuple[int, ...], wanted: str) -> int:
    if len(found) != 1:
        raise InputError(
            f"one axis must be {wanted}; found {len(found)} that could be in the shape {shape}. "
            f"Name all axes in their order, e.g. --axes {'yxe' if len(shape) == 3 else 'yxde'}"
        )
    return found[0]


def _checked(shape: tuple[int, ...], axes: str) -> str:
    if sorted(axes) not in (sorted("yxe"), sorted("yxed")) or len(axes) != len(shape):
        raise InputError(
            f'--axes needs one letter for each of the {len(shape)} axes of {shape}, of y, x, e, d; found "{axes}". '
            f"Example: --axes {'yxde' if len(shape) == 4 else 'yxe'}"
        )
    return axes


def cube_order(axes: str) -> tuple[int, ...]:
    """Return the permutation that brings `axes` to d, y, x, e (without d where there is none).

    >>> cube_order("eyx"), cube_order("yxde")
    ((1, 2, 0), (2, 0, 1, 3))
    """
    return tuple(axes.index(letter) for letter in "dyxe" if letter in axes)


def rows_of_list(shape: tuple[int, ...], width: int | None) -> tuple[int, int, int]:
    """Return (y, x, channel) of a list of spectra [n, channel] with `width` pixels a row. Raises InputError."""
    pixels, channels = prod(shape[:-1]), shape[-1]
    if not width or width < 1 or pixels % width:
        raise InputError(
            f"a list of {pixels} spectra needs a row width that divides it; found {width or 'none'}. Give --width"
        )
    return pixels // width, width, channels


def turn_odd_rows(cube: xr.Dataset) -> xr.Dataset:
    """Turn round every second row (1, 3, ...) of a serpentine scan; lazy, and noted in the attributes."""
    counts = cube.counts.data if isinstance(cube.counts.data, da.Array) else lazy_counts(cube.counts.data)
    turned = counts.map_blocks(_turn, dtype=counts.dtype, meta=counts._meta)
    images: dict[str, Any] = {name: _turn(cube[name].values) for name in ("valid", "live_time") if name in cube}
    attributes: dict[str, Any] = {**cube.counts.attrs, "serpentine": True}
    return make_cube(turned, **images, **attributes)


def _turn(rows: np.ndarray, block_info: Any = None) -> np.ndarray:
    first = block_info[0]["array-location"][0][0] if block_info else 0
    turned = np.array(rows)
    turned[1 - first % 2 :: 2] = rows[1 - first % 2 :: 2, ::-1]
    return turned
