"""U-Net (Ronneberger et al., arXiv 1505.04597): halved four times, widened each time, and back with skips.

Few features where there are many pixels and most parameters deep down: cheap on processors. Steps down are
convolutions of stride 2; steps up interpolate bilinearly, so no checkerboard appears (Odena et al., Distill 2016);
skips add. Norms are taken pixel by pixel over the features: tiles of one painting do not depend on their mean.
"""

from itertools import pairwise

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.nn.image_layers import ImageConvolution, LayerNorm, Linear, doubled, keys_for
from velatura.nn.layers import DropPath

WIDTHS = (16, 32, 64, 128, 272)
FIRST_BLOCK = 4  # halvings before the first residual block of a descent


class ImageBlock(eqx.Module):
    """Residual block: norm, convolution, GELU, convolution, added to what came in."""

    norm: LayerNorm
    first: ImageConvolution
    second: ImageConvolution
    path: DropPath

    def __init__(self, width: int, *, drop: float, key: PRNGKeyArray) -> None:
        """Draw the weights; drop: share of images that skip the block while training."""
        one, two = jax.random.split(key)
        self.norm = LayerNorm(width)
        self.first = ImageConvolution(width, width, key=one)
        self.second = ImageConvolution(width, width, key=two)
        self.path = DropPath(drop)

    def __call__(self, image: Float[Array, "y x width"], *, key: PRNGKeyArray | None) -> Float[Array, "y x width"]:
        """Return an image of the same size."""
        return image + self.path(self.second(jax.nn.gelu(self.first(self.norm(image)))), key=key)


class Descent(eqx.Module):
    """From full resolution, a plain convolution, down by halves; residual blocks only where few pixels are left."""

    stem: ImageConvolution
    halves: tuple[ImageConvolution, ...]
    blocks: tuple[ImageBlock | None, ...]

    def __init__(self, inputs: int, widths: tuple[int, ...], *, drop: float, key: PRNGKeyArray) -> None:
        """Draw the weights; widths: features of each level, full resolution first; blocks from FIRST_BLOCK on."""
        keys = iter(jax.random.split(key, 2 * len(widths)))
        self.stem = ImageConvolution(inputs, widths[0], key=next(keys))
        self.halves = tuple(ImageConvolution(a, b, stride=2, key=next(keys)) for a, b in pairwise(widths))
        self.blocks = tuple(
            ImageBlock(width, drop=drop, key=next(keys)) if level >= FIRST_BLOCK else None
            for level, width in enumerate(widths[1:], 1)
        )

    def __call__(self, image: Float[Array, "y x inputs"], *, key: PRNGKeyArray | None) -> list[Float[Array, "..."]]:
        """Return the image of each level, full resolution first."""
        levels = [self.stem(image)]
        for halve, block, own in zip(self.halves, self.blocks, keys_for(len(self.halves), key=key), strict=True):
            smaller = halve(jax.nn.relu(levels[-1]))
            levels.append(smaller if block is None else block(smaller, key=own))
        return levels


class Ascent(eqx.Module):
    """From the deepest level back to full resolution: a matrix, doubled, the level's own image added, a block."""

    narrows: tuple[Linear, ...]
    blocks: tuple[ImageBlock | None, ...]

    def __init__(self, widths: tuple[int, ...], *, drop: float, key: PRNGKeyArray) -> None:
        """Draw the weights; widths: as of the descent; no block at full resolution."""
        keys = iter(jax.random.split(key, 2 * len(widths)))
        upward = widths[::-1]
        self.narrows = tuple(Linear(b, a, key=next(keys)) for b, a in pairwise(upward))
        self.blocks = (*(ImageBlock(width, drop=drop, key=next(keys)) for width in upward[1:-1]), None)

    def __call__(self, levels: list[Float[Array, "..."]], *, key: PRNGKeyArray | None) -> Float[Array, "y x width"]:
        """Return the image at full resolution."""
        *above, image = levels
        for narrow, block, own in zip(self.narrows, self.blocks, keys_for(len(self.blocks), key=key), strict=True):
            image = doubled(narrow(image)) + above.pop()
            image = image if block is None else block(image, key=own)
        return image


class UNet(eqx.Module):
    """Image to image, with one more block at 1/16 of the resolution: 3,510,867 counted parameters at 3 inputs."""

    descent: Descent
    bottom: ImageBlock
    ascent: Ascent
    head: ImageConvolution

    def __init__(
        self,
        *,
        inputs: int = 3,
        outputs: int = 3,
        side: int = 128,
        widths: tuple[int, ...] = WIDTHS,
        drop: float = 0.0,
        key: PRNGKeyArray,
    ) -> None:
        """Draw the weights; widths: features of each level; drop: rate of stochastic depth. Works at any `side`."""
        del side
        one, two, three, four = jax.random.split(key, 4)
        self.descent = Descent(inputs, widths, drop=drop, key=one)
        self.bottom = ImageBlock(widths[-1], drop=drop, key=two)
        self.ascent = Ascent(widths, drop=drop, key=three)
        self.head = ImageConvolution(widths[0], outputs, key=four)

    def __call__(
        self, image: Float[Array, "y x inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "y x outputs"]:
        """Return an image of the same size; key: None for a prediction, a key while training."""
        one, two, three = keys_for(3, key=key)
        *above, deepest = self.descent(image, key=one)
        return self.head(jax.nn.relu(self.ascent([*above, self.bottom(deepest, key=two)], key=three)))
