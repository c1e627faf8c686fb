"""An instrument fitted to spectra of known samples by least squares: axis, resolution, line shape, tube, scatter."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from velatura.spectra.line_ratios import Ratio, Scene, background_level, line_ratios

FIT_CHANNELS = 1024  # the fit sums neighbouring channels to about so many
MODEL_ERROR = 0.03  # relative, added to the counting error: no term of the model is better known
LOWEST = 0.9  # keV, where a fit begins: strobe peak and electronic noise lie below
SCATTERED = 0.87  # of the anode's K line, where its Compton peaks begin
STRONG, SOFTEST, AROUND = 0.1, 1.2, 0.04  # share of its family of a line that the axis is fitted to, keV, keV
OFF = 0.15  # relative difference between measured and simulated counts beyond which a bin loses its say in the scale
SHIFT = 0.003  # keV, one standard deviation of a spectrum's own zero: counting rate, axis not quite straight
STEP = 0.02  # of a prior's standard deviation, of the differences that stand for slopes
LEVELS = (5.0, 8.0)  # keV, where the background is compared


class Knob(NamedTuple):
    """How far a fitted quantity may go from its start."""

    low: float
    high: float
    spread: float
    """One standard deviation of the prior around the start: of the logarithm, or in its unit when `additive`."""
    additive: bool = False
    reach: float = np.inf
    """Farthest from the start, in such deviations."""


KNOBS: Mapping[str, Knob] = {
    "zero": Knob(-3.0, 3.0, 0.02, additive=True, reach=3.0),
    "gain": Knob(1e-4, 0.2, 4e-3, reach=3.0),
    "scatter": Knob(0.05, 20.0, 1.0),
    "multiple": Knob(1e-3, 1.0, 1.0),
    "background": Knob(1e-5, 0.5, 2.0),
    "parasites": Knob(1e-7, 1.0, 3.0),
    "detector.noise": Knob(0.02, 0.5, 0.3),
    "detector.fano": Knob(0.08, 0.16, 0.05),
    "detector.tail": Knob(1e-4, 0.1, 1.0),
    "detector.tail_width": Knob(0.1, 1.0, 0.5),
    "detector.shelf": Knob(1e-5, 0.1, 1.0),
    "detector.window": Knob(1.0, 300.0, 0.5),
    "detector.dead_layer": Knob(0.005, 5.0, 0.5),
    "detector.thickness": Knob(100.0, 3000.0, 0.2),
    "detector.pile_up": Knob(1e-6, 0.2, 3.0),
    "tube.window": Knob(20.0, 3000.0, 0.5),
    "tube.lens.cut_off": Knob(2.0, 60.0, 0.5),
    "tube.lens.exponent": Knob(0.2, 6.0, 0.5),
    "geometry.path_in": Knob(0.1, 300.0, 0.7),
    "geometry.path_out": Knob(0.1, 300.0, 0.7),
    "geometry.gap": Knob(0.1, 50.0, 0.7),
    "geometry.acceptance": Knob(1.0, 20.0, 0.5),
    "geometry.scattering_angle": Knob(60.0, 178.0, 0.1),
}
AXIS = ("zero", "gain", "detector.noise")
ANGLES = ("incidence_angle", "take_off_angle")
FREE = (
    "zero", "gain", "scatter", "multiple", "background", "detector.noise", "detector.fano", "detector.tail",
    "detector.tail_width", "detector.shelf", "detector.window", "detector.pile_up", "tube.window",
)  # fmt: skip


class Standard(NamedTuple):
    """A measured spectrum and the sample that it was measured on."""

    spectrum: Spectrum
    sample: Stack


class Level(NamedTuple):
    """The background at one energy, measured and simulated [counts/keV]."""

    energy: float
    measured: float
    uncertainty: float
    simulated: float


class Comparison(NamedTuple):
    """One standard as measured and as simulated."""

    name: str
    axis: np.ndarray
    """Channel centres [keV], float64 [channel]."""
    counts: np.ndarray
    """Measured, float64 [channel]."""
    expected: np.ndarray
    """Simulated with the best scale, float64 [channel]."""
    scale: float
    """Simulated counts per unit of `expected_counts`; per second of live time it should be the same for all samples."""
    shift: float
    """How far the spectrum's own zero lies above the instrument's [keV]."""
    chi2: float
    """Mean squared residual over counting error alone, from LOWEST to the tube voltage."""
    misfit: float
    """Sum of absolute residuals over the sum of counts, in the same range."""
    typical: float
    """Median over 0.2 keV bins of the residuals' size, relative to the counts: 0.05 is a twentieth."""
    ratios: tuple[tuple[Ratio, Ratio], ...]
    """(measured, simulated) line ratios, both taken from the spectra in the same way."""
    levels: tuple[Level, ...]
    """Background at 5 and 8 keV."""


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
    free = tuple(free) if start.tube.lens else tuple(name for name in free if not name.startswith("tube.lens"))
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


def fitted_values(instrument: Instrument, names: Iterable[str]) -> list[tuple[str, float]]:
    """Return (name, value) of quantities of an instrument, by the names of `KNOBS`."""
    return [(name, float(_read(instrument, name))) for name in names]


def compare(standards: Sequence[Standard], instrument: Instrument) -> tuple[Comparison, ...]:
    """Simulate standards with an instrument; only scale and shift of each are fitted."""
    channels = len(standards[0].spectrum.counts)
    problem = _Problem.of(standards, replace(instrument, channels=channels), factor=1)
    return tuple(
        _comparison(standard, problem.start, spectrum)
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
        knobs = _expanded(names, instrument)
        origin = np.array([_read(instrument, name) for name, _ in knobs])
        done = 0

        def residuals(steps: np.ndarray) -> np.ndarray:
            found = self.scaled(_moved(instrument, knobs, origin, steps))
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

        bounds = _bounds(knobs, origin)
        found = least_squares(residuals, np.zeros(len(knobs)), jac=slopes, bounds=bounds, max_nfev=rounds, ftol=1e-4)
        covariance = np.linalg.pinv(found.jac.T @ found.jac)
        spread = {name: float(np.sqrt(covariance[i, i]) * knob.spread) for i, (name, knob) in enumerate(knobs)}
        return _moved(instrument, knobs, origin, found.x), spread


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


def _expanded(names: Sequence[str], instrument: Instrument) -> list[tuple[str, Knob]]:
    """Names with their knobs; "parasites" becomes one for each element."""
    found = [(name, KNOBS[name]) for name in names if name != "parasites"]
    if "parasites" in names:
        found += [(f"parasites.{element}", KNOBS["parasites"]) for element, _ in instrument.parasites]
    return found


def _read(instrument: Instrument, name: str) -> float:
    head, _, tail = name.partition(".")
    if head == "parasites":
        return dict(instrument.parasites)[tail]
    if tail == "scattering_angle":
        return instrument.geometry.scattering_angle()
    if tail.startswith("lens."):
        return (instrument.tube.lens or (20.0, 2.0))[tail == "lens.exponent"]
    return getattr(getattr(instrument, head), tail) if tail else getattr(instrument, head)


def _written(instrument: Instrument, name: str, value: float) -> Instrument:
    head, _, tail = name.partition(".")
    if head == "parasites":
        shares = {**dict(instrument.parasites), tail: value}
        return replace(instrument, parasites=tuple(shares.items()))
    if tail == "scattering_angle":
        factor = value / instrument.geometry.scattering_angle()
        incidence, take_off = (min(getattr(instrument.geometry, name) * factor, 90.0) for name in ANGLES)
        geometry = replace(instrument.geometry, incidence_angle=incidence, take_off_angle=take_off)
        return replace(instrument, geometry=geometry)
    if tail.startswith("lens."):
        cut_off, exponent = instrument.tube.lens or (20.0, 2.0)
        lens = (value, exponent) if tail == "lens.cut_off" else (cut_off, value)
        return replace(instrument, tube=replace(instrument.tube, lens=lens))
    if tail:
        return replace(instrument, **{head: replace(getattr(instrument, head), **{tail: value})})
    return replace(instrument, **{head: value})  # type: ignore[bad-argument-type]


def _moved(instrument: Instrument, knobs: list[tuple[str, Knob]], origin: np.ndarray, steps: np.ndarray) -> Instrument:
    """The instrument with each quantity moved by so many of its prior's standard deviations."""
    for (name, knob), value, step in zip(knobs, origin, steps, strict=True):
        value = value + step * knob.spread if knob.additive else max(value, knob.low) * np.exp(step * knob.spread)
        instrument = _written(instrument, name, float(f"{np.clip(value, knob.low, knob.high):.7g}"))
    return instrument


def _bounds(knobs: list[tuple[str, Knob]], origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest steps that keep each quantity inside its range."""
    low, high = [], []
    for (_, knob), value in zip(knobs, origin, strict=True):
        if knob.additive:
            ends = (knob.low - value) / knob.spread, (knob.high - value) / knob.spread
        else:
            value = max(value, knob.low)
            ends = np.log(knob.low / value) / knob.spread, np.log(knob.high / value) / knob.spread
        low.append(max(min(ends[0], 0.0), -knob.reach) - 1e-6)
        high.append(min(max(ends[1], 0.0), knob.reach) + 1e-6)
    return np.array(low), np.array(high)


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


def _comparison(standard: Standard, instrument: Instrument, found: tuple[np.ndarray, float, float]) -> Comparison:
    expected, scale, shift = found
    axis, counts = instrument.axis(), standard.spectrum.counts[: instrument.channels]
    used = (axis >= LOWEST) & (axis <= instrument.tube.voltage)
    residual = (counts - expected)[used]
    scene = Scene(
        elements=elements_of([standard.sample]),
        detector=instrument.detector,
        anode=instrument.tube.anode,
        tube_voltage=instrument.tube.voltage,
        angle=instrument.geometry.scattering_angle(),
        surroundings=(*dict(instrument.parasites), *(("Ar",) if instrument.geometry.atmosphere == "air" else ())),
    )
    return Comparison(
        standard.spectrum.name, axis, counts, expected, scale, shift,
        chi2=float(np.mean(residual**2 / np.maximum(expected[used], 1.0))),
        misfit=float(np.abs(residual).sum() / counts[used].sum()),
        typical=_typical(counts[used], expected[used], round(0.2 / instrument.gain)),
        ratios=_paired(line_ratios(counts, axis, scene), line_ratios(expected, axis, scene)),
        levels=_levels(counts, expected, axis, scene),
    )  # fmt: skip


def _typical(counts: np.ndarray, expected: np.ndarray, width: int) -> float:
    width = max(width, 1)
    whole = len(counts) // width * width
    summed, model = (row[:whole].reshape(-1, width).sum(axis=1) for row in (counts, expected))
    seen = summed > 100
    return float(np.median(np.abs(model[seen] / summed[seen] - 1))) if seen.any() else float("nan")


def _paired(measured: tuple[Ratio, ...], simulated: tuple[Ratio, ...]) -> tuple[tuple[Ratio, Ratio], ...]:
    by_name = {ratio.name: ratio for ratio in simulated}
    return tuple((ratio, by_name[ratio.name]) for ratio in measured if ratio.name in by_name)


def _levels(counts: np.ndarray, expected: np.ndarray, axis: np.ndarray, scene: Scene) -> tuple[Level, ...]:
    found = []
    for energy in LEVELS:
        here, there = (background_level(row, axis, scene, energy=energy) for row in (counts, expected))
        if here is not None and there is not None:
            found.append(Level(here[0], here[1], here[2], there[1]))
    return tuple(found)
