"""Where the clusters begin: the best of some k-means++ starts on a sample of pixels, settled by Lloyd. Plain NumPy."""

import numpy as np

from velatura.cluster.frames import Moments

STARTS, TRIAL = 10, 20_000
"""Starts that are tried, and the pixels they are tried on."""
ROUNDS = 10
FUZZIFIER = 1.2
"""Fuzzifier of the memberships that follow from starting centres: soft enough to count neighbours, no softer."""
PIECE = 2**14
"""Pixels worked on at once."""


def seed_centres(sample: np.ndarray, clusters: int, *, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return [k, d] starting centres for a sample [d, s] in random order, with weights [s].

    Several k-means++ starts on the first pixels of the sample, each with a few of Lloyd's rounds; the one with the
    least sum of squared distances goes on with Lloyd's rounds on the whole sample. One start alone misses a cluster
    now and then, and no later iteration brings it back.
    """
    few, few_weights = np.ascontiguousarray(sample[:, :TRIAL]), weights[:TRIAL]
    tries = [settle(few, spread_out(few, clusters, weights=few_weights, rng=rng), few_weights) for _ in range(STARTS)]
    best, _ = min(tries, key=lambda attempt: attempt[1])
    return settle(sample, best, weights)[0].T.astype(np.float64)


def spread_out(sample: np.ndarray, clusters: int, *, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return [d, k] centres by greedy k-means++ (Arthur and Vassilvitskii 2007).

    Of 2 + log k pixels drawn by their squared distance to the nearest centre, the one that lowers the sum of these
    distances most becomes the next centre.
    """
    norms, trials = np.square(sample).sum(axis=0), 2 + int(np.log(clusters))
    centres = sample[:, rng.choice(sample.shape[1], 1, p=weights / weights.sum())]
    nearest = squared_distances(sample, norms, centres)[0]
    while centres.shape[1] < clusters:
        odds = np.cumsum((nearest * weights).astype(np.float64))
        if odds[-1] == 0:  # fewer different pixels than clusters
            odds = np.cumsum(weights)
        drawn = np.minimum(np.searchsorted(odds, rng.random(trials) * odds[-1], side="right"), len(odds) - 1)
        closer = np.minimum(nearest, squared_distances(sample, norms, sample[:, drawn]))
        best = int(np.argmin(closer @ weights))
        centres, nearest = np.concatenate([centres, sample[:, drawn[best : best + 1]]], axis=1), closer[best]
    return centres


def settle(sample: np.ndarray, centres: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Return [d, k] centres after Lloyd's rounds, and the sum of squared distances before the last of them.

    A centre without pixels stays.
    """
    norms, clusters = np.square(sample).sum(axis=0), centres.shape[1]
    for _ in range(ROUNDS):
        distance2 = squared_distances(sample, norms, centres)
        labels = distance2.argmin(axis=0)
        mass = np.bincount(labels, weights, clusters)
        sums = np.stack([np.bincount(labels, weights * row, clusters) for row in sample])
        before, centres = centres, np.where(mass > 0, sums / np.where(mass > 0, mass, 1), centres).astype(sample.dtype)
        if np.array_equal(before, centres):
            break
    return centres, float(np.take_along_axis(distance2, labels[None], axis=0)[0] @ weights)


def squared_distances(sample: np.ndarray, norms: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return |x - c|^2, [k, s], for samples [d, s] with squared norms [s] and centres [d, k]."""
    return np.maximum(norms - 2 * (centres.T @ sample) + np.square(centres).sum(axis=0)[:, None], 0)


def memberships_at(sample: np.ndarray, centres: np.ndarray, *, hard: bool) -> np.ndarray:
    """Return [k, s] memberships of pixels [d, s] at centres [k, d] by plain distance: hard, or fuzzy at m = 1.2."""
    distance2 = squared_distances(sample, np.square(sample).sum(axis=0), centres.T)
    if hard:
        return (distance2.argmin(axis=0) == np.arange(len(centres))[:, None]).astype(np.float64)
    least = np.maximum(distance2.min(axis=0), np.finfo(np.float32).tiny)
    share = (least / np.maximum(distance2, least)) ** (1 / (FUZZIFIER - 1))
    return share / share.sum(axis=0)


def weighted_moments(pixels: np.ndarray, shares: np.ndarray) -> Moments:
    """Return the moments of pixels [d, n] under shares [k, n] (weight times u^m), float64, two passes."""
    mass = shares.sum(axis=1, dtype=np.float64)
    safe = np.maximum(mass, np.finfo(np.float64).tiny)
    pieces = [slice(begin, begin + PIECE) for begin in range(0, pixels.shape[1], PIECE)]
    wide = [(pixels[:, piece].astype(np.float64), shares[:, piece].astype(np.float64)) for piece in pieces]
    centres = sum(share @ x.T for x, share in wide) / safe[:, None]
    scatter = np.zeros((len(shares), len(pixels), len(pixels)))
    for x, share in wide:
        about = x[None] - centres[:, :, None]
        scatter += (about * share[:, None, :]) @ about.transpose(0, 2, 1)
    return Moments(mass, centres, scatter / safe[:, None, None])
