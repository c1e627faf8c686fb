"""Tables of cross sections folded with the beam of one instrument, ready for the forward model.

The continuum is cut into bins of 0.5 keV; a table's value for a bin is its mean over the photons in the bin, so that
absorption edges inside it are shared rightly. Lines of the anode keep their own energies.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from velatura.atomic.attenuation import fluorescence_production, mass_attenuation
from velatura.atomic.lines import FAMILIES, Line, lines_of
from velatura.atomic.scattering import compton_energy, differential_coherent, differential_incoherent
from velatura.base.errors import InputError
from velatura.physics.tube import Beam

LOWEST, HIGHEST = 0.5, 60.0  # keV, of the atomic tables
BIN, STEP = 0.5, 0.01  # keV, width of a bin and of the steps over which it is averaged
MULTIPLE = 32  # entries of the beam are filled up to a multiple of it, so that instruments share compiled code
WINDOW = (0.9, 45.0)  # keV, of the lines
WEAKEST = 0.004  # lines below this share of their sub-shell are left out
SAME_LINE = 0.015  # keV; lines of a sub-shell as close as this become one
SOFTEST_EXCITER = 1.4  # keV
SAME_EXCITER = 1.1  # lines of a family whose energies have a ratio below this excite as one


class Excitation(NamedTuple):
    """What one instrument and one list of elements need of the tables; float32 arrays, integers int32.

    Axes: e entry of the beam (bins of the continuum, then anode lines, then entries without photons), z element,
    g sub-shell of an element, l emission line, x exciter (lines of an element merged for secondary fluorescence).
    """

    energy: Float[Array, " e"]
    """Mean energy of a bin, energy of a line [keV]."""
    low: Float[Array, " e"]
    """Lower end of a bin [keV]; the energy of a line."""
    width: Float[Array, " e"]
    """Width of a bin [keV]; 0 for a line."""
    beam: Float[Array, " e"]
    """Share of the photons that reach the sample; sums to 1."""
    attenuation_in: Float[Array, "z e"]
    """Total mass attenuation of the beam [cm2/g]."""
    attenuation_out: Float[Array, "z l"]
    """Total mass attenuation of the lines [cm2/g]."""
    attenuation_softened: Float[Array, "z e"]
    """Total mass attenuation at the Compton energy [cm2/g]."""
    coherent: Float[Array, "z e"]
    """Rayleigh scatter towards the detector [cm2/g/sr]."""
    incoherent: Float[Array, "z e"]
    """Compton scatter towards the detector [cm2/g/sr]."""
    compton_energy: Float[Array, " e"]
    """Energy after Compton scatter towards the detector [keV]."""
    production: Float[Array, "e g"]
    """Photons of a sub-shell per photon and mass of the element [cm2/g]."""
    shell_element: Int[Array, " g"]
    """Index of the element of each sub-shell."""
    line_energy: Float[Array, " l"]
    """[keV]"""
    line_rate: Float[Array, " l"]
    """Share of the line in the photons of its sub-shell."""
    line_element: Int[Array, " l"]
    """Index of the element of each line."""
    line_shell: Int[Array, " l"]
    """Index g of each line."""
    exciter_energy: Float[Array, " x"]
    """Mean energy [keV]."""
    exciter_rate: Float[Array, "g x"]
    """Photons of an exciter per photon of a sub-shell."""
    exciter_attenuation: Float[Array, "z x"]
    """Total mass attenuation, mean over the merged lines [cm2/g]."""
    exciter_production: Float[Array, "x g"]
    """Photons of a sub-shell per photon of an exciter and mass, mean over the merged lines [cm2/g]."""
    sin_in: Float[Array, ""]
    """Sine of the incidence angle, from the surface."""
    sin_out: Float[Array, ""]
    """Sine of the take-off angle, from the surface."""


def excite(
    beam: Beam,
    elements: tuple[str, ...],
    *,
    incidence_angle: float = 90.0,
    take_off_angle: float = 45.0,
    scattering_angle: float | None = None,
) -> Excitation:
    """Fold the tables of some elements with the beam of an instrument.

    elements: symbols, in the order of the shares of the stacks; incidence_angle, take_off_angle: from the surface
    [deg]; scattering_angle: of `Geometry.scattering_angle` [deg], their sum if not given. Number and order of lines
    and exciters depend on the elements alone. Raises InputError for an unknown or repeated element, angles outside 0
    to 90 deg, and a beam that is empty or leaves 0.5 to 60 keV.
    """
    for name, angle in (("incidence", incidence_angle), ("take-off", take_off_angle)):
        if not 0 < angle <= 90:
            raise InputError(f"the {name} angle must be above 0 and up to 90 deg, from the surface; found {angle:g}")
    fine, emission = _cut(beam), emission_of(tuple(elements))
    angle = incidence_angle + take_off_angle if scattering_angle is None else scattering_angle
    softened = compton_energy(fine.energy, angle)
    tables = {
        "energy": fine.energy,
        "attenuation_in": [mass_attenuation(z, fine.energy) for z in elements],
        "attenuation_softened": [mass_attenuation(z, np.maximum(softened, LOWEST)) for z in elements],
        "coherent": [differential_coherent(z, fine.energy, angle) for z in elements],
        "incoherent": [differential_incoherent(z, fine.energy, angle) for z in elements],
        "compton_energy": softened,
        "production": _production(emission.shells, fine.energy),
    }
    photons = np.add.reduceat(fine.photons, fine.start)
    found = {name: np.add.reduceat(fine.photons * table, fine.start, -1) / photons for name, table in tables.items()}
    found |= {"low": fine.low, "width": fine.width}
    spare = -len(photons) % MULTIPLE
    found = {name: np.pad(v, [(0, 0)] * (v.ndim - 1) + [(0, spare)], mode="edge") for name, v in found.items()}
    found |= {"beam": np.pad(photons / photons.sum(), (0, spare)), "production": found["production"].T}
    found |= {"sin_in": np.sin(np.radians(incidence_angle)), "sin_out": np.sin(np.radians(take_off_angle))}
    found |= {name: value for name, value in emission._asdict().items() if name != "shells"}
    return Excitation(**{name: _device_array(value) for name, value in found.items()})


class Emission(NamedTuple):
    """Lines, sub-shells and exciters of some elements, which no beam changes; arrays as in `Excitation`, float64."""

    shells: tuple[tuple[str, str], ...]
    """(element, sub-shell) of each index g."""
    shell_element: np.ndarray
    line_energy: np.ndarray
    line_rate: np.ndarray
    line_element: np.ndarray
    line_shell: np.ndarray
    attenuation_out: np.ndarray
    exciter_energy: np.ndarray
    exciter_rate: np.ndarray
    exciter_attenuation: np.ndarray
    exciter_production: np.ndarray


@cache
def emission_of(elements: tuple[str, ...], *, same_exciter: float = SAME_EXCITER) -> Emission:
    """Gather lines and exciters of some elements. Raises InputError for an unknown or repeated element, or for none.

    same_exciter: lines of a family merge into one exciter while the ratio of their energies stays below it.
    """
    if len(set(elements)) < len(elements) or not elements:
        raise InputError(f"elements must be different symbols, one or more; found {', '.join(elements) or 'none'}")
    every = [line for z in elements for line in lines_of(z, window=WINDOW) if line.rate >= WEAKEST]
    shells = tuple(dict.fromkeys((line.element, line.edge) for line in every))
    merged = [same for shell in shells for same in _merge(every, shell, lambda a, b: b - a <= SAME_LINE)]
    energy = np.array([np.average([i.energy for i in same], weights=[i.rate for i in same]) for same in merged])
    hard = [line for line in every if line.energy >= SOFTEST_EXCITER]
    families = [(z, family) for z in elements for family in FAMILIES]
    exciters = [same for family in families for same in _merge(hard, family, lambda a, b: b / a < same_exciter)]
    members = [line for same in exciters for line in same]
    column = np.repeat(np.arange(len(exciters)), [len(same) for same in exciters])
    shell_of = [shells.index((line.element, line.edge)) for line in members]
    rate, weight = np.zeros((len(shells), len(exciters))), np.zeros((len(members), len(exciters)))
    for line, shell, group in zip(members, shell_of, column, strict=True):
        rate[shell, group] += line.rate
    weight[np.arange(len(members)), column] = [line.weight + 1e-9 * line.rate for line in members]
    weight /= weight.sum(0)
    hard_energy = np.array([line.energy for line in members])
    return Emission(
        shells=shells,
        shell_element=np.array([elements.index(z) for z, _ in shells], np.int32),
        line_energy=energy,
        line_rate=np.array([sum(line.rate for line in same) for same in merged]),
        line_element=np.array([elements.index(same[0].element) for same in merged], np.int32),
        line_shell=np.array([shells.index((same[0].element, same[0].edge)) for same in merged], np.int32),
        attenuation_out=np.stack([mass_attenuation(z, energy) for z in elements]),
        exciter_energy=hard_energy @ weight,
        exciter_rate=rate,
        exciter_attenuation=np.stack([mass_attenuation(z, hard_energy) for z in elements]) @ weight,
        exciter_production=weight.T @ _production(shells, hard_energy).T,
    )


def _production(shells: tuple[tuple[str, str], ...], energy: np.ndarray) -> np.ndarray:
    """Photons of each sub-shell per photon of `energy` and mass of its element [g, energy], cm2/g."""
    found = [fluorescence_production(element, shell, energy) for element, shell in shells]
    return np.array(found).reshape(len(shells), len(energy))


def _merge(lines: list[Line], owner: tuple[str, str], alike: Callable[[float, float], bool]) -> list[list[Line]]:
    """Group the lines of (element, family or sub-shell) so that the softest and hardest of a group are alike."""
    groups: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.energy):
        if (line.element, line.edge[: len(owner[1])]) != owner:
            continue
        if groups and alike(groups[-1][0].energy, line.energy):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


class _Fine(NamedTuple):
    """The continuum on steps of 0.01 keV, bin after bin, and then the lines; start: first step of each entry."""

    energy: np.ndarray
    photons: np.ndarray
    start: np.ndarray
    low: np.ndarray
    width: np.ndarray


def _cut(beam: Beam) -> _Fine:
    """Cut the continuum into bins and put the lines behind; without entries that hold no photons."""
    steps = np.arange(LOWEST + STEP / 2, HIGHEST, STEP)
    photons = np.zeros(len(steps))
    if len(beam.energy):
        half = np.median(np.diff(beam.energy)) / 2 if len(beam.energy) > 1 else BIN / 2
        photons = np.interp(steps, beam.energy, beam.photons) * STEP / (2 * half)
        photons[(steps < beam.energy[0] - half) | (steps > beam.energy[-1] + half)] = 0.0
    bins = photons.reshape(-1, round(BIN / STEP))
    filled, lit = bins.sum(axis=1) > 0, np.asarray(beam.line_photons) > 0
    count, lines = np.count_nonzero(filled), np.asarray(beam.line_energy)[lit]
    energies = np.concatenate([beam.energy, lines])
    if not len(energies) or energies.min() < LOWEST or energies.max() > HIGHEST or not count + len(lines):
        found = f"{energies.min():g} to {energies.max():g} keV" if len(energies) else "no photons"
        raise InputError(f"a beam needs photons of {LOWEST:g} to {HIGHEST:g} keV; found {found}")
    return _Fine(
        energy=np.concatenate([steps.reshape(bins.shape)[filled].ravel(), lines]),
        photons=np.concatenate([bins[filled].ravel(), np.asarray(beam.line_photons)[lit]]),
        start=np.concatenate([np.arange(count) * bins.shape[1], count * bins.shape[1] + np.arange(len(lines))]),
        low=np.concatenate([LOWEST + BIN * np.flatnonzero(filled), lines]),
        width=np.concatenate([np.full(count, BIN), np.zeros(len(lines))]),
    )


def _device_array(values: np.ndarray) -> Array:
    """Return integers as int32 and all else as float32 on the device."""
    return jnp.asarray(values, jnp.int32 if np.issubdtype(np.asarray(values).dtype, np.integer) else jnp.float32)
