"""Clusters applied to pixels: those they were found in or those of another scan."""

from typing import Any, NamedTuple

import jax
import numpy as np

from velatura.base.errors import InputError
from velatura.cluster.membership import Frames, Rule, memberships_of, rule_of
from velatura.cluster.pixels import DEVICE_BLOCK, Units, arithmetic
from velatura.cluster.record import Clusters

WATCHED = 4096
"""Pixels at once on processors, and pixels watched for convergence: one compiled function does both."""


class Assignment(NamedTuple):
    """What the clusters say about each pixel."""

    membership: np.ndarray
    """[k, n], or [k + 1, n] with the noise cluster last; each column sums to 1."""
    distance: np.ndarray
    """[n], distance to the nearest cluster: root of D, in the units of the scores (Gaussian mixture: in sigma)."""


def memberships(clusters: Clusters, scores: Any, *, precision: str = "float32") -> np.ndarray:
    """Return [k, n] memberships ([k + 1, n] with the noise cluster last) of the pixels of `scores` [d, n]."""
    return assign_pixels(clusters, scores, precision=precision).membership


def assign_pixels(clusters: Clusters, scores: Any, *, precision: str = "float32") -> Assignment:
    """Return memberships and nearest distances of the pixels of `scores` [d, n], in `precision`.

    Raises InputError when the number of components is not that of the clusters, or values are not finite.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or len(scores) != clusters.centres.shape[1]:
        raise InputError(f"these clusters need scores [{clusters.centres.shape[1]}, pixel]; found {scores.shape}")
    if not all(np.isfinite(component).all() for component in scores):
        raise InputError("scores must be finite; found NaN or infinity. Leave these pixels out")
    mixture = clusters.method == "gaussian-mixture"
    shift = clusters.centres.mean(axis=0).astype(np.float32).astype(np.float64)
    whiteners = clusters.whiteners * (clusters.scale if mixture else 1.0)
    offsets = np.einsum("kij,kj->ki", whiteners, (clusters.centres - shift) / clusters.scale)
    small = (whiteners, offsets, clusters.log_weights, np.asarray(clusters.noise_distance / clusters.scale**2))
    with arithmetic(precision):
        units, frames = Units(shift, clusters.scale, np.dtype(precision)), Frames(*(a.astype(precision) for a in small))
        found, noise, nearest = assign_all(scores, units, frames, rule=rule_of(clusters.method, clusters.fuzzifier))
    if np.isfinite(clusters.noise_distance):
        found = np.concatenate([found, noise[None, :]])
    return Assignment(found, np.sqrt(nearest) * (1.0 if mixture else clusters.scale))


def assign_all(
    scores: np.ndarray, units: Units, frames: Frames, *, rule: Rule
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return memberships [k, n], noise memberships [n] and squared distances to the nearest cluster [n]."""
    pixels, dtype = scores.shape[1], units.dtype
    found = np.empty((len(frames.offsets), pixels), dtype), np.empty(pixels, dtype), np.empty(pixels, dtype)
    size = WATCHED if jax.default_backend() == "cpu" else min(DEVICE_BLOCK, -(-pixels // WATCHED) * WATCHED)
    block = np.zeros((len(scores) + 1, size), dtype)
    for begin in range(0, pixels, size):
        piece = scores[:, begin : begin + size]
        units.place(piece, out=block[:, : piece.shape[1]])
        for whole, part in zip(found, memberships_of(block, frames, rule=rule), strict=True):
            whole[..., begin : begin + size] = np.asarray(part)[..., : piece.shape[1]]
    return found
