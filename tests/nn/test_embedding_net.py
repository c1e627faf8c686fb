import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.nn.embedding_net import (
    ComponentNet,
    DomainHead,
    TaughtNet,
    VariationalNet,
    alpha_dropout,
    embedding_of,
    log_shape,
)
from velatura.nn.layers import count_parameters


@pytest.mark.parametrize(("channels", "parameters"), [(1024, 996_774), (512, 250_694)])
def test_the_published_sizes(channels: int, parameters: int) -> None:
    net = VariationalNet(channels, 3, key=jax.random.key(0))
    assert count_parameters(net) == parameters


def test_only_the_outer_matrices_have_a_bias() -> None:
    net = VariationalNet(128, 3, key=jax.random.key(0))
    assert all(layer.bias is None for layer in (*net.hidden.layers, *net.widen.layers))
    assert all(layer.bias is not None for layer in (net.narrow, net.mean, net.log_variance, net.last))


def test_the_log_shape_reaches_one_and_bears_zeros() -> None:
    counts = jnp.array([0.0, 3.0, 7.0, 1.0])
    np.testing.assert_allclose(log_shape(counts), np.log1p(counts) / np.log(8), rtol=1e-6)
    assert not log_shape(jnp.zeros(4)).any()
    assert np.isfinite(jax.jacobian(log_shape)(jnp.zeros(4))).all()


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    values = jax.random.normal(jax.random.key(1), (200_000,))
    dropped = alpha_dropout(values, key=jax.random.key(2))
    assert abs(float(dropped.mean())) < 0.02
    assert abs(float(dropped.std()) - 1) < 0.02
    _, often = np.unique(dropped, return_counts=True)
    np.testing.assert_allclose(often.max() / values.size, 0.1, atol=0.005)
    assert alpha_dropout(values, key=None) is values


def test_the_signal_keeps_its_size_through_the_encoder() -> None:
    net = VariationalNet(1024, 3, key=jax.random.key(0))
    seen = jax.random.normal(jax.random.key(1), (64, 1024))
    hidden = jax.vmap(lambda row: net.hidden(row, key=None))(seen)
    assert 0.7 < float(hidden.std()) < 1.3


@pytest.mark.parametrize("net", [VariationalNet(128, 3, key=jax.random.key(0))], ids=["dve"])
def test_what_is_decoded_lies_between_0_and_1(net, rng) -> None:
    seen = net.prepared(jnp.asarray(rng.poisson(2, 128), jnp.float32))
    back = net.decode(net.project(net.penultimate(seen, key=None)), key=None)
    assert back.shape == (128,)
    assert 0 <= float(back.min()) <= float(back.max()) <= 1


def test_gradients_are_finite_without_counts() -> None:
    net = TaughtNet(128, 16, classes=5, widths=(32, 16), key=jax.random.key(0))
    said = net.read(embedding_of(net, jnp.zeros(128)))
    assert (said.colour.shape, said.log_error.shape, said.presence.shape) == ((3,), (3,), (5,))
    np.testing.assert_allclose(jnp.exp(said.log_shares).sum(), 1, rtol=1e-5)
    slopes = eqx.filter_grad(lambda model: embedding_of(model, jnp.zeros(128)).sum())(net)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_components_rebuild_what_lies_in_their_plane(rng) -> None:
    axes = np.linalg.qr(rng.normal(size=(64, 2)))[0]
    net = ComponentNet(jnp.asarray(rng.random(64), jnp.float32), jnp.asarray(axes, jnp.float32))
    seen = net.centre + net.axes @ jnp.array([0.3, -2.0])
    embedding = net.project(net.penultimate(seen, key=None))
    np.testing.assert_allclose(embedding, [0.3, -2.0], atol=1e-5)
    np.testing.assert_allclose(net.decode(embedding, key=None), seen, atol=1e-5)


def test_a_domain_head_gives_one_logit() -> None:
    assert DomainHead(16, key=jax.random.key(0))(jnp.ones(16)).shape == ()
