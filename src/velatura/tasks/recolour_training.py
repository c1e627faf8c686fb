"""Teaching a network to recolour: what it is shown at each step, how fast it learns, and how far it has come.

A canvas has few spectra, each embedded beforehand in a number of noisy draws at some doses (`scene.canvas_tables`); at
every step each pixel picks one of its draws anew. So no step waits for spectra to be simulated.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from velatura.base.errors import InputError
from velatura.imaging.likeness import ms_ssim
from velatura.scene.canvas_counts import embedded_image
from velatura.scene.canvas_folder import CanvasFile, CanvasFolder
from velatura.scene.canvas_tables import read_table
from velatura.scene.seed_images import window
from velatura.scene.training import rng_of
from velatura.tasks.recolour_losses import Batch, Pair
from velatura.tasks.recolour_tiles import Network, as_told, over_orientations

WARM_UP = 0.05  # share of the steps in which the rate rises, where it falls by a cosine
DECAY = 1e-2  # of the weights
LONGEST_STEP = 1.0  # norm of a gradient
LESS, PATIENCE = 0.5, 5  # of the rate, after so many epochs without a better score
CRITIC_RATE, CRITIC_BETA = 2e-4, 0.5  # Pix2Pix
TOGETHER = 8  # pictures judged at once


class Album(NamedTuple):
    """Canvases of one kind."""

    files: tuple[CanvasFile, ...]
    tables: tuple[str, ...]
    """Names of their features, one for each dose."""


class Pictures:
    """The batches of a training, each a function of its step alone."""

    def __init__(
        self,
        canvases: CanvasFolder,
        albums: Sequence[Album],
        *,
        key: PRNGKeyArray,
        size: int,
        side: int,
        turned: bool = True,
    ) -> None:
        """Prepare batches of `size` pictures of `side` x `side` pixels.

        albums: every picture is of one of them at random, and at one of its doses; turned: whether pictures are turned
        and mirrored. Raises InputError for canvases smaller than that.
        """
        if canvases.size < side:
            raise InputError(
                f"{canvases.folder} has canvases of {canvases.size} pixels; asked for {side}. Make larger ones"
            )
        self._canvases, self._albums, self._key = canvases, tuple(albums), key
        self._size, self._side, self._turned = size, side, turned
        self._pixels, self._features = lru_cache(None)(self._read_pixels), lru_cache(None)(self._read_table)

    def __call__(self, step: int) -> Batch:
        """Return the batch of one step, already on the device."""
        rng = rng_of(step, key=self._key)
        drawn = [self._drawn(rng) for _ in range(self._size)]
        return Batch(*(jax.device_put(np.stack(arrays)) for arrays in zip(*drawn, strict=True)))

    def _drawn(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Features float16 [side, side, feature] and colours uint8 [side, side, 3] of a random part of a picture."""
        files, tables = self._albums[rng.integers(len(self._albums))]
        file, name = files[rng.integers(len(files))], tables[rng.integers(len(tables))]
        rgb, entry = self._pixels(file)
        part = window(entry.shape, (self._side, self._side), rng=rng)
        way = int(rng.integers(8)) if self._turned else 0
        rgb, entry = turned(rgb[part], way), turned(entry[part], way)
        return embedded_image(self._features(file, name), entry, rng=rng).astype(np.float16), rgb

    def _read_pixels(self, file: CanvasFile) -> tuple[np.ndarray, np.ndarray]:
        rgb, entry = self._canvases.read_pixels(file)
        return rgb, entry.astype(np.uint16)

    def _read_table(self, file: CanvasFile, name: str) -> np.ndarray:
        return read_table(self._canvases, file, name)


class Waited:
    """Wraps a draw(step) and adds up how long the loop has waited for batches."""

    def __init__(self, draw: Callable[[int], Any]) -> None:
        """Begin to count at 0."""
        self._draw, self.seconds = draw, 0.0

    def __call__(self, step: int) -> Any:
        """Return the batch of a step."""
        begun = perf_counter()
        batch = self._draw(step)
        self.seconds += perf_counter() - begun
        return batch


class Shown(NamedTuple):
    """Held-out pictures with fresh counts in every pixel."""

    embedded: np.ndarray
    """float16 [picture, y, x, feature]"""
    rgb: np.ndarray
    """uint8 [picture, y, x, 3]"""


def turned(image: np.ndarray, way: int) -> np.ndarray:
    """Return an image [y, x, ...] turned by way x 90 degrees, from 4 on mirrored first."""
    return np.rot90(image[:, ::-1] if way >= 4 else image, way % 4)


def optimiser(
    schedule: str, *, rate: float, steps: int, epoch: int, critic: bool = False
) -> optax.GradientTransformation:
    """Return AdamW (Loshchilov and Hutter, ICLR 2019) for a network, or for a `Pair` with Adam for the critic.

    schedule: "cosine", a short rise and a fall by half a cosine over the steps, gradients no longer than 1; "plateau",
    constant, halved when for five epochs of `epoch` steps the value that it is told has not become smaller.
    """
    if schedule == "cosine":
        rising = max(1, round(WARM_UP * steps))
        rates = optax.warmup_cosine_decay_schedule(0.0, rate, rising, max(steps, rising + 1), rate / 100)
        rule = optax.chain(optax.clip_by_global_norm(LONGEST_STEP), optax.adamw(rates, weight_decay=DECAY))
    else:
        fewer = optax.contrib.reduce_on_plateau(factor=LESS, patience=PATIENCE, accumulation_size=epoch)
        rule = optax.chain(optax.adamw(rate, weight_decay=DECAY), fewer)
    if not critic:
        return rule
    rules: dict[Hashable, optax.GradientTransformation] = {
        "net": rule, "critic": optax.adam(CRITIC_RATE, b1=CRITIC_BETA),
    }  # fmt: skip
    return optax.partition(rules, lambda pair: Pair._make(rules))


def transferred(net: Network, taught: Network) -> Network:
    """Return `net` with the arrays of `taught` wherever both have one of the same place and shape."""
    there = dict(jax.tree_util.tree_flatten_with_path(taught)[0])

    def chosen(path: tuple, leaf: Any) -> Any:
        other = there.get(path, leaf)
        return other if eqx.is_array(leaf) and eqx.is_array(other) and other.shape == leaf.shape else leaf

    return jax.tree_util.tree_map_with_path(chosen, net)


def recoloured(net: Network, shown: Shown, *, flips: int = 1) -> np.ndarray:
    """Return colours, not clipped, and what tells of their error (as `recolour_tiles.tiled`) of held-out pictures.

    float32 [picture, y, x, 4]; flips: orientations, 1 or 4.
    """
    parts = []
    for start in range(0, len(shown.embedded), TOGETHER):
        part = shown.embedded[start : start + TOGETHER]
        filled = np.concatenate([part, np.repeat(part[:1], TOGETHER - len(part), axis=0)]).astype(np.float32)
        parts.append(np.asarray(over_orientations(net, filled, flips))[: len(part)])
    return as_told(np.concatenate(parts))


def likeness(net: Network, shown: Shown) -> float:
    """Return the mean MS-SSIM of held-out pictures, of colours clipped to 0 to 1."""
    said = np.clip(recoloured(net, shown)[..., :3], 0, 1)
    return float(np.mean([_ms_ssim(one, np.float32(other) / 255) for one, other in zip(said, shown.rgb, strict=True)]))


@jax.jit
def _ms_ssim(one: Array, other: Array) -> Array:
    return ms_ssim(one, other)


def net_of(model: Any) -> Network:
    """Return the network of a model that may be a `Pair`."""
    return model.net if isinstance(model, Pair) else model
