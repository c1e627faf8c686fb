"""A network beside its judge, which has learned on pictures that the network never saw how wrong its colours are."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.nn.pixel_net import PixelNet

COLOURS = 3
WINDOWS = (5, 17)  # pixels of the squares around each pixel over which a judge takes means and deviations
WIDTHS = (48, 48)
LEAST = 1e-6  # variance, so that its root has a gradient
USUAL = 10.0  # CIEDE2000 that a judge expects before it has learned

Image = Float[Array, "y x feature"]


class Judge(eqx.Module):
    """Each pixel alone, with means and standard deviations over two squares around it: 0.1 million parameters or less.

    So few, since the pictures that are left to learn from are few.
    """

    pixels: PixelNet

    def __init__(self, *, inputs: int, key: PRNGKeyArray) -> None:
        """Draw the weights; inputs: features of a pixel and outputs of the network together."""
        pixels = PixelNet(inputs=inputs * (1 + 2 * len(WINDOWS)), outputs=1, widths=WIDTHS, key=key)
        self.pixels = eqx.tree_at(lambda net: net.layers[-1].bias, pixels, jnp.full(1, jnp.log(USUAL)))

    def __call__(self, asked: Image) -> Float[Array, "y x 1"]:
        """Return the logarithm of the expected CIEDE2000; asked: what `question` returns."""
        parts = [asked]
        for window in WINDOWS:
            mean = box_mean(asked, window)
            parts += [mean, jnp.sqrt(jax.nn.relu(box_mean(asked**2, window) - mean**2) + LEAST)]
        return self.pixels(jnp.concatenate(parts, axis=-1))


class JudgedNet(eqx.Module):
    """Image to colours by a network, and to the logarithm of their expected error by its judge.

    What the network itself tells of its error, it has learned on pictures that it knows; the judge corrects it.
    """

    net: eqx.Module
    judge: Judge

    def __call__(self, image: Image, *, key: PRNGKeyArray | None = None) -> Float[Array, "y x 4"]:
        """Return colours and the logarithm of their expected CIEDE2000; key: of the network, as it takes it."""
        said = self.net(image, key=key)  # pyrefly: ignore[not-callable]
        return jnp.concatenate([said[..., :COLOURS], self.judge(question(image, said))], axis=-1)


def question(image: Float[Array, "... inputs"], said: Float[Array, "... outputs"]) -> Float[Array, "... both"]:
    """Return what a judge is shown: features and what the network made of them, which gets no gradient from it."""
    return jnp.concatenate([image, jax.lax.stop_gradient(said)], axis=-1)


def box_mean(image: Image, window: int) -> Image:
    """Return the mean over a square of `window` pixels (odd) around each pixel, at the edges of what lies inside."""
    inside = jnp.ones((*image.shape[:2], 1), image.dtype)
    return _box_sum(image, window) / _box_sum(inside, window)


def _box_sum(image: Image, window: int) -> Image:
    """Sum over squares: along each axis sums of 1, 2, 4 ... pixels are doubled, and those of `window` put together."""
    half = window // 2
    for axis in (0, 1):
        padded = jnp.pad(image, [(half, half) if place == axis else (0, 0) for place in range(image.ndim)])
        size, begin = image.shape[axis], 0
        total, doubling = jnp.zeros_like(image), padded
        for bit in range(window.bit_length()):
            if window >> bit & 1:
                total = total + jax.lax.slice_in_dim(doubling, begin, begin + size, axis=axis)
                begin += 1 << bit
            length = doubling.shape[axis] - (1 << bit)
            if length > 0:
                one, other = (jax.lax.slice_in_dim(doubling, at, at + length, axis=axis) for at in (0, 1 << bit))
                doubling = one + other
        image = total
    return image
