"""What leaves an X-ray tube and reaches the painting: continuum and anode lines, windows, filters, lens and air.

The spectra of tables/tubes.npz were computed with spekpy 2.5.4 (Poludniowski et al., Med. Phys. 48 (2021) 3630), model
"kqp", thick reflection target: six anodes, 20 to 60 kV, take-off angles of 10 to 20 degrees.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from velatura.atomic.attenuation import mass_attenuation
from velatura.base.errors import InputError, did_you_mean
from velatura.physics.material import material

UM = 1e-4  # cm
WEAK = 2e-3  # anode lines below this share of the strongest, behind the windows, are left out


@dataclass(frozen=True)
class Tube:
    """An X-ray tube with its window, filters and focusing lens.

    Raises InputError for an anode, a voltage or an angle that the stored spectra do not hold.
    """

    anode: str = "Rh"
    """Rh, Mo, Ag, W, Cr or Cu."""
    voltage: float = 40.0
    """[kV], 20 to 50; W up to 60."""
    take_off: float = 15.0
    """Angle between the anode's surface and the beam [deg], 10 to 20."""
    window: float = 125.0
    """Beryllium [um]."""
    filters: tuple[tuple[str, float], ...] = ()
    """(material, thickness [um])."""
    lens: tuple[float, float] | None = None
    """(cut-off energy [keV], exponent) of a polycapillary; None: pinhole or collimator."""

    def __post_init__(self) -> None:
        stored = _spectra()
        anodes = [str(name) for name in stored["anode"]]
        if self.anode not in anodes:
            hint = did_you_mean(self.anode.capitalize(), anodes)
            raise InputError(f"the anode must be one of {', '.join(anodes)}; found {self.anode!r}{hint}")
        known = stored["kv"][stored["valid"][anodes.index(self.anode)]]
        if not known[0] <= self.voltage <= known[-1]:
            raise InputError(
                f"a {self.anode} tube is known from {known[0]:g} to {known[-1]:g} kV; found {self.voltage:g} kV. "
                "Give the tube's high voltage in kV"
            )
        angles = stored["takeoff_deg"]
        if not angles[0] <= self.take_off <= angles[-1]:
            raise InputError(
                f"the anode's take-off angle must lie in {angles[0]:g} to {angles[-1]:g} deg; found {self.take_off:g}"
            )
        for name, thickness in (("beryllium", self.window), *self.filters):
            if material(name) and not thickness >= 0:
                raise InputError(f"the {name} of the tube must be 0 um or more; found {thickness:g} um")


class Beam(NamedTuple):
    """Photons that reach the painting, per sr and electron of the tube."""

    energy: np.ndarray
    """Centres of bins of 0.1 keV, float64 [n] (keV)."""
    photons: np.ndarray
    """Continuum in each bin, float64 [n]."""
    line_energy: np.ndarray
    """Lines of the anode, float64 [k] (keV)."""
    line_photons: np.ndarray
    """Photons in each, float64 [k]."""


def tube_beam(tube: Tube, *, path: float = 0.0, atmosphere: str = "air") -> Beam:
    """Return the beam behind window, filters, lens and a `path` [mm] of atmosphere (a material: air, helium)."""
    stored = _spectra()
    anode = [str(name) for name in stored["anode"]].index(tube.anode)
    energy, step = stored["energy_kev"], 0.1
    continuum = _continuum(stored, anode, tube) * step
    rows = np.flatnonzero((stored["line_anode"] == anode) & (stored["line_edge_kev"] < tube.voltage))
    line_energy = stored["line_energy_kev"][rows]
    lines = np.array([_line(stored, int(row), anode, tube) for row in rows])
    continuum *= _transmission(tube, energy, path, atmosphere)
    lines *= _transmission(tube, line_energy, path, atmosphere)
    kept, strong = continuum > 0, lines > WEAK * lines.max(initial=0.0)
    return Beam(energy[kept], continuum[kept], line_energy[strong], lines[strong])


def _transmission(tube: Tube, energy: np.ndarray, path: float, atmosphere: str) -> np.ndarray:
    """Share of the photons [keV] that pass window, filters, lens and a path [mm] of gas."""
    depth = np.zeros(energy.shape)
    for name, length in (("beryllium", tube.window * UM), *((name, d * UM) for name, d in tube.filters)):
        depth += _attenuation(name, energy) * length
    depth += _attenuation(atmosphere, energy) * path / 10
    passed = np.exp(-depth)
    if tube.lens is not None:
        cut_off, exponent = tube.lens
        passed /= 1 + (energy / cut_off) ** exponent
    return passed


def _attenuation(name: str, energy: np.ndarray) -> np.ndarray:
    """Linear attenuation [1/cm]."""
    row = material(name)
    return row.density * mass_attenuation(row.mass_fractions(), energy)


def _continuum(stored: dict[str, np.ndarray], anode: int, tube: Tube) -> np.ndarray:
    """Continuum [photons/(keV sr electron)] between tabulated voltages, as a multiple of Kramers' law.

    Kramers (1923): photons per keV go as voltage/energy - 1. The multiple is interpolated, so the end point is exact;
    where the lower voltage does not reach it is taken from the upper one.
    """
    energy, known = stored["energy_kev"], np.flatnonzero(stored["valid"][anode])
    voltages = stored["kv"][known]
    table = _between_angles(stored["continuum"][anode], stored["takeoff_deg"], tube.take_off)[known]
    kramers = np.maximum(voltages[:, None] / energy - 1, 0)
    multiple = np.where(kramers > 0, table / np.where(kramers > 0, kramers, 1.0), 0.0)
    for row in reversed(range(len(known) - 1)):
        multiple[row] = np.where(kramers[row] > 0, multiple[row], multiple[row + 1])
    upper = int(np.clip(np.searchsorted(voltages, tube.voltage), 1, len(voltages) - 1))
    share = (tube.voltage - voltages[upper - 1]) / (voltages[upper] - voltages[upper - 1])
    mixed = (1 - share) * multiple[upper - 1] + share * multiple[upper]
    return mixed * np.maximum(tube.voltage / energy - 1, 0)


def _line(stored: dict[str, np.ndarray], row: int, anode: int, tube: Tube) -> float:
    """Photons [1/(sr electron)] of one anode line: log-log in the overvoltage, on one side of the edge."""
    edge, valid = stored["line_edge_kev"][row], stored["valid"][anode]
    photons = _between_angles(stored["line_photons"][row], stored["takeoff_deg"], tube.take_off)
    above = np.flatnonzero(valid & (photons > 0))
    x, y = np.log(stored["kv"][above] / edge - 1), np.log(photons[above])
    at = np.log(tube.voltage / edge - 1)
    if at < x[0]:
        return float(np.exp(y[0] + (y[1] - y[0]) / (x[1] - x[0]) * (at - x[0])))
    return float(np.exp(np.interp(at, x, y)))


def _between_angles(values: np.ndarray, angles: np.ndarray, angle: float) -> np.ndarray:
    """Interpolate `values` [voltage, angle, ...] linearly in the take-off angle."""
    upper = int(np.clip(np.searchsorted(angles, angle), 1, len(angles) - 1))
    share = (angle - angles[upper - 1]) / (angles[upper] - angles[upper - 1])
    return (1 - share) * values[:, upper - 1].astype(np.float64) + share * values[:, upper]


@cache
def _spectra() -> dict[str, np.ndarray]:
    with (files("velatura.physics") / "tables" / "tubes.npz").open("rb") as stream, np.load(stream) as stored:
        return {key: stored[key] for key in stored.files}
