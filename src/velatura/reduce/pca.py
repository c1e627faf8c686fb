"""Principal components of a cube in one pass: exact Gram matrix of rebinned, scaled counts, streamed in blocks.

Products of float32 blocks are summed in float64 and the eigenpairs are taken in float64. Channel factors and the mean
are applied after the Gram matrix, so that nothing has to be known before the counts are read, except which pixels hold
next to nothing: that comes from a few rows.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.reduce.bins import bins_at, make_bins
from velatura.reduce.scaling import channel_factor, check_scaling, scale_pixels
from velatura.reduce.stream import BinnedCounts

MOST_COMPONENTS = 32
BIN_COUNTS = 50  # a bin with fewer counts in the whole scan says nothing about single pixels and is left out
# Counts have longer tails than the Gaussian noise behind the edge: without structure their largest eigenvalue was up to
# 3 % above it (144 to 40,000 pixels of 8 to 50,000 counts).
TAIL = 1.05
LEAST = 1.2  # a component weaker than this next to noise of 1 tells no pixel from another, however many there are


@dataclass(frozen=True)
class Reduction:
    """All that is needed to bring counts, of this scan or of another, into the space of the principal components."""

    scaling: str
    """Name of the scaling (scaling.py)."""
    edges: np.ndarray
    """Borders of the energy bins [keV], float64 [bin + 1]."""
    channel_scale: np.ndarray
    """Factor of each bin after the pixel's part of the scaling, float64 [bin]; 0 where the bin is left out."""
    mean: np.ndarray
    """Mean of the scaled pixels, float64 [bin]."""
    loadings: np.ndarray
    """Principal axes, orthonormal, float64 [component, bin]."""
    explained_variance: np.ndarray
    """Largest eigenvalues of the covariance, float64, more than the components kept so that the floor can be judged."""
    total_variance: float
    """Trace of the covariance."""
    noise_floor: float
    """Largest eigenvalue that pure Poisson noise explains, in units of the noise variance."""

    @property
    def components(self) -> int:
        """Number of components kept."""
        return len(self.loadings)


class Scores(NamedTuple):
    """The used pixels of one scan in the space of the principal components."""

    scores: np.ndarray
    """float32 [component, n], feature-major; scaled as a whole so that the first component has variance 1."""
    residual: np.ndarray
    """float32 [n]: squared length of what the components leave, in noise variances over its mean; about 1."""
    used: np.ndarray
    """bool [y, x]: the pixels, in row order, that `scores` holds."""
    counts: float
    """Mean counts of these pixels within the bins."""


class _Moments:
    """Sums over pixels from which mean, covariance and noise follow."""

    def __init__(self, shift: np.ndarray) -> None:
        size = len(shift)
        self.shift = shift  # float32 [bin], near the mean, so that float32 products do not carry it
        self.pixel_noise: list[np.ndarray] = []
        self.gram = np.zeros((size, size))
        self.scaled, self.noise, self.counts = np.zeros((3, size))

    def add(self, counts: np.ndarray, scaling: str) -> None:
        """Add a block of counts, float32 [n, bin]."""
        scaled = scale_pixels(counts, scaling)
        self.pixel_noise.append(scaled.pixel_noise)
        shifted = scaled.values - self.shift
        self.gram += gram(shifted)
        self.scaled += shifted.sum(0, dtype=np.float64)
        self.noise += scaled.noise
        self.counts += counts.sum(0, dtype=np.float64)


def gram(block: np.ndarray) -> np.ndarray:
    """Return the product block' block, float32 [n, bin] -> [bin, bin], on the accelerator where JAX has one."""
    import jax

    if jax.default_backend() == "cpu":
        return block.T @ block
    return np.asarray(jax.numpy.matmul(block.T, block, precision="highest"))


def principal_components(
    counts: Any,
    energy: np.ndarray,
    *,
    used: np.ndarray | None = None,
    scaling: str = "keenan-kotula",
    bin_width: float = 0.08,
    window: tuple[float, float | None] = (0.5, None),
    components: int | None = None,
    progress: Progress = silent,
) -> tuple[Reduction, Scores]:
    """Return the principal components of a cube and the scores of its pixels.

    counts: whole counts [y, x, channel], numpy or dask; energy: channel centres [keV] [channel]; used: bool [y, x],
    pixels to look at, all by default; pixels with next to no counts are left out besides. bin_width: [keV]; window:
    [keV]; components: how many, None keeps those above the noise floor, at most 32.
    Raises InputError where nothing is left to work on or an option makes no sense.
    """
    check_scaling(scaling)
    used = np.ones(counts.shape[:2], bool) if used is None else used
    binned = BinnedCounts(counts, make_bins(energy, width=bin_width, window=window), used, progress)
    moments = _Moments(scale_pixels(binned.sample, scaling).values.sum(0) / max(1, len(binned.sample)))
    for block in binned.blocks("reading counts"):
        moments.add(block, scaling)
    reduction = _eigenpairs(moments, binned.bins.edges, scaling, components)
    return reduction, _project(binned, reduction)


def project(
    counts: Any,
    energy: np.ndarray,
    reduction: Reduction,
    *,
    used: np.ndarray | None = None,
    progress: Progress = silent,
) -> Scores:
    """Return the scores of a scan in the space of another scan's components; the bins agree in keV, not in channels."""
    used = np.ones(counts.shape[:2], bool) if used is None else used
    return _project(BinnedCounts(counts, bins_at(reduction.edges, energy), used, progress), reduction)


def noise_edge(weights: np.ndarray, bins: int) -> float:
    """Return the largest eigenvalue of the covariance of pure noise with `bins` values a pixel.

    weights: each pixel's noise variance [n]; they are scaled to a mean of 1. The edge is the least value of
    a (bins / n + mean(w / (a - w))) over a > max(w): Silverstein & Choi, J. Multivar. Anal. 54 (1995) 295; for equal
    pixels that of Marchenko & Pastur (1967), (1 + sqrt(bins / n))^2.
    """
    weights = np.sort(weights[weights > 0]).astype(np.float64)
    pixels = len(weights)
    weights = weights[np.linspace(0, pixels - 1, min(pixels, 4096)).astype(int)] / weights.mean()

    def eigenvalue(log_gap: float) -> float:
        a = weights[-1] * (1 + np.exp(log_gap))
        return a * (bins / pixels + np.mean(weights / (a - weights)))

    return float(minimize_scalar(eigenvalue, bounds=(-12, 12), method="bounded").fun)


def _eigenpairs(moments: _Moments, edges: np.ndarray, scaling: str, components: int | None) -> Reduction:
    keep = moments.counts >= min(BIN_COUNTS, max(1.0, moments.counts.max(initial=0.0) / 4))
    weights = np.concatenate([*moments.pixel_noise, np.empty(0, np.float32)])
    pixels, size = len(weights), int(keep.sum())
    if pixels < 3 or size < 2:
        raise InputError(
            f"principal components need at least 3 pixels and 2 energy bins with counts; found {pixels} and {size}. "
            "Check the mask, the energy window and the calibration"
        )
    offset = moments.scaled / pixels
    covariance = (moments.gram / pixels - np.outer(offset, offset))[np.ix_(keep, keep)]
    noise = moments.noise[keep] / pixels
    factor = channel_factor(noise, scaling)
    most = min(size, pixels - 1, MOST_COMPONENTS)
    floor = max(noise_edge(weights, size) * TAIL, LEAST)
    if components is None:
        whitened = _largest(covariance / np.sqrt(np.outer(noise, noise)), most)[0]
        components = max(1, int(np.sum(whitened > floor)))
    values, vectors = _largest(covariance * np.outer(factor, factor), most)
    loadings = np.zeros((min(components, most), len(keep)))
    loadings[:, keep] = vectors[:, : len(loadings)].T
    loadings *= np.where((loadings**3).sum(1) < 0, -1, 1)[:, None]
    scale = np.zeros(len(keep))
    scale[keep] = factor
    total = float(np.trace(covariance * np.outer(factor, factor)))
    return Reduction(scaling, edges, scale, (offset + moments.shift) * scale, loadings, values, total, floor)


def _largest(matrix: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest eigenpairs, falling: values [count], vectors [bin, count]."""
    values, vectors = eigh(matrix, subset_by_index=(len(matrix) - count, len(matrix) - 1), driver="evx")
    return np.asarray(values)[::-1], np.asarray(vectors)[:, ::-1]


def _project(binned: BinnedCounts, reduction: Reduction) -> Scores:
    """Scores and residuals, block by block."""
    scale = reduction.channel_scale.astype(np.float32)
    axes = reduction.loadings.astype(np.float32)
    shift = (reduction.loadings @ reduction.mean).astype(np.float32)
    parts, residuals, total = [], [], 0.0
    for block in binned.blocks("projecting"):
        scaled = scale_pixels(block, reduction.scaling).values * scale
        scores = axes @ scaled.T - shift[:, None]
        scaled -= reduction.mean.astype(np.float32)
        total += float(block.sum(dtype=np.float64))
        parts.append(scores)
        residuals.append(np.einsum("ij,ij->i", scaled, scaled) - np.einsum("ij,ij->j", scores, scores))
    if not parts:
        raise InputError("no pixel with counts is left to project. Check the mask and the energy calibration")
    unit = np.float32(1 / np.sqrt(max(reduction.explained_variance[0], np.finfo(np.float32).tiny)))
    left = max(reduction.total_variance - reduction.explained_variance[: len(axes)].sum(), 1e-12)
    scores, residual = np.hstack(parts) * unit, (np.concatenate(residuals) / left).astype(np.float32)
    return Scores(scores, residual, binned.used, total / scores.shape[1])
