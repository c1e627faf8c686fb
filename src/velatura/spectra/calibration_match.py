"""How well an energy axis explains a spectrum: all likely elements fitted at once to the filtered counts.

A zero-area filter removes background and broad humps; what is left is compared with lines of known energies and ratios
(filter fit: Schamber, in X-ray Fluorescence Analysis of Environmental Samples (1977) 241). Non-negative least squares
names the elements; each costs something, rare ones more, so that an axis which needs many elements loses.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from velatura.spectra.calibration_lines import LineKnowledge
from velatura.spectra.calibration_peaks import ChannelPeaks, WidthLaw

CAP = 9.0  # largest squared residual that one cell may count
MODEL_ERROR = 0.04  # of the peaks nearby: line ratios, tails
SMOOTH_ERROR = 0.006  # of the counts: curvature of the background
SEEN = 12.0  # least significance (squared) of a family
SILICON_KA = 1.74  # keV


class Axis(NamedTuple):
    """energy = zero + gain * channel + quadratic * channel^2 [keV]."""

    zero: float
    gain: float
    quadratic: float = 0.0

    def energy(self, channel: np.ndarray) -> np.ndarray:
        """Return energies [keV] of channels."""
        return self.zero + self.gain * channel + self.quadratic * channel**2

    def channel(self, energy: np.ndarray) -> np.ndarray:
        """Return channels of energies [keV], the rising branch."""
        if abs(self.quadratic) < 1e-15:
            return (np.asarray(energy) - self.zero) / self.gain
        inner = self.gain**2 + 4 * self.quadratic * (np.asarray(energy) - self.zero)
        return (np.sqrt(np.maximum(inner, 0)) - self.gain) / (2 * self.quadratic)


@dataclass(frozen=True)
class FilteredSpectrum:
    """A spectrum through the zero-area filter of its own peak width, at cells one standard deviation apart."""

    place: np.ndarray
    """Middle of each cell [cell], channels."""
    sigma: np.ndarray
    """Width of the filter there [cell], channels."""
    signal: np.ndarray
    """Filtered counts [cell]."""
    variance: np.ndarray
    """Poisson variance and what the model cannot know [cell]."""
    peaks: ChannelPeaks

    def draw(self, channel: np.ndarray, sigma: np.ndarray, *, counts: np.ndarray, owner: np.ndarray) -> np.ndarray:
        """Return Gaussian lines of given counts through the same filter, added up by owner, float64 [owner, cell]."""
        cell, x, total = self._near(channel, sigma)
        u = x**2 / total
        values = counts[:, None] * (self.sigma[cell] / np.sqrt(total)) ** 3 * (1 - u) * np.exp(-u / 2)
        return self._added(cell, values, owner)

    def slopes(self, channel: np.ndarray, sigma: np.ndarray, *, counts: np.ndarray, owner: np.ndarray) -> np.ndarray:
        """Return derivatives of drawn lines, [4, owner, cell].

        By a shift of all channels, by one that grows with the channel; by the variance, by one that grows likewise.
        """
        cell, x, total = self._near(channel, sigma)
        u = x**2 / total
        bell = counts[:, None] * (self.sigma[cell] / np.sqrt(total)) ** 3 * np.exp(-u / 2) / total
        shift, widen = bell * (3 - u) * x, bell * (3 * u - 1.5 - u**2 / 2)
        parts = [shift, shift * channel[:, None], widen, widen * channel[:, None]]
        return np.stack([self._added(cell, part, owner) for part in parts])

    def _near(self, channel: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cells that each line reaches [line, near], their distance and the variance of line and filter together."""
        middle = np.clip(np.searchsorted(self.place, channel), 0, len(self.place) - 1)
        reach = 2 + int(np.ceil(4.5 * np.sqrt(1 + np.max(sigma / self.sigma[middle], initial=1) ** 2)))
        asked = middle[:, None] + np.arange(-reach, reach + 1)
        cell = np.clip(asked, 0, len(self.place) - 1)
        x = np.where(cell == asked, self.place[cell] - channel[:, None], 1e6)  # no cell there: out of reach
        return cell, x, self.sigma[cell] ** 2 + sigma[:, None] ** 2

    def _added(self, cell: np.ndarray, values: np.ndarray, owner: np.ndarray) -> np.ndarray:
        owners, cells = int(owner.max(initial=-1)) + 1, len(self.place)
        flat = np.bincount((owner[:, None] * cells + cell).ravel(), values.ravel(), owners * cells)
        return flat.reshape(owners, cells)


class Match(NamedTuple):
    """One axis held against a spectrum."""

    axis: Axis
    law: WidthLaw
    score: float
    """Log evidence, up to a constant of the spectrum; larger is better."""
    misfit: float
    """Sum of capped squared residuals."""
    amount: np.ndarray
    """Net counts of each family of the knowledge [family]; 0 where it is not seen."""
    extra: np.ndarray
    """Net counts at 0 keV, in pile-up, in escape peaks, in each broad peak."""
    left: np.ndarray
    """Residual in standard deviations [cell]."""


def filter_spectrum(spectrum: np.ndarray, peaks: ChannelPeaks) -> FilteredSpectrum:
    """Return the filtered spectrum from below its first peak to above its last; spectrum: counts [channel]."""
    law, last = peaks.law, len(spectrum) - 1
    here, end = max(0.0, peaks.channel[0] - 4 * law.sigma(peaks.channel[0])), peaks.channel[-1]
    end, places = min(float(last), end + 5 * law.sigma(end)), []
    while here < end:
        places.append(here)
        here += max(1.0, float(law.sigma(here)))
    place = np.array(places)
    sigma, rows = law.sigma(place), np.empty((len(place), 3))
    for i, (middle, width) in enumerate(zip(place, sigma, strict=True)):
        reach = int(np.ceil(4.5 * width))
        channel = np.arange(round(middle) - reach, round(middle) + reach + 1)
        t = (channel - middle) / width
        kernel = (1 - t**2) * np.exp(-(t**2) / 2)
        kernel -= kernel.mean()
        counts = spectrum[np.clip(channel, 0, last)]
        rows[i] = kernel @ counts, kernel**2 @ counts + (kernel**2).sum() / 2, np.abs(kernel) @ counts
    spread = sigma[:, None] ** 2 + peaks.sigma**2
    near = (sigma[:, None] / np.sqrt(spread)) ** 3 * np.exp(-((place[:, None] - peaks.channel) ** 2) / (4.4 * spread))
    variance = rows[:, 1] + (MODEL_ERROR * near @ np.maximum(peaks.area, 0)) ** 2 + (SMOOTH_ERROR * rows[:, 2]) ** 2
    return FilteredSpectrum(place, sigma, rows[:, 0], variance, peaks)


def match(
    spectrum: FilteredSpectrum, axis: Axis, known: LineKnowledge, *, law: WidthLaw | None = None, passes: int = 3
) -> Match:
    """Fit all families of known lines on one axis to the filtered spectrum.

    law: widths, by default its peaks'; passes: least squares with outliers weighted down, from the second on without
    families that are not seen; one pass is enough for a ranking.
    """
    law = law or spectrum.peaks.law
    shapes = np.vstack([family_shapes(spectrum, axis, known, law=law), extra_shapes(spectrum, axis, law)])
    weight = 1 / np.sqrt(spectrum.variance)
    length = np.sqrt(((shapes * weight) ** 2).sum(1))
    active, soft = length > 1e-9, np.ones_like(weight)
    amount, left = np.zeros(len(shapes)), spectrum.signal * weight
    for step in range(passes):
        design = (shapes[active] * (weight * soft) / length[active, None]).T
        normal = design.T @ design + 1e-6 * np.eye(active.sum())
        root = np.linalg.cholesky(normal).T
        target = np.linalg.solve(root.T, design.T @ (spectrum.signal * weight * soft))
        amount = np.zeros(len(shapes))
        amount[active] = nnls(root, target, maxiter=1000)[0] / length[active]
        left = (spectrum.signal - amount @ shapes) * weight
        soft = np.sqrt(np.minimum(1, 3 / np.maximum(np.abs(left), 1e-9)))
        if step == 1:
            active &= (amount * length) ** 2 > SEEN
    misfit, count = float(np.minimum(left**2, CAP).sum()), len(known.families)
    seen = (amount * length)[: len(known.costs)] ** 2 > SEEN
    return Match(axis, law, -misfit / 2 - float(known.costs @ seen), misfit, amount[:count], amount[count:], left)


def refine(spectrum: FilteredSpectrum, found: Match, known: LineKnowledge, *, steps: int = 2) -> Match:
    """Return the match after Gauss-Newton steps on zero, gain, widths and amounts together, as long as it improves."""
    for _ in range(steps):
        axis, law = _step(spectrum, found, known)
        moved = match(spectrum, axis, known, law=law)
        if moved.score <= found.score:
            break
        found = moved
    return found


def _step(spectrum: FilteredSpectrum, found: Match, known: LineKnowledge) -> tuple[Axis, WidthLaw]:
    axis, law, seen = found.axis, found.law, np.flatnonzero(found.amount)
    energy = np.concatenate([*(known.families[i].energy for i in seen), [0.0]])
    counts = np.concatenate([*(found.amount[i] * known.families[i].share for i in seen), found.extra[:1]])
    channel = axis.channel(energy)
    slopes = spectrum.slopes(channel, law.sigma(channel), counts=counts, owner=np.zeros(len(channel), int))[:, 0]
    shapes = np.vstack([family_shapes(spectrum, axis, known, law=law)[seen], extra_shapes(spectrum, axis, law), slopes])
    weight = np.sqrt(np.minimum(1, 3 / np.maximum(np.abs(found.left), 1e-9)) / spectrum.variance)
    scale = np.maximum(np.sqrt(((shapes * weight) ** 2).sum(1)), 1e-12)
    loose = np.full(len(shapes), 1e-6)
    loose[-4:] = 1 / (scale[-4:] * [0.03 / axis.gain, 0.003, 0.1 * law.level, 0.1 * law.slope + 1e-9])
    design = np.vstack([(shapes * weight / scale[:, None]).T, np.diag(loose)])
    target = np.concatenate([found.left * np.sqrt(spectrum.variance) * weight, np.zeros(len(shapes))])
    shift, stretch, level, slope = (np.linalg.lstsq(design, target, rcond=None)[0] / scale)[-4:]
    law = WidthLaw(float(max(law.level + level, law.level / 2)), float(max(law.slope + slope, 0.0)))
    gain = axis.gain / (1 + stretch)
    return Axis(float(axis.zero - shift * gain), float(gain), axis.quadratic), law


def family_shapes(spectrum: FilteredSpectrum, axis: Axis, known: LineKnowledge, *, law: WidthLaw) -> np.ndarray:
    """Return unit families [family, cell]; nothing where most of a family lies outside the spectrum."""
    energy, share, owner = known.lines
    channel, edge = axis.channel(energy), 3 * spectrum.sigma[[0, -1]]
    inside = (channel > spectrum.place[0] - edge[0]) & (channel < spectrum.place[-1] + edge[1])
    visible = np.bincount(owner, share * inside)[owner] > 0.5
    use = inside & visible
    shapes = np.zeros((len(known.families), len(spectrum.place)))
    drawn = spectrum.draw(channel[use], law.sigma(channel[use]), counts=share[use], owner=owner[use])
    shapes[: len(drawn)] = drawn
    return shapes


def extra_shapes(spectrum: FilteredSpectrum, axis: Axis, law: WidthLaw) -> np.ndarray:
    """Return strobe peak at 0 keV, pile-up and escape of the strongest peaks, and each broad peak, [extra, cell]."""
    peaks, broad = spectrum.peaks, np.flatnonzero(spectrum.peaks.broad)
    top = np.argsort(-peaks.area, kind="stable")[:8]
    energy, area = axis.energy(peaks.channel), np.maximum(peaks.area, 0)
    one, two = np.triu_indices(len(top))
    one, two = top[one], top[two]
    double = area[one] * area[two] * np.where(one == two, 0.5, 1) * (np.minimum(energy[one], energy[two]) > 0.8)
    escape = area * np.exp(-(energy - 1.84) / 2.5) * ((energy > 1.84) & (energy < 13))
    places = [np.zeros(1), energy[one] + energy[two], energy - SILICON_KA]
    counts = [np.ones(1), double / max(double.sum(), 1e-30), escape / max(escape.sum(), 1e-30)]
    channel = axis.channel(np.concatenate(places))
    owner = np.repeat(np.arange(3), [len(place) for place in places])
    rows = spectrum.draw(channel, law.sigma(channel), counts=np.concatenate(counts), owner=owner)
    wide = spectrum.draw(
        peaks.channel[broad], peaks.sigma[broad], counts=np.ones(len(broad)), owner=np.arange(len(broad))
    )
    return np.vstack([rows, wide])
