"""Spatial evidence, as an option: neighbours that show the same spectrum say together what the paint is."""

from collections.abc import Iterator
from itertools import chain, product

import numpy as np

from velatura.tasks.pigment_model import Answers, sigmoid

BINS = 64  # in which spectra are compared
SURE = 1e-6  # probabilities are kept this far from 0 and 1


def coarse(features: np.ndarray) -> np.ndarray:
    """Return counts float32 [n, channel] in 64 wide bins [n, 64], to be compared."""
    return features.reshape(len(features), BINS, -1).sum(axis=2)


def likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return how far two spectra agree within their noise, float32 [...], 1 (they do) to 0.

    first, second: counts [..., bin]. chi2 of the two normalised spectra is compared with what noise makes of one
    spectrum (as many as there are bins with counts, standard deviation root of twice that); each standard deviation
    above costs a factor e.
    """
    one, two = (np.maximum(a.sum(axis=-1, keepdims=True), 1) for a in (first, second))
    seen = first + second > 0
    variance = first / one**2 + second / two**2
    chi2 = ((first / one - second / two) ** 2 / np.where(seen, variance, 1)).sum(axis=-1)
    free = np.maximum(seen.sum(axis=-1) - 1, 1)
    return np.exp(-np.maximum(chi2 - free, 0) / np.sqrt(2 * free)).astype(np.float32)


def shared_evidence(answers: Answers, bins: np.ndarray, answered: np.ndarray) -> Answers:
    """Return answers [y, x, ...] whose logits are averaged with those of the 8 neighbours, by their likeness.

    bins: of `coarse` [y, x, 64]; answered: bool [y, x], others have no say. Probabilities of classes, of a hidden paint
    and of unknowns are averaged; shares, amounts and strangeness stay each pixel's own.
    """
    names = ("probability", "unknown", "hidden")
    logits = {name: _logit(getattr(answers, name)) for name in names}
    weight = np.ones(answered.shape, np.float32)
    sums = {name: values.copy() for name, values in logits.items()}
    for dy, dx in product((-1, 0, 1), repeat=2):
        here, there = _beside(dy, dx, answered.shape)
        if (dy, dx) == (0, 0):
            continue
        own = likeness(bins[here], bins[there]) * answered[there]
        weight[here] += own
        for name, values in logits.items():
            sums[name][here] += values[there] * own.reshape(own.shape + (1,) * (values.ndim - 2))
    mixed = {
        name: sigmoid(total / weight.reshape(weight.shape + (1,) * (total.ndim - 2))) for name, total in sums.items()
    }
    return answers._replace(**mixed)


def with_rows_around(
    parts: Iterator[tuple[slice, Answers, np.ndarray, np.ndarray]],
) -> Iterator[tuple[slice, Answers, np.ndarray]]:
    """Yield (rows, answers, answered) with shared evidence, for bands that come as (rows, answers, bins, answered).

    Bands follow one another; each waits for the first row of the next, and at most three are alive.
    """
    above = band = None
    for below in chain(parts, [None]):
        if band is not None:
            rows, *_ = band
            pieces = [piece for piece in (_rows(above, -1), band[1:], _rows(below, 0)) if piece is not None]
            answers = Answers(*(np.concatenate(a) for a in zip(*(piece[0] for piece in pieces), strict=True)))
            bins, answered = (np.concatenate([piece[i] for piece in pieces]) for i in (1, 2))
            start = 0 if above is None else 1
            kept = slice(start, start + rows.stop - rows.start)
            mixed = shared_evidence(answers, bins, answered)
            yield rows, Answers(*(a[kept] for a in mixed)), answered[kept]
        above, band = band, below


def _rows(band: tuple | None, row: int) -> tuple | None:
    """One row of a band, as bands are."""
    if band is None:
        return None
    cut = slice(row, None) if row < 0 else slice(0, 1)
    _, answers, bins, answered = band
    return Answers(*(a[cut] for a in answers)), bins[cut], answered[cut]


def _beside(dy: int, dx: int, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of all pixels that have such a neighbour, and of these neighbours."""
    here = tuple(slice(max(0, -step), size - max(0, step)) for step, size in zip((dy, dx), shape, strict=True))
    there = tuple(slice(max(0, step), size - max(0, -step)) for step, size in zip((dy, dx), shape, strict=True))
    return (here[0], here[1]), (there[0], there[1])


def _logit(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, SURE, 1 - SURE)
    return np.log(clipped / (1 - clipped))
