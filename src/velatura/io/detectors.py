"""Several detectors over the same pixels: pick one, or sum them all on one energy axis."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from velatura.base.axis import channel_edges, redistribute
from velatura.base.cube import energy_axis, make_cube
from velatura.base.errors import InputError, did_you_mean

SEED = 20261120  # of the redistribution of counts; recorded in the cube's attributes


@dataclass(frozen=True)
class Detector:
    """What one detector saw."""

    name: str
    counts: da.Array
    """Unsigned [y, x, channel]."""
    axis: dict[str, Any] = field(default_factory=dict)
    """zero [keV], gain [keV/channel] and quadratic, as far as they are known."""
    live_time: np.ndarray | None = None
    """[s] [y, x]."""


def one_cube(detectors: Sequence[Detector], *, detector: str | None = None, **acquisition: Any) -> xr.Dataset:
    """Return the cube of the detector asked for by name or index, or the sum of all.

    Live time is then the mean over detectors. Detectors with axes of their own are first moved to one axis by
    `velatura.base.axis.redistribute`. Raises InputError for an unknown detector.
    """
    chosen = list(detectors) if detector is None else [pick(detectors, detector)]
    times = [one.live_time for one in chosen if one.live_time is not None]
    live_time = np.mean(times, axis=0) if len(times) == len(chosen) else None
    names: dict[str, Any] = {"detectors": " + ".join(one.name for one in chosen)} if len(detectors) > 1 else {}
    axis = chosen[0].axis
    if any(one.axis != axis for one in chosen):
        axis, channels = common_axis(chosen)
        counts = sum_counts([_moved(one, number, axis, channels) for number, one in enumerate(chosen)])
        names["resampled"] = f"detectors moved to one energy axis, seed {SEED}"
    else:
        counts = sum_counts([one.counts for one in chosen])
    return make_cube(counts, live_time=live_time, **{**acquisition, **names, **axis})


def pick(detectors: Sequence[Detector], wanted: str) -> Detector:
    """Return the detector with this name or, failing that, this index from 0. Raises InputError."""
    names = [one.name for one in detectors]
    if wanted in names:
        return detectors[names.index(wanted)]
    if wanted.isdecimal() and int(wanted) < len(names):
        return detectors[int(wanted)]
    raise InputError(
        f'no detector "{wanted}"; found {", ".join(names)} (or 0 to {len(names) - 1}){did_you_mean(wanted, names)}'
    )


def sum_counts(parts: Sequence[da.Array]) -> da.Array:
    """Sum [y, x, channel] of several detectors lazily, wide enough for every sum: 16 bits for 8, else 32 (checked)."""
    if len(parts) == 1:
        return parts[0]
    widest = max(part.dtype.itemsize for part in parts)
    dtype = np.dtype(np.uint16 if widest == 1 and len(parts) < 256 else np.uint32)
    aligned = [part.rechunk(parts[0].chunks) for part in parts]
    return da.map_blocks(partial(_sum, dtype=dtype), *aligned, dtype=dtype, meta=np.empty((0, 0, 0), dtype))


def _sum(*blocks: np.ndarray, dtype: np.dtype) -> np.ndarray:
    wide = np.uint64 if max(block.dtype.itemsize for block in blocks) > 2 else dtype
    total = blocks[0].astype(wide)
    for block in blocks[1:]:
        total += block
    if total.max(initial=0) > np.iinfo(dtype).max:
        raise InputError(f"the sum of detectors must fit 32 bits; found {total.max()}. Pick one with --detector")
    return total.astype(dtype, copy=False)


def common_axis(detectors: Sequence[Detector]) -> tuple[dict[str, Any], int]:
    """Return zero, gain and number of channels of an axis that has the first gain and covers all detectors."""
    edges = [channel_edges(_axis_of(one)) for one in detectors]
    own = _axis_of(detectors[0])
    gain = float(own[1] - own[0])
    low, high = min(edge[0] for edge in edges), max(edge[-1] for edge in edges)
    before = int(np.ceil((edges[0][0] - low) / gain - 1e-6))
    bottom = edges[0][0] - before * gain
    return {"zero": float(bottom + gain / 2), "gain": gain}, int(np.ceil((high - bottom) / gain - 1e-6))


def _axis_of(one: Detector) -> np.ndarray:
    return energy_axis(int(one.counts.shape[-1]), **{"zero": 0.0, "gain": 0.01, **one.axis})


def _moved(one: Detector, number: int, axis: dict[str, Any], channels: int) -> da.Array:
    return one.counts.map_blocks(
        partial(_move, axes=(_axis_of(one), energy_axis(channels, **axis)), number=number),
        chunks=(*one.counts.chunks[:2], (channels,)),
        dtype=np.uint32,
        meta=np.empty((0, 0, 0), np.uint32),
    )


def _move(block: np.ndarray, *, axes: tuple[np.ndarray, np.ndarray], number: int, block_info: Any = None) -> np.ndarray:
    first = block_info[0]["array-location"][0][0] if block_info else 0
    rng = np.random.default_rng([SEED, number, first])
    return np.stack([redistribute(row, *axes, rng=rng) for row in block])  # row by row: draws are 64 bits wide
