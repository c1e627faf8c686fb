"""What counts as wrong when a network recolours: by pixels as published, as the eye sees it, and to a critic's eye.

Every loss is called loss(model, batch, key=...), as `train.loop.fit` wants it, and is the mean over a batch.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from velatura.imaging.likeness import ciede2000, ms_ssim, pyramid_difference, redmean
from velatura.tasks.recolour_tiles import MOST_LOG, Network

ERROR = 0.05  # weight of the expected error beside the colours
PATCH = 16  # pixels of the squares that pre-training hides
HIDDEN = 0.5  # share of them


class Batch(NamedTuple):
    """Pictures for one step."""

    embedded: np.ndarray
    """Features, float16 [picture, y, x, feature]."""
    rgb: np.ndarray
    """The truth, uint8 [picture, y, x, 3]."""


class Pair(NamedTuple):
    """A network and its critic, taught side by side."""

    net: Network
    critic: Network


Said = Float[Array, "y x output"]
Truth = Float[Array, "y x 3"]


def pixel_difference(said: Said, truth: Truth) -> Float[Array, ""]:
    """Return the mean redmean distance, 0 to 3: the published loss."""
    return jnp.mean(redmean(said[..., :3], truth))


def absolute_difference(said: Said, truth: Truth) -> Float[Array, ""]:
    """Return the mean absolute difference (L1), 0 to 1: that of Pix2Pix."""
    return jnp.mean(jnp.abs(said[..., :3] - truth))


def perceptual_difference(said: Said, truth: Truth) -> Float[Array, ""]:
    """Return redmean + (1 - MS-SSIM) + the difference of colour pyramids."""
    colours = said[..., :3]
    return pixel_difference(said, truth) + 1 - ms_ssim(colours, truth) + pyramid_difference(colours, truth)


DIFFERENCES: Mapping[str, Callable[[Said, Truth], Array]] = MappingProxyType({
    "redmean": pixel_difference, "l1": absolute_difference, "perceptual": perceptual_difference,
})  # fmt: skip


def error_loss(said: Said, truth: Truth) -> Float[Array, ""]:
    """Return the mean negative log likelihood of the true CIEDE2000 where the fourth output is the log of its mean.

    d / exp(s) + s, that of an exponential distribution, smallest where exp(s) is the mean of d; the colours get no
    gradient from it.
    """
    apart = jax.lax.stop_gradient(ciede2000(jnp.clip(said[..., :3], 0, 1), truth))
    told = jnp.clip(said[..., 3], -MOST_LOG, MOST_LOG)
    return jnp.mean(apart * jnp.exp(-told) + told)


def painted(net: Network, batch: Batch, *, key: PRNGKeyArray) -> Float[Array, "picture y x output"]:
    """Return what a network makes of each picture, with dropout."""
    keys = jax.random.split(key, len(batch.embedded))
    return jax.vmap(lambda image, own: net(image, key=own))(jnp.asarray(batch.embedded, jnp.float32), keys)


def colour_loss(name: str) -> Callable[..., Float[Array, ""]]:
    """Return the loss of a network, by one of DIFFERENCES; with four outputs, also of its expected error."""
    difference = DIFFERENCES[name]

    def loss(net: Network, batch: Batch, *, key: PRNGKeyArray) -> Float[Array, ""]:
        return _wrong(painted(net, batch, key=key), _truth(batch), difference)

    return loss


def critic_loss(name: str, *, weight: float) -> Callable[..., Float[Array, ""]]:
    """Return the loss of a `Pair` (Pix2Pix: Isola et al., arXiv 1611.07004), one sum with a gradient for each part.

    The network's: that of `colour_loss` + weight x cross entropy of its pictures being taken for true ones; the
    critic's: half the cross entropies of true pictures as true and painted ones as painted. Each part sees the other
    with its gradient stopped. With "l1", 0.01 is the published 100 x L1 to 1.
    """
    difference = DIFFERENCES[name]

    def loss(pair: Pair, batch: Batch, *, key: PRNGKeyArray) -> Float[Array, ""]:
        embedded, truth = jnp.asarray(batch.embedded, jnp.float32), _truth(batch)
        said = painted(pair.net, batch, key=key)
        colours = said[..., :3]
        judged = _judged(_frozen(pair.critic), embedded, colours)
        taken_for = weight * jnp.mean(jax.nn.softplus(-judged))
        on_true = _judged(pair.critic, embedded, truth)
        on_painted = _judged(pair.critic, embedded, jax.lax.stop_gradient(colours))
        critic = (jnp.mean(jax.nn.softplus(-on_true)) + jnp.mean(jax.nn.softplus(on_painted))) / 2
        return _wrong(said, truth, difference) + taken_for + critic

    return loss


def hidden_patches_loss(net: Network, batch: Batch, *, key: PRNGKeyArray) -> Float[Array, ""]:
    """Return how badly a network guesses the features in hidden squares: Huber's loss; no colours are needed.

    Half of the squares of 16 pixels are shown as 0, the mean spectrum (He et al., arXiv 2111.06377, hide as here whole
    patches). The network has as many outputs as features.
    """
    one, other = jax.random.split(key)
    features = jnp.asarray(batch.embedded, jnp.float32)
    number, height, width, _ = features.shape
    squares = jax.random.bernoulli(one, HIDDEN, (number, -(-height // PATCH), -(-width // PATCH)))
    hidden = jnp.repeat(jnp.repeat(squares, PATCH, axis=1), PATCH, axis=2)[:, :height, :width, None]
    keys = jax.random.split(other, number)
    said = jax.vmap(lambda image, own: net(image, key=own))(jnp.where(hidden, 0.0, features), keys)
    apart = jnp.abs(said - features)
    wrong = jnp.where(apart < 1, 0.5 * apart**2, apart - 0.5)
    return jnp.sum(wrong * hidden) / jnp.maximum(jnp.sum(hidden) * features.shape[-1], 1)


def _wrong(said: Array, truth: Array, difference: Callable[[Said, Truth], Array]) -> Array:
    colours = jnp.mean(jax.vmap(difference)(said, truth))
    return colours if said.shape[-1] == 3 else colours + ERROR * jnp.mean(jax.vmap(error_loss)(said, truth))


def _truth(batch: Batch) -> Array:
    return jnp.asarray(batch.rgb, jnp.float32) / 255


def _judged(critic: Network, embedded: Array, colours: Array) -> Array:
    return jax.vmap(critic)(embedded, colours)


def _frozen(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)
