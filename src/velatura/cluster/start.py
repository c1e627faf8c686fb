"""Where the clusters begin: k-means++ on a sample of pixels, then a few rounds of Lloyd's algorithm. Plain NumPy."""

import numpy as np

ROUNDS = 10


def seed_centres(sample: np.ndarray, clusters: int, *, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return [k, d] starting centres for a sample [d, s] with weights [s].

    Greedy k-means++ (Arthur and Vassilvitskii 2007): of 2 + log k pixels drawn by their squared distance to the
    nearest centre, the one that lowers the sum of these distances most; then Lloyd's rounds.
    """
    sample = sample.astype(np.float32)
    norms = np.square(sample).sum(axis=0)
    trials = 2 + int(np.log(clusters))
    centres = sample[:, rng.choice(sample.shape[1], 1, p=weights / weights.sum())]
    nearest = squared_distances(sample, norms, centres)[0]
    while centres.shape[1] < clusters:
        odds = (nearest * weights).astype(np.float64)
        if odds.sum() == 0:  # fewer different pixels than clusters
            odds = weights
        drawn = np.searchsorted(np.cumsum(odds), rng.random(trials) * odds.sum())
        drawn = np.minimum(drawn, sample.shape[1] - 1)
        closer = np.minimum(nearest, squared_distances(sample, norms, sample[:, drawn]))
        best = int(np.argmin(closer @ weights))
        centres, nearest = np.concatenate([centres, sample[:, drawn[best : best + 1]]], axis=1), closer[best]
    for _ in range(ROUNDS):
        centres = lloyd(sample, norms, centres, weights)
    return centres.T.astype(np.float64)


def squared_distances(sample: np.ndarray, norms: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return |x - c|^2, [k, s], for samples [d, s] with squared norms [s] and centres [d, k]."""
    cross = centres.T @ sample
    return np.maximum(norms - 2 * cross + np.square(centres).sum(axis=0)[:, None], 0)


def lloyd(sample: np.ndarray, norms: np.ndarray, centres: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of the pixels nearest to each centre; a centre without pixels stays."""
    clusters = centres.shape[1]
    labels = squared_distances(sample, norms, centres).argmin(axis=0)
    mass = np.bincount(labels, weights, clusters)
    sums = np.stack([np.bincount(labels, weights * row, clusters) for row in sample])
    return np.where(mass > 0, sums / np.where(mass > 0, mass, 1), centres).astype(np.float32)
