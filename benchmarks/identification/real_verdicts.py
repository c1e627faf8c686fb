"""What a network says of measured spectra, and whether it is so."""

from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np
from real_samples import Measured, Sample, measured, told

from velatura.base.axis import channel_edges, redistribute
from velatura.scene.classes import XrfClass
from velatura.scene.training import grid
from velatura.spectra.explain import Found, elements_in
from velatura.tasks.explain_pigments import PAINTS
from velatura.tasks.identify import MOST_COUNTS, at_most, on_grid
from velatura.tasks.pigment_model import Answers, PigmentModel, predict
from velatura.tasks.pigment_rules import read_answers, rules_for

PRESENT = 1e-4  # mass share from which an element may be named
PLENTY = 1e-2  # mass share from which it should be
FEW = 64  # spectra that are brought onto the grid without a compiled program
DRAWS = 8  # thinnings of each of few spectra
WORDS = ("right", "called a pigment", "silent", "wrong element", "lines where none are")
SEEN = 0.02  # counts of an element's best line over the strongest, from which a fit of lines is believed


class Asked(NamedTuple):
    """Spectra of one sample on the network's grid."""

    sample: Sample
    features: np.ndarray
    """Whole counts, all of them, float32 [spectrum, 1024]."""
    present: frozenset[str]
    """Elements that may be named."""
    plenty: frozenset[str]
    """Elements that a pigment class is named after and that should be."""
    by_lines: tuple[str, ...]
    """What a fit of lines finds in the first spectrum, or the sum of a scan, the strongest line first."""


class Said(NamedTuple):
    """Answers for the spectra of one sample."""

    asked: Asked
    features: np.ndarray
    """As the network saw them, the first thinning of each spectrum first."""
    condition: np.ndarray
    answers: Answers
    there: np.ndarray
    """Found, bool [spectrum, paint, class]."""
    unknown: np.ndarray
    """Counts as unknown, bool [spectrum]."""


class Verdict(NamedTuple):
    """One row: what is said of at least half the spectra."""

    said: Said
    found: tuple[tuple[str, str, float], ...]
    """(paint, class, mean probability)"""
    named: frozenset[str]
    """Elements of the found classes."""
    unknown: bool
    word: str
    """One of WORDS."""


def gather(samples: Iterable[Sample], folder: Path, *, classes: Sequence[XrfClass], seed: int = 0) -> list[Asked]:
    """Read all samples and bring them onto the grid; those whose files are absent are left out."""
    heads = {part for row in classes if row.visible for part in row.name.split("-")}
    rng = np.random.default_rng(seed)
    return [_asked(sample, parts, heads, rng=rng) for sample in samples if (parts := list(measured(sample, folder)))]


def _asked(sample: Sample, parts: Sequence[Measured], heads: Set[str], *, rng: np.random.Generator) -> Asked:
    features = np.concatenate([_on_grid(part, rng=rng) for part in parts])
    lines = sorted(_lines(parts[0], sample), key=lambda one: -one.counts)
    strong = tuple(one.element for one in lines if one.role == "sample" and one.counts >= SEEN * lines[0].counts)
    present, plenty = (
        frozenset(element for element, share in sample.composition.items() if share >= least)
        for least in (PRESENT, PLENTY)
    )
    return Asked(sample, features, present, plenty & heads, strong)


def _on_grid(part: Measured, *, rng: np.random.Generator) -> np.ndarray:
    """Few spectra by `redistribute`, which costs nothing to start; a scan's pixels compiled."""
    if len(part.counts) > FEW:
        return on_grid(part.counts, part.energy, seed=0)
    edges, ends = channel_edges(part.energy), channel_edges(grid())[[0, -1]]
    inside = (edges[:-1] >= ends[0]) & (edges[1:] <= ends[1])
    return redistribute(part.counts[:, inside], part.energy[inside], grid(), rng=rng).astype(np.float32)


def answers_for(
    model: PigmentModel, asked: Sequence[Asked], *, tell: bool = True, most: int = MOST_COUNTS, seed: int = 0
) -> list[Said]:
    """Ask the network about everything at once; most: counts to which stronger spectra are thinned.

    Where there are few spectra the answer is the mean of those for DRAWS thinnings.
    """
    rules = rules_for(model)
    draws = [DRAWS if len(one.features) <= FEW else 1 for one in asked]
    features = [np.concatenate([at_most(one.features, seed=seed + turn, most=most) for turn in range(many)])
                for one, many in zip(asked, draws, strict=True)]  # fmt: skip
    conditions = [np.broadcast_to(told(one.sample) * tell, (len(rows), 8))
                  for one, rows in zip(asked, features, strict=True)]  # fmt: skip
    whole = predict(model, np.concatenate(features), np.concatenate(conditions).astype(np.float32))
    ends = np.cumsum([len(rows) for rows in features])[:-1]
    parts = zip(*(np.split(array, ends) for array in whole), strict=True)
    found = []
    for one, many, rows, condition, part in zip(asked, draws, features, conditions, parts, strict=True):
        mean = Answers(*(array.reshape(many, -1, *array.shape[1:]).mean(axis=0) for array in part))
        answers, unknown = read_answers(mean, rules)
        found.append(Said(one, rows, condition, answers, answers.probability >= rules.thresholds, unknown))
    return found


def judged(said: Said, classes: Sequence[XrfClass]) -> Verdict:
    """Return the verdict for a sample as a whole."""
    shares, mean = said.there.mean(axis=0), said.answers.probability.mean(axis=0)
    found = tuple(
        (PAINTS[paint], classes[number].name, float(mean[paint, number]))
        for paint, number in np.argwhere(shares >= 0.5).tolist()
    )
    unknown = bool(said.unknown.mean() >= 0.5)
    names = [name for _, name, _ in found]
    return Verdict(said, found, elements_of(names), unknown, _word(said.asked, names, unknown=unknown))


def words(said: Said, classes: Sequence[XrfClass]) -> list[str]:
    """Return the verdict for each spectrum by itself."""
    names = [[classes[number].name for number in np.flatnonzero(row.any(axis=0))] for row in said.there]
    return [_word(said.asked, row, unknown=bool(un)) for row, un in zip(names, said.unknown, strict=True)]


def is_scan(sample: Sample) -> bool:
    """Tell whether a sample is all the pixels of a scan."""
    return sample.name.endswith("pixels")


def elements_of(names: Iterable[str]) -> frozenset[str]:
    """Return the elements that classes are named after."""
    return frozenset(part for name in names for part in name.split("-"))


def _word(asked: Asked, names: Sequence[str], *, unknown: bool) -> str:
    """Elements that are not there are the worst; then what should be unknown and is not."""
    expected = asked.sample.expected.split(" or ")
    if "nothing" in expected:
        return "lines where none are" if names else "right"
    if elements_of(names) - asked.present:
        return "wrong element"
    if expected == [""] or ("unknown" in expected and unknown) or set(expected) & set(names):
        return "right"
    return "called a pigment" if names else "silent"


def _lines(part: Measured, sample: Sample) -> Sequence[Found]:
    """What a fit of lines finds in the sum of some spectra."""
    tube = None if sample.scanner is None else sample.scanner.tube
    known = {} if tube is None else {"anode": tube.anode, "tube_voltage": tube.voltage}
    return elements_in(part.counts.sum(axis=0).astype(float), part.energy, **known)
