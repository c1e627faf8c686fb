"""A network of a fixed side over an image of any size: overlapping tiles, blended smoothly, turned over where asked."""

from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from velatura.base.progress import Progress, silent

BATCH = 8  # tiles that the network sees at once
FAINTEST = 1e-3  # weight at the very edge of a tile, so that every pixel has some
MOST_LOG = 7.0  # of the error's logarithm, both ways

Image = Float[np.ndarray, "y x feature"]
Network = Callable[..., Array]
"""Called net(image [y, x, feature], key=None) -> [y, x, output]; an Equinox module."""


def tiled(
    net: Network, image: Image, *, side: int, overlap: int, flips: int = 1, progress: Progress = silent
) -> Float[np.ndarray, "y x 4"]:
    """Return colours, about 0 to 1, and what tells of their error, for an image of any size, float32 [y, x, 4].

    net: [side, side, feature] to [side, side, 3 or 4]. The fourth value is its expected error (of a fourth output, the
    logarithm), or, for a network without one, the spread of the colours between the orientations: their standard
    deviation, root mean square over the three colours. flips: 1, or 4 for the mean over the image, turned over
    left-right, up-down, and both. Neighbouring tiles share `overlap` pixels or more, over which they fade by a raised
    cosine. A smaller image is continued by its mirror image.
    """
    height, width, _ = image.shape
    lacking = [(0, max(0, side - size)) for size in (height, width)]
    whole = np.pad(image, [*lacking, (0, 0)], mode="symmetric") if any(after for _, after in lacking) else image
    places = [(y, x) for y in starts(whole.shape[0], side, overlap) for x in starts(whole.shape[1], side, overlap)]
    fade = _fade(side, overlap)
    total, weight = np.zeros((*whole.shape[:2], 4), np.float32), np.zeros(whole.shape[:2], np.float32)
    for done in range(0, len(places), BATCH):
        progress("recolouring", done, len(places))
        for (y, x), tile in _painted(net, whole, places[done : done + BATCH], side=side, flips=flips):
            total[y : y + side, x : x + side] += tile * fade[..., None]
            weight[y : y + side, x : x + side] += fade
    progress("recolouring", len(places), len(places))
    mean = (total / weight[..., None])[:height, :width]
    return as_told(mean)


def as_told(values: np.ndarray) -> np.ndarray:
    """Return outputs [..., 4] with what tells of the error itself in place of its logarithm."""
    return np.concatenate([values[..., :3], np.exp(np.clip(values[..., 3:], -MOST_LOG, MOST_LOG))], axis=-1)


def starts(size: int, side: int, overlap: int) -> list[int]:
    """Return where tiles begin along an axis, evenly spread from edge to edge, sharing `overlap` pixels or more.

    >>> starts(300, 128, 32)
    [0, 86, 172]
    """
    number = 1 + -(-max(0, size - side) // (side - overlap))
    return [int(place) for place in np.linspace(0, size - side, number).round()]


def _painted(
    net: Network, image: Image, places: list[tuple[int, int]], *, side: int, flips: int
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Tiles [side, side, 4] with their places; a last batch is filled up, so that one program serves all."""
    filled = [*places, *places[:1] * (BATCH - len(places))]
    tiles = np.stack([image[y : y + side, x : x + side] for y, x in filled]).astype(np.float32)
    yield from zip(places, np.asarray(over_orientations(net, tiles, flips)), strict=False)


@eqx.filter_jit
def over_orientations(
    net: Network, tiles: Float[Array | np.ndarray, "tile y x feature"], flips: int
) -> Float[Array, "tile y x 4"]:
    """Return colours and the logarithm of what tells of their error, means over 1 or 4 orientations."""
    axes = [(), (2,), (1,), (1, 2)][:flips]
    seen = jnp.stack([jnp.flip(jax.vmap(net)(jnp.flip(tiles, turned)), turned) for turned in axes])
    colours = seen[..., :3].mean(axis=0)
    if seen.shape[-1] > 3:
        told = seen[..., 3].mean(axis=0)
    else:
        told = 0.5 * jnp.log(seen.var(axis=0).mean(axis=-1) + jnp.exp(-2 * MOST_LOG))
    return jnp.concatenate([colours, told[..., None]], axis=-1)


def _fade(side: int, overlap: int) -> np.ndarray:
    """Weight of each pixel of a tile: one inside, falling to about zero over `overlap` pixels at the edges."""
    inward = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    rise = np.sin(0.5 * np.pi * np.minimum(1.0, inward / max(overlap, 1))) ** 2
    line = np.maximum(rise, FAINTEST)
    return np.outer(line, line).astype(np.float32)
