"""A network that sees one pixel at a time: what colour follows from the spectrum alone."""

from itertools import pairwise

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.nn.image_layers import Linear


class PixelNet(eqx.Module):
    """Matrices with ReLU between them, the same for every pixel."""

    layers: tuple[Linear, ...]

    def __init__(
        self,
        *,
        inputs: int = 3,
        outputs: int = 3,
        side: int = 128,
        widths: tuple[int, ...] = (64, 64, 64),
        key: PRNGKeyArray,
    ) -> None:
        """Draw the weights; widths: of the hidden layers. Works at any `side`."""
        del side
        sizes = (inputs, *widths, outputs)
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = tuple(Linear(a, b, key=own) for (a, b), own in zip(pairwise(sizes), keys, strict=True))

    def __call__(
        self, image: Float[Array, "y x inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "y x outputs"]:
        """Return an image of the same size; `key` changes nothing."""
        del key
        *hidden, last = self.layers
        for layer in hidden:
            image = jax.nn.relu(layer(image))
        return last(image)
