"""The closed form against plain integration over thin slices, and the laws that every stack keeps."""

import numpy as np
import pytest

from velatura.atomic.attenuation import mass_attenuation
from velatura.scene.detector import efficiency, gaussian_lines, line_fwhm
from velatura.scene.emission import INCIDENCE, TAKE_OFF, Layer, compton_energy, emit, prepare
from velatura.scene.palette import Paint

COVER = Paint("cover", {"lead_white": 0.5, "smalt": 0.5})
FLESH = Paint("flesh", {"lead_white": 0.92, "vermilion": 0.08})
OPTICS = prepare([COVER, FLESH])


def line_index(element: str, energy: float) -> int:
    ours = OPTICS.line_element == OPTICS.elements.index(element)
    return int(np.argmin(np.where(ours, abs(OPTICS.line_energy - energy), np.inf)))


def test_closed_form_equals_thin_slices() -> None:
    slices = 400
    whole = emit([Layer(FLESH, 30.0), Layer(COVER, 20.0)], OPTICS)
    thin = emit([*[Layer(FLESH, 30.0 / slices)] * slices, *[Layer(COVER, 20.0 / slices)] * slices], OPTICS)
    np.testing.assert_allclose(whole.lines, thin.lines, rtol=1e-9)
    np.testing.assert_allclose(whole.scatter, thin.scatter, rtol=1e-9)


def test_hidden_line_fades_as_beer_and_lambert_say() -> None:
    """With one excitation energy the cover multiplies Hg La by exp(-mass (mu_in / sin psi + mu_out / sin phi))."""
    line, energy = line_index("Hg", 9.989), 20.17
    tube = np.where(OPTICS.excitation == energy, 1.0, 0.0)
    single = OPTICS.__class__(**{**vars(OPTICS), "tube": tube})
    bare = emit([Layer(FLESH, 30.0)], single).lines[line]
    covered = emit([Layer(FLESH, 30.0), Layer(COVER, 25.0)], single).lines[line]
    mass = COVER.density() * 25e-4
    leaving = OPTICS.line_energy[line]
    mu_in, mu_out = (mass_attenuation(COVER.mass_fractions(), e) for e in (energy, leaving))
    expected = np.exp(-mass * (mu_in / np.sin(INCIDENCE) + mu_out / np.sin(TAKE_OFF)))
    assert covered / bare == pytest.approx(expected, rel=2e-4)  # mass fractions of the table sum to 1 within 1e-4


def test_softer_lines_of_a_hidden_layer_lose_more() -> None:
    bare, covered = (emit([Layer(FLESH, 30.0), *over], OPTICS).lines for over in ([], [Layer(COVER, 25.0)]))
    share = covered / np.where(bare > 0, bare, 1)
    assert share[line_index("Hg", 2.195)] < share[line_index("Hg", 9.989)] < share[line_index("Hg", 11.82)] < 1


def test_compton_energy() -> None:
    assert compton_energy(np.array(20.17)) == pytest.approx(18.942, abs=0.001)  # by hand, 130 deg


def test_detector_width_and_conservation() -> None:
    assert line_fwhm(np.array(5.895)) == pytest.approx(0.142, abs=0.001)
    axis = 0.02 * np.arange(1024)
    lines = gaussian_lines(np.array([6.4]), np.array([0.15]), axis)[0]
    assert lines.sum() == pytest.approx(1, abs=1e-12)
    assert lines @ axis == pytest.approx(6.4, abs=1e-9)
    width = np.sqrt(lines @ (axis - 6.4) ** 2 - 0.02**2 / 12)
    assert width * np.sqrt(8 * np.log(2)) == pytest.approx(0.15, rel=1e-6)


def test_efficiency_is_a_share() -> None:
    share = efficiency(np.array([1.0, 3.0, 8.0, 20.0]))
    assert np.all((share > 0) & (share < 1))
    assert np.argmax(share) == 2
