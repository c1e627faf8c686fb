"""Networks for images: shapes, sizes, finite gradients, chance only with a key, no trace of the patches in ours."""

import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from velatura.base.errors import InputError
from velatura.nn.critic import Critic
from velatura.nn.image_nets import build_image_net, counted_parameters

SIDE = 32
PUBLISHED = 3_485_076
SHALLOW = {  # as few layers as each design allows, so that compiling is quick
    "small-uvit": {"half_depth": 1},
    "vit": {"depth": 1},
    "unet": {"widths": (8, 8, 8)},
    "pixels": {"widths": (32,)},
    "velatura": {"half_depth": 0, "widths": (8, 8)},
}


@pytest.fixture(autouse=True)
def _strict_ranks():
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="module", params=SHALLOW)
def net(request) -> eqx.Module:
    """A shallow network of each design: 5 features in, 4 values out."""
    return made(request.param, inputs=5, outputs=4)


def made(design: str, *, inputs: int = 3, outputs: int = 3, **options) -> eqx.Module:
    """A shallow network with weights drawn by NumPy, at no cost of compiling; its own ones are for larger layers."""
    rng = np.random.default_rng(7)
    net = sized(design, **{"inputs": inputs, "outputs": outputs, "side": SIDE} | SHALLOW[design] | options)

    def drawn(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        bound = (leaf.shape[-1] / leaf.size) ** 0.5  # vectors, scales and shifts, are positive
        return jnp.asarray(rng.uniform(-bound if leaf.ndim > 1 else 0.5, bound, leaf.shape), leaf.dtype)

    return jax.tree.map(lambda leaf: drawn(leaf) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf, net)


def sized(design: str, **options) -> eqx.Module:
    """A network of shapes without weights."""
    return eqx.filter_eval_shape(lambda key: build_image_net(design, key=key, **options), jax.random.key(0))


@pytest.fixture
def images(rng) -> jax.Array:
    return jnp.asarray(rng.normal(size=(3, SIDE, SIDE, 5)), jnp.float32)


@eqx.filter_jit
def predict(net, images, key=None):
    keys = None if key is None else jax.random.split(key, len(images))
    return jax.vmap(lambda image, own: net(image, key=own), in_axes=(0, None if key is None else 0))(images, keys)


def test_published_number_of_parameters() -> None:
    net = sized("small-uvit", inputs=3)
    found = [leaf.size for leaf in jax.tree.leaves(net) if isinstance(leaf, jax.ShapeDtypeStruct)]
    assert sum(found) == PUBLISHED + 64 * 192 + 7  # positions and temperatures are not counted
    assert counted_parameters(net) == PUBLISHED
    assert counted_parameters(sized("small-uvit", inputs=3, side=256, shifts="cardinal", each_head=True)) == PUBLISHED
    assert counted_parameters(sized("small-uvit", inputs=3, concat=True)) == PUBLISHED + 3 * 73_920


def test_baselines_have_as_many_parameters() -> None:
    for design in ("vit", "unet", "velatura"):
        net = sized(design, inputs=3)
        assert counted_parameters(net) == pytest.approx(PUBLISHED, rel=0.02 if design != "velatura" else 0.1)
        assert f"{counted_parameters(net):,} counted parameters" in type(net).__doc__


def test_an_image_in_an_image_out_without_chance(net, images) -> None:
    found = predict(net, images)
    assert found.shape == (3, SIDE, SIDE, 4)
    assert found.dtype == np.float32
    turned = predict(net, images[::-1])[::-1]
    np.testing.assert_allclose(turned, found, rtol=1e-4, atol=1e-5)  # an image does not see its batch


def test_chance_only_with_a_key(images) -> None:
    net, same = made("vit", inputs=5), jnp.stack([images[0]] * 3)
    drawn = predict(net, same, jax.random.key(1))
    assert not np.allclose(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn, predict(net, same, jax.random.key(1)))


@eqx.filter_jit
def gradients(net, images):
    def total(inputs):
        found = predict(*inputs, jax.random.key(0))
        return jnp.vdot(jnp.cos(jnp.arange(1.0, found.size + 1)), found.ravel())

    return eqx.filter_grad(total)((net, images))


def test_gradients_are_finite_and_every_weight_matters(net, images) -> None:
    """With noise, a blank image and one of huge values."""
    weights, pixels = gradients(net, images.at[1].set(0.0).at[2].multiply(1e4))
    found = jax.tree_util.tree_leaves_with_path(weights)
    assert all(bool(jnp.isfinite(leaf).all()) for _, leaf in found)
    assert bool(jnp.isfinite(pixels).all())
    unused = [jax.tree_util.keystr(path) for path, leaf in found if not bool(jnp.any(leaf != 0))]
    assert not unused
    assert bool((pixels[0] != 0).any(axis=-1).all())


def edges_of_patches(net, image) -> float:
    """How much more neighbouring pixels differ across the borders of 16-pixel patches than on average, 1 if no more."""
    found = np.asarray(predict(net, image[None])[0], np.float64)
    steps = np.abs(np.diff(found, axis=0)).mean(axis=(1, 2)) + np.abs(np.diff(found, axis=1)).mean(axis=(0, 2))
    steps = steps[8:-8]  # beside the rim, where zeros come in from outside
    return steps[np.arange(8, 8 + len(steps)) % 16 == 15].mean() / steps.mean()


@pytest.mark.parametrize(("design", "least", "most"), [("velatura", 0, 1.6), ("small-uvit", 3, 17)])
def test_a_blank_image_shows_no_patches_in_ours(design, least, most) -> None:
    """The published network, whose patches do show, proves that the measure sees them."""
    net = made(design, side=64, **({"widths": (8, 8, 8, 8)} if design == "velatura" else {}))
    net = eqx.tree_at(lambda n: n.position, net, 50 * net.position)  # tokens that differ as trained ones do
    if design != "velatura":  # each token paints its patch evenly
        even = jnp.broadcast_to(net.head.weight[:, :1], net.head.weight.shape)
        net = eqx.tree_at(lambda n: (n.head.weight, n.head.bias), net, (even, 0 * net.head.bias))
    assert least < edges_of_patches(net, jnp.ones((64, 64, 3))) < most


@pytest.mark.parametrize("design", ["pixels", "velatura"])
def test_two_small_images_are_learnt(design, rng) -> None:
    """The network's own input says what to paint: each colour is a function of the spectrum."""
    images = jnp.asarray(rng.normal(size=(2, SIDE, SIDE, 3)), jnp.float32)
    truth = jax.nn.sigmoid(2 * images[..., ::-1])
    optimiser = optax.adamw(1e-2)
    net = made(design, drop=0.0) if design == "velatura" else made(design, widths=(32,))

    @eqx.filter_jit
    def error(net):
        return jnp.mean((predict(net, images) - truth) ** 2)

    @eqx.filter_jit
    def trained(net):
        weights, rest = eqx.partition(net, eqx.is_inexact_array)

        def step(carry, _):
            weights, state = carry
            gradients = jax.grad(lambda weights: error(eqx.combine(weights, rest)))(weights)
            updates, state = optimiser.update(gradients, state, weights)
            return (eqx.apply_updates(weights, updates), state), None

        (weights, _), _ = jax.lax.scan(step, (weights, optimiser.init(weights)), length=60)
        return eqx.combine(weights, rest)

    assert error(trained(net)) < 0.1 * jnp.var(truth)


def test_critic_judges_patches(rng) -> None:
    images, rgb = (jnp.asarray(rng.normal(size=(2, SIDE, SIDE, size)), jnp.float32) for size in (5, 3))
    critic = eqx.filter_jit(lambda key: Critic(inputs=5, width=8, key=key))(jax.random.key(0))

    @eqx.filter_jit
    def judged(critic, images, rgb):
        def total(rgb):
            found = jax.vmap(lambda image, colours: critic(image, colours))(images, rgb)
            return jnp.sum(found), found

        return jax.value_and_grad(total, has_aux=True)(rgb)

    (_, found), slope = judged(critic, images, rgb)
    assert found.shape == (2, SIDE // 4, SIDE // 4)
    np.testing.assert_allclose(judged(critic, images[::-1], rgb[::-1])[0][1][::-1], found, rtol=1e-4, atol=1e-4)
    assert bool(jnp.isfinite(slope).all())
    assert bool((slope != 0).any(axis=-1).all())


def test_critic_sees_70_pixels_of_large_images() -> None:
    """Receptive field: 4 taps at each layer, strides 2, 2, 2, 1, 1 as published; 34 pixels below a side of 256."""
    for side, field in ((256, 70), (128, 34)):
        layers = eqx.filter_eval_shape(lambda key, side=side: Critic(inputs=5, side=side, key=key), jax.random.key(0))
        seen = 1
        for layer in layers.layers[::-1]:
            seen = (seen - 1) * layer.stride + layer.weight.shape[0]
        assert seen == field


def test_refusals() -> None:
    with pytest.raises(InputError, match=r'no design .small-vit.; known are .*did you mean "small-uvit"'):
        build_image_net("small-vit", inputs=3, key=jax.random.key(0))
    with pytest.raises(InputError, match="multiple of 16, at least 32; found 100"):
        build_image_net("small-uvit", inputs=3, side=100, key=jax.random.key(0))
    with pytest.raises(InputError, match="needs inputs and outputs; found 0"):
        build_image_net("small-uvit", inputs=0, key=jax.random.key(0))


def test_shapes_of_all_signatures_hold() -> None:
    """Every jaxtyping shape is checked at run time, in a process of its own; a wrong one is refused."""
    program = """
from jaxtyping import TypeCheckError, install_import_hook
with install_import_hook("velatura.nn", "beartype.beartype"):
    from velatura.nn.critic import Critic
    from velatura.nn.image_nets import IMAGE_NETS, build_image_net
import equinox as eqx, jax, jax.numpy as jnp
key = jax.random.key(0)
for design in IMAGE_NETS:
    net = eqx.filter_eval_shape(lambda: build_image_net(design, inputs=5, outputs=4, side=32, key=key))
    eqx.filter_eval_shape(lambda net, image: net(image, key=key), net, jnp.ones((32, 32, 5)))
critic = eqx.filter_eval_shape(lambda: Critic(inputs=5, key=key))
eqx.filter_eval_shape(lambda net, a, b: net(a, b), critic, jnp.ones((32, 32, 5)), jnp.ones((32, 32, 3)))
try:
    eqx.filter_eval_shape(lambda net, image: net(image, key=key), net, jnp.ones((2, 32, 32, 5)))
except TypeCheckError:
    raise SystemExit(7)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 7, done.stderr
