"""Inputs on which naive Gustafson-Kessel breaks: here every one gives finite shares, in both precisions."""

import jax
import numpy as np
import pytest

from velatura.cluster import ClusterOptions, assign_pixels, fit

PIXELS, FEATURES, CLUSTERS = 1200, 5, 4


def blobs() -> np.ndarray:
    rng = np.random.default_rng(3)
    labels = rng.integers(CLUSTERS, size=PIXELS)
    centres = rng.normal(size=(CLUSTERS, FEATURES)) * 4
    return (centres[labels] + rng.normal(size=(PIXELS, FEATURES))).T


def dependent() -> np.ndarray:
    scores = blobs()
    scores[4] = scores[0] - 2 * scores[1]
    return scores


def hot_pixels() -> np.ndarray:
    scores = blobs()
    scores[:, :12] *= 300
    return scores


def zero_pixels() -> np.ndarray:
    scores = blobs()
    scores[:, : PIXELS * 2 // 5] = 0
    return scores


def far_and_tiny() -> np.ndarray:
    scores = blobs()
    scores[:, :3] += 500
    return scores


def rank_one() -> np.ndarray:
    scores = blobs()
    scores[:, :300] = np.linspace(-1, 1, 300) * np.arange(1, 6)[:, None] + 20
    return scores


def duplicates() -> np.ndarray:
    scores = blobs()
    scores[:, :60] = scores[:, :1]
    return scores


def heavy_tails() -> np.ndarray:
    return blobs() + np.random.default_rng(4).standard_t(2, size=(FEATURES, PIXELS))


def alike() -> np.ndarray:
    return np.full((FEATURES, PIXELS), 3.25)


def two_values() -> np.ndarray:
    return np.where(np.arange(PIXELS) % 2, 1.0, 2.0) * np.ones((FEATURES, 1))


CASES = {
    "plain": blobs,
    "dependent column": dependent,
    "values x 1e-6": lambda: blobs() * 1e-6,
    "values x 1e6": lambda: blobs() * 1e6,
    "values x 1e-20": lambda: blobs() * 1e-20,
    "offset 1e4": lambda: blobs() + 1e4,
    "12 hot pixels x 300": hot_pixels,
    "40 % identical zero pixels": zero_pixels,
    "tiny far cluster": far_and_tiny,
    "rank-1 cluster": rank_one,
    "60 duplicates": duplicates,
    "t2 tails": heavy_tails,
    "all pixels alike": alike,
    "two values, four clusters": two_values,
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_finite_shares(name: str, precision: str) -> None:
    scores = CASES[name]().astype(np.float32)
    for shrinkage in (0.0, 0.3):
        options = ClusterOptions(clusters=CLUSTERS, shrinkage=shrinkage, iterations=12, precision=precision)
        clusters = fit(scores, options, key=jax.random.key(1))
        found = assign_pixels(clusters, scores, precision=precision)
        np.testing.assert_allclose(found.membership.sum(axis=0), 1, atol=1e-6)
        assert found.membership.min() >= 0
        assert np.isfinite(found.distance).all()
        for array in (clusters.centres, clusters.covariance, clusters.whiteners, clusters.log_volumes):
            assert np.isfinite(array).all()
        assert np.isfinite(clusters.objective)


@pytest.mark.parametrize("name", ["values x 1e-6", "values x 1e6", "values x 1e-20"])
def test_the_scale_of_the_data_does_not_matter(name: str) -> None:
    options = ClusterOptions(clusters=CLUSTERS)
    plain, scaled = (CASES[case]().astype(np.float32) for case in ("plain", name))
    before, after = (assign_pixels(fit(x, options, key=jax.random.key(1)), x).membership for x in (plain, scaled))
    np.testing.assert_allclose(after, before, atol=2e-4)
