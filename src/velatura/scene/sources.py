"""A bank of sources: which photons sampled stacks send to a detector that is drawn only later.

Physics up to the painting's surface is dear, and the detector is cheap; so each group of stacks shares a tube and a
geometry, and its photons are kept by energy before any gas, window or crystal. `training` then counts the same photons
through another detector at every step. Scattered photons lie on a fine grid of energies.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from velatura.base.aside import written_aside
from velatura.base.axis import channel_edges
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.physics.detector import Detector, resolved_grid
from velatura.physics.instrument import Instrument, instrument_from, random_instrument
from velatura.physics.scatter import DOPPLER_GROUPS, entry_densities
from velatura.physics.simulate import Scanner, photons_of, prepare
from velatura.physics.stack import Packed
from velatura.scene.classes import xrf_classes
from velatura.scene.evidence_bank import Labels
from velatura.scene.rivals import decided
from velatura.scene.sampler import Sampling, sample_elements, sample_stacks
from velatura.scene.strangers import FAMILIES, PIECE, UNSEEN, is_stranger, strangers

SHARPEST = Detector(noise=0.04)  # the best resolution that the grid serves
STEPS_PER_FWHM = 2.0
BRIGHTEST = 2.0**14  # largest number of a stack's photons: half precision then reaches down by twelve decades
COMPOUNDS, PIECES = 12, 24  # strangers in a group that has some
BARE = 0.15  # share of its stacks that are such a piece
BLOCK = 128  # the number of sources is filled up to a multiple, so that programs are compiled once


@dataclass(frozen=True)
class SourcePlan:
    """What a bank holds; every group can be made alone, in any order, always the same."""

    groups: int
    """Each with a tube and a geometry of its own."""
    stacks: int = 1024
    """In a group."""
    seed: int = 0
    held_out: float = 0.1
    """Share of the groups whose instruments and stacks training never sees: half to calibrate by, half to test on."""
    kept_back: float = 0.1
    """Share of the stacks of all other groups that training never sees."""
    drawn: Sampling = field(default_factory=lambda: Sampling(balance=0.5))
    cells: int = 2
    """Slices of a layer for secondary fluorescence."""
    instrument: Instrument | None = None
    """Tube and geometry of every group, for one scanner; None: drawn at random for each."""
    painted_over: float = 1.0
    """Share of stacks with a hidden paint in every second group for training: a network learns what tells it from a
    mixture from few of them."""
    strange_every: int = 3
    """Every n-th group has materials that are no pigments among its own."""

    def __post_init__(self) -> None:
        for name in ("held_out", "kept_back"):
            if not 0 < getattr(self, name) <= 0.5:
                raise InputError(f"{name} is a share above 0, at most 0.5; found {getattr(self, name):g}")
        least = round(1 / self.held_out) + 1
        if self.groups < least or self.stacks < 2:
            raise InputError(
                f"a bank needs {least} groups, so that two are held out, of two stacks or more; "
                f"found {self.groups} and {self.stacks}"
            )


class Split(NamedTuple):
    """Numbers of the groups."""

    training: tuple[int, ...]
    calibration: tuple[int, ...]
    held_out: tuple[int, ...]
    """For the final scores only."""


class SourceGroup(NamedTuple):
    """Stacks seen by one tube from one side."""

    photons: np.ndarray
    """Towards the detector, float16 [stack, source], each stack in a unit of its own; the last sources may be empty."""
    energy: np.ndarray
    """Of each source [keV], float64 [source]."""
    lines: int
    """Number of the first sources, which are fluorescence; all others are scattered."""
    labels: Labels
    training: int
    """Number of the first stacks, which are for training; the others are kept back."""
    instrument: Instrument
    """Tube, geometry and scattering of the group; its detector is only the one that the evidence was computed for."""


def split(plan: SourcePlan) -> Split:
    """Return what the groups are for; every n-th is held out, in turn for both ends, so that a bank may grow later."""
    every = round(1 / plan.held_out)
    apart = tuple(range(0, plan.groups, every))
    return Split(tuple(number for number in range(plan.groups) if number % every), apart[::2], apart[1::2])


def drawn_of(plan: SourcePlan, number: int) -> Sampling:
    """Return how the stacks of one group are drawn: as planned, with strangers in every third group or so.

    Metals are drawn as powder (shell gold) unless the plan names a palette. Every second group for training has more
    hidden paints, `painted_over`.
    """
    names = plan.drawn.palette or tuple(name for name, row in plan.drawn.table.items() if row.kind == "pigment")
    taught = number in split(plan).training
    drawn = replace(plan.drawn, palette=names, hidden=plan.painted_over if taught and number % 2 else plan.drawn.hidden)
    if number % plan.strange_every != 1 % plan.strange_every:
        return drawn
    family = FAMILIES[number // plan.strange_every % len(FAMILIES)] if taught else UNSEEN
    rng = np.random.default_rng((plan.seed, number, 2))
    table = strangers(family, compounds=COMPOUNDS, pieces=PIECES, rng=rng, table=plan.drawn.table)
    made_up = tuple(name for name in table if is_stranger(name))
    pieces = tuple(name for name in made_up if name.startswith(PIECE))
    return replace(drawn, palette=(*names, *made_up), table=table, pieces=pieces, bare=BARE)


def source_group(plan: SourcePlan, number: int, *, progress: Progress = silent) -> SourceGroup:
    """Compute one group of a bank: 18 ms a stack on two cores for the evidence, and seconds to compile for its tube.

    Raises InputError for a number that the bank does not have.
    """
    if not 0 <= number < plan.groups:
        raise InputError(f"the bank has the groups 0 to {plan.groups - 1}; asked for {number}")
    drawn = drawn_of(plan, number)
    instrument = plan.instrument or random_instrument(rng=np.random.default_rng((plan.seed, number, 0)))
    scanner = prepare(instrument, _elements(drawn))
    rng = np.random.default_rng((plan.seed, number, 1))
    sampled = sample_stacks(plan.stacks, scanner.elements, options=drawn, rng=rng)
    classes = xrf_classes(drawn.table)
    labels = decided(sampled, scanner, classes, options=drawn, cells=plan.cells, progress=progress)
    labels = _folded(labels, [is_stranger(row.name) for row in classes])
    photons, energy, lines = sources_of(sampled.packed, scanner, cells=plan.cells)
    kept_back = 0 if number not in split(plan).training else max(1, round(plan.kept_back * plan.stacks))
    return SourceGroup(photons, energy, lines, labels, plan.stacks - kept_back, instrument)


def _elements(drawn: Sampling) -> tuple[str, ...]:
    """Elements to prepare a scanner for: whole families, so that programs are compiled once for each."""
    needed = {*sample_elements(drawn)}
    return tuple(needed.union(*(family for family in (*FAMILIES, UNSEEN) if needed & {*family})))


def _folded(labels: Labels, strange: Sequence[bool]) -> Labels:
    """All strangers as one class, the last one: their shares and masses together, and the best evidence."""
    known = ~np.array(strange)

    def folded(values: np.ndarray, last: np.ndarray) -> np.ndarray:
        return np.concatenate([values[..., known], last[..., None]], axis=-1)

    def best(values: np.ndarray) -> np.ndarray:
        return folded(values, values[..., ~known].max(axis=-1, initial=0.0))

    def total(values: np.ndarray) -> np.ndarray:
        return folded(values, values[..., ~known].sum(axis=-1))

    absence = folded(labels.absence, labels.absence[..., ~known].min(axis=-1, initial=np.inf))
    return Labels(
        best(labels.delta_chi2), labels.order, total(labels.share), total(labels.mass_thickness), absence,
        best(labels.unrivalled),
    )  # fmt: skip


def sources_of(packed: Packed, scanner: Scanner, *, cells: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return photons float16 [stack, source], their energies [source] keV, and how many sources are fluorescence."""
    fold, energy = _fold(scanner)
    lines = len(scanner.bench.excitation.line_energy)
    empty = -len(energy) % BLOCK
    found = np.concatenate([np.asarray(chunk) for chunk in photons_of(*packed, scanner, cells=cells)])
    found = np.concatenate([found[:, :lines], found[:, lines:] @ fold], axis=1)
    photons = np.zeros((len(found), len(energy) + empty), np.float16)
    photons[:, : len(energy)] = found * (BRIGHTEST / found.max(axis=1, keepdims=True))
    return photons, np.concatenate([energy, np.full(empty, energy[-1])]), lines


def write_group(path: Path, group: SourceGroup) -> None:
    """Write a group as .npz; it takes its place in one step."""
    arrays = {"photons": group.photons, "energy": group.energy, **group.labels._asdict()}
    with written_aside(Path(path)) as aside, aside.open("wb") as file:
        np.savez(
            file, allow_pickle=False, lines=group.lines, training=group.training,
            instrument=json.dumps(asdict(group.instrument, dict_factory=_without_none)), **arrays,
        )  # fmt: skip


def read_group(path: Path) -> SourceGroup:
    """Read what `write_group` wrote. Raises InputError for anything else."""
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        labels = Labels(**{name: held[name] for name in Labels._fields})
        instrument = instrument_from(json.loads(str(held["instrument"])), where=str(path))
        numbers = int(held["lines"]), labels, int(held["training"]), instrument
        return SourceGroup(held["photons"], held["energy"], *numbers)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputError(f"{path} holds no group of sources ({error}). Make it again") from error


def _without_none(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields that are not set stay out of the file, as in an instrument's TOML."""
    return {name: value for name, value in pairs if value is not None}


def _fold(scanner: Scanner) -> tuple[np.ndarray, np.ndarray]:
    """Matrix [entry, source] from the scattered part of `emitted` to Rayleigh lines and the grid; all energies [keV].

    The energies are those of the fluorescence lines, the anode's lines and the grid.
    """
    instrument, excitation = scanner.instrument, scanner.bench.excitation
    low, width, beam, energy = (
        np.asarray(getattr(excitation, name), np.float64) for name in ("low", "width", "beam", "energy")
    )
    grid = resolved_grid(SHARPEST, instrument.tube.voltage + 0.5, steps=STEPS_PER_FWHM)
    cell = np.diff(channel_edges(grid))
    bins, peaks = np.flatnonzero((width > 0) & (beam > 0)), np.flatnonzero((width == 0) & (beam > 0))
    coherent = np.zeros((len(energy), len(peaks) + len(grid)))
    coherent[peaks, np.arange(len(peaks))] = 1.0
    middle = low[bins] + width[bins] / 2
    hats = np.array([np.interp(grid, middle, row, left=0.0, right=0.0) for row in np.eye(len(bins))]) * cell
    coherent[bins, len(peaks) :] = hats / hats.sum(axis=1, keepdims=True)
    geometry = instrument.geometry
    incoherent = np.zeros((len(energy), len(DOPPLER_GROUPS), coherent.shape[1]))
    used = np.concatenate([bins, peaks])
    incoherent[used, :, len(peaks) :] = cell * entry_densities(
        low[used], width[used], grid, angle=geometry.scattering_angle(), acceptance=geometry.acceptance,
        twice=instrument.multiple,
    )  # fmt: skip
    fold = np.concatenate([coherent, incoherent.reshape(-1, coherent.shape[1])])
    energies = np.concatenate([np.asarray(excitation.line_energy, np.float64), energy[peaks], grid])
    return fold.astype(np.float32), energies
