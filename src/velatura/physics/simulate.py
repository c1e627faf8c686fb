"""The whole forward model: from stacks of paint to the noiseless spectra that one instrument counts.

A prepared scanner holds everything that depends on the instrument and the elements; stacks then cost about a
millisecond each on two cores. All is linear in the emitted photons but the pile-up, and differentiable.
"""

from collections.abc import Iterator
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from velatura.base.progress import Progress, silent
from velatura.physics.counting import pile_up, smooth_background
from velatura.physics.detector import box_response, line_response, profile_response
from velatura.physics.excitation import Excitation
from velatura.physics.fluorescence import lines
from velatura.physics.instrument import Instrument
from velatura.physics.material import materials
from velatura.physics.scatter import DOPPLER_GROUPS, doppler_groups, entry_densities, scattered
from velatura.physics.stack import Packed
from velatura.physics.surroundings import excited, gap_mass, gas_of, parasite_lines, passed

CHUNK = {"cpu": 16}  # stacks at once: on a CPU they stay in its cache, three times as fast as a few hundred
LARGE_CHUNK = 4096  # elsewhere
BACKGROUND_DECAY = 8.0  # keV, of the smooth background
GRID_STEP = 0.5  # of the detector's noise (FWHM): grid of Compton-scattered photons


class Bench(NamedTuple):
    """The arrays of a prepared scanner, float32; a batch of stacks shares one."""

    excitation: Excitation
    gap_mass: Float[Array, ""]
    """Gas over the painting in view of the detector [g/cm2]."""
    gap_shares: Float[Array, " z"]
    """Its elements."""
    groups: Float[Array, "z d"]
    """Doppler group of each element."""
    response: Float[Array, "source channel"]
    """Counts per photon towards the detector, in the order of `emitted`."""
    pile_up: Float[Array, ""]
    """Probability that a photon is counted together with another one."""
    zero_channel: Float[Array, ""]
    """Channel of zero energy."""


class Scanner(NamedTuple):
    """An instrument made ready for stacks of some elements."""

    instrument: Instrument
    elements: tuple[str, ...]
    """Those that `pack` needs, in alphabetical order."""
    axis: np.ndarray
    """Channel centres [keV], float64."""
    bench: Bench


@cache
def usual_elements() -> tuple[str, ...]:
    """Return every element of our tables of materials: one set for all scenes, so that programs are compiled once."""
    return tuple(sorted({element for row in materials().values() for element in row.mass_fractions()}))


def prepare(instrument: Instrument, elements: tuple[str, ...] = ()) -> Scanner:
    """Fold tube, tables and detector response for one instrument, in some tenths of a second.

    elements: symbols that the stacks hold beyond the `usual_elements`.
    """
    geometry, axis, gas = instrument.geometry, instrument.axis(), gas_of(instrument.geometry)
    elements = tuple(sorted({*elements, *usual_elements()}))
    excitation = excited(instrument.tube, geometry, elements)
    arrays = (
        gap_mass(geometry), [gas.get(element, 0.0) for element in elements], doppler_groups(elements),
        _response(instrument, excitation, axis), instrument.detector.pile_up, -instrument.zero / instrument.gain,
    )  # fmt: skip
    bench = Bench(excitation, *(jnp.asarray(array, jnp.float32) for array in arrays))
    return Scanner(instrument, elements, axis, bench)


def expected_counts(packed: Packed, scanner: Scanner, *, cells: int = 3, progress: Progress = silent) -> np.ndarray:
    """Return the noiseless spectra float32 [stack, channel]: counts per photon of the beam and sr of the detector.

    packed: from `pack(stacks, scanner.elements)`; cells: slices of a layer for secondary fluorescence, 3 for pictures
    and training, 6 for measurements. Bright and dark stacks keep their ratio; scale them together to a dose.
    """
    number = len(packed.mass)
    spectra = np.empty((number, len(scanner.axis)), np.float32)
    for start, photons in _chunks(packed.mass, packed.shares, scanner, cells):
        part = np.asarray(_counted(photons, scanner.bench))[: number - start]
        spectra[start : start + len(part)] = part
        progress("spectra", start + len(part), number)
    return spectra


def photons_of(mass: np.ndarray, shares: np.ndarray, scanner: Scanner, *, cells: int) -> Iterator[Array]:
    """Yield the photons float32 [stack, source] of `emitted` for stacks in order; together they are as many as `mass`.

    mass: float32 [stack, slot] g/cm2, top first; shares: mass share of each element float32 [stack, slot, element];
    cells: slices of a layer for secondary fluorescence. One program serves this and `expected_counts`.
    """
    for start, photons in _chunks(mass, shares, scanner, cells):
        yield photons[: len(mass) - start]


def _chunks(mass: np.ndarray, shares: np.ndarray, scanner: Scanner, cells: int) -> Iterator[tuple[int, Array]]:
    """First stack and photons of each chunk; the last one is filled up, so that one size is compiled."""
    chunk = CHUNK.get(jax.default_backend(), LARGE_CHUNK)
    for start in range(0, len(mass), chunk):
        rows = np.minimum(np.arange(start, start + chunk), len(mass) - 1)
        yield start, _emitted(mass[rows], shares[rows], scanner.bench, cells=cells)


def spectrum(
    mass: Float[Array, " j"], shares: Float[Array, "j z"], bench: Bench, *, cells: int = 3
) -> Float[Array, " channel"]:
    """Return the noiseless spectrum of one stack, top layer first; differentiable; the caller vmaps and jits.

    mass: [g/cm2]; shares: mass share of each element. Unit as in `expected_counts`.
    """
    return counted(emitted(mass, shares, bench, cells=cells), bench)


def emitted(
    mass: Float[Array, " j"], shares: Float[Array, "j z"], bench: Bench, *, cells: int = 3
) -> Float[Array, " source"]:
    """Return the photons per sr that leave a stack towards the detector: lines, then Rayleigh, then Compton entries."""
    mass = jnp.concatenate([bench.gap_mass[None], mass])
    shares = jnp.concatenate([bench.gap_shares[None], shares])
    fluorescence = lines(mass, shares, bench.excitation, cells=cells) / (4 * jnp.pi)
    scatter = scattered(mass, shares, bench.excitation, groups=bench.groups)
    return jnp.concatenate([fluorescence, scatter.coherent, scatter.incoherent.ravel()])


def counted(photons: Float[Array, " source"], bench: Bench) -> Float[Array, " channel"]:
    """Return what the detector makes of these photons, pile-up included."""
    return pile_up(photons @ bench.response, bench.pile_up, zero_channel=bench.zero_channel)


@partial(jax.jit, static_argnames="cells")
def _emitted(mass: Array, shares: Array, bench: Bench, *, cells: int) -> Array:
    with jax.default_matmul_precision("highest"):
        return jax.vmap(lambda m, s: emitted(m, s, bench, cells=cells))(mass, shares)


@jax.jit
def _counted(photons: Array, bench: Bench) -> Array:
    with jax.default_matmul_precision("highest"):
        return jax.vmap(lambda p: counted(p, bench))(photons)


def _response(instrument: Instrument, excitation: Excitation, axis: np.ndarray) -> np.ndarray:
    """Counts [source, channel] per photon of lines, Rayleigh and Compton scatter, and what these bring along."""
    detector, geometry = instrument.detector, instrument.geometry
    energy, low, width, beam, line_energy = (
        np.asarray(getattr(excitation, name), np.float64) for name in ("energy", "low", "width", "beam", "line_energy")
    )
    counted = line_response(line_energy, axis, detector=detector) * passed(geometry, line_energy)[:, None]
    bins, peaks = np.flatnonzero((width > 0) & (beam > 0)), np.flatnonzero((width == 0) & (beam > 0))
    coherent = np.zeros((len(energy), len(axis)), np.float32)
    coherent[bins] = box_response(low[bins], low[bins] + width[bins], axis, detector=detector)
    coherent[peaks] = line_response(energy[peaks], axis, detector=detector)
    coherent *= passed(geometry, energy)[:, None]
    used = np.concatenate([bins, peaks])
    incoherent = np.zeros((len(energy), len(DOPPLER_GROUPS), len(axis)), np.float32)
    incoherent[used] = _compton_response(instrument, low[used], width[used], axis)
    scatter = np.concatenate([coherent, incoherent.reshape(-1, len(axis))])
    housing = parasite_lines(instrument, axis).astype(np.float32)
    scatter = instrument.scatter * (scatter + scatter.sum(axis=-1, keepdims=True) * housing)
    return _with_background(np.concatenate([counted, scatter]), instrument.background, axis)


def _compton_response(instrument: Instrument, low: np.ndarray, width: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Counts per Compton-scattered photon float32 [e, d, channel], for beam entries from `low` of `width` [e] keV."""
    geometry = instrument.geometry
    grid = np.arange(0.6, low.max() + width.max() + 1.0, GRID_STEP * instrument.detector.noise)
    density = entry_densities(
        low, width, grid, angle=geometry.scattering_angle(), acceptance=geometry.acceptance, twice=instrument.multiple
    )
    rows = (density * passed(geometry, grid)).reshape(-1, len(grid))
    return profile_response(grid, rows, axis, detector=instrument.detector).reshape(*density.shape[:2], -1)


def _with_background(rows: np.ndarray, share: float, axis: np.ndarray) -> np.ndarray:
    """Give every source a smooth companion that falls off slowly with the energy."""
    shape = np.asarray(smooth_background(jnp.asarray(axis, jnp.float32), decay=BACKGROUND_DECAY))
    return rows + share * rows.sum(axis=-1, keepdims=True) * shape
