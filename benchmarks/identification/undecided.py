"""Labels that no method can decide: mixtures of other classes with the same elements, and grounds like paints.

A label of the visible paint is undecided when at most four other classes, mixed, hold the same heavy elements in the
same shares (within 5 %; sulphur and chlorine within 50 %): lithopone for zinc white and barium white. This looks at
elements alone, and so is a check of the evidence that `scene.rivals` finds with spectra.
"""

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from scores import PAINTS, recall_against
from spectra_sets import Spectra

from velatura.atomic.elements import atomic_number
from velatura.physics.material import materials
from velatura.scene.classes import xrf_classes
from velatura.scene.sampler import sample_elements, sample_stacks
from velatura.scene.sources import SourcePlan, drawn_of, read_group

LIGHTEST, SOFT = 16, 19  # sulphur; potassium: softer lines come from the topmost microns and tell little of amounts
SAME, LIKE, NOTABLE, MOST = 0.05, 0.5, 0.02, 4
EVIDENCE = (25.0, 50.0, 100.0, 300.0, 1000.0, 1e12)  # delta chi2
GROUND = 3  # slot of a sampled stack


@cache
def compositions() -> tuple[np.ndarray, tuple[str, ...]]:
    """Mass of heavy elements per volume of the mean pigment of each class, [class, element], and the elements."""
    table = materials()
    held = [[(table[name].density, table[name].mass_fractions()) for name in row.members] for row in xrf_classes()]
    names = tuple(sorted({e for rows in held for _, row in rows for e in row if atomic_number(e) >= LIGHTEST}))
    means = [[np.mean([density * row.get(e, 0.0) for density, row in rows]) for e in names] for rows in held]
    return np.array(means), names


def undecided(spectra: Spectra) -> np.ndarray:
    """Return the visible labels that count but that lines cannot decide, bool [spectrum, class].

    Those that others can replace, and absent ones that might stand in for others: half of what the paint could hold of
    them, and at most four others, have the same elements in the same shares.
    """
    rows, _ = compositions()
    counted = spectra.mask[:, 0, :-1] & ~spectra.truth[:, 0, -1:] & (rows.sum(axis=1) > 0)
    stacks, first, back = np.unique(
        np.stack([spectra.group, spectra.stack], axis=1), axis=0, return_index=True, return_inverse=True
    )
    held = spectra.share[first, 0, :-1] @ rows
    unsure = [[_open(paint, rows, column) for column in range(len(rows))] for paint in held]
    return np.array(unsure, bool).reshape(len(stacks), -1)[back.ravel()] & counted


def _open(held: np.ndarray, rows: np.ndarray, column: int) -> bool:
    """Whether a paint that holds these elements may as well be with as without a class."""
    own = rows[column]
    if not own.any() or (own[held <= 0] > 0).any():
        return False
    some = 0.5 * np.min(held[own > 0] / own[own > 0])
    return _mixed(held, rows, column, of=held) and _mixed(held - some * own, rows, column, of=held)


def _mixed(wanted: np.ndarray, rows: np.ndarray, column: int, *, of: np.ndarray) -> bool:
    """Whether at most four classes, without one, make up the wanted elements, to shares of what there is `of` each."""
    others = np.delete(rows, column, axis=0)
    soft = np.array([atomic_number(name) < SOFT for name in compositions()[1]])
    weight = np.where(soft, SAME / LIKE, 1.0) / np.maximum(of, NOTABLE * of.max())
    shares, _ = nnls((others * weight).T, wanted * weight)
    wrong = np.abs(shares @ others - wanted) * weight
    return bool(wrong.max() < SAME and (shares * others.sum(axis=1) > 0.005 * of.sum()).sum() <= MOST)


def ground_holds(spectra: Spectra, plan: SourcePlan) -> np.ndarray:
    """Return whether the ground of each stack holds all hard markers of a class, bool [spectrum, class]."""
    found = np.zeros((len(spectra.dose), len(xrf_classes())), bool)
    for number in np.unique(spectra.group):
        options = drawn_of(plan, int(number))
        names = sample_elements(options)
        rng = np.random.default_rng((plan.seed, int(number), 1))
        shares = sample_stacks(plan.stacks, names, options=options, rng=rng).packed.shares[:, GROUND]
        rows = spectra.group == number
        for column, row in enumerate(xrf_classes()):
            hard = [names.index(name) for name in row.markers if atomic_number(name) >= SOFT]
            if hard:
                found[rows, column] = (shares[:, hard] > NOTABLE).all(axis=1)[spectra.stack[rows]]
    return found


class Puzzles(NamedTuple):
    """What makes a set hard, bool [spectrum, class] of the visible paint."""

    undecided: np.ndarray
    ground: np.ndarray
    """The ground holds the class's elements."""


def puzzles_of(spectra: Spectra, plan: SourcePlan) -> Puzzles:
    """Return both."""
    return Puzzles(undecided(spectra), ground_holds(spectra, plan))


def blame(spectra: Spectra, found: np.ndarray, puzzles: Puzzles) -> dict[str, float]:
    """Return how far such labels explain the errors of answers bool [spectrum, paint, class] for visible paint."""
    truth, mask, said = spectra.truth[:, 0, :-1], spectra.mask[:, 0, :-1], found[:, 0]
    open_labels, below = puzzles
    twins = open_labels & truth
    beneath = spectra.truth[:, 1, :-1]
    asked, missed, wrong = truth & mask, truth & mask & ~said, ~truth & mask & said
    return {
        "replaceable, share of labels": _share(twins, asked),
        "replaceable, share of misses": _share(twins, missed),
        "recall of replaceable": _share(said, asked & twins),
        "recall of all others": _share(said, asked & ~twins),
        "undecided, share of wrongly said": _share(open_labels, wrong),
        "wrongly said, class in the ground": _share(below, wrong),
        "wrongly said, class in the hidden paint": _share(beneath & ~below, wrong),
        "wrongly said, elsewhere": _share(~beneath & ~below, wrong),
    }


def evidence_of(spectra: Spectra, bank: Path) -> np.ndarray:
    """Return the delta chi2 of all labels at the dose of each spectrum, float32 [spectrum, paint, class]."""
    found = np.zeros((*spectra.truth.shape[:2], len(xrf_classes())), np.float32)
    for number in np.unique(spectra.group):
        rows = spectra.group == number
        unit = read_group(bank / f"{number:04d}.npz").labels.delta_chi2[..., :-1]
        found[rows] = unit[spectra.stack[rows]] * spectra.dose[rows, None, None]
    return found


def recall_by_evidence(spectra: Spectra, found: np.ndarray, bank: Path) -> dict[str, dict[str, float]]:
    """Return the recall of answers bool [spectrum, paint, class] in bins of delta chi2, by paint."""
    evidence, truth = evidence_of(spectra, bank), (spectra.truth & spectra.mask)[..., :-1]
    titles = [f"{low:g} to {high:g}" for low, high in pairwise(EVIDENCE)]
    rows = {}
    for paint, name in enumerate(PAINTS):
        recall, _ = recall_against(evidence[:, paint], truth[:, paint], found[:, paint], borders=EVIDENCE)
        rows[name] = dict(zip(titles, map(float, recall), strict=True))
    return rows


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    return float((part & whole).sum() / max(whole.sum(), 1))
