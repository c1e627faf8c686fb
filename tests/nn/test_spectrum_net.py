"""Networks for one spectrum: shapes, sizes, finite gradients at zero counts, independence from the batch."""

import subprocess
import sys
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.nn.layers import Convolution, DropPath, count_parameters, dose, features, line_evidence
from velatura.nn.spectrum_net import (
    DESIGNS,
    Heads,
    PerceptronTrunk,
    ResidualTrunk,
    Shapes,
    SpectrumNet,
    TransformerTrunk,
    build,
)

SMALL = Shapes(channels=256, instrument=5, classes=7)
PARAMETERS = {"residual": 986_635, "transformer": 280_827, "perceptron": 4_677_691, "fast": 911_867}


@pytest.fixture(autouse=True)
def _strict_ranks():
    with jax.numpy_rank_promotion("raise"):
        yield


SMALL_TRUNKS = {
    "residual": partial(ResidualTrunk, widths=(16, 16)),
    "transformer": partial(TransformerTrunk, width=16, depth=2),
    "perceptron": partial(PerceptronTrunk, width=16, depth=1),
}


@pytest.fixture(scope="module", params=SMALL_TRUNKS)
def net(request) -> SpectrumNet:
    """A network of each design, small enough to be compiled at once."""
    one, two = jax.random.split(jax.random.key(3))
    return SpectrumNet(SMALL_TRUNKS[request.param](SMALL, key=one), Heads(SMALL.classes, key=two))


@pytest.fixture
def spectra(rng) -> tuple[jax.Array, jax.Array]:
    counts = rng.poisson(rng.gamma(0.3, 30, (6, SMALL.channels)))
    return jnp.asarray(counts, jnp.float32), jnp.asarray(rng.normal(size=(6, SMALL.instrument)), jnp.float32)


@eqx.filter_jit
def predict(net, counts, instrument):
    return jax.vmap(lambda c, i: net(c, i, key=None))(counts, instrument)


def test_shapes_and_shares(net, spectra) -> None:
    found = predict(net, *spectra)
    assert found.presence.shape == found.log_shares.shape == (6, 2, SMALL.classes)
    assert found.hidden.shape == (6,)
    assert found.log_mass.shape == (6, 2)
    assert {part.dtype for part in found} == {np.dtype(np.float32)}
    np.testing.assert_allclose(np.exp(found.log_shares).sum(axis=-1), 1, rtol=1e-5)


def test_a_spectrum_does_not_see_its_batch(net, spectra) -> None:
    counts, instrument = spectra
    order = np.array([4, 0, 5, 1, 3, 2])
    for all_, turned in zip(predict(net, *spectra), predict(net, counts[order], instrument[order]), strict=True):
        np.testing.assert_allclose(turned, np.asarray(all_)[order], rtol=1e-5, atol=1e-5)


@eqx.filter_jit
def gradients(net, counts, instrument):
    """Of one projection of all outputs, while training: with respect to the weights, and to the counts."""

    def total(inputs):
        net, counts = inputs
        keys = jax.random.split(jax.random.key(0), len(counts))
        found = jax.vmap(lambda c, i, key: net(c, i, key=key))(counts, instrument, keys)
        return sum(jnp.vdot(jnp.cos(jnp.arange(1.0, part.size + 1)), part.ravel()) for part in found)

    return eqx.filter_grad(total)((net, counts))


def test_gradients_are_finite(net, spectra) -> None:
    """Without any count, with a single one, with a million in one channel or in each."""
    one = np.eye(256)[17]
    counts = np.stack([0 * one, one, 1e6 * one, 0 * one + 1e6, one + 1e5, 0 * one + 1])
    found = jax.tree.leaves(gradients(net, jnp.asarray(counts, jnp.float32), spectra[1]))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in found)


def test_every_weight_and_channel_matters(net, spectra) -> None:
    """Nothing was forgotten in the wiring."""
    weights, counts = gradients(net, *spectra)
    found = jax.tree_util.tree_leaves_with_path(weights)
    assert not [jax.tree_util.keystr(path) for path, leaf in found if not bool(jnp.any(leaf != 0))]
    assert bool((counts != 0).any(axis=0).all())


def test_instrument_and_dose_are_seen(net, spectra) -> None:
    counts, instrument = spectra
    before = predict(net, counts, instrument).presence
    assert not np.allclose(before, predict(net, counts, instrument + 1).presence)
    assert not np.allclose(before, predict(net, 10 * counts, instrument).presence)


def test_chance_only_with_a_key(spectra) -> None:
    counts, instrument = (part[0] for part in spectra)
    net = SMALL_TRUNKS["perceptron"](SMALL, key=jax.random.key(3))
    keys = jax.random.split(jax.random.key(0), 40)
    draw = eqx.filter_jit(jax.vmap(lambda key: net(counts, instrument, key=key)))
    drawn = np.asarray(draw(keys))
    assert len(np.unique(drawn.round(4), axis=0)) > 1
    np.testing.assert_array_equal(drawn, draw(keys))


def test_no_two_layers_start_alike(net) -> None:
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(net, eqx.is_array))]
    drawn = [a for a in arrays if a.ndim > 1 and a.any()]
    assert len({a.tobytes()[:64] for a in drawn}) == len(drawn)


@pytest.mark.parametrize("design", DESIGNS)
def test_sizes_are_the_documented_ones(design) -> None:
    made = eqx.filter_eval_shape(build, design, Shapes(), key=jax.random.key(0))
    arrays = jax.tree.leaves(made, is_leaf=lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    assert sum(a.size for a in arrays if isinstance(a, jax.ShapeDtypeStruct)) == PARAMETERS[design]
    assert f"{PARAMETERS[design]:,}" in build.__doc__
    assert 2 * PARAMETERS[design] < 10e6  # float16 weights fit into the package


def test_features_at_the_limits() -> None:
    assert float(dose(jnp.full(100, 100.0))[0]) == pytest.approx(0, abs=1e-4)
    seen = np.asarray(features(jnp.array([0.0, 9.0, 99.0])))
    np.testing.assert_allclose(seen[:, 1], [0, 1, 2], atol=1e-6)
    np.testing.assert_allclose((seen[:, 0] ** 2).mean(), 1, rtol=1e-6)


def test_square_root_makes_every_channel_equally_noisy(rng) -> None:
    """Anscombe: the standard deviation of sqrt(c + 3/8) is 1/2 at any mean from 4 counts up, within 3 %."""
    means = np.array([4, 10, 100, 1000])
    draws = np.sqrt(rng.poisson(means, (40_000, 4)) + 0.375)
    np.testing.assert_allclose(draws.std(axis=0), 0.5, rtol=0.03)
    counts = jnp.asarray(rng.poisson(np.repeat(means, 4000)), jnp.float32)
    spread = np.asarray(features(counts))[:, 0].reshape(4, 4000).std(axis=1)
    np.testing.assert_allclose(spread / spread[-1], 1, rtol=0.07)


def test_convolution_is_numpys(rng) -> None:
    layer = Convolution(1, 1, taps=5, key=jax.random.key(1))
    values = rng.normal(size=40).astype(np.float32)
    kernel = np.asarray(layer.weight)[::-1, 0, 0]
    np.testing.assert_allclose(layer(values[:, None])[:, 0], np.convolve(values, kernel, "same"), rtol=1e-4, atol=1e-5)


def test_drop_path_keeps_the_mean() -> None:
    drop = DropPath(0.25)
    drawn = jax.vmap(lambda key: drop(jnp.ones(2), key=key))(jax.random.split(jax.random.key(5), 20_000))
    assert set(np.unique(drawn)) == {0, np.float32(1 / 0.75)}
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])
    assert float(drawn.mean()) == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(drop(jnp.ones(2), key=None), 1)


def test_counted_parameters() -> None:
    assert count_parameters(Convolution(3, 4, taps=5, key=jax.random.key(0))) == 3 * 4 * 5 + 4


def test_refusals() -> None:
    with pytest.raises(InputError, match=r'no design .residul.; known are .*did you mean "residual"'):
        build("residul", SMALL, key=jax.random.key(0))
    with pytest.raises(InputError, match="multiple of 64; found 1000"):
        Shapes(channels=1000)
    with pytest.raises(InputError, match="needs classes and an instrument; found 0"):
        Shapes(classes=0)


def test_shapes_of_all_signatures_hold() -> None:
    """Every jaxtyping shape in the floor is checked at run time, in a process of its own; a wrong one is refused."""
    program = """
from jaxtyping import TypeCheckError, install_import_hook
with install_import_hook("velatura.nn", "beartype.beartype"):
    from velatura.nn.spectrum_net import DESIGNS, Shapes, build
import equinox as eqx, jax, jax.numpy as jnp
for design in DESIGNS:
    made = eqx.filter_eval_shape(build, design, Shapes(128, 3, 4), key=jax.random.key(0))
    call = lambda net, counts: net(counts, jnp.ones(3), key=jax.random.key(0))
    eqx.filter_eval_shape(call, made, jnp.ones(128))
try:
    eqx.filter_eval_shape(call, made, jnp.ones((2, 128)))
except TypeCheckError:
    raise SystemExit(7)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 7, done.stderr


def test_line_evidence_is_the_top_hat_filter_in_standard_deviations(rng) -> None:
    counts = rng.poisson(3, 256).astype(np.float32)
    weights = np.concatenate([np.full(2, -1.25), np.ones(5), np.full(2, -1.25)])
    height, variance = (np.convolve(counts, w, "same") for w in (weights, weights**2))
    expected = np.arcsinh(height / np.sqrt(variance + 1))
    np.testing.assert_allclose(line_evidence(jnp.asarray(counts)), expected, atol=1e-5)
    assert abs(weights.sum()) < 1e-12
