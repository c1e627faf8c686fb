import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from velatura.nn.embedding_net import DomainHead, Reading, VariationalNet
from velatura.tasks.domain_adaptation import activation_error, reversal_error, reversed_gradient, strength_at
from velatura.tasks.embedding_losses import (
    clusters_error,
    colour_error,
    normal_discrepancy,
    partition,
    pigment_error,
    ramp,
    silhouette,
    spread_out,
    squared_distances,
)


@pytest.fixture
def blobs(rng):
    """Five clear clusters in three dimensions, and whose each point is."""
    centres = 20 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    own = rng.integers(5, size=200)
    return jnp.asarray(centres[own] + 0.3 * rng.normal(size=(200, 3)), jnp.float32), own


def distances(points):
    return jnp.sqrt(squared_distances(points, points))


def test_the_silhouette_is_that_of_scikit_learn(rng) -> None:
    points = jnp.asarray(rng.normal(size=(80, 3)), jnp.float32)
    labels = rng.integers(6, size=80)
    labels[0] = 6  # a cluster of one
    found = silhouette(distances(points), jnp.asarray(labels), clusters=12)
    np.testing.assert_allclose(found, silhouette_score(points, labels), atol=1e-5)


def test_one_cluster_has_no_silhouette(rng) -> None:
    points = jnp.asarray(rng.normal(size=(20, 3)), jnp.float32)
    assert float(silhouette(distances(points), jnp.zeros(20, int), clusters=12)) == 0


def test_clear_clusters_are_found(blobs) -> None:
    points, own = blobs
    centres = spread_out(points, 12, key=jax.random.key(0))
    labels = np.asarray(partition(points, centres, jnp.asarray(5)))
    assert len({(a, b) for a, b in zip(labels, own, strict=True)}) == 5
    best = silhouette_score(points, own)
    found = jax.jit(clusters_error)(points, key=jax.random.key(0))
    np.testing.assert_allclose(found, (1 - best) / 2, atol=0.05)


def test_starts_are_drawn_by_the_squared_distance() -> None:
    points = jnp.asarray([[0.0]] * 50 + [[1.0]] * 50 + [[3.0]] * 1)
    keys = jax.random.split(jax.random.key(3), 2000)
    pairs = np.asarray(jax.vmap(lambda key: spread_out(points, 2, key=key)[:, 0])(keys))
    from_zero = pairs[pairs[:, 0] == 0, 1]
    np.testing.assert_allclose((from_zero == 3).mean(), 9 / 59, atol=0.04)  # by D^4 it would be 81 / 131


def test_the_clusters_have_a_gradient_that_tightens_them(rng) -> None:
    points = jnp.asarray(rng.normal(size=(100, 3)), jnp.float32)
    points = points.at[1].set(points[0])  # the same place twice
    error = jax.jit(jax.value_and_grad(lambda z: clusters_error(z, key=jax.random.key(0))))
    before, slope = error(points)
    assert np.isfinite(slope).all()
    assert float(jnp.abs(slope).max()) > 0
    for _ in range(20):
        points = points - 2.0 * error(points)[1]
    assert float(error(points)[0]) < float(before) - 0.02


def test_the_discrepancy_grows_with_the_distance_from_the_normal_law() -> None:
    normal = jax.random.normal(jax.random.key(0), (2000, 3))
    values = [float(normal_discrepancy(z, key=jax.random.key(1))) for z in (normal, normal + 1, normal + 3)]
    assert abs(values[0]) < 0.01 < values[1] < values[2]


def test_the_discrepancy_is_the_mean_over_all_pairs(rng) -> None:
    points = rng.normal(size=(5, 3))
    drawn = np.asarray(jax.random.normal(jax.random.key(4), (256, 3)))

    def alike(one, other):
        return np.mean([[np.exp(-((a - b) ** 2).mean() / 3) for b in other] for a in one])

    expected = alike(drawn, drawn) + alike(points, points) - 2 * alike(drawn, points)
    found = normal_discrepancy(jnp.asarray(points, jnp.float32), key=jax.random.key(4))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_ramp() -> None:
    np.testing.assert_allclose(
        [ramp(jnp.asarray(p), 0.1, 0.3) for p in (0, 0.1, 0.2, 0.3, 1)], [0, 0, 0.5, 1, 1], atol=1e-6
    )


def test_the_colour_error_is_least_where_the_width_is_the_error() -> None:
    colour = jnp.array([[0.2, 0.0, -0.4]])
    said = Reading(jnp.zeros((1, 3)), jnp.zeros((1, 3)), jnp.zeros((1, 2)), jnp.zeros((1, 2)))
    widths = jnp.log(jnp.array([0.2, 1e-3, 0.4]))[None]
    right, slope = jax.value_and_grad(lambda w: colour_error(said._replace(log_error=w), colour))(widths)
    np.testing.assert_allclose(slope[0, [0, 2]], 0, atol=1e-6)
    assert float(right) < float(colour_error(said, colour))


def test_classes_that_no_xray_shows_do_not_count() -> None:
    said = Reading(jnp.zeros((1, 3)), jnp.zeros((1, 3)), jnp.array([[9.0, 9.0]]), jnp.log(jnp.array([[0.5, 0.5]])))
    shares = jnp.array([[1.0, 0.0]])
    both, one = (float(pigment_error(said, shares, jnp.array(seen))) for seen in ([1.0, 1.0], [1.0, 0.0]))
    assert both - one == pytest.approx(0.05 * 9, rel=1e-3)


def test_gradients_come_back_reversed() -> None:
    slope = jax.grad(lambda x: (reversed_gradient(x, jnp.asarray(0.5)) ** 2).sum())(jnp.array([1.0, -3.0]))
    np.testing.assert_allclose(slope, [-1.0, 3.0])
    np.testing.assert_allclose([strength_at(jnp.asarray(p)) for p in (0.0, 0.5, 1.0)], [0, 0.98661, 0.99991], atol=1e-5)


def test_the_head_learns_while_the_embedding_is_driven_together(rng) -> None:
    head = DomainHead(3, key=jax.random.key(0))
    near, far = (jnp.asarray(rng.normal(size=(50, 3)) + shift, jnp.float32) for shift in (0, 2))
    learn = jax.jit(jax.grad(lambda h: reversal_error(h, near, far, progress=jnp.asarray(1.0))))
    for _ in range(60):
        slopes = learn(head)
        head = jax.tree.map(lambda value, slope: value - 0.3 * slope, head, slopes)
    error, slope = jax.value_and_grad(lambda z: reversal_error(head, near, z, progress=jnp.asarray(1.0)))(far)
    assert float(error) < 0.4
    moved = far - 5.0 * slope
    assert float(reversal_error(head, near, moved, progress=jnp.asarray(1.0))) > float(error)


def test_steps_of_activations_are_adversarial(rng) -> None:
    net = VariationalNet(64, 3, key=jax.random.key(0))
    hidden = jnp.asarray(rng.normal(size=(40, 32)), jnp.float32)
    simulated = jax.vmap(net.project)(hidden)

    def error(values, progress):
        return activation_error(net, values, simulated, progress=progress, key=jax.random.key(1))

    both = jax.jit(jax.value_and_grad(error))
    value, slope = both(hidden, jnp.asarray(1.0))
    assert float(value) > 0
    assert np.isfinite(slope).all()
    assert float(jnp.abs(slope).max()) > 0
    assert float(both(hidden, jnp.asarray(0.0))[0]) == 0
