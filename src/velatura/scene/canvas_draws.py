"""Poisson counts of a few spectra, many pixels each: from tables where counts are few, else channel by channel."""

from typing import NamedTuple

import numpy as np

from velatura.base.errors import InputError
from velatura.scene.draws import CELLS, LEFT_OVER, cell_table

MOST_COUNTS = 60_000  # in one channel: they must fit 16 bits
FEW = 4000.0  # counts of a pixel, up to which a table is the faster way
PIXELS = 512  # drawn at once: their counts stay in the cache


class Spectra(NamedTuple):
    """Spectra ready to draw from; see `draw_from`."""

    rates: np.ndarray
    """float32 [entry, channel]; rows sum to 1 at most."""
    cells: np.ndarray
    """Channel of each cell of each spectrum, uint16 [entry * 65536] (`draws.CellTable`)."""
    rest: np.ndarray
    """Number of the entry plus cumulative share of the cells left over, float64 [entry * channel], rising."""


def spectra_of(rates: np.ndarray) -> Spectra:
    """Prepare spectra [entry, channel]; 0.1 ms each. Empty ones stay empty."""
    rates = np.asarray(rates, np.float32)
    tables = [cell_table(row if row.any() else np.ones_like(row)) for row in rates]
    rest = [number + table.rest for number, table in enumerate(tables)]
    return Spectra(rates, np.concatenate([table.cells for table in tables]), np.concatenate(rest))


def draw_from(spectra: Spectra, entry: np.ndarray, dose: float | np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Draw Poisson counts uint16 [n, channel] for pixels that draw from the spectra `entry`, int [n].

    dose: expected counts for rates that sum to 1, a number or [n]. Raises InputError where a channel expects more than
    fits 16 bits.
    """
    dose = np.broadcast_to(np.asarray(dose, np.float32), len(entry))
    drawn = np.empty((len(entry), spectra.rates.shape[1]), np.uint16)
    for start in range(0, len(entry), PIXELS):
        part = slice(start, start + PIXELS)
        few = len(dose[part]) and dose[part].max() <= FEW
        drawn[part] = (
            _few(spectra, entry[part], dose[part], rng=rng)
            if few
            else draw_counts(spectra.rates[entry[part]], dose[part], rng=rng)
        )
    return drawn


def draw_counts(rates: np.ndarray, dose: float | np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Draw Poisson counts uint16 [n, channel] of spectra [n, channel] whose rows sum to 1 at most.

    dose: expected counts of a whole row, a number or [n]. Raises InputError where a channel expects more than fits 16
    bits. Where many pixels share a spectrum, `draw_from` is faster.
    """
    expected = rates * np.broadcast_to(np.asarray(dose, np.float32), len(rates))[:, None]
    if expected.size and not 0 <= expected.max() <= MOST_COUNTS:
        raise InputError(f"a channel may expect up to {MOST_COUNTS} counts; found {expected.max():g}. Lower the dose")
    return rng.poisson(expected).astype(np.uint16)


def _few(spectra: Spectra, entry: np.ndarray, dose: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """A Poisson number of counts for each pixel, then a channel for each count: the same law as Poisson channels."""
    pixels, channels = len(entry), spectra.rates.shape[1]
    number = rng.poisson(dose * spectra.rates.sum(axis=1)[entry])
    owner = np.repeat(entry.astype(np.int64), number)
    words = rng.integers(0, CELLS, size=len(owner), dtype=np.uint16, endpoint=False)
    bins = spectra.cells.take(owner * CELLS + words)
    left = np.flatnonzero(bins == LEFT_OVER)
    place = np.searchsorted(spectra.rest, owner[left] + rng.random(len(left)), side="right")
    bins[left] = np.minimum(place - owner[left] * channels, channels - 1)
    flat = np.repeat(np.arange(0, pixels * channels, channels), number) + bins
    return np.bincount(flat, minlength=pixels * channels).reshape(pixels, channels)
