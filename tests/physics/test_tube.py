import numpy as np
import pytest

from velatura.atomic.attenuation import mass_attenuation
from velatura.base.errors import InputError
from velatura.physics.tube import Tube, tube_beam

# spekpy 2.5.4, 15 deg, unfiltered, all photons above 1 keV: (anode, kV): (mean energy [keV], share of K lines)
SPEKPY = {
    ("Rh", 40): (8.790, 0.0734),
    ("Rh", 50): (11.565, 0.1314),
    ("Mo", 40): (8.910, 0.1229),
    ("W", 50): (13.518, 0),
}


def totals(beam) -> float:
    return beam.photons.sum() + beam.line_photons.sum()


@pytest.mark.parametrize(("anode", "voltage"), SPEKPY)
def test_mean_energy_and_share_of_k_lines(anode: str, voltage: float) -> None:
    beam = tube_beam(Tube(anode, voltage, window=0))
    mean = (beam.photons @ beam.energy + beam.line_photons @ beam.line_energy) / totals(beam)
    share = beam.line_photons[beam.line_energy > 15].sum() / totals(beam)
    assert (mean, share) == pytest.approx(SPEKPY[anode, voltage], rel=0.01, abs=1e-6)


@pytest.mark.parametrize("voltage", [33.0, 42.5, 47.0])
def test_between_stored_voltages(voltage: float) -> None:
    """The continuum ends at the voltage, and photons rise steadily with it."""
    beams = [tube_beam(Tube("Rh", kv)) for kv in (voltage - 1, voltage, voltage + 1)]
    for beam, kv in zip(beams, (voltage - 1, voltage, voltage + 1), strict=True):
        assert beam.energy[-1] < kv < beam.energy[-1] + 0.16
    continuum = [beam.photons.sum() for beam in beams]
    k_lines = [beam.line_photons[beam.line_energy > 15].sum() for beam in beams]
    for rise in (np.diff(continuum), np.diff(k_lines)):
        assert np.all(rise > 0)
        assert rise[0] == pytest.approx(rise[1], rel=0.12)


def test_a_voltage_below_every_stored_line_still_has_that_line_above_its_edge() -> None:
    """Rh K at 23.2 keV: none at 23 kV, a little at 26 kV, though the stored 20 kV has none."""
    assert tube_beam(Tube("Rh", 23.0)).line_energy.max() < 4
    assert tube_beam(Tube("Rh", 26.0)).line_energy.max() > 20


def test_filters_and_air_attenuate_as_beer_says() -> None:
    bare, filtered = tube_beam(Tube()), tube_beam(Tube(filters=(("aluminium", 100.0),)), path=20.0)
    here = np.searchsorted(bare.energy, 10.05)
    air = {"C": 0.0005, "N": 0.7552, "O": 0.2314, "Ar": 0.0129}
    depth = 2.699 * 0.01 * mass_attenuation("Al", 10.05) + 0.001205 * 2.0 * mass_attenuation(air, 10.05)
    assert filtered.photons[here] / bare.photons[here] == pytest.approx(np.exp(-depth), rel=1e-4)


def test_a_lens_passes_low_energies() -> None:
    bare, lens = tube_beam(Tube()), tube_beam(Tube(lens=(15.0, 2.0)))
    assert np.all(np.diff(lens.photons / bare.photons) < 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"anode": "rh"}, "must be one of Rh, Mo, .*; found 'rh'; did you mean \"Rh\""),
        ({"voltage": 60.0}, "known from 20 to 50 kV; found 60 kV"),
        ({"voltage": 40000.0}, "Give the tube's high voltage in kV"),
        ({"take_off": 45.0}, "must lie in 10 to 20 deg; found 45"),
        ({"filters": (("aluminum", 10.0),)}, 'did you mean "aluminium"'),
        ({"filters": (("aluminium", -10.0),)}, "found -10 um"),
    ],
)
def test_impossible_tubes_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Tube(**wrong)


def test_tungsten_goes_to_60_kv() -> None:
    assert tube_beam(Tube("W", 60.0)).energy[-1] == pytest.approx(59.95)
