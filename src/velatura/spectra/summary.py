"""Spectra that stand for a whole scan, gathered in one pass: sum, maximum, and where the maximum lies."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from velatura.base.blocks import bands, read_band
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent

HOT_BIN = 0.06  # keV, about half a line's width: hot pixels are sought in sums of neighbouring channels


class Summary(NamedTuple):
    """Spectra of all valid pixels of a cube."""

    sum_spectrum: np.ndarray
    """Counts added over pixels, int64 [channel]."""
    max_spectrum: np.ndarray
    """Largest counts of any pixel in each channel, int64 [channel]."""
    max_pixel: np.ndarray
    """Flat number (y * width + x) of that pixel, int64 [channel]; the first of equals."""
    hot_pixel: np.ndarray
    """Flat number of the pixel with most counts in a bin of about half a line's width around the channel, [channel]."""
    pixels: int
    """Number of valid pixels."""


def summarise(cube: xr.Dataset, *, progress: Progress = silent) -> Summary:
    """Return sum and maximum spectra of the valid pixels; each band is read once.

    Raises InputError when no pixel is valid.
    """
    channels, width = cube.sizes["energy"], cube.sizes["x"]
    factor = max(1, round(HOT_BIN / float(np.diff(cube.energy.values).mean())))
    starts = np.arange(0, channels, factor)
    total = np.zeros(channels, np.int64)
    most, where = np.full(channels, -1, np.int64), np.zeros(channels, np.int64)
    hot, hot_where = np.full(len(starts), -1, np.int64), np.zeros(len(starts), np.int64)
    valid = cube.valid.values
    if not valid.any():
        raise InputError("no pixel is valid: the whole scan is masked. Check the mask or the region")
    for rows, band in bands(cube.counts.data, stage="sum and maximum", progress=progress):
        chosen = np.flatnonzero(valid[rows])
        if not len(chosen):
            continue
        spectra = band.reshape(-1, channels)
        spectra = spectra if len(chosen) == len(spectra) else spectra[chosen]
        chosen = chosen + rows.start * width
        total += spectra.sum(axis=0, dtype=np.int64)
        _raise_maximum(spectra, chosen, most, where)
        _raise_maximum(np.add.reduceat(spectra, starts, axis=1, dtype=np.uint32), chosen, hot, hot_where)
    return Summary(total, most, where, np.repeat(hot_where, factor)[:channels], int(valid.sum()))


def _raise_maximum(spectra: np.ndarray, pixels: np.ndarray, most: np.ndarray, where: np.ndarray) -> None:
    """Update `most` and `where` in place by a block of spectra [pixel, channel]."""
    best = spectra.argmax(axis=0)
    found = spectra[best, np.arange(spectra.shape[1])].astype(np.int64)
    better = found > most
    most[better], where[better] = found[better], pixels[best[better]]


def pixel_spectra(cube: xr.Dataset, pixels: np.ndarray) -> np.ndarray:
    """Return the counts of some pixels [pixel, channel], by flat number y * width + x; each row is read once."""
    width = cube.sizes["x"]
    spectra = np.empty((len(pixels), cube.sizes["energy"]), cube.counts.dtype)
    for y in np.unique(np.asarray(pixels) // width):
        chosen = np.flatnonzero(np.asarray(pixels) // width == y)
        row = read_band(cube.counts.data, slice(int(y), int(y) + 1))[0]
        spectra[chosen] = row[np.asarray(pixels)[chosen] % width]
    return spectra


def hotmax_spectra(cube: xr.Dataset, summary: Summary, energies: np.ndarray) -> np.ndarray:
    """Return, for each energy [keV], the spectrum of the pixel that has most counts there: [energy, channel].

    Hotmax spectra show rare materials undiluted (Alfeld and others; "hotmax" after maxrf4u).
    """
    channels = np.abs(cube.energy.values[:, None] - np.asarray(energies)).argmin(axis=0)
    return pixel_spectra(cube, summary.hot_pixel[channels])
