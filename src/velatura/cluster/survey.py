"""The first look at all pixels: are they finite, what are their mean and covariance, and a fair random sample."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from velatura.base.errors import InputError

SAMPLE = 100_000
"""Pixels among which the starting centres are sought; the first of them are watched for convergence."""
PIECE = 2**16
"""Pixels turned to float64 at once."""

Parts = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Starts a new iterator over (scores [d, n_i], weights [n_i])."""


@dataclass(frozen=True)
class Survey:
    """What is known about the pixels before the clustering starts, in the units of the scores."""

    pixels: int
    """Pixels in all, those of no weight included."""
    widest: int
    """Pixels of the largest part."""
    total: float
    """Sum of the weights."""
    mean: np.ndarray
    """float64 [d]."""
    covariance: np.ndarray
    """float64 [d, d], unbiased."""
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
    origin, pixels, widest, squares, moments, drawn = None, 0, 0, 0.0, np.zeros(()), None
    for scores, weights in parts():
        check(scores, weights, drawn)
        if origin is None:
            origin = scores.mean(axis=1, dtype=np.float64)
        pixels, widest, squares = pixels + len(weights), max(widest, len(weights)), squares + float(weights @ weights)
        moments = moments + moments_about(origin, scores, weights)
        drawn = draw(drawn, scores, weights, rng=rng)
    if origin is None or drawn is None or drawn.shape[1] == 0:
        raise InputError("clustering needs pixels of positive weight; found none. Check the mask and the region")
    total = moments[-1, -1]
    shift = moments[:-1, -1] / total
    spread = moments[:-1, :-1] / total - np.outer(shift, shift)
    freedom = 1 - squares / total**2
    return Survey(pixels, widest, float(total), origin + shift, spread / (freedom or 1.0), drawn[2:], drawn[1])


def check(scores: np.ndarray, weights: np.ndarray, drawn: np.ndarray | None) -> None:
    """Raise InputError where values are not finite, weights are negative, or parts do not fit each other."""
    if drawn is not None and len(scores) != len(drawn) - 2:
        raise InputError(f"all parts need {len(drawn) - 2} components; found one of {len(scores)}")
    if len(weights) != scores.shape[1]:
        raise InputError(f"weights must be one a pixel; found {len(weights)} for {scores.shape[1]} pixels")
    if not all(np.isfinite(component).all() for component in scores):
        raise InputError("scores must be finite; found NaN or infinity. Leave these pixels out (score and weight 0)")
    if not np.isfinite(weights).all() or np.any(weights < 0):
        raise InputError("weights must be finite and 0 or more; found others. Give 0 to pixels that do not count")


def moments_about(origin: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of w [x - origin; 1] [x - origin; 1]', float64 [d + 1, d + 1]."""
    moments = np.zeros((len(scores) + 1, len(scores) + 1))
    for begin in range(0, scores.shape[1], PIECE):
        x = scores[:, begin : begin + PIECE] - origin[:, None]
        x = np.concatenate([x, np.ones((1, x.shape[1]))])
        moments += (x * weights[begin : begin + PIECE]) @ x.T
    return moments


def draw(drawn: np.ndarray | None, scores: np.ndarray, weights: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return [lot; weight; scores] of the SAMPLE pixels with the smallest lots so far, in rising order of the lots."""
    lots = np.where(weights > 0, rng.random(len(weights)), np.inf)
    kept = smallest(lots)
    fresh = np.concatenate([lots[None, kept], weights[None, kept], scores[:, kept]])
    if drawn is None:
        return fresh
    together = np.concatenate([drawn, fresh], axis=1)
    return together[:, smallest(together[0])]


def smallest(lots: np.ndarray) -> np.ndarray:
    """Return where the SAMPLE smallest finite lots are, in rising order."""
    if len(lots) > SAMPLE:
        chosen = np.argpartition(lots, SAMPLE)[:SAMPLE]
        chosen = chosen[np.argsort(lots[chosen], kind="stable")]
    else:
        chosen = np.argsort(lots, kind="stable")
    return chosen[np.isfinite(lots[chosen])]
