"""Fitting an instrument: one that made the spectra is found again; what is asked wrongly is said."""

from dataclasses import replace

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.io.spectrum import Spectrum, read_spectrum_file
from velatura.physics.detector import Detector
from velatura.physics.instrument import Geometry, Instrument, Tube
from velatura.physics.sample import sample_stack
from velatura.physics.trials import Trials
from velatura.tasks.instrument_fit import compare, fit_instrument, start_from
from velatura.tasks.instrument_knobs import fitted_values
from velatura.tasks.standard_comparison import Standard

TRUE = Instrument(
    "true", Tube("Rh", 40.0, lens=(14.0, 2.0)), Geometry(70.0, 60.0, atmosphere="vacuum", azimuth=120.0),
    Detector(noise=0.075, tail=0.02, shelf=0.004, escape=True), 512, -0.2, 0.08, scatter=0.7, background=0.01,
)  # fmt: skip
SAMPLES = (sample_stack("acrylic"), sample_stack("Fe:0.5, Zr:0.5"))


@pytest.fixture(scope="module")
def standards() -> list[Standard]:
    """Spectra of two samples as the true instrument counts them."""
    rng = np.random.default_rng(3)
    spectra = Trials(SAMPLES, TRUE.geometry).spectra(TRUE)
    drawn = [rng.poisson(row / row.sum() * 2e6).astype(float) for row in spectra]
    return [Standard(Spectrum(row, TRUE.zero, TRUE.gain, name=f"sample {k}"), sample)
            for k, (row, sample) in enumerate(zip(drawn, SAMPLES, strict=True))]  # fmt: skip


def test_the_instrument_that_made_the_spectra_is_found_again(standards):
    start = replace(TRUE, zero=-0.17, gain=0.0803, scatter=1.0, background=0.03, detector=Detector(noise=0.09))
    start = replace(start, geometry=replace(TRUE.geometry, azimuth=100.0))
    free = ("zero", "gain", "scatter", "background", "detector.noise", "detector.tail", "detector.shelf",
            "geometry.azimuth")  # fmt: skip
    calls = []
    fitted = fit_instrument(standards, start, free=free, progress=lambda *call: calls.append(call))
    found = dict(fitted_values(fitted.instrument, free))
    known = dict(fitted_values(TRUE, free))
    assert found["zero"] == pytest.approx(-0.2, abs=0.01)  # an eighth of a channel
    assert found["gain"] == pytest.approx(0.08, rel=1e-3)
    angle = fitted.instrument.geometry.scattering_angle()  # 4.9 deg off at the start
    assert angle == pytest.approx(TRUE.geometry.scattering_angle(), abs=1.5)
    for name in free[2:]:
        assert found[name] == pytest.approx(known[name], rel=0.15), name
    assert max(one.misfit for one in fitted.comparisons) < 0.02
    assert {stage for stage, *_ in calls} == {"axis", "instrument", "axis again"}
    assert all(done <= total for _, done, total in calls)


def test_a_comparison_agrees_with_itself(standards):
    for one, standard in zip(compare(standards, TRUE), standards, strict=True):
        assert one.expected.sum() == pytest.approx(standard.spectrum.counts.sum(), rel=0.01)
        assert one.chi2 == pytest.approx(1.0, abs=0.15)
        assert abs(one.shift) < 1e-3
        for measured, simulated in one.ratios:
            assert simulated.value == pytest.approx(measured.value, abs=4 * measured.uncertainty + 1e-4), measured.name


def test_a_diffraction_peak_does_not_change_the_scale(standards):
    spectrum = standards[1].spectrum
    peak = 4e4 * np.exp(-0.5 * ((spectrum.axis() - 12) / 0.09) ** 2)
    disturbed = standards[1]._replace(spectrum=replace(spectrum, counts=spectrum.counts + peak))
    plain, other = compare([standards[1], disturbed], TRUE)
    assert peak.sum() > 0.04 * spectrum.counts.sum()
    assert other.scale == pytest.approx(plain.scale, rel=0.01)


def test_the_file_tells_where_to_start():
    spectrum = Spectrum(np.ones(100), -0.9, 0.01, "x", anode="Mo", tube_voltage=45.0, incidence_angle=51.0)
    start = start_from(spectrum, TRUE, name="mine")
    assert (start.name, start.channels, start.zero, start.gain) == ("mine", 100, -0.9, 0.01)
    assert (start.tube.anode, start.tube.voltage, start.tube.lens) == ("Mo", 45.0, (14.0, 2.0))
    assert (start.geometry.incidence_angle, start.geometry.take_off_angle) == (51.0, 60.0)


def test_unknown_quantities_and_different_lengths_are_refused(standards):
    with pytest.raises(InputError, match=r'"scater" cannot be fitted|cannot be fitted.*did you mean "scatter"'):
        fit_instrument(standards, TRUE, free=("scater",))
    short = standards[0]._replace(spectrum=replace(standards[0].spectrum, counts=np.ones(100)))
    with pytest.raises(InputError, match=r"same channels; found \[100, 512\]"):
        fit_instrument([short, standards[1]], TRUE)


@pytest.mark.real
def test_a_measured_copper_spectrum_has_the_ratios_of_the_tables(data):
    spectrum = read_spectrum_file(data / "standards" / "xrflab-standards" / "Cu.txt")
    start = replace(TRUE, tube=Tube("Rh", 30.0), channels=4096, zero=-0.4, gain=0.01)
    fitted = fit_instrument([Standard(spectrum, sample_stack("Cu"))], start, free=("zero", "gain", "detector.noise"))
    ratios = {measured.name: simulated.value / measured.value for measured, simulated in fitted.comparisons[0].ratios}
    assert ratios["Cu Kb/Ka"] == pytest.approx(1.0, abs=0.1)
    assert ratios["Cu Ka escape/Ka"] == pytest.approx(1.0, abs=0.2)
