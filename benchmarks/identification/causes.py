"""What makes answers wrong: the ground, the hidden paint, too little evidence."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from scores import PAINTS, recall_against
from spectra_sets import Spectra

from velatura.atomic.elements import atomic_number
from velatura.scene.classes import xrf_classes
from velatura.scene.sampler import sample_elements, sample_stacks
from velatura.scene.sources import SourcePlan, drawn_of, read_group

SOFT, NOTABLE = 19, 0.02  # potassium: softer lines come from the topmost microns; least share of a ground's mass
EVIDENCE = (25.0, 50.0, 100.0, 300.0, 1000.0, 1e12)  # delta chi2
GROUND = 3  # slot of a sampled stack


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


def blame(spectra: Spectra, found: np.ndarray, below: np.ndarray) -> dict[str, float]:
    """Return where the classes lie that answers bool [spectrum, paint, class] say wrongly.

    below: of `ground_holds`. A class that is said of a hidden paint may lie in the visible one.
    """
    truth, wrong = spectra.truth[..., :-1], found & ~spectra.truth[..., :-1] & spectra.mask[..., :-1]
    visible, hidden = wrong[:, 0], wrong[:, 1]
    return {
        "wrongly visible: in the ground": _share(below, visible),
        "wrongly visible: in the hidden paint": _share(truth[:, 1] & ~below, visible),
        "wrongly visible: nowhere": _share(~truth[:, 1] & ~below, visible),
        "wrongly hidden: in the visible paint": _share(truth[:, 0], hidden),
        "wrongly hidden: in the ground": _share(below & ~truth[:, 0], hidden),
        "wrongly hidden: nowhere": _share(~truth[:, 0] & ~below, hidden),
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
