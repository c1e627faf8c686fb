"""Laws of the streamed principal components, and scikit-learn as an oracle."""

from functools import partial

import numpy as np
import pytest
from sklearn.decomposition import PCA

from velatura.base.cube import lazy_counts
from velatura.base.errors import InputError
from velatura.reduce import stream
from velatura.reduce.bins import make_bins, rebin
from velatura.reduce.pca import noise_edge, principal_components, project
from velatura.reduce.scaling import SCALINGS, scale_pixels


@pytest.fixture(scope="module")
def scan(painting):
    return painting(1)


def test_without_scaling_the_axes_are_those_of_scikit_learn(scan):
    reduction, _ = principal_components(scan["counts"], scan["energy"], scaling="none", components=5)
    binned = rebin(scan["counts"].reshape(-1, 512), make_bins(scan["energy"])).astype(np.float64)
    kept = reduction.channel_scale > 0
    oracle = PCA(5, svd_solver="full").fit(binned[:, kept])
    cosines = np.abs(np.sum(oracle.components_ * reduction.loadings[:, kept], 1))
    np.testing.assert_allclose(cosines, 1, atol=1e-6)
    np.testing.assert_allclose(
        reduction.explained_variance[:5], oracle.explained_variance_ * (1 - 1 / len(binned)), rtol=1e-5
    )


def test_keenan_kotula_by_the_textbook(scan):
    reduction, found = principal_components(scan["counts"], scan["energy"])
    binned = rebin(scan["counts"].reshape(-1, 512), make_bins(scan["energy"])).astype(np.float64)
    scaled = binned / np.sqrt(binned.mean(1, keepdims=True))
    kept = reduction.channel_scale > 0
    scaled = scaled[:, kept] / np.sqrt((binned / binned.mean(1, keepdims=True)).mean(0)[kept])
    scores = PCA(reduction.components, svd_solver="full").fit_transform(scaled)
    sign = np.sign(np.sum(scores * found.scores.T, 0))
    np.testing.assert_allclose(found.scores.T * scores[:, 0].std(), scores * sign, atol=2e-3 * scores[:, 0].std())


@pytest.mark.parametrize("scaling", SCALINGS)
def test_scores_are_uncorrelated_and_the_first_has_variance_one(scan, scaling):
    reduction, found = principal_components(scan["counts"], scan["energy"], scaling=scaling, components=4)
    covariance = np.cov(found.scores.astype(np.float64), bias=True)
    expected = np.diag(reduction.explained_variance[:4] / reduction.explained_variance[0])
    np.testing.assert_allclose(covariance, expected, atol=2e-5)
    np.testing.assert_allclose(found.scores.mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(found.residual.mean(), 1, rtol=1e-3)


@pytest.mark.parametrize("limit", [1, 450_000, 2**26])
@pytest.mark.parametrize("kept_bytes", [0, 2**29])
def test_any_band_size_gives_the_same_eigenpairs(scan, monkeypatch, limit, kept_bytes):
    expected, expected_scores = principal_components(scan["counts"], scan["energy"])
    monkeypatch.setattr(stream, "KEPT_BYTES", kept_bytes)
    monkeypatch.setattr(stream, "bands", partial(stream.bands, limit=limit))
    found, scores = principal_components(lazy_counts(scan["counts"], rows=1), scan["energy"])
    kept = expected.components
    np.testing.assert_allclose(found.explained_variance[:kept], expected.explained_variance[:kept], rtol=1e-6)
    np.testing.assert_allclose(found.loadings, expected.loadings, atol=1e-6)
    np.testing.assert_allclose(scores.scores, expected_scores.scores, atol=1e-5)


def test_the_order_of_pixels_does_not_matter(scan, rng):
    flat = scan["counts"].reshape(1, -1, 512)
    order = rng.permutation(flat.shape[1])
    one, scores = principal_components(flat, scan["energy"])
    two, mixed = principal_components(flat[:, order], scan["energy"])
    np.testing.assert_allclose(one.loadings, two.loadings, atol=1e-6)
    np.testing.assert_allclose(scores.scores[:, order], mixed.scores, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("number", "counts"), [(4, 300), (6, 2000), (9, 20000)])
def test_the_noise_floor_finds_materials_less_one(painting, seed, number, counts):
    scan = painting(seed, number=number, counts=counts)
    assert len(np.unique(scan["labels"])) == number
    reduction, _ = principal_components(scan["counts"], scan["energy"])
    assert reduction.components == number - 1


@pytest.mark.parametrize("scaling", SCALINGS)
def test_one_material_has_no_component_above_the_floor(painting, scaling):
    scan = painting(3, number=1)
    reduction, _ = principal_components(scan["counts"], scan["energy"], scaling=scaling)
    assert reduction.components == 1  # at least one is always kept
    if scaling in ("keenan-kotula", "sum"):
        assert reduction.explained_variance[0] < reduction.noise_floor


def test_noise_edge_is_that_of_marchenko_and_pastur():
    assert noise_edge(np.ones(10000), 100) == pytest.approx((1 + np.sqrt(0.01)) ** 2, rel=1e-6)


def test_noise_edge_of_unequal_pixels_covers_their_largest_eigenvalue(rng):
    weights = rng.lognormal(0, 0.8, 6000)
    noise = rng.normal(size=(6000, 120)) * np.sqrt(weights / weights.mean())[:, None]
    largest = np.linalg.eigvalsh(noise.T @ noise / 6000)[-1]
    assert noise_edge(weights, 120) == pytest.approx(largest, rel=0.03)


def test_empty_and_masked_pixels_are_left_out(scan):
    counts = scan["counts"].copy()
    counts[:10] = 0
    counts[10, :5] = 0
    counts[10, 0, 300] = 3  # a stray count is not a spectrum
    used = np.ones((60, 60), bool)
    used[:, -7:] = False
    reduction, found = principal_components(counts, scan["energy"], used=used)
    expected = used.copy()
    expected[:10] = False
    expected[10, :5] = False
    np.testing.assert_array_equal(found.used, expected)
    assert found.scores.shape == (reduction.components, expected.sum())


def test_projection_of_a_second_draw_falls_on_the_first(scan, rng):
    reduction, first = principal_components(scan["counts"], scan["energy"])
    again = rng.poisson(scan["mean"]).astype(np.uint16)
    second = project(again, scan["energy"], reduction)
    noise = 1 / np.sqrt(reduction.explained_variance[0])  # noise is 1 before the common unit
    spread = (second.scores - first.scores).std(1) / (np.sqrt(2) * noise)
    # the pixel factor holds the same counts and takes part of the noise out along the strongest axes
    assert np.all((spread > 0.65) & (spread < 1.05)), spread
    np.testing.assert_allclose(second.residual.mean(), 1, rtol=0.05)


def test_projection_of_the_same_scan_on_another_axis(scan):
    """Every second channel border moved: the counts of channel pairs, so the same keV in half as many channels."""
    reduction, first = principal_components(scan["counts"], scan["energy"], window=(0.5, 10.0))
    paired = scan["counts"].reshape(60, 60, 256, 2).sum(-1, dtype=np.uint16)
    second = project(paired, scan["energy"].reshape(256, 2).mean(1), reduction)
    noise = 1 / np.sqrt(reduction.explained_variance[0])
    assert np.abs(second.scores - first.scores).mean() < 0.5 * noise


def test_float32_blocks_keep_the_weakest_component(painting):
    """Sine of the angle between kept subspaces, float32 products against float64 throughout, at most 1e-3."""
    scan = painting(5, number=7, counts=50000)
    reduction, _ = principal_components(scan["counts"], scan["energy"])
    binned = rebin(scan["counts"].reshape(-1, 512), make_bins(scan["energy"]))
    scaled = scale_pixels(binned, "keenan-kotula").values.astype(np.float64) * reduction.channel_scale
    vectors = np.linalg.eigh(np.cov(scaled, rowvar=False))[1][:, -reduction.components :]
    outside = reduction.loadings - (reduction.loadings @ vectors) @ vectors.T
    assert np.linalg.norm(outside, 2) < 1e-3


def test_tiny_and_hopeless_cubes(rng):
    energy = 0.05 * np.arange(200)
    reduction, found = principal_components(rng.poisson(5, (2, 5, 200)).astype(np.uint8), energy)
    assert 1 <= reduction.components <= 9
    assert found.scores.shape[1] == 10
    with pytest.raises(InputError, match=r"at least 3 pixels and 2 energy bins with counts; found 0"):
        principal_components(np.zeros((4, 4, 200), np.uint8), energy)
    with pytest.raises(InputError, match="no pixel with counts"):
        project(np.zeros((4, 4, 200), np.uint8), energy, reduction)
