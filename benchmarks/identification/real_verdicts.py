"""What a network says of measured spectra, and whether it is so."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from real_samples import Sample, measured, told

from velatura.scene.classes import XrfClass
from velatura.spectra.explain import elements_in
from velatura.tasks.explain_pigments import PAINTS
from velatura.tasks.identify import on_grid
from velatura.tasks.pigment_model import Answers, PigmentModel, predict
from velatura.tasks.pigment_rules import read_answers, rules_for

PRESENT = 1e-4  # mass share from which an element may be named
PLENTY = 1e-2  # mass share from which it should be
MOST = 1e5  # counts of the strongest training spectra
EACH = 10  # of how many pixels of a large scan one is asked
LARGE = 2000
SEEN = 0.02  # counts of an element's best line over the strongest: it is plenty where no composition is known


class Asked(NamedTuple):
    """Spectra of one sample on the network's grid."""

    sample: Sample
    features: np.ndarray
    """Whole counts, all of them, float32 [spectrum, 1024]."""
    present: frozenset[str]
    """Elements that may be named."""
    plenty: frozenset[str]
    """Elements that a pigment class is named after and that should be."""
    by_lines: frozenset[str]
    """What a fit of lines finds in the sum."""


class Said(NamedTuple):
    """Answers for the spectra of one sample."""

    asked: Asked
    features: np.ndarray
    """As the network saw them."""
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
    """right, called a pigment, silent, wrong element, lines where none are."""


def gather(samples: Iterable[Sample], folder: Path, *, classes: Sequence[XrfClass], seed: int = 0) -> list[Asked]:
    """Read all samples and bring them onto the grid; those whose files are absent are left out."""
    heads = {part for row in classes if row.visible for part in row.name.split("-")}
    found = []
    for sample in samples:
        parts = list(measured(sample, folder))
        if not parts:
            continue
        lines = frozenset().union(*({one.element for one in _lines(part, sample)} for part in parts[:1]))
        strong = _strong(parts[0], sample)
        chosen = [part.counts[:: EACH if len(part.counts) > LARGE else 1] for part in parts]
        axes = {part.energy.tobytes(): part.energy for part in parts}
        features = np.concatenate([
            on_grid(np.concatenate([c for c, p in zip(chosen, parts, strict=True) if p.energy.tobytes() == key]),
                    energy, seed=seed)
            for key, energy in axes.items()
        ])  # fmt: skip
        held = sample.composition
        present = frozenset(e for e, share in held.items() if share >= PRESENT) if held else lines
        plenty = frozenset(e for e, share in held.items() if share >= PLENTY) if held else strong
        found.append(Asked(sample, features, present, plenty & heads, lines))
    return found


def answers_for(
    model: PigmentModel, asked: Sequence[Asked], *, tell: bool = True, most: float = MOST, seed: int = 0
) -> list[Said]:
    """Ask the network about everything at once; most: counts to which stronger spectra are thinned."""
    rng, rules = np.random.default_rng(seed), rules_for(model)
    features = [thinned(one.features, most, rng=rng) for one in asked]
    conditions = [np.broadcast_to(told(one.sample) * tell, (len(one.features), 8)) for one in asked]
    answers, unknown = read_answers(
        predict(model, np.concatenate(features), np.concatenate(conditions).astype(np.float32)), rules
    )
    there = answers.probability >= rules.thresholds
    ends = np.cumsum([len(rows) for rows in features])[:-1]
    parts = zip(*(np.split(array, ends) for array in (*answers, there, unknown)), strict=True)
    return [
        Said(one, rows, condition, Answers(*part[:-2]), part[-2], part[-1])
        for one, rows, condition, part in zip(asked, features, conditions, parts, strict=True)
    ]


def thinned(features: np.ndarray, most: float, *, rng: np.random.Generator) -> np.ndarray:
    """Keep each count with the same chance, so that about `most` are left; Poisson counts stay Poisson."""
    chance = np.minimum(1, most / np.maximum(features.sum(axis=1, keepdims=True), 1))
    return rng.binomial(features.astype(np.int64), chance).astype(np.float32)


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


def elements_of(names: Iterable[str]) -> frozenset[str]:
    """Return the elements that classes are named after."""
    return frozenset(part for name in names for part in name.split("-"))


def _word(asked: Asked, names: Sequence[str], *, unknown: bool) -> str:
    expected = asked.sample.expected
    if expected == "nothing" and names:
        return "lines where none are"
    if elements_of(names) - asked.present:
        return "wrong element"
    if expected in ("nothing", "") or (expected == "unknown" and unknown) or expected in names:
        return "right"
    return "called a pigment" if names else "silent"


def _lines(part, sample: Sample):
    voltage = None if sample.scanner is None else sample.scanner.tube.voltage
    anode = None if sample.scanner is None else sample.scanner.tube.anode
    return elements_in(part.counts.sum(axis=0).astype(float), part.energy, anode=anode, tube_voltage=voltage)


def _strong(part, sample: Sample) -> frozenset[str]:
    lines = _lines(part, sample)
    most = max((one.counts for one in lines), default=0)
    return frozenset(one.element for one in lines if one.counts >= SEEN * most)
