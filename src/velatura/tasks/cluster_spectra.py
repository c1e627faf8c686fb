"""Mean spectra of clusters in counts: raw counts at full resolution, weighted by memberships, with Poisson errors."""

from typing import Any, NamedTuple

import numpy as np

from velatura.base.blocks import bands
from velatura.base.progress import Progress, silent

BLOCK_BYTES = 32 * 2**20  # float32 block of pixels worked on at once


class ClusterSpectra(NamedTuple):
    """Spectra in mean counts per pixel and channel."""

    spectrum: np.ndarray
    """float64 [cluster, channel]: sum_i w_i x_i / sum_i w_i."""
    error: np.ndarray
    """float64 [cluster, channel]: standard deviation for Poisson counts, root of sum_i w_i^2 x_i over sum_i w_i."""
    mean: np.ndarray
    """float64 [channel]: plain mean of all used pixels."""
    mass: np.ndarray
    """float64 [cluster]: sum of the weights."""


def cluster_spectra(
    counts: Any, weights: np.ndarray, *, used: np.ndarray, progress: Progress = silent
) -> ClusterSpectra:
    """Return the weighted mean spectrum of each cluster, in one pass over the counts.

    counts: [y, x, channel], numpy or dask; weights: float32 [cluster, n], not negative, for the used pixels in row
    order; used: bool [y, x].
    """
    clusters, channels = len(weights), counts.shape[2]
    sums = np.zeros((2 * clusters + 1, channels))
    step, begin = max(64, BLOCK_BYTES // (4 * channels)), 0
    for rows, band in bands(counts, stage="cluster spectra", progress=progress):
        flat, chosen = band.reshape(-1, channels), used[rows].ravel()
        for start in range(0, len(flat), step):
            here = chosen[start : start + step]
            block = flat[start : start + step]
            block = (block if here.all() else block[here]).astype(np.float32)
            part = weights[:, begin : begin + len(block)]
            begin += len(block)
            sums += np.vstack([part, part * part, np.ones((1, len(block)), np.float32)]) @ block
    mass = weights.sum(1, dtype=np.float64)
    divisor = np.maximum(mass, np.finfo(np.float32).tiny)[:, None]
    return ClusterSpectra(
        spectrum=sums[:clusters] / divisor,
        error=np.sqrt(sums[clusters : 2 * clusters]) / divisor,
        mean=sums[-1] / weights.shape[1],
        mass=mass,
    )
