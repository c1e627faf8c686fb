"""A user's own reference spectra: which of them a region's summed spectrum is most like."""

from collections.abc import Sequence

import numpy as np

from velatura.io.library import LibrarySpectrum
from velatura.spectra.background import estimate_background
from velatura.spectra.rebin import rebin_to

LOWEST, STEP = 1.0, 0.04  # keV: from where spectra are compared, and in which channels
LEAST = 0.5  # likeness below which none is named


def nearest_references(sums: np.ndarray, energy: np.ndarray, library: Sequence[LibrarySpectrum]) -> tuple[str, ...]:
    """Return for each summed spectrum [region, channel] the most alike reference with its likeness: "vermilion 0.93".

    energy: channel centres [keV]. Likeness: cosine between the square roots of both spectra less their backgrounds,
    from 1 keV to where the shorter one ends, 0 to 1; it compares lines, not amounts, and knows nothing of layers or
    mixtures. Empty where none reaches 0.5.
    """
    return tuple(_nearest(spectrum, energy, library) for spectrum in sums)


def _nearest(spectrum: np.ndarray, energy: np.ndarray, library: Sequence[LibrarySpectrum]) -> str:
    likeness = [_likeness((spectrum, energy), (one.counts, one.energy)) for one in library]
    best = int(np.argmax(likeness))
    return f"{library[best].name} {likeness[best]:.2f}" if likeness[best] >= LEAST else ""


def _likeness(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    end = min(float(one[1][-1]), float(other[1][-1]))
    axis = np.arange(max(LOWEST, float(one[1][0]), float(other[1][0])), end, STEP)
    if len(axis) < 2:
        return 0.0
    lines = []
    for counts, energy in (one, other):
        binned = rebin_to(np.asarray(counts, np.float64), energy, axis, crop=True)
        net = np.sqrt(np.maximum(binned - estimate_background(binned, axis), 0.0))
        lines.append(net / max(float(np.linalg.norm(net)), 1e-30))
    return float(lines[0] @ lines[1])
