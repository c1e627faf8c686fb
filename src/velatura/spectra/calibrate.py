"""The energy axis: from known points, checked as the file gives it, or found from the spectrum alone for any anode."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from velatura.base.errors import CalibrationError
from velatura.spectra.calibration_candidates import candidates, plausibility
from velatura.spectra.calibration_lines import LineKnowledge, line_knowledge
from velatura.spectra.calibration_match import CAP, Axis, FilteredSpectrum, Match, filter_spectrum, match, refine
from velatura.spectra.calibration_peaks import ChannelPeaks, WidthLaw, find_channel_peaks
from velatura.spectra.calibration_residuals import STRONG, LineResidual, line_residuals
from velatura.spectra.response import FWHM_PER_SIGMA, SILICON_PAIR_ENERGY, Detector

NEAR = 10.0  # eV: a line that close is counted as found
LEAST_CHANNELS = 512
LEAST_LINES = 4
CLOSER = 40  # axes that are looked at closely
LEAST_MARGIN = 33.0  # log evidence over the next axis; benchmarks/calibration.py measures what it costs
TILTS = (-0.1, -0.05, 0.05, 0.1)  # keV
DIFFERENT = 0.05  # two axes differ when they are this far apart [keV] at one end of the peaks
REMEDY = "Give two points, e.g. --calibration 640=6.404,1055=10.551"


@dataclass(frozen=True)
class Calibration:
    """An energy axis, energy = zero + gain * channel + quadratic * channel^2, and what supports it."""

    zero: float
    """[keV]"""
    gain: float
    """[keV/channel]"""
    quadratic: float = 0.0
    """[keV/channel^2]"""
    noise: float = Detector.noise
    """Electronic noise as FWHM [keV]."""
    fano: float = Detector.fano
    """Fano factor [1]."""
    residuals: tuple[LineResidual, ...] = ()
    """Lines that were found, by rising energy."""
    anode: str | None = None
    """As given, or as seen in the scattered lines."""
    method: str = "file"
    """Where the axis comes from: "file", "two points" or "automatic"."""
    confidence: float = float("nan")
    """0 to 1. Automatic: 1 - exp(-margin / 11), margin being the log evidence over the next different axis; less than
    0.95 is refused. Otherwise the share of the found lines within 10 eV; NaN where no spectrum was looked at."""

    def fwhm(self, energy: np.ndarray | float) -> np.ndarray:
        """Width of a line at `energy` [keV], keV."""
        return Detector(noise=self.noise, fano=self.fano).fwhm(energy)

    def energy(self, channel: np.ndarray | float) -> np.ndarray:
        """Energies [keV] of channels."""
        return Axis(self.zero, self.gain, self.quadratic).energy(np.asarray(channel, float))

    @property
    def close_lines(self) -> int:
        """Number of lines found within 10 eV of where they belong."""
        return sum(abs(row.residual) <= NEAR for row in self.residuals)


def calibrate_two_points(points: Sequence[tuple[float, float]]) -> Calibration:
    """Return the axis through two points (channel, energy [keV]), or nearest to more of them (least squares).

    Raises CalibrationError for fewer than two different channels and for energies that do not rise with the channel.
    """
    channel, energy = np.array(points, float).reshape(-1, 2).T
    if len(np.unique(channel)) < 2 or not np.all(np.isfinite([channel, energy])):
        raise CalibrationError(
            f"calibration needs two points with different channels; found {points!r}. "
            "Write them as CHANNEL=KEV, e.g. 640=6.404,1055=10.551"
        )
    gain, zero = np.polyfit(channel, energy, 1)
    if gain <= 0:
        raise CalibrationError(
            f"energy must rise with the channel; the points {points!r} give {1e3 * gain:.3g} eV a channel. "
            "Are channel and energy swapped? Write CHANNEL=KEV"
        )
    found = zero + gain * channel
    rows = zip(channel, energy, found, 1e3 * (found - energy), strict=True)
    residuals = tuple(
        LineResidual(f"channel {place:g}", float(asked), float(got), float(off), 0.0, float("inf"))
        for place, asked, got, off in sorted(rows)
    )
    return Calibration(float(zero), float(gain), residuals=residuals, method="two points")


def check_calibration(
    sum_spectrum: np.ndarray,
    *,
    zero: float,
    gain: float,
    quadratic: float = 0.0,
    anode: str | None = None,
    tube_voltage: float | None = None,
    method: str = "file",
) -> Calibration:
    """Return the given axis with the residuals of the lines that the spectrum shows on it; the axis is not changed.

    Lines are named on the axis refined from the given one, so that an axis some 50 eV off is told so by its own lines.
    sum_spectrum: counts [channel]; zero [keV], gain [keV/channel], quadratic [keV/channel^2]: the axis to check;
    tube_voltage: [kV]. With too few peaks, or none that fit, the residuals are few or none: look at `close_lines`.
    """
    axis, spectrum = Axis(zero, gain, quadratic), _clean(sum_spectrum)
    peaks = find_channel_peaks(spectrum)
    if peaks is None:
        return Calibration(zero, gain, quadratic, anode=anode, method=method)
    known, view = line_knowledge(anode, tube_voltage), filter_spectrum(spectrum, peaks)
    found = refine(view, match(view, axis, known), known, steps=6)
    rows = tuple(_on(axis, found.axis, row) for row in line_residuals(view, found, known))
    share = sum(abs(row.residual) <= NEAR for row in rows) / len(rows) if rows else 0.0
    anode = anode or _scattered_anode(found, spectrum, known)
    return _calibration(found._replace(axis=axis), rows, anode, method=method, confidence=share)


def _on(axis: Axis, refined: Axis, row: LineResidual) -> LineResidual:
    """Return a line found on the refined axis as the given axis shows it."""
    found = float(axis.energy(refined.channel(np.array(row.found))))
    return row._replace(found=found, residual=1e3 * (found - row.expected))


def calibrate(sum_spectrum: np.ndarray, *, anode: str | None = None, tube_voltage: float | None = None) -> Calibration:
    """Find the energy axis of a spectrum from its lines alone, for any anode.

    sum_spectrum: counts [channel], of a whole scan; anode: symbol of the tube's element, None when unknown;
    tube_voltage: [kV], lines that it cannot excite are not thought of.
    Peaks are named in every possible way (calibration_candidates.py), each axis is held against all elements at once
    (calibration_match.py), the best is refined. Deterministic; about a second.
    Raises CalibrationError when fewer than two peaks stand out, when another axis explains the spectrum nearly as well,
    when fewer than four lines of two elements fall within 10 eV, or when more than a quarter of the strong lines are
    more than 20 eV off; InputError for an anode that is no element.
    """
    spectrum = _clean(sum_spectrum)
    peaks = find_channel_peaks(spectrum)
    if peaks is None or (~peaks.broad).sum() < 2:
        raise CalibrationError(
            f"calibration needs several peaks; found fewer than two in {spectrum.sum():.3g} counts. {REMEDY}"
        )
    known, view = line_knowledge(anode, tube_voltage), filter_spectrum(spectrum, peaks)
    best, margin = _best(view, peaks, known, len(spectrum))
    rows = line_residuals(view, best, known)
    found = _calibration(
        best,
        rows,
        anode or _scattered_anode(best, spectrum, known),
        method="automatic",
        confidence=1 - np.exp(-margin / 11),
    )
    _insist(found, margin)
    return found


def _clean(spectrum: np.ndarray) -> np.ndarray:
    spectrum = np.asarray(spectrum, np.float64)
    if spectrum.ndim != 1 or len(spectrum) < LEAST_CHANNELS or not np.all(np.isfinite(spectrum)):
        raise CalibrationError(
            f"calibration needs one spectrum of at least {LEAST_CHANNELS} channels, all finite; "
            f"found the shape {spectrum.shape}. Pass the sum spectrum of the scan"
        )
    return np.maximum(spectrum, 0)


def _best(view: FilteredSpectrum, peaks: ChannelPeaks, known: LineKnowledge, channels: int) -> tuple[Match, float]:
    """Return the best axis, refined, and its log evidence over the best one that differs from it, or over no lines."""

    def evidence(found: Match) -> float:
        return found.score + float(plausibility(found.axis.zero, found.axis.gain, peaks, channels=channels))

    axes = [Axis(*map(float, axis)) for axis in candidates(peaks, channels, known)]
    if not axes:
        raise CalibrationError(f"no energy axis puts the {len(peaks.channel)} peaks found on known lines. {REMEDY}")
    ranked = sorted((match(view, axis, known, passes=1) for axis in axes), key=evidence, reverse=True)
    found = sorted((match(view, one.axis, known) for one in ranked[:CLOSER]), key=evidence, reverse=True)
    found = sorted([refine(view, one, known) for one in found[:10]] + found[10:], key=evidence, reverse=True)
    ends = peaks.channel[~peaks.broad][[0, -1]]
    found += [refine(view, match(view, axis, known, law=found[0].law), known) for axis in _tilted(found[0].axis, ends)]
    found.sort(key=evidence, reverse=True)
    best = refine(view, _settled(view, found[0], known), known, steps=4)
    others = [one for one in found if np.abs(one.axis.energy(ends) - best.axis.energy(ends)).max() > DIFFERENT]
    nothing = -float(np.minimum(view.signal**2 / view.variance, CAP).sum()) / 2
    return best, evidence(best) - max([nothing, *map(evidence, others)])


def _tilted(axis: Axis, ends: np.ndarray) -> list[Axis]:
    """Return axes with one end moved by 50 or 100 eV: neighbours that the naming of two peaks may have missed."""
    low, high = axis.energy(ends)
    moved = [(low + step, high) for step in TILTS] + [(low, high + step) for step in TILTS]
    gains = [(above - below) / (ends[1] - ends[0]) for below, above in moved]
    return [Axis(float(below - gain * ends[0]), float(gain)) for (below, _), gain in zip(moved, gains, strict=True)]


def _settled(view: FilteredSpectrum, found: Match, known: LineKnowledge) -> Match:
    """Return the match moved to the straight line through its strong lines, where that is clearly better."""
    rows = [row for row in line_residuals(view, found, known) if row.significance >= STRONG]
    if len(rows) < 3:
        return found
    channel = found.axis.channel(np.array([row.found for row in rows]))
    weight = 1 / np.hypot([row.uncertainty for row in rows], NEAR / 2)
    gain, zero = np.polyfit(channel, [row.expected for row in rows], 1, w=weight)
    moved = refine(view, match(view, Axis(float(zero), float(gain)), known, law=found.law), known)
    return moved if moved.score > found.score + 3 else found


def _insist(found: Calibration, margin: float) -> None:
    """Raise CalibrationError unless the axis is sure."""
    said = f"zero {found.zero:.3f} keV, gain {1e3 * found.gain:.3f} eV/channel"
    if margin < LEAST_MARGIN:
        raise CalibrationError(
            f"the automatic calibration is not sure: the best axis ({said}) explains the spectrum only "
            f"{max(margin, 0):.0f} better than another one; {LEAST_MARGIN:.0f} is needed. {REMEDY}"
        )
    close = [row for row in found.residuals if abs(row.residual) <= NEAR]
    if len(close) < LEAST_LINES or len({row.line.split("-")[0] for row in close}) < 2:
        raise CalibrationError(
            f"the automatic calibration needs {LEAST_LINES} lines of two elements within {NEAR:.0f} eV; on its best "
            f"axis ({said}) it found {', '.join(row.line for row in close) or 'none'}. {REMEDY}"
        )
    strong = [row for row in found.residuals if row.significance >= STRONG]
    off = [row for row in strong if abs(row.residual) > 2 * NEAR]
    if 4 * len(off) > len(strong):
        raise CalibrationError(
            f"the automatic calibration is not sure: on its best axis ({said}) {len(off)} of {len(strong)} strong "
            f"lines are more than {2 * NEAR:.0f} eV off: {', '.join(row.line for row in off)}. {REMEDY}"
        )


def _calibration(
    found: Match, rows: tuple[LineResidual, ...], anode: str | None, *, method: str, confidence: float
) -> Calibration:
    axis, law = found.axis, found.law
    noise, fano = _resolution(axis, law)
    return Calibration(axis.zero, axis.gain, axis.quadratic, noise, fano, rows, anode, method, float(confidence))


def _resolution(axis: Axis, law: WidthLaw) -> tuple[float, float]:
    """Return noise as FWHM [keV] and Fano factor of a width law in channels, less the width of a channel itself."""
    per_energy = law.slope * axis.gain * FWHM_PER_SIGMA**2
    at_zero = (law.level - 1 / 12 - law.slope * axis.zero / axis.gain) * axis.gain**2 * FWHM_PER_SIGMA**2
    return float(np.sqrt(max(at_zero, 1e-6))), float(per_energy / (8 * np.log(2) * SILICON_PAIR_ENERGY))


def _scattered_anode(found: Match, spectrum: np.ndarray, known: LineKnowledge) -> str | None:
    """Name Rh, Mo or Ag when its K lines are seen with a Compton hump below them, the strongest first; else None.

    The hump: counts from 93 to 97 % of the Ka energy, more than 10 standard deviations above the straight line between
    86-89 % and 103-106 %.
    """
    seen: dict[str, float] = {}
    for family, amount in zip(known.families, found.amount, strict=True):
        if amount > 0 and family.name in ("Rh-K", "Mo-K", "Ag-K"):
            edges = np.rint(
                found.axis.channel(family.energy[0] * np.array([0.86, 0.89, 0.93, 0.97, 1.03, 1.06]))
            ).astype(int)
            parts = [spectrum[low:high] for low, high in edges.reshape(3, 2)]
            if all(len(part) for part in parts):
                below, hump, above = (part.mean() for part in parts)
                if hump - (below + above) / 2 > 10 * np.sqrt(hump / len(parts[1])):
                    seen[family.name.split("-")[0]] = amount
    return max(seen, key=seen.__getitem__) if seen else None
