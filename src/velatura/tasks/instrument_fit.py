"""An instrument fitted to spectra of known samples by least squares: axis, resolution, line shape, tube, scatter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from velatura.atomic.lines import lines_of
from velatura.base.errors import InputError, did_you_mean
from velatura.base.progress import Progress, silent
from velatura.io.spectrum import Spectrum
from velatura.physics.instrument import Instrument
from velatura.physics.stack import Stack, elements_of
from velatura.physics.trials import Trials
from velatura.tasks.instrument_knobs import AXIS, FREE, KNOBS, bounds_of, expanded, moved, read
from velatura.tasks.standard_comparison import LOWEST, Comparison, Standard, compared

FIT_CHANNELS = 1024  # the fit sums neighbouring channels to about so many
MODEL_ERROR = 0.03  # relative, added to the counting error: no term of the model is better known
SCATTERED = 0.87  # of the anode's K line, where its Compton peaks begin
STRONG, SOFTEST, AROUND = 0.1, 1.2, 0.04  # share of its family of a line that the axis is fitted to, keV, keV
OFF = 0.15  # relative difference between measured and simulated counts beyond which a bin loses its say in the scale
SHIFT = 0.003  # keV, one standard deviation of a spectrum's own zero: counting rate, axis not quite straight
STEP = 0.02  # of a prior's standard deviation, of the differences that stand for slopes


class Fitted(NamedTuple):
    """An instrument and how its standards look through it."""

    instrument: Instrument
    comparisons: tuple[Comparison, ...]
    uncertainty: Mapping[str, float]
    """One standard deviation of each fitted quantity, relative (of `zero`: keV), for a model error of 3 %."""


def fit_instrument(
    standards: Sequence[Standard],
    start: Instrument,
    *,
    free: Sequence[str] = FREE,
    progress: Progress = silent,
) -> Fitted:
    """Fit one instrument to all standards at once, each with a scale and a small shift of its own.

    start: the first guess; its axis must be right to some 50 eV; free: which quantities are fitted, of `KNOBS`, each
    held at its start by a weak prior. Least squares (scipy, trust region) on channels summed to about 1024, weighted
    with counting error and 3 % of the counts, residuals beyond two standard deviations counting linearly, so that a
    diffraction peak or an impurity does not pull. First axis and noise by the samples' strong lines, each with
    its own height (scatter would pull the axis with its angle; samples without lines leave the axis as it is), then
    everything but the axis, then the axis again.
    Raises InputError for an unknown quantity and for spectra of different length.
    """
    free = tuple(dict.fromkeys(name for name in free if start.tube.lens or not name.startswith("tube.lens")))
    _check(standards, free)
    channels = len(standards[0].spectrum.counts)
    problem = _Problem.of(standards, replace(start, channels=channels))
    found, spread = problem.start, {}
    axis = tuple(name for name in AXIS if name in free)
    rest = tuple(name for name in free if name not in AXIS[:2])
    near = problem.lines_only()
    stages = [("axis", axis, near, 8), ("instrument", rest, problem, 25), ("axis again", axis, near, 4)]
    for stage, names, part, rounds in stages:
        if names and part.weight.any():
            found, known = part.solve(found, names, rounds=rounds, progress=_named(progress, stage))
            spread |= known
    return Fitted(found, compare(standards, found), spread)


def start_from(spectrum: Spectrum, like: Instrument, *, name: str) -> Instrument:
    """Return an instrument with the axis, and the tube and angles as far as its file tells, of a spectrum.

    Raises InputError for a spectrum without an energy axis.
    """
    spectrum.axis()
    tube, geometry = like.tube, like.geometry
    tube = replace(tube, anode=spectrum.anode or tube.anode, voltage=spectrum.tube_voltage or tube.voltage)
    geometry = replace(
        geometry,
        incidence_angle=spectrum.incidence_angle or geometry.incidence_angle,
        take_off_angle=spectrum.take_off_angle or geometry.take_off_angle,
    )
    return replace(
        like, name=name, tube=tube, geometry=geometry, channels=len(spectrum.counts), zero=float(spectrum.zero or 0.0),
        gain=float(spectrum.gain or like.gain),
    )  # fmt: skip


def compare(standards: Sequence[Standard], instrument: Instrument) -> tuple[Comparison, ...]:
    """Simulate standards with an instrument; only scale and shift of each are fitted."""
    channels = len(standards[0].spectrum.counts)
    problem = _Problem.of(standards, replace(instrument, channels=channels), factor=1)
    return tuple(
        compared(standard, problem.start, spectrum)
        for standard, spectrum in zip(standards, problem.scaled(problem.start), strict=True)
    )


class _Problem(NamedTuple):
    """Summed counts with their weights, and what is simulated."""

    start: Instrument
    counts: np.ndarray
    """[standard, bin]"""
    error: np.ndarray
    """One standard deviation [standard, bin]; infinite where nothing is compared."""
    weight: np.ndarray
    """One over the variance of counting alone [standard, bin]."""
    samples: tuple[Stack, ...]
    trials: Trials
    factor: int
    """Channels in a bin."""
    regions: np.ndarray | None = None
    """Numbers of the regions that have a height of their own, int [standard, bin]; None: one scale a standard."""

    @classmethod
    def of(cls, standards: Sequence[Standard], start: Instrument, factor: int | None = None) -> "_Problem":
        factor = factor or max(1, 2 ** round(np.log2(start.channels / FIT_CHANNELS)))
        kept = start.channels // factor * factor
        counts = np.array([one.spectrum.counts[:kept] for one in standards]).reshape(len(standards), -1, factor).sum(2)
        start = replace(start, channels=kept)
        near = np.array([np.convolve(np.pad(np.clip(row, 0, None), 1, mode="edge"), np.ones(3) / 3, "valid")
                         for row in counts])  # fmt: skip
        error = np.sqrt(np.maximum(near, 1.0) + (MODEL_ERROR * near) ** 2)
        axis = start.rebinned(kept // factor).axis()
        error[:, (axis < LOWEST) | (axis > start.tube.voltage)] = np.inf
        weight = np.isfinite(error) / np.maximum(near, 1.0)
        samples = tuple(one.sample for one in standards)
        return cls(start, counts, error, weight, samples, Trials(samples, start.geometry), factor)

    def lines_only(self) -> "_Problem":
        """Return the same with nothing but the strong lines of each sample, below the anode's scattered K lines."""
        start = self.start
        end = SCATTERED * min((line.energy for line in lines_of(start.tube.anode, ("K",))), default=np.inf)
        axis = start.rebinned(start.channels // self.factor).axis()
        near = np.zeros(self.counts.shape, bool)
        for row, sample in zip(near, self.samples, strict=True):
            for element in elements_of([sample]):
                for line in lines_of(element, ("K", "L"), window=(SOFTEST, end)):
                    if line.weight > STRONG and line.edge_energy < start.tube.voltage:
                        row |= np.abs(axis - line.energy) < AROUND + start.detector.fwhm(line.energy)
        return self._replace(
            error=np.where(near, self.error, np.inf),
            weight=np.where(near, self.weight, 0.0),
            regions=np.cumsum(np.diff(near, axis=1, prepend=False), axis=1),
        )

    def scaled(self, instrument: Instrument) -> list[tuple[np.ndarray, float, float]]:
        """Return each simulated spectrum [bin] times its best scale and moved by its best shift, and these two."""
        rebinned = instrument.rebinned(instrument.channels // self.factor)
        found = []
        for row, spectrum in enumerate(self.trials.spectra(rebinned)):
            counts, weight = self.counts[row], self.weight[row]
            if self.regions is not None:
                spectrum = _locally(spectrum, counts, self.regions[row])
            scale = _scale(spectrum, counts, weight > 0)
            moved = -np.gradient(spectrum) * scale / rebinned.gain
            shift = float(moved * weight @ (counts - scale * spectrum) / (moved * weight @ moved + SHIFT**-2))
            shift = min(max(shift, -3 * SHIFT), 3 * SHIFT)
            found.append((np.maximum(scale * spectrum + shift * moved, 0.0), scale, shift))
        return found

    def solve(
        self, instrument: Instrument, names: tuple[str, ...], *, rounds: int, progress: Progress
    ) -> tuple[Instrument, dict[str, float]]:
        """Return the instrument with the named quantities fitted, and their relative standard deviations."""
        knobs = expanded(names, instrument)
        origin = np.array([read(instrument, name) for name, _ in knobs])
        done = 0

        def residuals(steps: np.ndarray) -> np.ndarray:
            found = self.scaled(moved(instrument, knobs, origin=origin, steps=steps))
            rows = zip(found, self.counts, self.error, strict=True)
            parts = [_tamed((spectrum - counts) / error) for (spectrum, *_), counts, error in rows]
            return np.concatenate([*parts, [shift / SHIFT for *_, shift in found], steps])

        def slopes(steps: np.ndarray) -> np.ndarray:
            nonlocal done
            done += 1
            progress("fit", min(done, rounds), rounds)
            ahead = np.where(steps + STEP <= bounds[1], STEP, -STEP)
            here, moves = residuals(steps), np.diag(ahead)
            columns = [(residuals(steps + move) - here) / move.sum() for move in moves]
            return np.stack(columns, axis=1)

        bounds = bounds_of(knobs, origin)
        found = least_squares(residuals, np.zeros(len(knobs)), jac=slopes, bounds=bounds, max_nfev=rounds, ftol=1e-4)
        covariance = np.linalg.pinv(found.jac.T @ found.jac)
        spread = {name: float(np.sqrt(covariance[i, i]) * knob.spread) for i, (name, knob) in enumerate(knobs)}
        return moved(instrument, knobs, origin=origin, steps=found.x), spread


def _locally(spectrum: np.ndarray, counts: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """A spectrum whose every region has the counts of the measured one."""
    total, known = (np.bincount(regions, np.maximum(row, 0.0)) for row in (spectrum, counts))
    return spectrum * (known / np.maximum(total, 1e-300))[regions]


def _scale(spectrum: np.ndarray, counts: np.ndarray, used: np.ndarray) -> float:
    """Ratio of measured to simulated counts; bins that differ by much, as a diffraction peak does, count little."""
    trust = used.astype(np.float64)
    for _ in range(6):
        scale = float(trust @ counts / max(trust @ spectrum, 1e-300))
        off = np.clip((counts - scale * spectrum) / np.maximum(counts + scale * spectrum, 1e-300), -1.0, 1.0)
        trust = used / (1 + (off / OFF) ** 2)
    return scale


def _tamed(residuals: np.ndarray, limit: float = 2.0) -> np.ndarray:
    """Residuals whose square grows linearly beyond `limit` (Huber, Ann. Math. Stat. 35 (1964) 73), smooth in value."""
    size = np.abs(residuals)
    return np.where(size > limit, np.sign(residuals) * np.sqrt(np.maximum(2 * limit * size - limit**2, 0)), residuals)


def _check(standards: Sequence[Standard], free: Sequence[str]) -> None:
    unknown = [name for name in free if name not in KNOBS]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} cannot be fitted; known are {', '.join(KNOBS)}{did_you_mean(unknown[0], KNOBS)}"
        )
    lengths = {len(standard.spectrum.counts) for standard in standards}
    if len(lengths) != 1:
        raise InputError(
            f"standards of one instrument must have the same channels; found {sorted(lengths) or 'no spectrum'}. "
            "Fit them one at a time"
        )


def _named(progress: Progress, stage: str) -> Callable[[str, int, int], None]:
    return lambda _, done, total: progress(stage, done, total)
