"""The four baselines, ready to be scored: fitted on training groups, thresholds from calibration groups, all cached.

Each returns scores [spectrum, paint, class] and of unknown [spectrum] for a set; its line measurements are shared.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from forest import forest_scores, train_forest, windows
from library_fit import library_scores
from line_rules import Measures, learn_rules, measure, rule_scores, tree_features
from scores import thresholds_of
from spectra_sets import Spectra

BASELINES = ("lines + rules", "least squares on library", "random forest", "random forest on lines")


class Said(NamedTuple):
    """Answers for a set."""

    probability: np.ndarray
    """Or scores in other units, float32 [spectrum, paint, class]."""
    unknown: np.ndarray
    """float32 [spectrum]"""


class Judge(NamedTuple):
    """Answers to a set, and from which score a class counts as found."""

    said: Said
    thresholds: np.ndarray
    """float [paint, class]"""
    loose: np.ndarray
    """The same where other pigments may explain a label as well."""
    calibrated: bool
    """Whether scores are probabilities."""


def kept(path: Path, make: Callable[[], NamedTuple], kind: type) -> NamedTuple:
    """Return a tuple of arrays from a file, made and written first where it is not there."""
    if not path.is_file():
        made, aside = make(), path.with_suffix(".part.npz")
        np.savez(aside, **made._asdict())
        aside.replace(path)
    with np.load(path) as file:
        return kind(*(file[name] for name in kind._fields))


def measured(spectra: Spectra, name: str, cache: Path) -> Measures:
    """Return the line measurements of a set."""
    return kept(_path(cache, "lines", name, spectra), lambda: measure(spectra.features), Measures)


class Fitting(NamedTuple):
    """What baselines are fitted with."""

    training: Callable[[], Spectra]
    """Returns the spectra, when they are needed."""
    trees: int
    cache: Path


def answers(method: str, spectra: Spectra, name: str, *, fitting: Fitting) -> Said:
    """Return what a baseline says of a set."""
    path = _path(fitting.cache, method, name, spectra)
    return kept(path, lambda: _answers(method, spectra, name, fitting), Said)


def judged(method: str, sets: dict[str, Spectra], *, tune: Spectra, fitting: Fitting) -> dict[str, Judge]:
    """Return the answers of a baseline to sets by name, with thresholds of the best F1 on `tune`."""
    tuning = answers(method, tune, "tune", fitting=fitting)
    levels = [thresholds_of(tune.truth, mask, tuning.probability) for mask in (tune.mask, tune.loose)]
    said = {name: answers(method, spectra, name, fitting=fitting) for name, spectra in sets.items()}
    return {name: Judge(one, *levels, "forest" in method) for name, one in said.items()}


def _answers(method: str, spectra: Spectra, name: str, fitting: Fitting) -> Said:
    if method == "lines + rules":
        training = fitting.training()
        rules = learn_rules(measured(training, "fit", fitting.cache), training.truth)
        return Said(*rule_scores(measured(spectra, name, fitting.cache), rules))
    if method == "least squares on library":
        measures = measured(spectra, name, fitting.cache)
        return Said(*library_scores(spectra.features, spectra.condition, measures))
    return Said(*forest_scores(_forest(method, fitting), _table(method, spectra, name, fitting.cache)))


@lru_cache(maxsize=2)
def _forest(method: str, fitting: Fitting) -> object:
    """Fit a forest, once in a run; trees are not written."""
    training = fitting.training()
    table = _table(method, training, "fit", fitting.cache)
    return train_forest(table, training.truth & training.mask, trees=fitting.trees)


def _table(method: str, spectra: Spectra, name: str, cache: Path) -> np.ndarray:
    if method == "random forest":
        return windows(spectra.features, spectra.condition)
    return tree_features(measured(spectra, name, cache), spectra.condition)


def _path(cache: Path, what: str, name: str, spectra: Spectra) -> Path:
    return cache / f"{what.replace(' ', '-').replace('+', 'and')}-{name}-{len(spectra.dose)}.npz"
