"""The first look at all pixels: are they finite, how many count, and a fair random sample of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from velatura.base.errors import InputError

SAMPLE = 100_000
"""Pixels among which the starting centres are sought; the first of them are watched for convergence."""

Parts = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Starts a new iterator over (scores [d, n_i], weights [n_i])."""


@dataclass(frozen=True)
class Survey:
    """What is known about the pixels before the clustering starts."""

    pixels: int
    """Pixels in all, those of no weight included."""
    total: float
    """Sum of the weights."""
    squares: float
    """Sum of the squared weights."""
    sample: np.ndarray
    """Up to SAMPLE pixels of positive weight, [d, s], in random order."""
    weights: np.ndarray
    """Their weights, [s]."""


def in_parts(scores: Any, weights: np.ndarray | None) -> Parts:
    """Return the starter of an iterator over the parts of an array [d, n], or of a function that starts one.

    weights: [n], by default all 1.
    """

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        begin = 0
        for part in scores() if callable(scores) else [scores]:
            array = np.asarray(part)
            if array.ndim != 2:
                raise InputError(f"scores must be [component, pixel]; found {array.ndim} axes of {array.dtype}")
            end = begin + array.shape[1]
            yield array, np.ones(end - begin) if weights is None else np.asarray(weights[begin:end], np.float64)
            begin = end
        if weights is not None and len(weights) != begin:
            raise InputError(f"weights must be one a pixel, {begin} in all; found {len(weights)}")

    return parts


def survey(parts: Parts, *, rng: np.random.Generator) -> Survey:
    """Read all parts once. Raises InputError for values that are not finite, bad weights and no pixels."""
    pixels, total, squares = 0, 0.0, 0.0
    sample: list[np.ndarray] = []  # [lot; weight; scores], the pixels with the smallest lots
    for scores, weights in parts():
        check(scores, weights)
        pixels, total, squares = pixels + len(weights), total + weights.sum(), squares + np.square(weights).sum()
        lots = np.where(weights > 0, rng.random(len(weights)), np.inf)
        drawn = smallest(lots)
        sample.append(np.concatenate([lots[None, drawn], weights[None, drawn], scores[:, drawn]]))
        if len({len(piece) for piece in sample}) > 1:
            raise InputError(f"all parts need the same components; found {[len(piece) - 2 for piece in sample]}")
        together = np.concatenate(sample, axis=1)
        sample = [together[:, smallest(together[0])]]
    if total == 0:
        raise InputError("clustering needs pixels of positive weight; found none. Check the mask and the region")
    return Survey(pixels, float(total), float(squares), sample[0][2:], sample[0][1])


def smallest(lots: np.ndarray) -> np.ndarray:
    """Return where the SAMPLE smallest finite lots are, in rising order."""
    if len(lots) > SAMPLE:
        chosen = np.argpartition(lots, SAMPLE)[:SAMPLE]
        chosen = chosen[np.argsort(lots[chosen], kind="stable")]
    else:
        chosen = np.argsort(lots, kind="stable")
    return chosen[np.isfinite(lots[chosen])]


def check(scores: np.ndarray, weights: np.ndarray) -> None:
    """Raise InputError where values are not finite or weights are negative."""
    if not all(np.isfinite(component).all() for component in scores):
        raise InputError("scores must be finite; found NaN or infinity. Mask these pixels (weight 0, score 0)")
    if not np.isfinite(weights).all() or np.any(weights < 0):
        raise InputError("weights must be finite and 0 or more; found others. Give 0 to pixels that do not count")
