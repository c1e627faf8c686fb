"""From the statistics to the next frames: the small matrices, in float64 on the host (the `finish` of the reducer).

Symbols: v centre, F covariance of a cluster (weighted by u^m), W whitener, rho volume, d features, g shrinkage, F0
covariance of all pixels.
"""

from dataclasses import dataclass, replace

import numpy as np

from velatura.cluster.membership import Frames
from velatura.cluster.options import ClusterOptions
from velatura.cluster.statistics import Sums

FLOOR = 1e-30
"""Smallest variance, in units of the scaled data; keeps a cluster of identical pixels finite."""
MIXTURE_FLOOR = 1e-6
"""Variance added to every component of a Gaussian mixture, relative to the mean variance of all pixels."""


@dataclass(frozen=True)
class Model:
    """The clusters between two passes, in the units of the layout; float64 [k, d], [k, d, d] and [k]."""

    centres: np.ndarray
    covariance: np.ndarray
    """Regularised, as the whiteners use it."""
    whiteners: np.ndarray
    """Rounded to the arithmetic of the passes, so that a pass can be undone exactly."""
    offsets: np.ndarray
    """W v, rounded likewise."""
    log_weights: np.ndarray
    noise: float
    dtype: np.dtype

    def frames(self) -> Frames:
        """Return the arrays that the passes need."""
        small = (self.whiteners, self.offsets, self.log_weights, np.asarray(self.noise))
        return Frames(*(array.astype(self.dtype) for array in small))


def spheres(centres: np.ndarray, dtype: np.dtype) -> Model:
    """Return clusters of unit covariance at these centres [k, d]."""
    clusters, features = centres.shape
    unit = np.broadcast_to(np.eye(features), (clusters, features, features))
    offsets = centres.astype(dtype).astype(np.float64)
    return Model(centres, unit, unit, offsets, np.zeros(clusters), np.inf, np.dtype(dtype))


def scatter(model: Model, sums: Sums) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Undo the frames: weights [k], means [k, d] and covariances [k, d, d] about them; empty clusters stay."""
    moments = np.asarray(sums.moments)
    mass = moments[:, -1, -1]
    filled = mass > 1e-20 * max(mass.sum(), FLOOR)
    safe = np.where(filled, mass, 1.0)
    back = np.linalg.inv(model.whiteners)
    mean = moments[:, :-1, -1] / safe[:, None]
    spread = moments[:, :-1, :-1] / safe[:, None, None] - mean[:, :, None] * mean[:, None, :]
    centres = np.einsum("kij,kj->ki", back, model.offsets + mean)
    covariance = back @ spread @ back.transpose(0, 2, 1)
    covariance = (covariance + covariance.transpose(0, 2, 1)) / 2
    centres = np.where(filled[:, None], centres, model.centres)
    return mass, centres, np.where(filled[:, None, None], covariance, model.covariance)


def finish(model: Model, sums: Sums, options: ClusterOptions, whole: np.ndarray) -> Model:
    """Return the clusters that follow from one pass. whole: covariance of all pixels [d, d]."""
    mass, centres, covariance = scatter(model, sums)
    features = centres.shape[1]
    shrinkage, limit, log_weights = 0.0, options.condition_limit, np.zeros(len(centres))
    if options.method == "gustafson-kessel":
        shrinkage = options.shrinkage
    elif options.method == "gaussian-mixture":
        covariance = covariance + MIXTURE_FLOOR * np.trace(whole) / features * np.eye(features)
        limit = np.inf
    values, vectors = regularise(covariance, whole, shrinkage=shrinkage, limit=limit)
    covariance = (vectors * values[:, None, :]) @ vectors.transpose(0, 2, 1)
    if options.method == "gustafson-kessel":
        volumes = np.log(np.ones(len(centres)) if options.volumes is None else np.asarray(options.volumes))
        lengths = (volumes + np.log(values).sum(axis=1)) / features
        stretch = np.exp((lengths[:, None] - np.log(values)) / 2)
        whiteners = stretch[:, :, None] * vectors.transpose(0, 2, 1)
    elif options.method == "gaussian-mixture":
        whiteners = vectors.transpose(0, 2, 1) / np.sqrt(values)[:, :, None]
        log_weights = np.log(np.maximum(mass / mass.sum(), FLOOR)) - np.log(values).sum(axis=1) / 2
    else:
        whiteners = model.whiteners
    whiteners = whiteners.astype(model.dtype).astype(np.float64)
    offsets = np.einsum("kij,kj->ki", whiteners, centres).astype(model.dtype).astype(np.float64)
    return replace(
        model, centres=centres, covariance=covariance, whiteners=whiteners, offsets=offsets, log_weights=log_weights
    )


def regularise(
    covariance: np.ndarray, whole: np.ndarray, *, shrinkage: float, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues [k, d] and eigenvectors [k, d, d] of (1 - g) F + g det(F0)^(1/d) I, clamped to a condition.

    No eigenvalue stays below the largest of its cluster divided by `limit`. Source: Babuska, van der Veen, Kaymak
    (2002), FUZZ-IEEE. The determinant of F0 is taken over the directions that the pixels span.
    """
    if shrinkage:
        spread = np.linalg.eigvalsh(whole)
        spread = np.maximum(spread, max(1e-12 * spread[-1], FLOOR))
        sphere = np.exp(np.log(spread).mean()) * np.eye(len(whole))
        covariance = (1 - shrinkage) * covariance + shrinkage * sphere
    values, vectors = np.linalg.eigh(covariance)
    return np.maximum(values, np.maximum(values[:, -1:] / limit, FLOOR)), vectors
