"""Ratios of lines: known spectra give their own ratios back, blends are left out."""

from dataclasses import replace

import numpy as np
import pytest

from velatura.physics.detector import Detector, escape_ratio, spread_lines
from velatura.spectra.line_ratios import Scene, background_level, line_ratios

AXIS = -0.2 + 0.01 * np.arange(3000)
DETECTOR = Detector(noise=0.08, tail=0.01)
IRON = {6.404: 0.8, 6.391: 0.4, 7.058: 0.16}
SCENE = Scene(("Fe",), DETECTOR, "Rh", 40.0, 135.0)


def spectrum(lines: dict[float, float], *, counts: float = 1e6, level: float = 20.0, shift: float = 0.0) -> np.ndarray:
    """Lines (energy [keV]: weight) on a sloping background [counts per channel]."""
    energy, weight = np.array(list(lines)) + shift, np.array(list(lines.values()))
    drawn = spread_lines(energy, counts * weight, np.zeros(len(energy), int), axis=AXIS, detector=DETECTOR)[0]
    return drawn + level * (1 - AXIS / 60)


@pytest.mark.parametrize("shift", [0.0, 0.008, -0.008])
def test_a_known_spectrum_gives_its_ratios_back(shift):
    found = {ratio.name: ratio for ratio in line_ratios(spectrum(IRON, shift=shift), AXIS, SCENE)}
    assert found["Fe Kb/Ka"].value == pytest.approx(0.16 / 1.2, rel=0.02)
    assert found["Fe Ka escape/Ka"].value == pytest.approx(float(escape_ratio(6.4)), rel=0.05)


def test_the_uncertainty_is_what_repetition_shows(rng):
    expected = spectrum(IRON, counts=3e4)
    drawn = [line_ratios(rng.poisson(expected).astype(float), AXIS, SCENE)[0] for _ in range(60)]
    spread = np.std([ratio.value for ratio in drawn])
    assert np.mean([ratio.uncertainty for ratio in drawn]) == pytest.approx(spread, rel=0.3)


def test_compton_and_rayleigh_are_told_apart():
    scattered = SCENE._replace(elements=("C",)).scattered()
    peaks = [peak for peak in scattered if peak.name.startswith("Rh Ka")]
    detector = replace(DETECTOR, escape=False)
    counts = 10.0 + sum(
        area * spread_lines(peak.energies, peak.weights, np.zeros(len(peak.weights), int), axis=AXIS,
                            detector=detector, broadening=peak.broadening)[0]
        for area, peak in zip((2e4, 5e4), peaks, strict=True)
    )  # fmt: skip
    found = {ratio.name: ratio for ratio in line_ratios(counts, AXIS, SCENE._replace(elements=("C",)))}
    assert found["Rh Compton/Rayleigh"].value == pytest.approx(2.5, rel=0.02)


def test_blends_are_left_out():
    steel = SCENE._replace(elements=("Mn", "Cr"))
    lines = {5.41: 1.0, 5.947: 0.14, 5.895: 0.3, 6.49: 0.04}
    assert "Cr Kb/Ka" not in {ratio.name for ratio in line_ratios(spectrum(lines), AXIS, steel)}


def test_few_counts_give_no_ratio():
    assert line_ratios(spectrum(IRON, counts=30.0), AXIS, SCENE) == ()


def test_the_background_is_read_beside_the_lines():
    counts = spectrum(IRON)
    energy, level, error = background_level(counts, AXIS, SCENE, energy=8.0)
    assert energy == 8.0
    assert level == pytest.approx(100 * 20 * (1 - 8 / 60), rel=0.01)
    assert error == pytest.approx(np.sqrt(level / 0.2), rel=0.1)
    energy, *_ = background_level(counts, AXIS, SCENE, energy=6.5)
    assert abs(energy - 6.5) > 0.3
