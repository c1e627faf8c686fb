"""How good recoloured pictures are: the four published measures, and how far their error and trust maps are right."""

from collections.abc import Mapping
from types import MappingProxyType

import jax
import numpy as np
from jaxtyping import Array, Float

from velatura.imaging.likeness import ciede2000, ms_ssim, redmean, uiqi
from velatura.tasks.recolour_model import RIGHT
from velatura.train.metrics import expected_calibration_error

MEASURES: Mapping[str, str] = MappingProxyType({
    "ms_ssim": "multi-scale structural similarity, 1 for equal pictures",
    "uiqi": "universal image quality index, 1 for equal pictures",
    "redmean": "mean redmean distance, 0 to 3; x 255 on the published scale",
    "ciede2000": "mean colour difference, 100 from black to white",
})  # fmt: skip

Pictures = Float[np.ndarray, "picture y x 3"]


def each_score(pred: Pictures, truth: Pictures) -> dict[str, np.ndarray]:
    """Return the MEASURES of each picture, float64 [picture].

    pred, truth: colours (sRGB, 0 to 1) [picture, y, x, 3], sides of 11 pixels or more; what lies outside 0 to 1 in
    pred is clipped, as it would be on a screen.
    """
    pairs = zip(np.clip(np.asarray(pred, np.float32), 0, 1), np.asarray(truth, np.float32), strict=True)
    found = np.array([_measured(one, other) for one, other in pairs], np.float64).reshape(-1, len(MEASURES))
    return dict(zip(MEASURES, found.T, strict=True))


def scores(pred: Pictures, truth: Pictures) -> dict[str, float]:
    """Return the MEASURES of pictures, means of `each_score`."""
    return {name: float(values.mean()) for name, values in each_score(pred, truth).items()}


def differences(pred: Pictures, truth: Pictures) -> Float[np.ndarray, "picture y x"]:
    """Return the true CIEDE2000 of each pixel, float32."""
    pairs = zip(np.clip(np.asarray(pred, np.float32), 0, 1), np.asarray(truth, np.float32), strict=True)
    return np.array([_apart(one, other) for one, other in pairs], np.float32)


def map_scores(error: np.ndarray, trust: np.ndarray, *, apart: np.ndarray) -> dict[str, float]:
    """Return how right the maps of pixels are, arrays of one shape; apart: their true CIEDE2000.

    trust_ece: mean distance between trust and the share of pixels within 15 CIEDE2000; error_bias: mean expected less
    mean true CIEDE2000; error_rank: Spearman's correlation of the expected with the true one.
    """
    from scipy.stats import spearmanr

    right = (apart <= RIGHT).reshape(-1, 1)
    ece = expected_calibration_error(right, trust.reshape(-1, 1), mask=np.ones_like(right))
    varied = np.ptp(error) > 0 and np.ptp(apart) > 0
    rank = float(spearmanr(error.ravel(), apart.ravel()).statistic) if varied else 0.0
    return {"trust_ece": ece, "error_bias": float(error.mean() - apart.mean()), "error_rank": rank}


@jax.jit
def _measured(one: Array, other: Array) -> Array:
    return jax.numpy.stack([
        ms_ssim(one, other), uiqi(one, other), redmean(one, other).mean(), ciede2000(one, other).mean(),
    ])  # fmt: skip


@jax.jit
def _apart(one: Array, other: Array) -> Array:
    return ciede2000(one, other)
