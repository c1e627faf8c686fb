"""Could other pigments of the library stand for one that is there? The evidence against them all, and for absence.

`evidence_bank` asks what a spectrum would be without a class while everything else in the stack may change. A stricter
question decides which answers can be right or wrong at all: the same volume of other pigments may take its place, any
mixture of those that share one of its elements, and the class itself may lie in the other paint instead. Zinc white
with barium white stands for lithopone; then nobody can tell which of the three is there, and none of the three counts.

What replaces the pigment is computed exactly at full exchange and mixed linearly, with amounts of zero or more. Where
one paint of the pigments of both would look the same, nothing counts as hidden, and nothing that is hidden counts as
absent from the visible paint. Where a visible class might as well lie beneath, it does not count as absent there; that
it is visible counts all the same, as the simpler answer.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from velatura.atomic.elements import atomic_number
from velatura.base.progress import Progress, silent
from velatura.physics.material import Materials, material
from velatura.physics.simulate import Scanner
from velatura.scene.classes import XrfClass, class_matrix
from velatura.scene.evidence_bank import HIDDEN, Evidence, Labels, evidence_blocks, spanned, spectra_of, windows
from velatura.scene.parts import FIRST
from velatura.scene.sampler import PAINTS, SLOTS, Sampled, Sampling, pigments_of
from velatura.scene.strangers import is_stranger

LIGHTEST = 11  # atomic number: elements below have no line to be taken for another's
LEAST_SHARE = 0.01  # of the mass: elements that a rival must share
TAKEN = 0.02  # share of the volume from which a rival counts as part of the explanation


def decided(
    sampled: Sampled, scanner: Scanner, classes: Sequence[XrfClass],
    *, options: Sampling, cells: int = 2, progress: Progress = silent,
) -> Labels:  # fmt: skip
    """Return the labels of `evidence_bank.labels_of` with `delta_chi2` and `absence` as the best rivals leave them.

    About 50 spectra a stack are computed.
    """
    belongs = class_matrix(pigments_of(options), classes, table=options.table)
    rivals, volumes = rivals_of(classes, options.table), _volumes(classes, scanner.elements, options.table)
    chi2 = np.zeros((len(sampled.thickness), len(PAINTS), len(classes)), np.float32)
    order, alone, absence = np.zeros((len(chi2), 1), np.float32), chi2.copy(), np.full_like(chi2, np.inf)
    blocks = evidence_blocks(sampled, scanner, classes, options=options, cells=cells, progress=progress)
    for rows, evidence in blocks:
        alone[rows][tuple(evidence.labels.T)], order[rows, 0] = evidence.delta_chi2, evidence.order
        settled = _settled(_contest(evidence, volumes, rivals), evidence, scanner, cells=cells)
        for (stack, paint, group), plain, found in zip(evidence.labels, evidence.delta_chi2, settled, strict=True):
            chi2[rows][stack, paint, group] = min(plain, found.left)
            for where, other, left in found.stand_ins:
                absence[rows][stack, where, other] = min(absence[rows][stack, where, other], left)
            swapped = absence[rows][stack, 1 - paint]
            swapped[group] = min(swapped[group], found.swapped)
    share, mass = sampled.volume_share @ belongs, sampled.mass_thickness @ belongs
    chi2[:, 1] = np.minimum(chi2[:, 1], order)
    stirred = (share[:, 1] > 0) & (share[:, 0] <= 0)
    absence[:, 0] = np.where(stirred, np.minimum(absence[:, 0], order), absence[:, 0])
    return Labels(chi2, order[:, 0], share, mass, absence, alone)


def rivals_of(classes: Sequence[XrfClass], table: Materials) -> list[list[int]]:
    """Return for each class the others that share one of its elements and can be seen; strangers are nobody's rival."""
    held = [_elements(row, table) for row in classes]
    able = [row.visible and not is_stranger(row.name) for row in classes]
    return [[k for k in range(len(classes)) if k != g and able[k] and held[k] & held[g]] for g in range(len(classes))]


class _Contest(NamedTuple):
    """What may take the place of each class in stacks without it."""

    null: np.ndarray
    """Number of the label, int [exchange]."""
    place: np.ndarray
    """Paint and class of what comes in, int [exchange, 2]."""
    held: np.ndarray
    """Element masses of the whole stack then [exchange, slot, element]."""
    moved: np.ndarray
    """Whether the class itself lies in the other paint then, bool [exchange]."""


def _contest(evidence: Evidence, volumes: np.ndarray, rivals: list[list[int]]) -> _Contest:
    """Exchange the pigments of each label for equal volumes of its rivals, and move them to the other paint."""
    parts, owner, found = evidence.parts, evidence.owner, []
    for number, (stack, paint, group) in enumerate(evidence.labels):
        gone = owner[stack, paint] == group
        volume = (parts.volume[stack, paint] * gone).sum()
        own = parts.mass[stack, FIRST[paint] + np.flatnonzero(gone)].sum(axis=0)
        for other in rivals[group]:
            filled = evidence.nulls.held[number].copy()
            filled[PAINTS[paint]] += volume * (volumes[other] - parts.binder)
            found.append((number, paint, other, filled))
        if paint == 0 or (owner[stack, 0] >= 0).any():
            moved = evidence.nulls.held[number].copy()
            moved[PAINTS[1 - paint]] += own
            found.append((number, 1 - paint, group, moved))
    place = np.array([row[:3] for row in found], int).reshape(-1, 3)
    held = np.array([row[3] for row in found]).reshape(-1, len(SLOTS), parts.mass.shape[2])
    return _Contest(place[:, 0], place[:, 1:], held, place[:, 2] == evidence.labels[place[:, 0], 2])


class _Found(NamedTuple):
    """What came out for one label."""

    left: float
    """Delta chi2 that the best exchange leaves."""
    stand_ins: list[tuple[int, int, float]]
    """Paints and classes that came in, and the delta chi2 that each leaves alone or, if it takes part, the best one."""
    swapped: float
    """What is left where the class itself lies in the other paint, which may be a new one beneath."""


def _settled(contest: _Contest, evidence: Evidence, scanner: Scanner, *, cells: int) -> Iterator[_Found]:
    """Yield what came out for each label. A paint beneath that is not there is no rival of what is visible."""
    buried = np.any(evidence.parts.mass[:, HIDDEN], axis=(1, 2))
    spectra, null = evidence.spectra, contest.null
    filled = spectra_of(contest.held, scanner, windows(scanner), cells=cells)
    filled = filled * spectra.weight[null] - spectra.null[null]
    for number, stack in enumerate(evidence.nulls.stack):
        rows = null == number
        fixed = spanned(spectra.columns[number])
        target, columns = spectra.truth[number] - spectra.null[number], filled[rows]
        target, columns = target - fixed.T @ (fixed @ target), columns - (columns @ fixed.T) @ fixed
        moved, place = contest.moved[rows], contest.place[rows]
        usual = ~moved | buried[stack]
        amount, left = _nonnegative(columns[usual], target)
        size = np.maximum((columns[usual] ** 2).sum(axis=1), 1e-300)
        alone = (target**2).sum() - np.maximum(columns[usual] @ target, 0.0) ** 2 / size
        leaves = np.where(amount > TAKEN, left, alone)
        stand_ins = [(int(w), int(k), float(one)) for (w, k), one in zip(place[usual], leaves, strict=True)]
        yield _Found(left, stand_ins, _nonnegative(columns[moved], target)[1])


def _nonnegative(columns: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Amounts of zero or more of columns [k, w] that explain a target [w] best, and the square that they leave."""
    amount, left = nnls(columns.T, target) if len(columns) else (np.zeros(0), np.linalg.norm(target))
    return amount, float(left) ** 2


def _volumes(classes: Sequence[XrfClass], elements: tuple[str, ...], table: Materials) -> np.ndarray:
    """Mass of each element in a volume of the first pigment of each class [class, element] (g/cm3)."""
    rows = [material(row.members[0], table) for row in classes]
    return np.array([[row.density * row.mass_fractions().get(name, 0.0) for name in elements] for row in rows])


def _elements(row: XrfClass, table: Materials) -> set[str]:
    """Elements that some member of a class holds and that have lines."""
    fractions = [material(name, table).mass_fractions() for name in row.members]
    held = {name for found in fractions for name, share in found.items() if share >= LEAST_SHARE}
    return {name for name in held if atomic_number(name) >= LIGHTEST}
