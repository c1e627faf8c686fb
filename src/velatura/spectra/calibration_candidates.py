"""Energy axes worth a closer look: every way to name two peaks, scored by how well it names all the others."""

import numpy as np

from velatura.spectra.calibration_lines import LineKnowledge
from velatura.spectra.calibration_peaks import ChannelPeaks
from velatura.spectra.response import FWHM_PER_SIGMA, SILICON_PAIR_ENERGY

WIDTH_SLOPE = 8 * np.log(2) * 0.118 * SILICON_PAIR_ENERGY  # keV: FWHM^2 = noise^2 + WIDTH_SLOPE * energy
SAME = 0.02  # two axes are one when they differ by less than this at both ends of the peaks [keV]


def plausibility(
    zero: np.ndarray | float, gain: np.ndarray | float, peaks: ChannelPeaks, *, channels: int
) -> np.ndarray:
    """Return the log prior of axes: usual zero and range, and widths that a silicon detector can have.

    The slope of the width law gives the gain to some 15 %; the FWHM at Mn Ka is 148 eV within a factor 1.2; zero lies
    within a few hundred eV of -0.2 keV, gain between 2.5 and 60 eV, the last channel between 8 and 130 keV.
    """
    level, slope = peaks.law
    width = FWHM_PER_SIGMA * gain * np.sqrt(np.maximum(level + slope * (5.9 - zero) / gain, 0.01))
    expected = WIDTH_SLOPE / (FWHM_PER_SIGMA**2 * max(slope, 1e-9))
    trust = 0.25 if (~peaks.broad).sum() >= 8 else 0.4
    log = -0.5 * np.minimum((np.log(width / 0.148) / 0.2) ** 2, 30)
    log = log - 0.5 * np.minimum((np.log(gain / expected) / trust) ** 2, 30) - 0.25 * (zero + 0.2) ** 2
    top = zero + gain * channels
    outside = (zero > 0.7) | (zero < -2.6) | (gain < 0.0025) | (gain > 0.06) | (top < 8) | (top > 130)
    return np.where(outside, -40.0, log)


def candidates(peaks: ChannelPeaks, channels: int, known: LineKnowledge, *, most: int = 50) -> np.ndarray:
    """Return distinct axes (zero [keV], gain [keV/channel]) [candidate, 2], the likeliest first, at most 130.

    peaks: of the sum spectrum; channels: its length; known: lines. Every two of the strongest peaks are named in every
    way; so are the lowest peak as the strobe at 0 keV, and neighbours as Ka and Kb of one element. All other peaks
    then score an axis by the density of lines where it puts them (a point process in channels, hence the factor gain),
    and least squares on the nearest lines moves it to the spot.
    """
    narrow = ~peaks.broad
    channel, snr, area = peaks.channel[narrow], peaks.snr[narrow], peaks.area[narrow]
    if len(channel) < 2:
        return np.empty((0, 2))
    strong = area >= np.sort(area)[-max(3, len(area) // 3) :][0]
    weight = np.clip(np.log(snr) / 3, 0.3, 1.3)

    def score(axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        energy = axes[:, :1] + axes[:, 1:] * channel
        log, line = known.look_up(energy, strong)
        prior = plausibility(axes[:, 0], axes[:, 1], peaks, channels=channels)
        return (log + np.log(axes[:, 1:])) @ weight + prior, line - energy

    pairs = _possible(_pairs(channel, area, known), peaks, channels)
    special = _possible(_special(channel, area, known), peaks, channels)
    pairs = pairs[np.argsort(-score(pairs)[0], kind="stable")[:4000]]
    chosen = np.empty((0, 2))
    for axes, count in ((pairs, most), (special, 80)):
        for _ in range(2):
            axes = _moved(axes, score, channel, weight)
        chosen = _distinct(
            np.concatenate([chosen, axes[np.argsort(-score(axes)[0], kind="stable")]]), channel, len(chosen) + count
        )
    return chosen


def _pairs(channel: np.ndarray, area: np.ndarray, known: LineKnowledge) -> np.ndarray:
    """Return all axes [axis, 2] that put two of the nine largest peaks on principal lines."""
    pool = np.sort(np.argsort(-area, kind="stable")[:9])
    low, high = np.meshgrid(known.principal, known.principal, indexing="ij")
    apart = high > low + 0.2
    return np.concatenate(
        [_through(channel[i], low[apart], channel[j], high[apart]) for a, i in enumerate(pool) for j in pool[a + 1 :]]
    )


def _special(channel: np.ndarray, area: np.ndarray, known: LineKnowledge) -> np.ndarray:
    """Return axes with the lowest peak at 0 keV, and with two of the strongest peaks as Ka and Kb of one element."""
    order = np.argsort(-area, kind="stable")
    strobe = np.zeros_like(known.principal)
    found = [_through(channel[0], strobe, channel[j], known.principal) for j in order[:5] if j]
    kinds = [family for family in known.families if family.name.endswith("-K") and 1.7 < family.energy[0] < 30]
    mean = np.array([_groups_of_k(family.energy, family.share) for family in kinds])
    for i in order[:3]:
        partners = np.flatnonzero((area > 0.04 * area[i]) & (area < 0.5 * area[i]) & (channel > channel[i]))
        found += [_through(channel[i], mean[:, 0], channel[j], mean[:, 1]) for j in partners]
    return np.concatenate(found)


def _groups_of_k(energy: np.ndarray, share: np.ndarray) -> tuple[float, float]:
    """Return the mean energies of the Ka and the Kb group of a K family."""
    alpha = energy < energy[0] * 1.015
    return float(np.average(energy[alpha], weights=share[alpha])), float(
        np.average(energy[~alpha], weights=share[~alpha])
    )


def _through(channel_a: float, energy_a: np.ndarray, channel_b: float, energy_b: np.ndarray) -> np.ndarray:
    gain = (energy_b - energy_a) / (channel_b - channel_a)
    return np.stack([energy_a - gain * channel_a, gain], 1)


def _possible(axes: np.ndarray, peaks: ChannelPeaks, channels: int) -> np.ndarray:
    return axes[plausibility(axes[:, 0], axes[:, 1], peaks, channels=channels) > -12]


def _moved(axes: np.ndarray, score, channel: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the axes after one weighted least-squares step on the most likely lines, where that scores better."""
    before, off = score(axes)
    reach = 0.03 + 0.0015 * np.abs(axes[:, :1] + axes[:, 1:] * channel)
    trust = np.where(np.isfinite(off), weight * np.exp(-0.5 * (off / reach) ** 2), 0.0)
    off = np.nan_to_num(off)
    s0, s1, s2 = trust.sum(1) + 1e-9, trust @ channel, trust @ channel**2
    t0, t1 = (trust * off).sum(1), (trust * off) @ channel
    determinant = s0 * s2 - s1**2
    sound = determinant > 1e-6 * s0 * s2
    step = np.stack([s2 * t0 - s1 * t1, s0 * t1 - s1 * t0], 1) / np.where(sound, determinant, 1)[:, None]
    after = axes + np.where(sound[:, None], step, 0.0)
    after[:, 1] = np.where(after[:, 1] > 1e-3, after[:, 1], axes[:, 1])
    return np.where((score(after)[0] > before)[:, None], after, axes)


def _distinct(axes: np.ndarray, channel: np.ndarray, most: int) -> np.ndarray:
    """Return the first axes that differ from all before them at one end of the peaks at least."""
    ends = axes[:, :1] + axes[:, 1:] * channel[[0, -1]]
    kept: list[int] = []
    for i in range(len(axes)):
        if len(kept) == most:
            break
        if not kept or np.abs(ends[kept] - ends[i]).max(1).min() > SAME:
            kept.append(i)
    return axes[kept]
