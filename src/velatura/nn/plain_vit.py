"""A plain vision transformer (Dosovitskiy et al., arXiv 2010.11929): what SmallUViT is without its additions."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.nn.image_layers import Attention, LayerNorm, Linear, TokenBlock, from_patches, patches
from velatura.nn.layers import in_turn

PATCH = 16
WIDTH, HEADS, HEAD, INNER = 192, 3, 64, 800
DEPTH = 7


class PlainViT(eqx.Module):
    """Patches of 16 pixels, 7 blocks of 3 heads of 64, and back: 3,496,544 counted parameters at 3 inputs.

    No shifted patches, usual attention, no long skips, no last convolution. Inner width 800 instead of the usual 768
    brings the parameters within 0.4 % of SmallUViT's.
    """

    embed: Linear
    position: Float[Array, "token width"]
    blocks: tuple[TokenBlock, ...]
    norm: LayerNorm
    head: Linear

    def __init__(
        self,
        *,
        inputs: int = 3,
        outputs: int = 3,
        side: int = 128,
        depth: int = DEPTH,
        drop: float = 0.1,
        key: PRNGKeyArray,
    ) -> None:
        """Draw the weights for images of side x side pixels; drop: rate of dropout and of stochastic depth."""
        one, two, three, four = jax.random.split(key, 4)
        self.embed = Linear(inputs * PATCH**2, WIDTH, key=one)
        self.position = 0.02 * jax.random.truncated_normal(two, -2, 2, ((side // PATCH) ** 2, WIDTH))
        self.blocks = tuple(_block(drop, key=own) for own in jax.random.split(three, depth))
        self.norm = LayerNorm(WIDTH)
        self.head = Linear(WIDTH, outputs * PATCH**2, key=four)

    def __call__(
        self, image: Float[Array, "y x inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "y x outputs"]:
        """Return an image of the same size; key: None for a prediction, a key while training."""
        grid = patches(image, patch=PATCH)
        tokens = self.embed(grid.reshape(-1, grid.shape[-1])) + self.position
        tokens = in_turn(self.blocks, tokens, key=key)
        return from_patches(self.head(self.norm(tokens)).reshape(*grid.shape[:2], -1), patch=PATCH)


def _block(drop: float, *, key: PRNGKeyArray) -> TokenBlock:
    one, two = jax.random.split(key)
    attention = Attention(WIDTH, heads=HEADS, head=HEAD, local=False, key=one)
    return TokenBlock(WIDTH, attention=attention, inner=INNER, drop=drop, key=two)
