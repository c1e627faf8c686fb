"""One standard as measured and as simulated: misfit, line ratios, background."""

from typing import NamedTuple

import numpy as np

from velatura.io.spectrum import Spectrum
from velatura.physics.instrument import Instrument
from velatura.physics.stack import Stack, elements_of
from velatura.spectra.line_ratios import Ratio, Scene, background_level, line_ratios

LOWEST = 0.9  # keV, where a fit begins: strobe peak and electronic noise lie below
LEVELS = (5.0, 8.0)  # keV, where the background is compared


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


def compared(standard: Standard, instrument: Instrument, found: tuple[np.ndarray, float, float]) -> Comparison:
    """Compare a standard with its simulation: (expected counts [channel], scale, shift [keV])."""
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
