"""Peaks of a spectrum whose energy axis is still unknown: places, areas and widths in channels, and how widths grow.

A silicon detector makes the variance of a peak a straight line in energy, so it is one in channels too:
variance = level + slope * channel. Its slope tells the gain roughly, before a single line has been named.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from velatura.spectra.background import estimate_background
from velatura.spectra.response import FWHM_PER_SIGMA, SILICON_PAIR_ENERGY, Detector

SCALES = 1.22 ** np.arange(18)  # standard deviations of peaks that are looked for [channels], 1 to 29
LEAST_SNR = 4.5
MOST_PEAKS = 100  # the strongest that are fitted
BROAD = 1.45  # wider than the law by this factor: a Compton hump or a blend, no single line


class WidthLaw(NamedTuple):
    """Variance of a narrow peak, level + slope * channel [channel^2]."""

    level: float
    slope: float

    def sigma(self, channel: np.ndarray | float) -> np.ndarray:
        """Standard deviation [channels]; never below 0.75."""
        return np.sqrt(np.maximum(self.level + self.slope * np.asarray(channel, float), 0.5625))

    def as_detector(self) -> Detector:
        """Return a detector with these widths on an axis counted in channels."""
        fano = self.slope * FWHM_PER_SIGMA**2 / (8 * np.log(2) * SILICON_PAIR_ENERGY)
        return Detector(noise=float(FWHM_PER_SIGMA * np.sqrt(max(self.level, 0.5625))), fano=float(fano), tail=0.0)


class ChannelPeaks(NamedTuple):
    """Fitted peaks by rising channel; arrays float64 [peak]."""

    channel: np.ndarray
    area: np.ndarray
    """Net counts."""
    sigma: np.ndarray
    """[channels]"""
    snr: np.ndarray
    """Signal to noise of the filtered peak."""
    broad: np.ndarray
    """bool: too wide for a line."""
    law: WidthLaw


def find_channel_peaks(spectrum: np.ndarray) -> ChannelPeaks | None:
    """Return the significant peaks of a spectrum [channel] of counts, or None when fewer than two stand out.

    A zero-area filter (second derivative of a Gaussian; Mariscotti, NIM 50 (1967) 309) at many widths finds the
    strongest peaks and their widths; from these the width law; then a filter of the law's width finds all peaks, which
    are fitted with Gaussians of free width over a SNIP background, and the law is drawn anew from the fits.
    """
    height, snr = np.swapaxes([filtered(spectrum, sigma) for sigma in SCALES], 0, 1)
    rough = _strongest(height, snr)
    if len(rough) < 2:
        return None
    law, found = _consensus(*rough.T), np.empty((0, 5))
    for _ in range(2):
        found = _fit_all(spectrum, law, snr)
        if len(found) < 2:
            return None
        channel, _, sigma, error, strength = found.T
        good = strength >= np.quantile(strength, 0.3)
        weight = np.log(strength) / np.hypot(error / sigma, 0.04)
        law = _consensus(channel[good], sigma[good], weight[good])
    channel, area, sigma, _, strength = found.T
    return ChannelPeaks(channel, area, sigma, strength, sigma / law.sigma(channel) > BROAD, law)


def filtered(spectrum: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (scale-normalised height, signal to noise) [channel] of the zero-area filter of one width [channels]."""
    reach = int(np.ceil(5 * sigma))
    t = np.arange(-reach, reach + 1) / sigma
    kernel = (1 - t**2) * np.exp(-(t**2) / 2)
    kernel -= kernel.mean()
    signal = np.convolve(spectrum, kernel, "same")
    noise = np.sqrt(np.convolve(spectrum, kernel**2, "same") + 0.3 * (kernel**2).sum())
    return signal / sigma**1.5, signal / noise


def _strongest(height: np.ndarray, snr: np.ndarray, *, most: int = 20) -> np.ndarray:
    """Return (channel, sigma, weight) [peak, 3] of the highest peaks over all widths, none within another's reach."""
    height = np.where(snr > 8, height, 0.0)
    best, scale = height.max(0), height.argmax(0)
    free, found = best > 0, []
    for channel in np.argsort(-best, kind="stable"):
        if len(found) == most or best[channel] <= 0:
            break
        if free[channel]:
            sigma = SCALES[scale[channel]]
            free[max(0, int(channel - 3 * sigma)) : int(channel + 3 * sigma) + 1] = False
            found.append((channel, sigma, np.log(snr[scale[channel], channel])))
    return np.array(found, float).reshape(-1, 3)


def _consensus(channel: np.ndarray, sigma: np.ndarray, weight: np.ndarray) -> WidthLaw:
    """Return the width law that most peaks agree on: blends and humps are wider, nothing real is narrower."""
    variance, last = sigma**2, channel.max()
    start = np.geomspace(variance.min() * 0.6, np.quantile(variance, 0.8) * 1.1, 48)[:, None]
    end = np.geomspace(variance.min() * 0.7, np.quantile(variance, 0.9) * 2.5, 64)[None, :]
    level, slope = np.broadcast_to(start, (48, 64)).ravel(), ((end - start) / last).ravel()
    level, slope = level[slope >= 0], slope[slope >= 0]
    excess = 0.5 * np.log(variance / (level[:, None] + slope[:, None] * channel))
    off = np.where(excess > 0, excess, 1.3 * excess)
    votes = np.exp(-0.5 * (off / 0.05) ** 2) + 0.3 * np.exp(-0.5 * (off / 0.15) ** 2) - 0.5 * (off < -0.12)
    usual = np.abs(np.log1p(slope * last / level) / np.log(3) - 1)  # widths usually grow by some 70 % over a spectrum
    best = (votes @ weight - 0.02 * weight.sum() * usual).argmax()
    law = WidthLaw(float(level[best]), float(slope[best]))
    for _ in range(3):
        near = np.abs(np.log(sigma / law.sigma(channel))) < 0.12
        if near.sum() < 3 or np.ptp(channel[near]) < 0.2 * last:
            break
        scale = np.sqrt(weight[near])
        design = np.stack([np.ones(near.sum()), channel[near]], 1) * (scale / variance[near])[:, None]
        level_, slope_ = np.linalg.lstsq(design, scale, rcond=None)[0]
        if slope_ < 0 or level_ <= 0.05 * variance.min():
            break
        law = WidthLaw(float(level_), float(slope_))
    return law


def _fit_all(spectrum: np.ndarray, law: WidthLaw, snr: np.ndarray) -> np.ndarray:
    """Return (channel, area, sigma, error of sigma, signal to noise) [peak, 5] of all peaks at the law's width."""
    channels = np.arange(len(spectrum))
    place = np.clip(np.log(law.sigma(channels)) / np.log(1.22), 0, len(SCALES) - 1.001)
    scale, part = place.astype(int), place % 1
    strength = (1 - part) * snr[scale, channels] + part * snr[scale + 1, channels]
    inner = strength[1:-1]
    tops = 1 + np.flatnonzero((inner >= strength[:-2]) & (inner > strength[2:]) & (inner > LEAST_SNR))
    tops = np.sort(tops[np.argsort(-strength[tops], kind="stable")[:MOST_PEAKS]])
    net = spectrum - estimate_background(spectrum, channels.astype(float), detector=law.as_detector())
    found = []
    for group in _neighbours(tops, law.sigma(tops)):
        fit = _fit_group(net, spectrum, tops[group].astype(float), law.sigma(tops[group]))
        if fit is not None:
            found.append(np.column_stack([fit, strength[tops[group]]]))
    rows = np.concatenate(found) if found else np.empty((0, 7))
    channel, error, area, area_error, sigma, sigma_error, top = rows.T
    keep = (area > 3 * area_error) & (error < sigma)
    return np.column_stack([channel, area, sigma, sigma_error, top])[keep]


def _neighbours(tops: np.ndarray, sigma: np.ndarray, *, most: int = 6) -> list[list[int]]:
    """Group peaks that overlap, at most six together."""
    groups: list[list[int]] = []
    for i, top in enumerate(tops):
        if groups and len(groups[-1]) < most and top - tops[i - 1] < 3.6 * sigma[i]:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _fit_group(net: np.ndarray, spectrum: np.ndarray, tops: np.ndarray, widths: np.ndarray) -> np.ndarray | None:
    """Fit overlapping Gaussians on a straight rest; (channel, error, area, error, sigma, error) [peak, 6].

    Places and widths are searched (variable projection), areas and rest solved linearly in each step; weak priors
    hold a faint peak near where it was seen, with about the law's width.
    """
    low = max(0, int(tops[0] - 2.2 * widths[0]))
    high = min(len(net), int(np.ceil(tops[-1] + 2.2 * widths[-1])) + 1)
    x, count = np.arange(low, high), len(tops)
    if len(x) < 3 * count + 2:
        return None
    noise = np.sqrt(spectrum[x] + 1 + (0.01 * net[x]) ** 2)
    rest = np.stack([np.ones(len(x)), np.linspace(-1, 1, len(x))], 1)

    def solve(parameters: np.ndarray) -> tuple[np.ndarray, ...]:
        centre, sigma = parameters[:count], np.exp(parameters[count:])
        t = (x[:, None] - centre) / sigma
        design = np.hstack([np.exp(-0.5 * t**2), rest]) / noise[:, None]
        heights = np.linalg.lstsq(design, net[x] / noise, rcond=None)[0]
        return centre, sigma, t, design, heights, design @ heights - net[x] / noise

    def misfit(parameters: np.ndarray) -> np.ndarray:
        off = (parameters[count:] - np.log(widths)) / 0.6
        return np.concatenate([solve(parameters)[-1], off, 0.5 * (parameters[:count] - tops) / widths])

    start = np.concatenate([tops, np.log(widths)])
    bounds = np.concatenate([1.5 * widths, np.full(count, 0.7)]), np.concatenate([1.5 * widths, np.full(count, 1.3)])
    found = least_squares(misfit, start, bounds=(start - bounds[0], start + bounds[1]), max_nfev=25)
    centre, sigma, t, design, heights, left = solve(found.x)
    tall, gauss = heights[:count], design[:, :count]
    jacobian = np.hstack([gauss * tall * t / sigma, gauss * tall * t**2, design])
    worse = np.clip(left @ left / max(1, len(x) - 3 * count - 2), 1, 25)
    error = np.sqrt(np.maximum(np.diag(np.linalg.pinv(jacobian.T @ jacobian)), 0) * worse)
    area = np.sqrt(2 * np.pi) * sigma
    rows = [
        centre,
        error[:count],
        tall * area,
        error[2 * count : 3 * count] * area,
        sigma,
        error[count : 2 * count] * sigma,
    ]
    return np.stack(rows, 1)
