"""What stands between the painting and the detector besides the painting: gas, and the housing's own lines."""

import numpy as np

from velatura.atomic.attenuation import mass_attenuation
from velatura.atomic.lines import lines_of
from velatura.physics.detector import HIGHEST, LOWEST, line_response
from velatura.physics.excitation import Excitation, excite
from velatura.physics.instrument import Geometry, Instrument
from velatura.physics.material import material
from velatura.physics.tube import Tube, tube_beam


def gas_of(geometry: Geometry) -> dict[str, float]:
    """Return the mass share of each element of the atmosphere; nothing in a vacuum."""
    return {} if geometry.atmosphere == "vacuum" else material(geometry.atmosphere).mass_fractions()


def gap_mass(geometry: Geometry) -> float:
    """Return the mass of the gas over the painting that the detector sees [g/cm2]."""
    return material(geometry.atmosphere).density * geometry.gap / 10 if gas_of(geometry) else 0.0


def passed(geometry: Geometry, energy: np.ndarray) -> np.ndarray:
    """Return the share of photons of `energy` [keV] that pass the gas between gap and detector, float64."""
    if not (gas := gas_of(geometry)):
        return np.ones(energy.shape)
    depth = material(geometry.atmosphere).density * geometry.path_out / 10
    return np.exp(-depth * mass_attenuation(gas, np.clip(energy, LOWEST, HIGHEST)))


def excited(tube: Tube, geometry: Geometry, elements: tuple[str, ...]) -> Excitation:
    """Fold the tables of some elements with the beam that reaches the painting through the gas."""
    gas = bool(gas_of(geometry))
    beam = tube_beam(tube, path=geometry.path_in if gas else 0.0, atmosphere=geometry.atmosphere if gas else "air")
    angles = {name: getattr(geometry, name) for name in ("incidence_angle", "take_off_angle")}
    return excite(beam, elements, **angles, scattering_angle=geometry.scattering_angle())


def parasite_lines(instrument: Instrument, axis: np.ndarray) -> np.ndarray:
    """Return the counts float64 [channel] in the lines of collimator and housing per scattered count.

    axis: channel centres [channel] keV. The hardest family of each element that the tube's voltage reaches.
    """
    shape = np.zeros(len(axis))
    for element, share in instrument.parasites:
        found = lines_of(element, ("K", "L"), window=(0.9, instrument.tube.voltage))
        hardest = [line for line in found if line.edge[0] == found[0].edge[0]] if found else []
        energy, weight = (np.array([getattr(line, name) for line in hardest]) for name in ("energy", "weight"))
        drawn = weight @ line_response(energy, axis, detector=instrument.detector)
        shape += share * drawn / max(drawn.sum(), 1e-12)
    return shape
