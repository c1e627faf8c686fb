"""The smooth part under the lines, estimated by clipping peaks (SNIP)."""

import numpy as np

from velatura.spectra.response import Detector


def estimate_background(
    counts: np.ndarray, energy: np.ndarray, *, detector: Detector | None = None, width: float = 2.0
) -> np.ndarray:
    """Return the background under the peaks, float64 of the shape of `counts` [..., channel].

    counts: one spectrum or any block of them; energy: channel centres [channel] keV, rising; width: largest half
    window in FWHM of the detector at each channel. SNIP: in the doubly logarithmic square root of the counts each
    channel is replaced by the mean of two neighbours wherever that is lower, from the largest distance to the smallest
    (Ryan et al., Nucl. Instrum. Meth. B 34 (1988) 396; falling distances: Morhac, NIM A 600 (2009) 478).
    Spectra are first smoothed over one FWHM, so that noise is not taken for the background's floor.
    Each spectrum is treated alone: a block gives what its spectra give one by one.
    """
    detector = detector or Detector()
    channels = np.clip(detector.fwhm(energy) / np.gradient(energy), 1.0, len(energy) / 8)
    flat = _smoothed(np.maximum(np.asarray(counts, np.float64), 0.0), channels)
    reach = np.maximum.accumulate(np.rint(width * channels)).astype(int)
    level = np.log(np.log(np.sqrt(flat + 1) + 1) + 1)
    last = level.shape[-1]
    for distance in range(int(reach[-1]), 0, -1):
        start = max(int(np.searchsorted(reach, distance)), distance)
        if start < last - distance:
            here = level[..., start : last - distance]
            mean = (level[..., start - distance : last - 2 * distance] + level[..., start + distance :]) / 2
            level[..., start : last - distance] = np.minimum(here, mean)
    return (np.exp(np.exp(level) - 1) - 1) ** 2 - 1


def _smoothed(counts: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Running mean over `width` channels [channel] (odd numbers); counts are conserved away from the ends."""
    half = np.rint((width - 1) / 2).astype(int)
    channel, last = np.arange(len(width)), len(width)
    low, high = np.maximum(channel - half, 0), np.minimum(channel + half + 1, last)
    total = np.concatenate([np.zeros((*counts.shape[:-1], 1)), np.cumsum(counts, axis=-1)], axis=-1)
    return (total[..., high] - total[..., low]) / (high - low)
