"""An expert's way: element lines, the rules of thumb of the literature, and thresholds tuned on training groups.

A class is in the visible paint as surely as its least certain marker element; light markers count where no lead or
mercury hides them. What a richer class with the same marker explains by its further element is taken off first (lead
beyond that of chrome yellow). A class lies hidden where, moreover, its beta lines are too strong for a bare sample.
Unknown: the strongest line of an element that no pigment holds.
"""

from typing import NamedTuple

import numpy as np
from line_features import (
    Fitted,
    foreign_families,
    further_rows,
    library_families,
    shared_rows,
)
from line_features import fitted as fit_lines

from velatura.atomic.elements import atomic_number
from velatura.scene.classes import xrf_classes

SOFT = ("Al", "Si", "P", "S", "Cl")  # markers that strong M lines and the air hide
HIDING, SURE = 10.0, 4.0  # standard deviations of lead or mercury that hide soft lines; of what is taken for there
HOUSING = ("Ta", "Zr")  # foreign elements that a scanner's own parts send out
RATIO_LINES = (("Ag", "K", "L"), ("Cd", "K", "L"), ("Sn", "K", "L"), ("Sb", "K", "L"), ("Ba", "K", "L"))
RATIO_LINES += (("Pb", "L", "M"), ("Hg", "L", "M"), ("Au", "L", "M"))


class Measures(NamedTuple):
    """Lines of spectra, by families of the library's elements; float32 [spectrum, family]."""

    significance: np.ndarray
    counts: np.ndarray
    """Net counts."""
    beta: np.ndarray
    """How many standard deviations the beta lines are stronger than expected."""
    foreign: np.ndarray
    """Significance of foreign elements [spectrum, element]."""
    compton: np.ndarray
    """Net counts of the Compton rows, three for each anode [spectrum, 12]."""
    misfit: np.ndarray
    """Chi2 per channel [spectrum]."""


def measure(features: np.ndarray) -> Measures:
    """Fit the lines of spectra [spectrum, channel]."""
    return measures_of(fit_lines(features, shared_rows(), further_rows()))


def measures_of(fit: Fitted) -> Measures:
    """Return what the rules look at."""
    lines, foreign = len(library_families()), len(foreign_families())
    left = fit.left / fit.left_errors
    return Measures(
        (fit.areas / fit.errors)[:, :lines], fit.areas[:, :lines], left[:, foreign:], left[:, :foreign],
        fit.areas[:, lines:], fit.misfit,
    )  # fmt: skip


class Rules(NamedTuple):
    """Ratios learned for the co-occurrence rules: (poor class, rich class, marker, further element, usual ratio)."""

    ratios: tuple[tuple[int, int, str, str, float], ...]


def learn_rules(measures: Measures, truth: np.ndarray) -> Rules:
    """Return the usual ratio of a marker to the element by which a richer class gives itself away.

    truth: bool [spectrum, paint, class]. The 20th percentile where the richer class is in the visible paint: other
    paints and grounds often add to the marker.
    """
    classes, found = xrf_classes(), []
    for poor, one in enumerate(classes):
        marker = hard_markers(one.markers)
        for rich, other in enumerate(classes):
            further = [name for name in hard_markers(other.markers) if name not in one.markers]
            if poor == rich or not marker or not further or not set(marker) < set(other.markers):
                continue
            there = truth[:, 0, rich]
            base = element_counts(measures, further[0])[there]
            seen = element_significance(measures, further[0])[there] > SURE
            if seen.sum() >= 10:
                ratio = element_counts(measures, marker[0])[there][seen] / np.maximum(base[seen], 1)
                found.append((poor, rich, marker[0], further[0], float(np.percentile(ratio, 20))))
    return Rules(tuple(found))


def rule_scores(measures: Measures, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """Return scores [spectrum, paint, class] and of unknown [spectrum], in standard deviations."""
    classes, number = xrf_classes(), len(measures.misfit)
    scores = np.zeros((number, 2, len(classes)), np.float32)
    covered = np.maximum(*(element_significance(measures, name) for name in ("Pb", "Hg"))) > HIDING
    for column, row in enumerate(classes):
        hard = hard_markers(row.markers)
        if not hard:
            continue
        certain = np.min([element_significance(measures, name) for name in hard], axis=0)
        for name in set(row.markers) - set(hard):
            soft = 2 * np.maximum(element_significance(measures, name), 0)
            certain = np.where(covered, certain, np.minimum(certain, soft))
        scores[:, 0, column] = certain
        beta = np.max([element_beta(measures, name) for name in hard], axis=0)
        scores[:, 1, column] = np.minimum(certain, np.maximum(beta, 0))
    for poor, _, marker, further, ratio in rules.ratios:
        explained = np.where(
            element_significance(measures, further) > SURE, ratio * element_counts(measures, further), 0.0
        )
        beyond = 1 - explained / np.maximum(element_counts(measures, marker), 1)
        scores[:, 0, poor] *= np.clip(beyond, 0, 1)
    kept = [family.element not in HOUSING for family in foreign_families()]
    return scores, measures.foreign[:, kept].max(axis=1)


def tree_features(measures: Measures, condition: np.ndarray) -> np.ndarray:
    """Return a table for trees [spectrum, feature]: lines, their ratios, foreign lines, what the instrument is."""
    total = measures.counts.sum(axis=1, keepdims=True) + 1
    level = np.log10(np.maximum(measures.counts / total, 1e-5))
    columns = [_signed_log(measures.significance), level, _signed_log(measures.beta)]
    ratios = [level[:, one] - level[:, other] for one, other in _family_pairs()]
    for row in xrf_classes():
        hard = hard_markers(row.markers)
        ratios += [element_level(level, hard[0]) - element_level(level, name) for name in hard[1:]]
    scatter = np.log10(measures.compton.reshape(-1, 4, 3).sum(axis=2) / total + 1e-3)
    other = [np.log10(total), measures.misfit[:, None], _signed_log(measures.foreign), scatter, condition]
    return np.concatenate([*columns, np.stack(ratios, axis=1), *other], axis=1).astype(np.float32)


def _family_pairs() -> list[tuple[int, int]]:
    """Numbers of a hard and a soft family of one element."""
    kinds = {(family.element, family.kind): number for number, family in enumerate(library_families())}
    pairs = [((name, one), (name, other)) for name, one, other in RATIO_LINES]
    return [(kinds[one], kinds[other]) for one, other in pairs if one in kinds and other in kinds]


def _signed_log(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


def hard_markers(markers: tuple[str, ...]) -> list[str]:
    """Markers whose lines pass air and varnish: those from potassium on."""
    return [name for name in markers if name not in SOFT]


def main_family(element: str) -> int:
    """Number of the family by which an element is measured: K up to molybdenum, else L."""
    wanted = "K" if atomic_number(element) <= 42 else "L"
    return next(
        number for number, family in enumerate(library_families()) if (family.element, family.kind) == (element, wanted)
    )


def element_significance(measures: Measures, element: str) -> np.ndarray:
    """Significance of the best K or L family [spectrum]."""
    own = [n for n, f in enumerate(library_families()) if f.element == element and f.kind != "M"]
    return measures.significance[:, own].max(axis=1)


def element_counts(measures: Measures, element: str) -> np.ndarray:
    """Net counts of the main family [spectrum]."""
    return measures.counts[:, main_family(element)]


def element_level(level: np.ndarray, element: str) -> np.ndarray:
    """Logarithm of the main family's share [spectrum]."""
    return level[:, main_family(element)]


def element_beta(measures: Measures, element: str) -> np.ndarray:
    """Excess of beta lines of the main family [spectrum]."""
    return measures.beta[:, main_family(element)]
