"""The critic of Pix2Pix: tells, patch by patch, true colours from made ones (Isola et al., arXiv 1611.07004)."""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.nn.image_layers import EPSILON, ImageConvolution

TAPS, FIRST_WIDTH, GROUPS = 4, 32, 8
SLOPE = 0.2  # of the leaky ReLU below zero


class Critic(eqx.Module):
    """Convolutions of 4 x 4; each judgement sees 70 pixels with three halvings, 34 with two.

    Group norm (Wu and He, arXiv 1803.08494) in place of the published batch norm: a judgement does not depend on the
    other images of the batch.
    """

    layers: tuple[ImageConvolution, ...]

    def __init__(
        self, *, inputs: int, colours: int = 3, side: int = 128, width: int = FIRST_WIDTH, key: PRNGKeyArray
    ) -> None:
        """Draw the weights; three halvings from a `side` of 256 on, else two; width: of the first layer, 8 or more."""
        halvings = 3 if side >= 256 else 2
        widths = (inputs + colours, *(width * 2**level for level in range(halvings + 1)), 1)
        strides = (2,) * halvings + (1, 1)
        keys = jax.random.split(key, len(strides))
        self.layers = tuple(
            ImageConvolution(a, b, taps=TAPS, stride=stride, key=own)
            for (a, b), stride, own in zip(pairwise(widths), strides, keys, strict=True)
        )

    def __call__(
        self, image: Float[Array, "y x inputs"], rgb: Float[Array, "y x colour"]
    ) -> Float[Array, "patch_y patch_x"]:
        """Return logits, above 0 for "true", of patches of the colours `rgb` (0 to 1) given the embedded `image`."""
        values = jnp.concatenate([image, 2 * rgb - 1], axis=-1)
        for place, layer in enumerate(self.layers[:-1]):
            values = layer(values)
            values = jax.nn.leaky_relu(_group_norm(values) if place else values, SLOPE)
        return self.layers[-1](values)[..., 0]


def _group_norm(image: Float[Array, "y x width"]) -> Float[Array, "y x width"]:
    """Return the image with mean 0 and variance 1 over all pixels of each group of features."""
    grouped = image.reshape(*image.shape[:2], GROUPS, -1)
    centred = grouped - jnp.mean(grouped, axis=(0, 1, 3), keepdims=True)
    variance = jnp.mean(centred**2, axis=(0, 1, 3), keepdims=True)
    return (centred * jax.lax.rsqrt(variance + EPSILON)).reshape(image.shape)
