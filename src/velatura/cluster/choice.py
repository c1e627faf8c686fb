"""How many clusters to ask for, and how well separated they are: judged on a sample of the pixels."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.cluster.fitting import fit
from velatura.cluster.options import ClusterOptions

RANGE = range(4, 21)
SURPLUS = 2
"""Clusters added to the best number: a hidden layer multiplies the materials that are seen."""
JUDGED = 20_000
"""Pixels that decide the number of clusters."""


class Choice(NamedTuple):
    """A number of clusters and what it rests on."""

    clusters: int
    indices: dict[int, dict[str, float]]
    """Validity indices by number of clusters tried."""


def choose_clusters(
    scores: np.ndarray,
    options: ClusterOptions,
    *,
    key: jax.Array,
    candidates: range = RANGE,
    progress: Progress = silent,
) -> Choice:
    """Return the number of clusters with the largest modified partition coefficient (Dave 1996), plus 2.

    scores: float [d, n]; 20,000 pixels of them are drawn by `key` and clustered with each number of `candidates` and
    otherwise the given options. Raises InputError where there are fewer pixels than clusters to try.
    """
    pick, start = jax.random.split(key)
    sample = draw_pixels(scores, JUDGED, key=pick)
    if sample.shape[1] < max(candidates):
        raise InputError(
            f"choosing among up to {max(candidates)} clusters needs as many pixels; found {sample.shape[1]}. "
            "Give the number of clusters"
        )
    plain = replace(options, noise=False, volumes=None)
    indices = {}
    for done, clusters in enumerate(candidates):
        progress("choosing the number of clusters", done, len(candidates))
        found = fit(sample, replace(plain, clusters=clusters), key=start, capacity=max(candidates))
        indices[clusters] = dict(found.validity)
    progress("choosing the number of clusters", len(candidates), len(candidates))
    best = max(indices, key=lambda clusters: indices[clusters]["modified_partition_coefficient"])
    return Choice(best + SURPLUS, indices)


def fuzzy_silhouette(scores: Any, membership: np.ndarray, *, key: jax.Array, sample: int = 1500) -> float:
    """Return the fuzzy silhouette (Campello and Hruschka 2006), -1 to 1, of a sample of pixels.

    scores: [d, n]; membership: [k, n] without a noise cluster. Each pixel counts by the difference of its two largest
    memberships. The plain silhouette needs n^2 distances; the sample is drawn by `key`. 0 where only one cluster shows.
    """
    scores = np.asarray(scores)
    together = draw_pixels(np.concatenate([scores, membership]).astype(np.float64), sample, key=key)
    x, u = together[: len(scores)], together[len(scores) :]
    labels = u.argmax(axis=0)
    norms = np.square(x).sum(axis=0)
    distance = np.sqrt(np.maximum(norms[:, None] + norms[None, :] - 2 * x.T @ x, 0))
    one_hot = (labels[:, None] == np.arange(len(u))).astype(np.float64)
    sizes = one_hot.sum(axis=0)
    if np.count_nonzero(sizes) < 2:
        return 0.0
    sums, here = distance @ one_hot, np.arange(len(labels))
    own = sums[here, labels] / np.maximum(sizes[labels] - 1, 1)
    means = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.inf)
    means[here, labels] = np.inf
    other = means.min(axis=1)
    widths = np.where(sizes[labels] > 1, (other - own) / np.maximum(np.maximum(own, other), 1e-300), 0.0)
    top = np.partition(u, -2, axis=0)[-2:]
    return float(widths @ (top[1] - top[0]) / max((top[1] - top[0]).sum(), 1e-300))


def draw_pixels(scores: Any, count: int, *, key: jax.Array) -> np.ndarray:
    """Return at most `count` pixels of [d, n], drawn without replacement."""
    array = np.asarray(scores)
    if array.shape[1] <= count:
        return array
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32).ravel())
    return array[:, np.sort(rng.choice(array.shape[1], count, replace=False))]
