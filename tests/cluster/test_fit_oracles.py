"""The four methods against independent computations: plain NumPy in float64, and scikit-learn."""

import warnings

import jax
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples
from sklearn.mixture import GaussianMixture

from velatura.base.errors import InputError
from velatura.cluster import ClusterOptions, assign_pixels, choose_clusters, fit, fuzzy_silhouette, memberships

PIXELS, FEATURES, CLUSTERS = 900, 4, 3
KEY = jax.random.key(2)
MARK = {"float64": 1e-9, "float32": 1e-4}


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    rng = np.random.default_rng(11)
    labels = np.sort(rng.integers(CLUSTERS, size=PIXELS))
    turns = np.linalg.qr(rng.normal(size=(CLUSTERS, FEATURES, FEATURES)))[0] * np.geomspace(2, 0.3, FEATURES)
    centres = np.array([[0, 0, 0, 0], [3, 3, 0, 0], [6, 0, 3, 0]])
    return (centres[labels] + np.einsum("nij,nj->ni", turns[labels], rng.normal(size=(PIXELS, FEATURES)))).T


@pytest.fixture(scope="module")
def start() -> np.ndarray:
    rising = np.linspace(0, 1, PIXELS)
    shares = np.stack([1.2 - rising, 0.6 + 0 * rising, 0.2 + rising])
    return shares / shares.sum(axis=0)


def gustafson_kessel(x, u, *, fuzzifier, shrinkage, limit, volumes, noise, rounds):
    """Rows are pixels. Gustafson and Kessel (1979), Babuska et al. (2002), Dave (1991), written out."""
    sphere = np.linalg.det(np.cov(x.T)) ** (1 / x.shape[1]) * np.eye(x.shape[1])
    for _ in range(rounds):
        weight = u**fuzzifier
        centres = weight.T @ x / weight.sum(axis=0)[:, None]
        distances, shapes = [], []
        for k, centre in enumerate(centres):
            about = x - centre
            covariance = (1 - shrinkage) * (about.T * weight[:, k]) @ about / weight[:, k].sum() + shrinkage * sphere
            values, vectors = np.linalg.eigh(covariance)
            covariance = vectors @ np.diag(np.maximum(values, values[-1] / limit)) @ vectors.T
            norm = (volumes[k] * np.linalg.det(covariance)) ** (1 / x.shape[1]) * np.linalg.inv(covariance)
            distances.append(np.einsum("ni,ij,nj->n", about, norm, about))
            shapes.append(covariance)
        distances = np.stack(distances, axis=1)
        ordinary = distances ** (-1 / (fuzzifier - 1))
        ordinary /= ordinary.sum(axis=1, keepdims=True)
        u = 1 / (1 / ordinary + (distances / noise) ** (1 / (fuzzifier - 1)))
    objective = (u**fuzzifier * distances).sum()
    if np.isfinite(noise):
        objective += noise * ((1 - u.sum(axis=1)) ** fuzzifier).sum()
    return centres, u, objective, distances, shapes


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("fuzzifier", [1.3, 1.5, 2.0, 3.5])
def test_volumes_shrinkage_and_condition_limit(scores, start, fuzzifier: float, precision: str) -> None:
    volumes = (1.0, 8.0, 0.3)
    options = ClusterOptions(
        clusters=CLUSTERS,
        fuzzifier=fuzzifier,
        shrinkage=0.1,
        condition_limit=20.0,
        volumes=volumes,
        iterations=6,
        tolerance=1e-15,
        precision=precision,
    )
    found = fit(scores, options, key=KEY, start=start)
    centres, u, objective, distances, shapes = gustafson_kessel(
        scores.T, start.T, fuzzifier=fuzzifier, shrinkage=0.1, limit=20.0, volumes=volumes, noise=np.inf, rounds=6
    )
    order = np.argsort(centres[:, 0])
    mark = MARK[precision]
    np.testing.assert_allclose(found.centres, centres[order], atol=20 * mark)
    np.testing.assert_allclose(found.covariance, np.stack(shapes)[order], atol=20 * mark)
    np.testing.assert_allclose(found.objective, objective, rtol=mark)
    assigned = assign_pixels(found, scores, precision=precision)
    np.testing.assert_allclose(assigned.membership, u.T[order], atol=mark)
    np.testing.assert_allclose(assigned.distance**2, distances.min(axis=1), rtol=100 * mark, atol=mark)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_noise_cluster_at_the_quantile_of_the_first_run(scores, start, precision: str) -> None:
    plain = {"fuzzifier": 1.5, "shrinkage": 0.3, "limit": 1e4, "volumes": (1.0, 1.0, 1.0)}
    options = ClusterOptions(clusters=CLUSTERS, noise=True, iterations=4, tolerance=1e-15, precision=precision)
    found = fit(scores, options, key=KEY, start=start)
    _, u, _, distances, _ = gustafson_kessel(scores.T, start.T, noise=np.inf, rounds=4, **plain)
    noise = np.quantile(distances.min(axis=1), 0.99)
    np.testing.assert_allclose(found.noise_distance, noise, rtol=10 * MARK[precision])
    # the second run begins with the clusters of the first, so its first memberships share these distances
    ordinary = u / (1 + u * (distances / noise) ** 2)
    centres, u, objective, _, _ = gustafson_kessel(scores.T, ordinary, noise=noise, rounds=3, **plain)
    shares = memberships(found, scores, precision=precision)
    order = np.argsort(centres[:, 0])
    np.testing.assert_allclose(shares[:-1], u.T[order], atol=MARK[precision])
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(found.objective, objective, rtol=10 * MARK[precision])
    assert shares[-1][distances.min(axis=1) > noise].min() > shares[-1].mean()


def test_fuzzy_means_is_gustafson_kessel_at_full_shrinkage_and_bezdek_by_hand(scores, start) -> None:
    x, u = scores.T, start.T
    for _ in range(8):
        weight = u**1.5
        centres = weight.T @ x / weight.sum(axis=0)[:, None]
        distances = np.square(x[:, None] - centres).sum(axis=2)
        u = distances**-2.0
        u /= u.sum(axis=1, keepdims=True)
    order = np.argsort(centres[:, 0])
    for options in ({"method": "fuzzy-means"}, {"shrinkage": 1.0}):
        chosen = ClusterOptions(clusters=CLUSTERS, iterations=8, tolerance=1e-15, precision="float64", **options)
        found = fit(scores, chosen, key=KEY, start=start)
        np.testing.assert_allclose(memberships(found, scores, precision="float64"), u.T[order], atol=1e-9)


def test_k_means_equals_scikit_learn_from_the_same_centres(scores) -> None:
    centres = scores[:, [0, 450, 899]].T
    reference = KMeans(CLUSTERS, init=centres, n_init=1, tol=0).fit(scores.T)
    found = fit(scores, ClusterOptions(method="k-means", clusters=CLUSTERS), key=KEY, start=centres)
    order = np.argsort(reference.cluster_centers_[:, 0])
    np.testing.assert_allclose(found.centres, reference.cluster_centers_[order], atol=1e-5)
    np.testing.assert_allclose(found.objective, reference.inertia_, rtol=1e-5)
    np.testing.assert_array_equal(memberships(found, scores).argmax(axis=0), np.argsort(order)[reference.labels_])


def test_gaussian_mixture_equals_scikit_learn_from_the_same_start(scores) -> None:
    labels = np.arange(PIXELS) * CLUSTERS // PIXELS
    groups = [scores[:, labels == k] for k in range(CLUSTERS)]
    ridge = 1e-6 * np.trace(np.cov(scores)) / FEATURES
    shapes = np.stack([np.cov(group, bias=True) + ridge * np.eye(FEATURES) for group in groups])
    mixture = GaussianMixture(
        CLUSTERS,
        tol=0,
        max_iter=19,
        reg_covar=ridge,
        means_init=[group.mean(axis=1) for group in groups],
        precisions_init=np.linalg.inv(shapes),
        weights_init=[group.shape[1] / PIXELS for group in groups],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 19 rounds are not meant to converge
        mixture.fit(scores.T)
    hard = (labels == np.arange(CLUSTERS)[:, None]).astype(float)
    options = ClusterOptions(
        method="gaussian-mixture", clusters=CLUSTERS, iterations=20, tolerance=1e-15, precision="float64"
    )
    found = fit(scores, options, key=KEY, start=hard)
    order = np.argsort(mixture.means_[:, 0])
    np.testing.assert_allclose(found.centres, mixture.means_[order], atol=1e-8)
    np.testing.assert_allclose(found.covariance, mixture.covariances_[order], atol=1e-8)
    np.testing.assert_allclose(
        memberships(found, scores, precision="float64"), mixture.predict_proba(scores.T).T[order], atol=1e-8
    )


def test_validity_indices_by_their_definitions(scores) -> None:
    options = ClusterOptions(clusters=CLUSTERS, precision="float64")
    found = fit(scores, options, key=KEY)
    u = memberships(found, scores, precision="float64")
    squared = np.square(scores[None] - found.centres[:, :, None]).sum(axis=1)
    weight, apart = u**1.5, np.square(found.centres[:, None] - found.centres).sum(axis=2) + 1e9 * np.eye(CLUSTERS)
    means = weight @ scores.T / weight.sum(axis=1)[:, None]
    middle = weight.sum(axis=1) @ means / weight.sum()
    between = weight.sum(axis=1) @ np.square(found.centres - middle).sum(axis=1)
    coefficient = np.square(u).sum() / PIXELS
    expected = {
        "partition_coefficient": coefficient,
        "modified_partition_coefficient": 1 - CLUSTERS / (CLUSTERS - 1) * (1 - coefficient),
        "partition_entropy": -(u * np.log(u)).sum() / PIXELS,
        "xie_beni": (weight * squared).sum() / PIXELS / apart.min(),
        "fukuyama_sugeno": ((weight * squared).sum() - between) / PIXELS,
        "fuzzy_hypervolume": np.sqrt(np.linalg.det(found.covariance)).sum(),
    }
    assert found.validity == pytest.approx(expected, rel=1e-9)


def test_fuzzy_silhouette_of_hard_shares_is_the_mean_silhouette(scores) -> None:
    labels = np.arange(PIXELS) * CLUSTERS // PIXELS
    hard = (labels == np.arange(CLUSTERS)[:, None]).astype(float)
    expected = silhouette_samples(scores.T, labels).mean()
    assert fuzzy_silhouette(scores, hard, key=KEY) == pytest.approx(expected, abs=1e-9)
    assert fuzzy_silhouette(scores, np.eye(3)[:, :1] * np.ones(PIXELS), key=KEY) == 0


def test_the_number_of_clusters_is_the_number_of_groups_and_two() -> None:
    rng = np.random.default_rng(5)
    scores = (12 * rng.normal(size=(6, FEATURES))[rng.integers(6, size=2000)] + rng.normal(size=(2000, FEATURES))).T
    choice = choose_clusters(scores, ClusterOptions(noise=True), key=KEY, candidates=range(4, 9))
    assert choice.clusters == 8
    assert sorted(choice.indices) == [4, 5, 6, 7, 8]
    alone = fit(scores, ClusterOptions(clusters=5), key=jax.random.split(KEY)[1])
    assert choice.indices[5] == pytest.approx(alone.validity, rel=1e-3)  # room for more clusters changes nothing
    with pytest.raises(InputError, match="up to 20 clusters needs as many pixels; found 9"):
        choose_clusters(scores[:, :9], ClusterOptions(), key=KEY)
