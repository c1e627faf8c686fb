"""Where the clusters begin: k-means++ and a few rounds of Lloyd's algorithm on a sample of pixels. Plain NumPy."""

import numpy as np

from velatura.cluster.frames import Moments

ROUNDS = 10
FUZZIFIER = 1.2
"""Fuzzifier of the memberships that follow from starting centres: soft enough to count neighbours, no softer."""
PIECE = 2**14
"""Pixels worked on at once."""


def seed_centres(sample: np.ndarray, clusters: int, *, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return [k, d] starting centres for a sample [d, s] with weights [s].

    Greedy k-means++ (Arthur and Vassilvitskii 2007): of 2 + log k pixels drawn by their squared distance to the
    nearest centre, the one that lowers the sum of these distances most; then Lloyd's rounds.
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
    for _ in range(ROUNDS):
        centres = lloyd(sample, norms, centres, weights)
    return centres.T.astype(np.float64)


def squared_distances(sample: np.ndarray, norms: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return |x - c|^2, [k, s], for samples [d, s] with squared norms [s] and centres [d, k]."""
    return np.maximum(norms - 2 * (centres.T @ sample) + np.square(centres).sum(axis=0)[:, None], 0)


def lloyd(sample: np.ndarray, norms: np.ndarray, centres: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of the pixels nearest to each centre; a centre without pixels stays."""
    clusters = centres.shape[1]
    labels = squared_distances(sample, norms, centres).argmin(axis=0)
    mass = np.bincount(labels, weights, clusters)
    sums = np.stack([np.bincount(labels, weights * row, clusters) for row in sample])
    return np.where(mass > 0, sums / np.where(mass > 0, mass, 1), centres).astype(sample.dtype)


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
