"""Networks for images: shapes, sizes, finite gradients, chance only with a key."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.nn.image_nets import IMAGE_NETS, build_image_net, counted_parameters

SIDE = 32


def test_published_number_of_parameters() -> None:
    net = eqx.filter_eval_shape(build_image_net, "small-uvit", inputs=3, key=jax.random.key(0))
    found = [leaf.size for leaf in jax.tree.leaves(net) if isinstance(leaf, jax.ShapeDtypeStruct)]
    assert sum(found) == 3_485_076 + 64 * 192 + 7  # positions and temperatures are not counted
    assert counted_parameters(net) == 3_485_076


@eqx.filter_jit
def predict(net, images):
    return jax.vmap(lambda image: net(image))(images)


@pytest.mark.parametrize("design", IMAGE_NETS)
def test_an_image_in_an_image_out(design, rng) -> None:
    images = jnp.asarray(rng.normal(size=(2, SIDE, SIDE, 5)), jnp.float32)
    net = eqx.filter_jit(build_image_net)(design, inputs=5, outputs=4, side=SIDE, key=jax.random.key(0))
    found = predict(net, images)
    assert found.shape == (2, SIDE, SIDE, 4)
    assert found.dtype == np.float32


def test_refusals() -> None:
    with pytest.raises(InputError, match=r'no design .small-vit.; known are .*did you mean "small-uvit"'):
        build_image_net("small-vit", inputs=3, key=jax.random.key(0))
    with pytest.raises(InputError, match="multiple of 16, at least 32; found 100"):
        build_image_net("small-uvit", inputs=3, side=100, key=jax.random.key(0))
    with pytest.raises(InputError, match="needs inputs and outputs; found 0"):
        build_image_net("small-uvit", inputs=0, key=jax.random.key(0))
