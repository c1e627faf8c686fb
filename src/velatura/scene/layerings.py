"""Unique sequences of paint in a painting, and the few stacks of each whose spectra stand for all its pixels.

Within one layering the paints are the same and only thicknesses differ. Its spectra are computed at Chebyshev points of
u = log(1 + depth / BEND) for each sheet whose thickness varies; the fourth root of the counts is interpolated by
Lagrange's polynomial through them (Trefethen, Approximation Theory and Approximation Practice, 2013). Lines from below
a sheet fall exponentially with its thickness, its own lines grow and saturate: roots make both smooth, and counts stay
positive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from velatura.atomic.attenuation import mass_attenuation
from velatura.physics.material import Paint
from velatura.physics.stack import UM, Layer, Stack
from velatura.scene.painting import NOTHING, Painting

SOFT = 3.0  # keV, where the depth of a sheet (attenuation times mass thickness) is taken
BEND = 0.4  # depth; far below it u is linear in the thickness, far above logarithmic
BLOCK = 2**12  # pixels interpolated at once
CONSTANT = 1e-4  # relative range of thickness below which a sheet does not vary
MOST = (10, 8, 7, 6, 5, 4, 3)  # knots of a sheet whose thickness varies widely: as many as the budget allows
BUDGET = 4000  # stacks that are computed for one painting

Simulate = Callable[[Sequence[Stack]], np.ndarray]
"""From stacks to noiseless counts float32 [stack, channel], on one common scale."""


@dataclass(frozen=True, eq=False)
class Layering:
    """Pixels with the same sequence of paints, and the thicknesses at which they are computed."""

    sheets: tuple[int, ...]
    """Numbers of the painting's sheets that have paint here."""
    labels: tuple[int, ...]
    """Which paint of each."""
    pixels: np.ndarray
    """Flat indices in rising order, int64 [pixel]."""
    knots: tuple[np.ndarray, ...] | None
    """Thicknesses [um] for each sheet, float64 [knot]; None: too many, each pixel is computed for itself."""

    @property
    def size(self) -> int:
        """How many stacks are computed."""
        return len(self.pixels) if self.knots is None else int(np.prod([len(part) for part in self.knots], initial=1))

    def stacks(self, painting: Painting) -> list[Stack]:
        """Return the stacks to compute: all combinations of knots, the last sheet running fastest, or one per pixel."""
        paints = [painting.sheets[k].paints[label] for k, label in zip(self.sheets, self.labels, strict=True)]
        grid = product(*self.knots) if self.knots is not None else self.thickness(painting, self.pixels)
        return [Stack(tuple(Layer(p, float(t)) for p, t in zip(paints, values, strict=True))) for values in grid]

    def thickness(self, painting: Painting, pixels: np.ndarray) -> np.ndarray:
        """Thickness [um] of each sheet that is here, float64 [pixel, sheet]."""
        maps = [painting.sheets[k].thickness.ravel()[pixels].astype(np.float64) for k in self.sheets]
        return np.stack(maps, axis=1) if maps else np.zeros((len(pixels), 0))

    def interpolate(self, values: np.ndarray, pixels: np.ndarray, painting: Painting) -> np.ndarray:
        """Values float32 [pixel, n] at some of its pixels, from those at its stacks [stack, n]."""
        if self.knots is None:
            return values[np.searchsorted(self.pixels, pixels)]
        blocks = np.split(pixels, range(BLOCK, len(pixels), BLOCK))
        return np.concatenate([self._weights(block, painting) @ values for block in blocks])

    def _weights(self, pixels: np.ndarray, painting: Painting) -> np.ndarray:
        """Share of each stack in each pixel, float32 [pixel, stack]; rows sum to 1, some are negative."""
        weights = np.ones((len(pixels), 1), np.float32)
        sheets = zip(self.sheets, self.labels, self.knots or (), strict=True)
        for (k, label, knots), thickness in zip(sheets, self.thickness(painting, pixels).T, strict=True):
            if len(knots) > 1:
                bend = bend_of(painting.sheets[k].paints[label])
                one = lagrange(_bent(knots, bend), _bent(thickness, bend)).astype(np.float32)
                weights = (weights[:, :, None] * one[:, None, :]).reshape(len(pixels), -1)
        return weights


def fine_layerings(painting: Painting) -> list[Layering]:
    """Find the layerings with as many knots as BUDGET stacks allow."""
    for most in MOST:
        found = layerings(painting, most=most)
        if sum(part.size for part in found) <= BUDGET:
            break
    return found


def layerings(painting: Painting, *, most: int) -> list[Layering]:
    """Find the layerings of a painting, in a fixed order. most: knots for a sheet whose thickness varies widely.

    Where the product of the knots would pass the number of pixels, each pixel stands for itself.
    """
    codes = np.zeros(painting.shape[0] * painting.shape[1], np.int64)
    for sheet in painting.sheets:
        codes = codes * (len(sheet.paints) + 1) + (sheet.labels.ravel().astype(np.int64) - NOTHING)
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    parts = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    columns = np.array([sheet.labels.ravel()[first] for sheet in painting.sheets]).reshape(-1, len(first)).T
    return [_layering(painting, column, part, most) for column, part in zip(columns, parts, strict=True)]


def _layering(painting: Painting, column: np.ndarray, pixels: np.ndarray, most: int) -> Layering:
    sheets = tuple(int(k) for k in np.flatnonzero(column != NOTHING))
    knots = []
    for k in sheets:
        values = painting.sheets[k].thickness.ravel()[pixels]
        bend = bend_of(painting.sheets[k].paints[column[k]])
        knots.append(_knots(float(values.min()), float(values.max()), bend, most=most))
    few = np.prod([len(part) for part in knots], initial=1.0) <= len(pixels)
    return Layering(sheets, tuple(int(column[k]) for k in sheets), pixels, tuple(knots) if few else None)


def _knots(least: float, largest: float, bend: float, *, most: int) -> np.ndarray:
    """Chebyshev points of the second kind in u, ends included; the wider the range, the more."""
    if most == 1 or largest - least <= CONSTANT * largest:
        return np.array([(least + largest) / 2])
    low, high = _bent(np.array([least, largest]), bend)
    number = int(np.clip(np.rint(2 + 4 * (high - low)), min(3, most), most))
    middle = np.cos(np.pi * np.arange(number) / (number - 1))
    knots = bend * np.expm1((low + high) / 2 - (high - low) / 2 * middle)
    knots[[0, -1]] = least, largest
    return knots


@lru_cache(1024)
def bend_of(paint: Paint) -> float:
    """Thickness [um] of a paint at which u turns from linear to logarithmic."""
    attenuation = float(mass_attenuation(paint.mass_fractions(), np.array([SOFT]))[0])
    return BEND / (attenuation * paint.density() * UM)


def _bent(thickness: np.ndarray, bend: float) -> np.ndarray:
    return np.log1p(thickness / bend)


def lagrange(knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weights float64 [value, knot] of the polynomial through knots [knot]; each row sums to 1."""
    gaps = values[:, None] - knots
    weights = np.ones((len(values), len(knots)))
    for k in range(len(knots)):
        others = np.delete(np.arange(len(knots)), k)
        weights[:, k] = np.prod(gaps[:, others] / (knots[k] - knots[others]), axis=1)
    return weights


def roots(counts: np.ndarray) -> np.ndarray:
    """Fourth root of counts, which is what is interpolated."""
    return np.sqrt(np.sqrt(np.maximum(counts, 0)))


def from_roots(values: np.ndarray) -> np.ndarray:
    """Counts of interpolated fourth roots."""
    squares = np.square(np.maximum(values, 0))
    return np.square(squares)
