"""Spectra of a few stacks through many instruments, as fits of an instrument need them.

What `simulate` computes for many stacks and one instrument, in another order: photons are first gathered on one energy
grid and then spread over the channels, and what a change of the instrument leaves alone is kept.
"""

from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from velatura.base.axis import channel_edges
from velatura.physics.counting import pile_up, smooth_background
from velatura.physics.detector import Detector, line_response, resolved_grid
from velatura.physics.excitation import Excitation
from velatura.physics.fluorescence import lines
from velatura.physics.instrument import Geometry, Instrument
from velatura.physics.scatter import doppler_groups, entry_densities, scattered
from velatura.physics.simulate import BACKGROUND_DECAY
from velatura.physics.stack import Stack, elements_of, pack
from velatura.physics.surroundings import excited, gap_mass, gas_of, parasite_lines, passed
from velatura.physics.tube import Tube

SHARPEST = Detector(noise=0.05)  # the best resolution that the steps of the grid serve
STEPS_PER_FWHM = 2.2


class Parts(NamedTuple):
    """Photons towards the detector from each stack, per photon of the beam and sr; before the gas in front of it."""

    line_energy: np.ndarray
    """[l] (keV)"""
    lines: np.ndarray
    """[stack, l]"""
    rayleigh_energy: np.ndarray
    """Of the anode's lines [k] (keV)."""
    rayleigh: np.ndarray
    """[stack, k]"""
    grid: np.ndarray
    """[m] (keV)"""
    bremsstrahlung: np.ndarray
    """Rayleigh scatter of the continuum, photons in each cell of the grid [stack, m]."""
    compton: np.ndarray
    """Scattered once by Compton effect [stack, m]."""
    twice: np.ndarray
    """Scattered twice, for one photon scattered twice per photon scattered once [stack, m]."""


class Trials:
    """Stacks that are simulated again and again, with one instrument after the other."""

    def __init__(self, stacks: tuple[Stack, ...], geometry: Geometry, *, cells: int = 6) -> None:
        """Pack the stacks; geometry: tells the gas above them; cells: slices of a layer for secondary fluorescence."""
        gas = gas_of(geometry)
        self.elements = tuple(sorted({*elements_of(stacks), *gas}))
        self.cells = cells
        slots = max(len(stack.layers) for stack in stacks)
        packed = pack(stacks, self.elements, slots=slots)
        over = np.zeros((len(stacks), 1, len(self.elements)), np.float32)
        over[:, 0] = [gas.get(element, 0.0) for element in self.elements] if gas else packed.shares[:, 0]
        self.mass, self.shares = packed.mass, np.concatenate([over, packed.shares], axis=1)
        self.parts = lru_cache(maxsize=4)(self._parts)

    def spectra(self, instrument: Instrument) -> np.ndarray:
        """Return noiseless spectra float64 [stack, channel], in the unit of `expected_counts` and equal to it."""
        axis, detector = instrument.axis(), instrument.detector
        parts = self.parts(instrument.tube, instrument.geometry)
        through = partial(passed, instrument.geometry)
        energies = np.concatenate([parts.line_energy, parts.rayleigh_energy, parts.grid])
        response = (line_response(energies, axis, detector=detector) * through(energies)[:, None]).astype(np.float64)
        ends = np.cumsum([len(parts.line_energy), len(parts.rayleigh_energy)])
        fluorescence, rayleigh, spread = np.split(response, ends)
        continuum = parts.bremsstrahlung + parts.compton + instrument.multiple * parts.twice
        scatter = instrument.scatter * (parts.rayleigh @ rayleigh + continuum @ spread)
        total = scatter.sum(axis=1, keepdims=True)
        counts = parts.lines @ fluorescence + scatter + total * parasite_lines(instrument, axis)
        smooth = np.asarray(smooth_background(jnp.asarray(axis, jnp.float32), decay=BACKGROUND_DECAY), np.float64)
        counts = counts + counts.sum(axis=1, keepdims=True) * instrument.background * smooth
        if not detector.pile_up:
            return counts
        zero = -instrument.zero / instrument.gain
        return np.stack([np.asarray(pile_up(row, detector.pile_up, zero_channel=zero), np.float64) for row in counts])

    def _parts(self, tube: Tube, geometry: Geometry) -> Parts:
        excitation = excited(tube, geometry, self.elements)
        mass = np.concatenate([np.full((len(self.mass), 1), gap_mass(geometry), np.float32), self.mass], axis=1)
        emitted, coherent, incoherent = (
            np.asarray(part, np.float64)
            for part in _photons(mass, self.shares, excitation, doppler_groups(self.elements), cells=self.cells)
        )
        low, width, photons = (np.asarray(getattr(excitation, name), np.float64) for name in ("low", "width", "beam"))
        bins, peaks = np.flatnonzero((width > 0) & (photons > 0)), np.flatnonzero((width == 0) & (photons > 0))
        grid = _grid(tube.voltage)
        middle, cell = low[bins] + width[bins] / 2, np.diff(channel_edges(grid))
        density = coherent[:, bins] / width[bins]
        straight = np.array([np.interp(grid, middle, row, left=row[0], right=0.0) for row in density]) * cell
        straight *= density @ width[bins][:, None] / np.maximum(straight.sum(axis=1, keepdims=True), 1e-300)
        used = np.concatenate([bins, peaks])
        once, twice = _doppler(
            tuple(low[used].round(6).tolist()), tuple(width[used].tolist()), tube.voltage,
            geometry.scattering_angle(), geometry.acceptance,
        )  # fmt: skip
        return Parts(
            np.asarray(excitation.line_energy, np.float64), emitted / (4 * np.pi), low[peaks], coherent[:, peaks],
            grid, straight, np.einsum("sed,edm->sm", incoherent[:, used], once),
            np.einsum("sed,edm->sm", incoherent[:, used], twice),
        )  # fmt: skip


@partial(jax.jit, static_argnames="cells")
def _photons(
    mass: Float[Array, "s j"], shares: Float[Array, "s j z"], excitation: Excitation, groups: Array, *, cells: int
) -> tuple[Array, Array, Array]:
    """Lines into 4 pi [s, l], Rayleigh [s, e] and Compton scatter [s, e, d] per sr of each stack."""
    with jax.default_matmul_precision("highest"):
        emitted = jax.vmap(lambda m, s: lines(m, s, excitation, cells=cells))(mass, shares)
        scatter = jax.vmap(lambda m, s: scattered(m, s, excitation, groups=groups))(mass, shares)
    return emitted, scatter.coherent, scatter.incoherent


@lru_cache(maxsize=8)
def _doppler(
    low: tuple[float, ...], width: tuple[float, ...], voltage: float, angle: float, acceptance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where photons of each entry lie on the grid after one and after two scatterings, each [e, d, m]."""
    grid = _grid(voltage)
    once, both = (
        np.diff(channel_edges(grid))
        * entry_densities(np.array(low), np.array(width), grid, angle=angle, acceptance=acceptance, twice=twice)
        for twice in (0.0, 1.0)
    )
    return once, both - once


@lru_cache(maxsize=8)
def _grid(voltage: float) -> np.ndarray:
    """Energies [keV] close enough for the detector to see no steps."""
    return resolved_grid(SHARPEST, voltage + 0.5, steps=STEPS_PER_FWHM)
