"""What composite maps are made from: counts in line windows, beside them, and in the soft band of the surface."""

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
    beside: np.ndarray
    """Counts in equally wide windows below and above each line, float32 [line, 2, y, x]."""
    surface: np.ndarray
    """Counts in the bins of the soft band, float32 [bin, y, x]; no bins where the scan does not reach down there."""


def measure_signals(
    counts: Any, energy: np.ndarray, windows: Mapping[str, tuple[float, float]], *, progress: Progress = silent
) -> Signals:
    """Sum the counts of each pixel in some windows, in one pass.

    counts: [y, x, channel], numpy or dask; energy: channel centres [keV]; windows: name -> (low, high) [keV].
    Raises InputError when no window is given or one holds no channel.
    """
    if not windows:
        raise InputError("composite maps need at least one line to look for; found none. Name elements with --elements")
    columns = []
    for name, (low, high) in windows.items():
        middle, half = (low + high) / 2, (high - low) / 2
        columns += [
            np.abs(energy - middle - shift) <= half * (1 + 1e-9) for shift in (0.0, -BESIDE * half, BESIDE * half)
        ]
        if not columns[-3].any():
            raise InputError(f"the window of {name}, {low:.2f} to {high:.2f} keV, holds no channel; leave it out")
    columns += surface_bins(energy)
    matrix = np.stack(columns, axis=1).astype(np.float32)
    for first in range(0, 3 * len(windows), 3):
        _complete(matrix[:, first : first + 3])
    sums = np.empty((matrix.shape[1], *counts.shape[:2]), np.float32)
    for rows, band in bands(counts, stage="line windows", progress=progress):
        sums[:, rows] = np.moveaxis(band.astype(np.float32) @ matrix, -1, 0)
    lines = sums[: 3 * len(windows)].reshape(len(windows), 3, *counts.shape[:2])
    return Signals(tuple(windows), lines[:, 0], lines[:, 1:], sums[3 * len(windows) :])


def _complete(matrix: np.ndarray) -> None:
    """Scale the two windows beside a line to its width; one off the axis is replaced by the other. In place."""
    width = matrix.sum(0)
    for side, other in ((1, 2), (2, 1)):
        if width[side] == 0:
            matrix[:, side] = matrix[:, other]
    matrix[:, 1:] *= width[0] / np.maximum(matrix[:, 1:].sum(0), 1)


def surface_bins(energy: np.ndarray) -> list[np.ndarray]:
    """Return the channels of each bin of the soft band: bool [channel] each."""
    low, high = SURFACE_BAND
    edges = np.linspace(low, high, round((high - low) / SURFACE_BIN) + 1)
    found = [(energy >= start) & (energy < stop) for start, stop in pairwise(edges)]
    return [channels for channels in found if channels.any()]
