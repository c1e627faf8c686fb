import numpy as np
import pytest

from velatura.spectra.peaks import find_peaks
from velatura.spectra.response import Detector, line_matrix

AXIS = np.arange(2048) * 0.01
SMOOTH = 40 * np.exp(-AXIS / 6) + 4
ENERGIES = np.array([3.69, 6.40, 8.05, 10.55, 12.61])
AREAS = np.array([3e4, 8e4, 3e3, 2e4, 1.5e4])


def drawn(areas=AREAS):
    return (
        line_matrix(ENERGIES, areas, np.zeros(5, int), axis=AXIS, detector=Detector(escape=False, tail=0))[0] + SMOOTH
    )


def test_peaks_are_found_where_they_are(rng):
    found = find_peaks(rng.poisson(drawn()), AXIS, threshold=8)
    assert [peak.energy for peak in found] == pytest.approx(ENERGIES, abs=0.02)
    share = np.array([peak.counts for peak in found]) / AREAS
    assert share == pytest.approx(0.76, abs=0.1)  # a Gaussian holds 76 % of its area within one FWHM
    assert all(peak.significance >= 8 for peak in found)


def test_noise_alone_has_hardly_any_peak(rng):
    spectra = rng.poisson(SMOOTH * 10, (40, len(AXIS)))
    assert sum(len(find_peaks(spectrum, AXIS, threshold=5)) for spectrum in spectra) <= 2


def test_significance_grows_as_the_root_of_time():
    once, four = (find_peaks(n * drawn(AREAS / 100), AXIS, threshold=3)[0] for n in (10, 40))
    assert four.significance / once.significance == pytest.approx(2, rel=0.1)


def test_an_empty_spectrum_has_no_peak():
    assert find_peaks(np.zeros(500), AXIS[:500]) == ()
