"""Peaks of one spectrum with their significance above the background."""

from typing import NamedTuple

import numpy as np

from velatura.spectra.background import estimate_background
from velatura.spectra.response import Detector

QUIET = 4.0  # standard deviations below which a channel is background
AROUND = 16  # half windows over which the background is raised to the mean of the quiet channels: noise lowers SNIP


class Peak(NamedTuple):
    """One peak of a spectrum."""

    energy: float
    """[keV]"""
    counts: float
    """Net counts within one FWHM around the top."""
    background: float
    """Background counts there."""
    significance: float
    """Net counts over the Poisson standard deviation of the background and its estimate."""


def find_peaks(
    spectrum: np.ndarray, energy: np.ndarray, *, detector: Detector | None = None, threshold: float = 5.0
) -> tuple[Peak, ...]:
    """Return the peaks of a spectrum of counts, by rising energy.

    spectrum: counts [channel]; energy: channel centres [channel] keV; threshold: least significance. A peak is a local
    maximum of the net counts in a window of one FWHM; its significance is net / sqrt(background (1 + 1/4) + 1), the
    Poisson error of the counts without the peak and of a background known from four times the window (after Currie,
    Anal. Chem. 40 (1968) 586). Peaks closer than about a FWHM come out as one.
    """
    detector = detector or Detector()
    spectrum = np.asarray(spectrum, np.float64)
    half = np.maximum(np.rint(detector.fwhm(energy) / np.gradient(energy) / 2), 1).astype(int)
    gross, under = _window(spectrum, half), _window(estimate_background(spectrum, energy, detector=detector), half)
    under = np.maximum(under, 0.0)
    quiet = gross - under < QUIET * np.sqrt(under + 1)
    near = AROUND * half
    under *= np.maximum(_window(gross * quiet, near) / np.maximum(_window(under * quiet, near), 1e-9), 1.0)
    net = gross - under
    significance = net / np.sqrt(1.25 * under + 1)
    found = []
    for channel in np.flatnonzero((significance >= threshold) & (net >= 1)):
        low, high = max(0, channel - half[channel]), channel + half[channel] + 1
        if channel == low + net[low:high].argmax() and 0 < channel < len(net) - 1:
            top = _centroid(energy[low:high], spectrum[low:high] - under[channel] / (high - low))
            found.append(Peak(top, float(net[channel]), float(under[channel]), float(significance[channel])))
    return tuple(found)


def _window(values: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Sum over channel - half to channel + half."""
    channel, total = np.arange(len(values)), np.concatenate([[0.0], np.cumsum(values)])
    return total[np.minimum(channel + half + 1, len(values))] - total[np.maximum(channel - half, 0)]


def _centroid(energy: np.ndarray, net: np.ndarray) -> float:
    weight = np.maximum(net, 0.0)
    return float(energy @ weight / weight.sum()) if weight.sum() > 0 else float(energy.mean())
