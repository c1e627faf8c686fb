"""Scalings that make Poisson counts fit for principal components. All are pure functions of one block of pixels.

A scaling has a per-pixel part, applied to each block here, and a per-channel factor, which commutes with the Gram
matrix and is applied after it (`channel_factor`). With x_ij the counts of pixel i in bin j and D bins:

    keenan-kotula   x_ij / sqrt(a_i), then / sqrt(g_j): a_i = mean over bins, g_j = mean over pixels of x_ij / a_i.
                    Keenan & Kotula, Surf. Interface Anal. 36 (2004) 203. Taking g_j after the pixel factor makes the
                    Poisson noise exactly 1 in every bin, so that the noise floor of the eigenvalues is known.
    sum             x_ij / sum_j x_ij, then as above: shape of the spectrum only; for strong relief and thickness.
    sqrt            2 sqrt(x_ij + 3/8). Anscombe, Biometrika 35 (1948) 246.
    log1p           log(1 + x_ij)
    none            x_ij
"""

from typing import Literal, NamedTuple, get_args

import numpy as np

from velatura.base.errors import InputError, did_you_mean

Scaling = Literal["keenan-kotula", "sum", "sqrt", "log1p", "none"]
SCALINGS: tuple[str, ...] = get_args(Scaling)


def check_scaling(scaling: str) -> None:
    """Raise InputError unless `scaling` is one of SCALINGS."""
    if scaling not in SCALINGS:
        raise InputError(f"unknown scaling {scaling!r}{did_you_mean(scaling, SCALINGS)}; known: {', '.join(SCALINGS)}")


class Scaled(NamedTuple):
    """A block after the per-pixel part of a scaling, and how noisy it is."""

    values: np.ndarray
    """float32 [n, bin]"""
    noise: np.ndarray
    """float64 [bin]: noise variance of each bin, summed over the block's pixels."""
    pixel_noise: np.ndarray
    """float32 [n]: noise variance of each pixel, summed over bins."""


def scale_pixels(counts: np.ndarray, scaling: str) -> Scaled:
    """Apply the per-pixel part of a scaling to a block of whole counts, float32 [n, bin].

    The noise is estimated by x (h(x) - h(x - 1))^2 for each count x scaled by h: for Poisson x this is unbiased where
    h is linear and an upper bound otherwise (Klaassen, Ann. Probab. 13 (1985) 966), tight for many and for few counts.
    Pixels without counts give 0.
    """
    total = counts.sum(1)
    if scaling in ("keenan-kotula", "sum", "none"):
        power = {"keenan-kotula": -0.5, "sum": -1.0, "none": 0.0}[scaling]
        factor = np.where(total > 0, (np.maximum(total, 1) / counts.shape[1]) ** power, 0).astype(np.float32)
        return Scaled(counts * factor[:, None], (factor**2 @ counts).astype(np.float64), factor**2 * total)
    values = _transform(counts, scaling)
    step = values - _transform(np.maximum(counts - 1, 0), scaling)
    noise = counts * step * step
    return Scaled(values, noise.sum(0, dtype=np.float64), noise.sum(1))


def _transform(counts: np.ndarray, scaling: str) -> np.ndarray:
    return 2 * np.sqrt(counts + np.float32(0.375)) if scaling == "sqrt" else np.log1p(counts)


def channel_factor(noise: np.ndarray, scaling: str) -> np.ndarray:
    """Return the factor of each bin after the Gram matrix, float64 [bin], from the mean noise variance [bin]."""
    if scaling in ("keenan-kotula", "sum"):
        return 1 / np.sqrt(noise)
    return np.ones_like(noise)
