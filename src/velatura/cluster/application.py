"""Clusters applied to pixels, those they were found in or those of another scan."""

from typing import Any, NamedTuple

import numpy as np

from velatura.base.errors import InputError
from velatura.cluster.fitting import arithmetic, rule_of
from velatura.cluster.membership import Frames, memberships_of
from velatura.cluster.record import Clusters

BLOCK = 2**14


class Assignment(NamedTuple):
    """What the clusters say about each pixel."""

    membership: np.ndarray
    """[k, n], or [k + 1, n] with the noise cluster last; each column sums to 1."""
    distance: np.ndarray
    """[n], distance to the nearest cluster: root of D, in the units of the scores (Gaussian mixture: in sigma)."""


def assign_pixels(clusters: Clusters, scores: Any, *, precision: str = "float32") -> Assignment:
    """Return memberships and nearest distances of the pixels of `scores` [d, n], in `precision`.

    Raises InputError when the number of components is not that of the clusters, or values are not finite.
    """
    scores = np.asarray(scores)
    count, features = clusters.centres.shape
    if scores.ndim != 2 or len(scores) != features:
        raise InputError(f"these clusters need scores [{features}, pixel]; found {scores.shape}")
    noisy = np.isfinite(clusters.noise_distance)
    membership = np.empty((count + noisy, scores.shape[1]), precision)
    distance = np.empty(scores.shape[1], precision)
    with arithmetic(precision):
        shift, unit = clusters.centres.mean(axis=0).astype(np.float32), clusters.scale
        frames = frames_of(clusters, shift, precision)
        rule = rule_of(clusters.method, clusters.fuzzifier)
        length = 1.0 if clusters.method == "gaussian-mixture" else unit
        for begin in range(0, scores.shape[1], BLOCK):
            piece = scores[:, begin : begin + BLOCK]
            if not np.isfinite(piece).all():
                raise InputError("scores must be finite; found NaN or infinity. Leave these pixels out")
            block, here = np.zeros((features, BLOCK), precision), slice(begin, begin + piece.shape[1])
            block[:, : piece.shape[1]] = np.subtract(piece, shift[:, None], dtype=precision) / unit
            u, noise, nearest = (
                np.asarray(out)[..., : piece.shape[1]] for out in memberships_of(block, frames, rule=rule)
            )
            membership[:count, here], distance[here] = u, np.sqrt(nearest) * length
            if noisy:
                membership[count, here] = noise
    return Assignment(membership, distance)


def frames_of(clusters: Clusters, shift: np.ndarray, precision: str) -> Frames:
    """Return the frames of pixels laid out as (score - shift) / scale."""
    whiteners = clusters.whiteners * (clusters.scale if clusters.method == "gaussian-mixture" else 1.0)
    offsets = np.einsum("kij,kj->ki", whiteners, (clusters.centres - shift) / clusters.scale)
    noise = np.asarray(clusters.noise_distance / clusters.scale**2)
    return Frames(*(array.astype(precision) for array in (whiteners, offsets, clusters.log_weights, noise)))


def memberships(clusters: Clusters, scores: Any, *, precision: str = "float32") -> np.ndarray:
    """Return [k, n] memberships ([k + 1, n] with the noise cluster last) of the pixels of `scores` [d, n]."""
    return assign_pixels(clusters, scores, precision=precision).membership
