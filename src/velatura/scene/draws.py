"""Fast exact draws of counts from fixed spectra: a table of 65,536 equal cells answers nearly every draw.

Composition (Marsaglia, 1963, Commun. ACM 6, 37; condensed tables: Marsaglia, Tsang and Wang, 2004, J. Stat. Softw. 11
(3)): bin b with probability p owns floor(65536 p) cells of a table, a 16-bit random number picks a cell, and the cells
that are left over stand for the fractional parts, from which a second number picks. So the draw is exact to the
rounding of float64, at one look-up a count. A pixel's counts are first shared among the spectra of its mixture, by one
multinomial draw over a dozen pigments instead of a thousand channels: drawing the pigment and then the channel is the
same as drawing from the mixed spectrum.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

CELLS = 2**16
LEFT_OVER = CELLS - 1  # marks a cell whose bin a second number picks
PIXELS = 256  # drawn at once: their counts stay in the cache


class CellTable(NamedTuple):
    """Probabilities of at most 65,535 bins, ready to draw from."""

    cells: np.ndarray
    """Bin of each cell, or LEFT_OVER, uint16 [65536]."""
    rest: np.ndarray
    """Cumulative share of the bins in the cells left over, float64 [bin]; the last is 1."""


def cell_table(probability: np.ndarray) -> CellTable:
    """Prepare the table of `probability` [bin], any positive scale."""
    size = np.asarray(probability, np.float64)
    size = size * (CELLS / size.sum())
    whole = np.floor(size).astype(np.int64)
    cells = np.full(CELLS, LEFT_OVER, np.uint16)
    cells[: whole.sum()] = np.repeat(np.arange(len(size)), whole)
    rest = np.cumsum(size - whole)
    return CellTable(cells, rest / rest[-1] if rest[-1] > 0 else np.ones(len(size)))


def draw_bins(table: CellTable, number: int, *, rng: np.random.Generator) -> np.ndarray:
    """Draw independent bins, uint16 [number]."""
    words = rng.integers(0, 2**64 - 1, size=-(-number // 4), dtype=np.uint64, endpoint=True)
    bins = table.cells.take(words.view(np.uint16)[:number])
    left = np.flatnonzero(bins == LEFT_OVER)
    bins[left] = np.searchsorted(table.rest, rng.random(len(left)), side="right")
    return bins


@dataclass(frozen=True)
class MixtureCounts:
    """Array-like counts uint16 [y, x, channel], drawn when rows are read; each row has random numbers of its own."""

    labels: np.ndarray
    """Mixture of each pixel [y, x]."""
    shares: np.ndarray
    """Share of each spectrum in a mixture [mixture, spectrum]; rows sum to 1."""
    spectra: np.ndarray
    """Probability of each channel [spectrum, channel]."""
    counts: int
    """Counts a pixel."""
    poisson: bool
    """Is that the mean of a Poisson number, or exact?"""
    seed: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, channel)."""
        height, width = self.labels.shape
        return height, width, self.spectra.shape[1]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 3

    @property
    def dtype(self) -> np.dtype:
        """Type of the counts."""
        return np.dtype(np.uint16)

    @cached_property
    def tables(self) -> list[CellTable]:
        """One table for each spectrum."""
        return [cell_table(spectrum) for spectrum in self.spectra]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Draw the rows of `index`, then take the rest of it from them."""
        rows, *others = index if isinstance(index, tuple) else (index,)
        chosen = np.arange(len(self.labels))[rows]
        if chosen.ndim == 0:
            return self.draw_row(int(chosen))[tuple(others)]
        drawn = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        for place, row in enumerate(chosen):
            drawn[place] = self.draw_row(int(row))
        return drawn[(slice(None), *others)]

    def draw_row(self, row: int) -> np.ndarray:
        """Draw one row, uint16 [x, channel]: always the same counts."""
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence([self.seed, row])))
        drawn = np.empty(self.shape[1:], self.dtype)
        for start in range(0, self.shape[1], PIXELS):
            part = slice(start, start + PIXELS)
            drawn[part] = self._draw(self.shares[self.labels[row, part]], rng)
        return drawn

    def _draw(self, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Counts [pixel, channel] for shares [pixel, spectrum]."""
        drawn = rng.poisson(self.counts * shares) if self.poisson else rng.multinomial(self.counts, shares)
        pixels, channels = len(shares), self.shape[2]
        flat, end = np.empty(drawn.sum(), np.intp), 0
        firsts = np.arange(0, pixels * channels, channels)
        for table, numbers in zip(self.tables, drawn.T, strict=True):
            start, end = end, end + int(numbers.sum())
            np.add(np.repeat(firsts, numbers), draw_bins(table, end - start, rng=rng), out=flat[start:end])
        return np.bincount(flat, minlength=pixels * channels).reshape(pixels, channels)
