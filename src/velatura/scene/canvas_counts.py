"""Counts for canvases: drawn anew for every pixel, or a few draws of each entry, embedded once and drawn from often."""

from collections.abc import Callable, Iterator

import numpy as np

from velatura.base.errors import InputError
from velatura.scene.canvas_draws import draw_from, spectra_of
from velatura.scene.colour_canvas import Canvas
from velatura.scene.training import CHANNELS, HIGH, LOW

TOGETHER = 2**13  # spectra in one call of an embedder
ROWS = 8  # of a cube, drawn at once

Embed = Callable[[np.ndarray], np.ndarray]
"""From counts float32 [n, channel] on the canvas's grid to features [n, feature]."""


def rebinned(rates: np.ndarray, *axis: float) -> np.ndarray:
    """Bring spectra [entry, channel] from `training.grid()` to another axis of even channels.

    axis: low, high, channels: its outer edges [keV] and how many channels lie between them. Each channel shares its
    content by overlap: what lies between the edges is conserved, the rest is left out. Returns float32 [entry,
    channels]. Raises InputError for an axis that does not rise.
    """
    low, high, channels = axis
    if not (low < high and channels >= 1 and channels == int(channels)):
        raise InputError(f"the axis must rise and hold channels; found {low:g} to {high:g} keV, {channels:g}")
    held = rates.shape[-1]
    if axis == (LOW, HIGH, held):
        return np.asarray(rates, np.float32)
    below = np.concatenate([np.zeros((len(rates), 1)), np.cumsum(rates, axis=1, dtype=np.float64)], axis=1)
    place = np.clip((np.linspace(low, high, int(channels) + 1) - LOW) / (HIGH - LOW) * held, 0, held)
    left = np.minimum(place.astype(np.int64), held - 1)
    part = place - left
    return np.diff(below[:, left] * (1 - part) + below[:, left + 1] * part, axis=1).astype(np.float32)


def fresh_rows(
    canvas: Canvas, dose: float, *, rng: np.random.Generator, low: float = LOW, high: float = HIGH,
    channels: int = CHANNELS,
) -> Iterator[tuple[slice, np.ndarray]]:  # fmt: skip
    """Yield (rows, counts uint16 [y, x, channel]) of a canvas band by band, drawn for every pixel on its own.

    dose: mean counts of the picture's pixels before those outside low to high [keV] are left out; brighter entries
    get more, as in a scan. The same rng gives the same counts.
    """
    spectra = spectra_of(rebinned(canvas.rates, low, high, channels))
    for start in range(0, len(canvas.entry), ROWS):
        rows = slice(start, min(start + ROWS, len(canvas.entry)))
        entry = canvas.entry[rows].ravel()
        drawn = draw_from(spectra, entry, dose * canvas.brightness[entry], rng=rng)
        yield rows, drawn.reshape(rows.stop - rows.start, -1, channels)


def fresh_cube(
    canvas: Canvas, dose: float, *, rng: np.random.Generator, low: float = LOW, high: float = HIGH,
    channels: int = CHANNELS,
) -> np.ndarray:  # fmt: skip
    """Return the whole cube of `fresh_rows`, uint16 [y, x, channel]."""
    bands = fresh_rows(canvas, dose, rng=rng, low=low, high=high, channels=channels)
    return np.concatenate([counts for _, counts in bands])


def embedded_table(
    canvas: Canvas, embed: Embed, *, rng: np.random.Generator, draws: int = 32,
    counts: float | tuple[float, float] = 1000.0, low: float = LOW, high: float = HIGH, channels: int = CHANNELS,
) -> np.ndarray:  # fmt: skip
    """Return features of noisy draws of each entry, float16 [entry, draw, feature].

    embed: from counts float32 [n, channel] to features [n, feature], called with up to 8,192 spectra at once; counts:
    mean counts of the picture's pixels, or a range from which each table takes one dose, log-uniform; low, high [keV]
    and channels: the embedder's grid.
    """
    dose = float(np.exp(rng.uniform(*np.log(counts)))) if isinstance(counts, tuple) else counts
    spectra = spectra_of(rebinned(canvas.rates, low, high, channels))
    entries = np.repeat(np.arange(len(canvas.rates)), draws)
    parts = []
    for start in range(0, len(entries), TOGETHER):
        part = entries[start : start + TOGETHER]
        drawn = draw_from(spectra, part, dose * canvas.brightness[part], rng=rng)
        parts.append(np.asarray(embed(drawn.astype(np.float32)), np.float16))
    return np.concatenate(parts).reshape(len(canvas.rates), draws, -1)


def embedded_image(table: np.ndarray, entry: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return features float32 [y, x, feature]: each pixel picks one of the draws of its entry."""
    return table[entry, rng.integers(table.shape[1], size=entry.shape)].astype(np.float32)
