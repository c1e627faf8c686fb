"""SmallUViT: the transformer of the published virtual recolouring, with long skips between its two halves.

Sizes recovered from the published number of parameters, 3,485,076: patches of 16, width 192, 3 + 1 + 3 blocks of 9
heads of 32, inner width 384, skips that add. Not published, chosen here: rates of dropout and stochastic depth 0.1,
weights drawn as PyTorch does, position embedding of deviation 0.02, one temperature for a block.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.nn.image_layers import (
    Attention,
    ImageConvolution,
    LayerNorm,
    Linear,
    TokenBlock,
    from_patches,
    keys_for,
    patches,
    shifted,
)

PATCH = 16
WIDTH = 192
HEADS, HEAD = 9, 32
HALF_DEPTH = 3
SHIFTS = {  # down, right; in halves of a patch, or in pixels
    "diagonal": ((-1, -1), (-1, 1), (1, -1), (1, 1)),
    "cardinal": ((0, 1), (0, -1), (1, 0), (-1, 0)),
}


class ShiftedPatches(eqx.Module):
    """Shifted Patch Tokenisation (Lee et al., arXiv 2112.13492): each token sees its patch and four shifted ones.

    "diagonal", the authors' own: shifts by half a patch; "cardinal", of a popular other code: by one pixel.
    """

    norm: LayerNorm
    embed: Linear
    shifts: str = eqx.field(static=True)

    def __init__(self, inputs: int, *, width: int = WIDTH, shifts: str = "diagonal", key: PRNGKeyArray) -> None:
        """Draw the weights; shifts: "diagonal" or "cardinal"."""
        content = (1 + len(SHIFTS[shifts])) * inputs * PATCH**2
        self.norm = LayerNorm(content)
        self.embed = Linear(content, width, key=key)
        self.shifts = shifts

    def __call__(self, image: Float[Array, "y x inputs"]) -> Float[Array, "token width"]:
        """Return one token for each patch, row by row."""
        step = PATCH // 2 if self.shifts == "diagonal" else 1
        moved = [shifted(image, step * down, step * right) for down, right in SHIFTS[self.shifts]]
        grid = patches(jnp.concatenate([image, *moved], axis=-1), patch=PATCH)
        return self.embed(self.norm(grid.reshape(-1, grid.shape[-1])))


class UViTCore(eqx.Module):
    """Blocks of local attention in two halves; each block of the second half also gets what one of the first gave.

    Last out, first in (Bao et al., arXiv 2209.12152), by addition; with `concat` through a matrix, as there.
    """

    enter: tuple[TokenBlock, ...]
    middle: TokenBlock
    leave: tuple[TokenBlock, ...]
    joins: tuple[Linear, ...] | None

    def __init__(
        self,
        *,
        half_depth: int = HALF_DEPTH,
        drop: float,
        each_head: bool = False,
        concat: bool = False,
        key: PRNGKeyArray,
    ) -> None:
        """Draw the weights; half_depth: blocks before and after the middle one."""

        def block(key: PRNGKeyArray) -> TokenBlock:
            one, two = jax.random.split(key)
            attention = Attention(WIDTH, heads=HEADS, head=HEAD, local=True, each_head=each_head, key=one)
            return TokenBlock(WIDTH, attention=attention, inner=2 * WIDTH, drop=drop, key=two)

        one, two = jax.random.split(key)
        blocks = tuple(block(own) for own in jax.random.split(one, 2 * half_depth + 1))
        self.enter, self.middle, self.leave = blocks[:half_depth], blocks[half_depth], blocks[half_depth + 1 :]
        keys = jax.random.split(two, half_depth)
        self.joins = tuple(Linear(2 * WIDTH, WIDTH, key=own) for own in keys) if concat else None

    def __call__(self, tokens: Float[Array, "token width"], *, key: PRNGKeyArray | None) -> Float[Array, "token width"]:
        """Return as many tokens."""
        depth = len(self.enter)
        keys = keys_for(2 * depth + 1, key=key)
        skips = []
        for block in self.enter:
            tokens = block(tokens, key=keys.pop())
            skips.append(tokens)
        tokens = self.middle(tokens, key=keys.pop())
        for place, block in enumerate(self.leave):
            skip = skips.pop()
            tokens = tokens + skip if self.joins is None else self.joins[place](jnp.concatenate([tokens, skip], -1))
            tokens = block(tokens, key=keys.pop())
        return tokens


class SmallUViT(eqx.Module):
    """Image [y, x, inputs] to image [y, x, outputs] through tokens of 16 x 16 pixels and one last convolution."""

    embed: ShiftedPatches
    position: Float[Array, "token width"]
    core: UViTCore
    norm: LayerNorm
    head: Linear
    smooth: ImageConvolution

    def __init__(
        self,
        *,
        inputs: int = 3,
        outputs: int = 3,
        side: int = 128,
        half_depth: int = HALF_DEPTH,
        drop: float = 0.1,
        shifts: str = "diagonal",
        each_head: bool = False,
        concat: bool = False,
        key: PRNGKeyArray,
    ) -> None:
        """Draw the weights for images of side x side pixels, `side` a multiple of 16 and 32 or more.

        half_depth: blocks before and after the middle one; drop: rate of dropout and of stochastic depth; shifts:
        "diagonal" or "cardinal"; each_head: a temperature for each head; concat: long skips through a matrix.
        """
        one, two, three, four, five = jax.random.split(key, 5)
        self.embed = ShiftedPatches(inputs, shifts=shifts, key=one)
        self.position = 0.02 * jax.random.truncated_normal(two, -2, 2, ((side // PATCH) ** 2, WIDTH))
        self.core = UViTCore(half_depth=half_depth, drop=drop, each_head=each_head, concat=concat, key=three)
        self.norm = LayerNorm(WIDTH)
        self.head = Linear(WIDTH, outputs * PATCH**2, key=four)
        self.smooth = ImageConvolution(outputs, outputs, key=five)

    def __call__(
        self, image: Float[Array, "y x inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "y x outputs"]:
        """Return an image of the same size; key: None for a prediction, a key while training."""
        tokens = self.core(self.embed(image) + self.position, key=key)
        grid = self.head(self.norm(tokens)).reshape(image.shape[0] // PATCH, image.shape[1] // PATCH, -1)
        return self.smooth(from_patches(grid, patch=PATCH))
