"""What a painted stack sends to the detector: primary fluorescence and single scatter through its own absorption.

A simple forward model: parallel beam, layers of uniform thickness, Beer-Lambert attenuation on the way in and out
(closed form for each layer; Sherman, Spectrochim. Acta 7 (1955) 283), no secondary fluorescence.
Intensities are relative to each other: photons per incident photon, times a constant solid angle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from velatura.atomic.attenuation import coherent, fluorescence_production, incoherent, mass_attenuation
from velatura.atomic.lines import lines_of
from velatura.scene.palette import Paint

INCIDENCE, TAKE_OFF = np.deg2rad(90.0), np.deg2rad(40.0)  # from the surface: upright beam, scatter at 130 deg
TUBE_VOLTAGE = 40.0  # kV
TUBE_LINES = {2.697: 0.44, 20.17: 0.061, 22.74: 0.012}  # Rh La, Ka, Kb [keV]: share of the photons above 1 keV, and
CONTINUUM = 0.487  # of the continuum; spekpy 2.5.4 (Poludniowski et al., Med. Phys. 48 (2021) 3630), 15 deg
WINDOW = 1.848 * 125e-4  # g/cm2 of beryllium, 125 um
BACKSCATTER = (0.25, 1.1)  # coherent and incoherent cross section at 130 deg over total / 4 pi, rough means at 20 keV
ELECTRON_REST_ENERGY = 511.0  # keV
STEP = 0.5  # keV between effective energies of the continuum


@dataclass(frozen=True)
class Layer:
    """A paint and its thickness [um]."""

    paint: Paint
    thickness: float


@dataclass(frozen=True)
class Optics:
    """Cross sections of some elements at the energies that matter; built once for all stacks of a painting."""

    elements: tuple[str, ...]
    excitation: np.ndarray
    """Effective energies [keV], float64 [e]; the tube lines come last."""
    tube: np.ndarray
    """Share of the incident photons at each, float64 [e]."""
    line_energy: np.ndarray
    """[keV], float64 [l]"""
    line_element: np.ndarray
    """Index into `elements`, int [l]."""
    production: np.ndarray
    """Photons of a line per mass of its element and incident photon, float64 [e, l] (cm2/g)."""
    attenuation: tuple[np.ndarray, ...]
    """At the excitation energies, after Compton scatter, and at the lines: float64 [element, e or l] (cm2/g)."""
    scatter: np.ndarray
    """Coherent and incoherent backscatter, float64 [2, element, e] (cm2/g)."""


@dataclass(frozen=True)
class Emission:
    """Photons that leave a stack: in lines [l], and scattered coherently and incoherently, by energy before [2, e]."""

    lines: np.ndarray
    scatter: np.ndarray


def compton_energy(energy: np.ndarray) -> np.ndarray:
    """Energy [keV] after Compton scatter into the detector (Compton, 1923)."""
    return energy / (1 + energy / ELECTRON_REST_ENERGY * (1 - np.cos(INCIDENCE + TAKE_OFF)))


def prepare(paints: Sequence[Paint]) -> Optics:
    """Tabulate the cross sections of every element in `paints`."""
    elements = tuple(sorted({element for paint in paints for element in paint.mass_fractions()}))
    continuum = np.arange(1.25, TUBE_VOLTAGE, STEP)
    excitation = np.array([*continuum, *TUBE_LINES])
    shape = TUBE_VOLTAGE / continuum - 1  # Kramers' law, photons
    tube = np.array([*(CONTINUUM * shape / shape.sum()), *TUBE_LINES.values()])
    tube *= np.exp(-mass_attenuation("Be", excitation) * WINDOW)
    window = (0.9, TUBE_VOLTAGE)
    lines = [(k, line) for k, name in enumerate(elements) for line in lines_of(name, window=window)]
    shells = {(k, line.edge) for k, line in lines}
    produced = {(k, edge): fluorescence_production(elements[k], edge, excitation) for k, edge in shells}
    line_energy = np.array([line.energy for _, line in lines])
    at = (excitation, compton_energy(excitation), line_energy)
    parts = zip((coherent, incoherent), BACKSCATTER, strict=True)
    return Optics(
        elements=elements,
        excitation=excitation,
        tube=tube / tube.sum(),
        line_energy=line_energy,
        line_element=np.array([k for k, _ in lines]),
        production=np.stack([produced[k, line.edge] * line.rate for k, line in lines], axis=1),
        attenuation=tuple(np.stack([mass_attenuation(name, energy) for name in elements]) for energy in at),
        scatter=np.stack([[share * part(name, excitation) for name in elements] for part, share in parts]),
    )


def emit(layers: Sequence[Layer], optics: Optics) -> Emission:
    """Follow the beam down the stack. `layers`: support first, as a stack is listed; the top one comes last."""
    lines, scatter = np.zeros(len(optics.line_energy)), np.zeros((2, len(optics.excitation)))
    into, out, scattered_out = optics.tube / np.sin(INCIDENCE), np.ones(len(lines)), np.ones_like(scatter)
    for layer in reversed(layers):
        shares = layer.paint.mass_fractions()
        weight = np.array([shares.get(name, 0.0) for name in optics.elements])
        mass = layer.paint.density() * layer.thickness * 1e-4  # g/cm2
        down, softened, up = (mass * (weight @ table) for table in optics.attenuation)
        down, up = down / np.sin(INCIDENCE), up / np.sin(TAKE_OFF)
        back = np.stack([mass * (weight @ optics.attenuation[0]), softened]) / np.sin(TAKE_OFF)
        mean = _mean_transmission(down[:, None] + up)
        lines += mass * weight[optics.line_element] * out * np.einsum("e,el,el->l", into, optics.production, mean)
        scatter += mass * (weight @ optics.scatter) * into * scattered_out * _mean_transmission(down + back)
        into, out, scattered_out = into * np.exp(-down), out * np.exp(-up), scattered_out * np.exp(-back)
    return Emission(lines, scatter)


def _mean_transmission(depth: np.ndarray) -> np.ndarray:
    """(1 - exp(-x)) / x, the mean of exp(-x s) over s in 0..1; 1 at x = 0."""
    return -np.expm1(-depth) / np.maximum(depth, 1e-12)
