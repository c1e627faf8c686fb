"""What float32 keeps of an elongated cluster, and what the passes need of memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from velatura.cluster import ClusterOptions, fit
from velatura.cluster.membership import Frames, Rule, raise_to
from velatura.cluster.statistics import sweep

CLUSTERS, FEATURES = 3, 6


@pytest.mark.parametrize(("ratio", "mark"), [(1, 1e-6), (10, 3e-6), (100, 1e-5), (1000, 1e-3)])
def test_float32_keeps_the_smallest_eigenvalue(ratio: float, mark: float) -> None:
    rng = np.random.default_rng(1)
    groups = []
    for _ in range(CLUSTERS):
        turn = np.linalg.qr(rng.normal(size=(FEATURES, FEATURES)))[0]
        axes = np.geomspace(1, 1 / ratio, FEATURES)[:, None] * rng.normal(size=(FEATURES, 4000))
        groups.append(turn @ axes + 4 * rng.normal(size=(FEATURES, 1)))
    scores = np.concatenate(groups, axis=1).astype(np.float32)
    start = 0.9 * np.repeat(np.eye(CLUSTERS), 4000, axis=1) + 0.1 / CLUSTERS
    least = {}
    for precision in ("float32", "float64"):
        options = ClusterOptions(
            clusters=CLUSTERS, shrinkage=0.0, condition_limit=1e14, iterations=4, tolerance=1e-15, precision=precision
        )
        found = fit(scores, options, key=jax.random.key(0), start=start)
        least[precision] = np.linalg.eigvalsh(found.covariance)[:, 0]
    np.testing.assert_allclose(least["float32"], least["float64"], rtol=mark)


def test_temporaries_of_a_pass_do_not_grow_with_the_pixels() -> None:
    clusters, features, block = 10, 10, 512
    shapes = ((clusters, features, features), (clusters, features), (clusters,), ())
    frames = Frames(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))
    mesh = Mesh(np.asarray(jax.devices()[:1]), ("pixels",))
    sizes = []
    for blocks in (64, 1024):
        pixels = jax.ShapeDtypeStruct((blocks, features + 1, block), jnp.float32)
        weights = jax.ShapeDtypeStruct((blocks, block), jnp.float32)
        compiled = sweep.lower(pixels, weights, frames, rule=Rule("fuzzy", 2.0, 1.5), mesh=mesh).compile()
        sizes.append(compiled.memory_analysis().temp_size_in_bytes)
    assert sizes[0] == sizes[1]
    assert sizes[0] < 4 * 2**20


@pytest.mark.parametrize("power", [0.2, 0.5, 1.0, 1.3, 1.5, 2.0, 2.5, 4.0, 5.0, 20.0])
def test_powers(power: float) -> None:
    x = np.array([0.0, 1e-30, 1e-3, 0.5, 1.0], np.float32)
    np.testing.assert_allclose(raise_to(jnp.asarray(x), power), x.astype(np.float64) ** power, rtol=2e-5, atol=1e-37)
