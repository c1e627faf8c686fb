"""Our network: tokens that see the whole painting between convolutions that see every pixel.

A descent of convolutions to 1/16 of the resolution, SmallUViT's blocks on the 16-pixel tokens found there, an ascent
that interpolates, and a head that sets each pixel's colour from its own embedded spectrum and its surroundings. No
step cuts the image into patches, so no grid of patches can show in the colours.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.nn.image_layers import LayerNorm, keys_for
from velatura.nn.pixel_net import PixelNet
from velatura.nn.unet import Ascent, Descent
from velatura.nn.uvit import WIDTH, UViTCore

WIDTHS = (16, 32, 64, 128)


class VelaturaNet(eqx.Module):
    """Image to image: descent, tokens, ascent, and a head for each pixel that also sees the input itself.

    3,258,491 counted parameters at 3 inputs; a training step costs 1.7 to 2 steps of SmallUViT on two cores.
    """

    descent: Descent
    position: Float[Array, "token width"]
    core: UViTCore
    norm: LayerNorm
    ascent: Ascent
    head: PixelNet

    def __init__(
        self,
        *,
        inputs: int = 3,
        outputs: int = 3,
        side: int = 128,
        widths: tuple[int, ...] = WIDTHS,
        half_depth: int = 2,
        drop: float = 0.1,
        key: PRNGKeyArray,
    ) -> None:
        """Draw the weights for images of side x side pixels, `side` a multiple of 16 and 32 or more.

        widths: features at full resolution and after each halving but the last; half_depth: transformer blocks before
        and after the middle one; drop: rate of dropout and stochastic depth of the tokens, the convolutions have none.
        """
        one, two, three, four, five = jax.random.split(key, 5)
        self.descent = Descent(inputs, (*widths, WIDTH), drop=0.0, key=one)
        tokens = (side // 2 ** len(widths)) ** 2
        self.position = 0.02 * jax.random.truncated_normal(two, -2, 2, (tokens, WIDTH))
        self.core = UViTCore(half_depth=half_depth, drop=drop, key=three)
        self.norm = LayerNorm(WIDTH)
        self.ascent = Ascent((*widths, WIDTH), drop=0.0, key=four)
        self.head = PixelNet(inputs=inputs + widths[0], outputs=outputs, widths=(24,), key=five)

    def __call__(
        self, image: Float[Array, "y x inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "y x outputs"]:
        """Return an image of the same size; key: None for a prediction, a key while training."""
        one, two, three = keys_for(3, key=key)
        *above, deepest = self.descent(image, key=one)
        tokens = self.core(deepest.reshape(-1, WIDTH) + self.position, key=two)
        around = self.ascent([*above, self.norm(tokens).reshape(deepest.shape)], key=three)
        return self.head(jnp.concatenate([image, jax.nn.relu(around)], axis=-1))
