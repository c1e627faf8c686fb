"""Fewer or other channels, with counts conserved."""

import numpy as np
import xarray as xr

from velatura.base.axis import channel_edges
from velatura.base.cube import make_cube
from velatura.base.errors import InputError

WIDTHS = (np.uint8, np.uint16, np.uint32, np.uint64)


def rebin(cube: xr.Dataset, factor: int, *, crop: bool = False) -> xr.Dataset:
    """Sum groups of `factor` neighbouring channels; a dask cube stays lazy. Counts of every pixel are conserved.

    The axis becomes the mean energy of each group; the dtype grows as far as sums can. A factor that does not divide
    the number of channels is refused, or with `crop` the channels left over at the high end are cut off.
    Raises InputError for a factor below 1 or one that does not divide.
    """
    counts = cube.counts.data
    channels = counts.shape[-1]
    if factor < 1 or factor > channels:
        raise InputError(f"the rebin factor must be 1 to {channels} (the number of channels); found {factor}")
    if channels % factor and not crop:
        fits = [size for size in range(1, channels + 1) if channels % size == 0]
        near = min(fits, key=lambda size: abs(size - factor))
        raise InputError(f"factor {factor} does not divide {channels} channels; take {near}, or crop the cube first")
    if factor == 1:
        return cube
    kept = counts[..., : channels // factor * factor]
    most = int(np.iinfo(counts.dtype).max) * factor
    dtype = next((width for width in WIDTHS if most <= np.iinfo(width).max), np.uint64)
    summed = kept.reshape(*kept.shape[:2], channels // factor, factor).sum(axis=-1, dtype=dtype)
    attributes = dict(cube.counts.attrs)
    zero, gain, bend = (attributes.pop(name, 0.0) for name in ("zero", "gain", "quadratic"))
    attributes |= {
        "zero": zero + gain * (factor - 1) / 2 + bend * (factor - 1) * (2 * factor - 1) / 6,
        "gain": gain * factor + bend * factor * (factor - 1),
        "quadratic": bend * factor**2,
    }
    live_time = cube.live_time.values if "live_time" in cube else None
    return make_cube(summed, valid=cube.valid.values, live_time=live_time, **attributes)


def rebin_spectra(counts: np.ndarray, energy: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum groups of channels of spectra [..., channel]; return (counts, energy), without the channels left over."""
    kept = len(energy) // factor * factor
    summed = counts[..., :kept].reshape(*counts.shape[:-1], -1, factor).sum(axis=-1)
    return summed, energy[:kept].reshape(-1, factor).mean(axis=-1)


def rebin_to(counts: np.ndarray, energy: np.ndarray, target: np.ndarray, *, crop: bool = False) -> np.ndarray:
    """Share the counts of each channel among the channels of another axis by overlap, float64 [..., channel].

    counts: [..., channel] on `energy`; energy, target: channel centres [keV], rising. Totals are conserved to 1e-12.
    Raises InputError when `target` does not cover `energy`, unless `crop` allows the counts outside to be lost.
    """
    edges, wanted = channel_edges(energy), channel_edges(target)
    if (wanted[0] > edges[0] or wanted[-1] < edges[-1]) and not crop:
        raise InputError(
            f"the new axis must cover {edges[0]:.4g} to {edges[-1]:.4g} keV; found {wanted[0]:.4g} to "
            f"{wanted[-1]:.4g} keV. Allow the crop or extend the axis"
        )
    place = np.interp(wanted, edges, np.arange(len(edges)))
    whole = np.minimum(place.astype(int), len(energy) - 1)
    total = np.concatenate([np.zeros((*counts.shape[:-1], 1)), np.cumsum(counts, axis=-1, dtype=np.float64)], axis=-1)
    below = total[..., whole] + (place - whole) * counts[..., whole]
    return np.diff(below, axis=-1)
