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
"""Smallest variance, in units of the scaled pixels; keeps a cluster of identical pixels finite."""
MIXTURE_FLOOR = 1e-6
"""Variance added to every component of a Gaussian mixture, relative to the mean variance of all pixels."""


@dataclass(frozen=True)
class Moments:
    """Weight [k], mean [k, d] and covariance about it [k, d, d] of the pixels of each cluster, float64."""

    mass: np.ndarray
    centres: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Model:
    """The clusters between two passes, in the units of the layout, float64."""

    centres: np.ndarray
    """[k, d]."""
    covariance: np.ndarray
    """[k, d, d], regularised, as the whiteners use it."""
    whiteners: np.ndarray
    """[k, d, d], rounded to the arithmetic of the passes, so that a pass can be undone exactly."""
    offsets: np.ndarray
    """[k, d], W v, rounded likewise."""
    log_weights: np.ndarray
    """[k], Gaussian mixture only: log of proportion over root of determinant."""
    noise: float
    """Squared distance delta^2 of the noise cluster; infinite without one."""
    dtype: np.dtype

    def frames(self, capacity: int | None = None) -> Frames:
        """Return the arrays that the passes need, filled up to `capacity` clusters by some that take no part."""
        clusters = len(self.centres)
        room = (capacity or clusters) - clusters
        log_weights = np.pad(self.log_weights, (0, room), constant_values=-np.inf)
        whiteners, offsets = (np.pad(a, [(0, room)] + [(0, 0)] * (a.ndim - 1)) for a in (self.whiteners, self.offsets))
        small = (whiteners, offsets, log_weights, np.asarray(self.noise))
        return Frames(*(array.astype(self.dtype) for array in small))


def finish(model: Model, sums: Sums, options: ClusterOptions, *, whole: np.ndarray) -> Model:
    """Return the clusters that follow from one pass. whole: F0 [d, d]."""
    return replace(shape(moments_of(model, sums), options, whole=whole, dtype=model.dtype), noise=model.noise)


def moments_of(model: Model, sums: Sums) -> Moments:
    """Undo the frames of a pass; a cluster that no pixel belongs to stays where it was."""
    mass = np.asarray(sums.mass)[: len(model.centres)]
    filled = mass > 1e-20 * max(mass.sum(), FLOOR)
    moments = np.asarray(sums.moments)[: len(model.centres)]
    share = moments / np.where(filled, mass, 1.0)[:, None, None]  # mean of y [x; 1]'
    back, turned = np.linalg.inv(model.whiteners), model.whiteners.transpose(0, 2, 1)
    used = np.einsum("kij,kj->ki", back, model.offsets)  # the centres that the pass used
    mean = share[:, :, -1]
    square = (share[:, :, :-1] - mean[:, :, None] * used[:, None, :]) @ turned - mean[:, :, None] * mean[:, None, :]
    covariance = back @ ((square + square.transpose(0, 2, 1)) / 2) @ back.transpose(0, 2, 1)
    centres = used + np.einsum("kij,kj->ki", back, mean)
    return Moments(
        mass,
        np.where(filled[:, None], centres, model.centres),
        np.where(filled[:, None, None], (covariance + covariance.transpose(0, 2, 1)) / 2, model.covariance),
    )


def shape(moments: Moments, options: ClusterOptions, *, whole: np.ndarray, dtype: np.dtype) -> Model:
    """Return the clusters of a method that have these moments.

    Gustafson and Kessel (1979): D = (rho det F)^(1/d) (x - v)' F^-1 (x - v). Gaussian mixture: the exponent of the
    density. Fuzzy means and k-means: the plain distance.
    """
    clusters, features = moments.centres.shape
    covariance, limit, log_weights = moments.covariance, options.condition_limit, np.zeros(clusters)
    if mixture := options.method == "gaussian-mixture":
        limit, floor = np.inf, MIXTURE_FLOOR * np.trace(whole) / features
        covariance = covariance + max(floor, FLOOR) * np.eye(features)
    elif options.method == "gustafson-kessel" and options.shrinkage:
        covariance = shrink(covariance, whole, options.shrinkage)
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, np.maximum(values[:, -1:] / limit, FLOOR))
    turned, whiteners = vectors.transpose(0, 2, 1), np.broadcast_to(np.eye(features), covariance.shape)
    if mixture:
        whiteners = turned / np.sqrt(values)[:, :, None]
        proportions = np.maximum(moments.mass / moments.mass.sum(), FLOOR)
        log_weights = np.log(proportions) - np.log(values).sum(axis=1) / 2
    elif options.method == "gustafson-kessel":
        volumes = np.ones(clusters) if options.volumes is None else np.asarray(options.volumes)
        mean_log = (np.log(volumes) + np.log(values).sum(axis=1)) / features
        whiteners = np.exp((mean_log[:, None] - np.log(values)) / 2)[:, :, None] * turned
    whiteners = whiteners.astype(dtype).astype(np.float64)
    offsets = np.einsum("kij,kj->ki", whiteners, moments.centres).astype(dtype).astype(np.float64)
    covariance = (vectors * values[:, None, :]) @ turned
    return Model(moments.centres, covariance, whiteners, offsets, log_weights, np.inf, np.dtype(dtype))


def shrink(covariance: np.ndarray, whole: np.ndarray, shrinkage: float) -> np.ndarray:
    """Return (1 - g) F + g det(F0)^(1/d) I (Babuska, van der Veen and Kaymak 2002, FUZZ-IEEE).

    Directions that no pixel spans count as 1e-12 of the widest, so that a dependent component does not undo it.
    """
    spread = np.linalg.eigvalsh(whole)
    spread = np.maximum(spread, max(1e-12 * spread[-1], FLOOR))
    return (1 - shrinkage) * covariance + shrinkage * np.exp(np.log(spread).mean()) * np.eye(len(whole))
