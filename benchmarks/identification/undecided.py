"""Labels that no method can decide: mixtures of other classes with the same elements, and grounds like paints.

A detectable label is `replaceable` when at most four other classes, mixed, hold the same heavy elements in the same
shares (within 5 %): lithopone for zinc white and barium white. The evidence that makes a label detectable refits only
what is in the stack; it does not try such other classes.
"""

from functools import cache

import numpy as np
from scipy.optimize import nnls
from spectra_sets import Spectra

from velatura.atomic.elements import atomic_number
from velatura.physics.material import materials
from velatura.scene.classes import xrf_classes
from velatura.scene.sampler import sample_elements, sample_stacks
from velatura.scene.sources import SourcePlan, drawn_of

LIGHTEST = 19  # potassium: softer lines come from the topmost microns only
SAME, NOTABLE, MOST = 0.05, 0.02, 4
GROUND = 3  # slot of a sampled stack


@cache
def compositions() -> tuple[np.ndarray, tuple[str, ...]]:
    """Mass of heavy elements per volume of the mean pigment of each class, [class, element], and the elements."""
    table = materials()
    held = [[(table[name].density, table[name].mass_fractions()) for name in row.members] for row in xrf_classes()]
    names = tuple(sorted({e for rows in held for _, row in rows for e in row if atomic_number(e) >= LIGHTEST}))
    means = [[np.mean([density * row.get(e, 0.0) for density, row in rows]) for e in names] for rows in held]
    return np.array(means), names


def replaceable(spectra: Spectra) -> np.ndarray:
    """Return which visible labels are so, bool [spectrum, class]; only detectable ones are asked."""
    rows, _ = compositions()
    asked = spectra.truth[:, 0, :-1] & spectra.mask[:, 0, :-1] & ~spectra.truth[:, 0, -1:]
    found = np.zeros_like(asked)
    remembered: dict[tuple[int, int, int], bool] = {}
    for spectrum, column in np.argwhere(asked):
        known = int(spectra.group[spectrum]), int(spectra.stack[spectrum]), int(column)
        if known not in remembered:
            remembered[known] = _has_twin(spectra.share[spectrum, 0, :-1] @ rows, rows, column)
        found[spectrum, column] = remembered[known]
    return found


def _has_twin(held: np.ndarray, rows: np.ndarray, column: int) -> bool:
    others = np.delete(rows, column, axis=0)
    weight = 1 / np.maximum(held, NOTABLE * held.max())
    shares, _ = nnls((others * weight).T, held * weight)
    wrong = np.abs(shares @ others - held) * weight
    return bool(wrong.max() < SAME and (shares * others.sum(axis=1) > 0.005 * held.sum()).sum() <= MOST)


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
            hard = [names.index(name) for name in row.markers if atomic_number(name) > LIGHTEST]
            if hard:
                found[rows, column] = (shares[:, hard] > NOTABLE).all(axis=1)[spectra.stack[rows]]
    return found


def blame(spectra: Spectra, found: np.ndarray, plan: SourcePlan) -> dict[str, float]:
    """Return how far such labels explain the errors of answers bool [spectrum, paint, class] for visible paint."""
    truth, mask, said = spectra.truth[:, 0, :-1], spectra.mask[:, 0, :-1], found[:, 0]
    twins, below = replaceable(spectra), ground_holds(spectra, plan)
    beneath = spectra.truth[:, 1, :-1]
    asked, missed, wrong = truth & mask, truth & mask & ~said, ~truth & mask & said
    return {
        "replaceable, share of labels": _share(twins, asked),
        "replaceable, share of misses": _share(twins, missed),
        "recall of replaceable": _share(said, asked & twins),
        "recall of all others": _share(said, asked & ~twins),
        "wrongly said, class in the ground": _share(below, wrong),
        "wrongly said, class in the hidden paint": _share(beneath & ~below, wrong),
        "wrongly said, elsewhere": _share(~beneath & ~below, wrong),
    }


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    return float((part & whole).sum() / max(whole.sum(), 1))
