"""What composite maps are made from: counts of lines, and counts in the soft band of the surface."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from velatura.base.blocks import bands
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent

SURFACE_BAND = (1.0, 3.4)  # keV; such photons come from the upper 5 to 15 um of paint (attenuation of the pigments)
SURFACE_BIN = 0.12  # keV
BESIDE = 3.4  # half widths from the line to the middle of the windows that measure its background


@dataclass(frozen=True)
class Signals:
    """Counts of every pixel where they matter."""

    lines: tuple[str, ...]
    """Names of the windows, "Hg-La"."""
    counts: np.ndarray
    """All counts in each window, float32 [line, y, x]."""
    net: np.ndarray
    """Counts of the line itself, float32 [line, y, x]: a linear estimate, around 0 where it is absent."""
    variance: np.ndarray
    """Of `net` by Poisson noise, float32 [line, y, x]."""
    surface: np.ndarray
    """Counts in the bins of the soft band, float32 [bin, y, x]; no bins where the scan does not reach down there."""


def measure_signals(
    counts: Any,
    energy: np.ndarray,
    windows: Mapping[str, tuple[float, float]],
    *,
    estimator: np.ndarray | None = None,
    progress: Progress = silent,
) -> Signals:
    """Sum the counts of each pixel in some windows, and estimate the counts of their lines, in one pass.

    counts: [y, x, channel], numpy or dask; energy: channel centres [keV]; windows: name -> (low, high) [keV];
    estimator: net = counts @ estimator, float [channel, line], by default the window less the mean of two of its width
    beside it, which other lines in them spoil. Raises InputError when no window is given or one holds no channel.
    """
    if not windows:
        raise InputError("composite maps need at least one line to look for; found none. Name elements with --elements")
    inside = np.stack([_window(name, ends, energy) for name, ends in windows.items()], axis=1)
    if estimator is None:
        estimator = inside - np.stack([_beside(ends, energy) for ends in windows.values()], axis=1)
    surface = np.array(surface_bins(energy)).reshape(-1, len(energy)).T
    matrix = np.concatenate([inside, estimator, estimator**2, surface], axis=1).astype(np.float32)
    sums = np.empty((matrix.shape[1], *counts.shape[:2]), np.float32)
    for rows, band in bands(counts, stage="line windows", progress=progress):
        sums[:, rows] = np.moveaxis(band.astype(np.float32) @ matrix, -1, 0)
    lines = len(windows)
    return Signals(tuple(windows), *np.split(sums, [lines, 2 * lines, 3 * lines]))


def _window(name: str, ends: tuple[float, float], energy: np.ndarray) -> np.ndarray:
    """1 for the channels of a window, else 0: float64 [channel]."""
    inside = np.abs(energy - sum(ends) / 2) <= (ends[1] - ends[0]) / 2 * (1 + 1e-9)
    if not inside.any():
        raise InputError(f"the window of {name}, {ends[0]:.2f} to {ends[1]:.2f} keV, holds no channel; leave it out")
    return inside.astype(np.float64)


def _beside(ends: tuple[float, float], energy: np.ndarray) -> np.ndarray:
    """Weights float64 [channel] of the channels beside a window: their sum is its number of channels.

    A side that lies off the axis has no say.
    """
    middle, half = sum(ends) / 2, (ends[1] - ends[0]) / 2 * (1 + 1e-9)
    sides = [np.abs(energy - middle - shift) <= half for shift in (-BESIDE * half, BESIDE * half)]
    seen = [side / side.sum() for side in sides if side.any()]
    width = (np.abs(energy - middle) <= half).sum()
    return width * np.mean(seen, axis=0) if seen else np.zeros(len(energy))


def surface_bins(energy: np.ndarray) -> list[np.ndarray]:
    """Return the channels of each bin of the soft band: bool [channel] each."""
    low, high = SURFACE_BAND
    edges = np.linspace(low, high, round((high - low) / SURFACE_BIN) + 1)
    found = [(energy >= start) & (energy < stop) for start, stop in pairwise(edges)]
    return [channels for channels in found if channels.any()]
