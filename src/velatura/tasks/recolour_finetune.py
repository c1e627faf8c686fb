"""A recolourer taught further by one photograph: small steps on random tiles, until pixels it is not shown look worse.

Only pixels that the photograph shows, and shows well, count in the loss; around them the network sees the whole scan.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.imaging.perception import cielab, lab_difference
from velatura.scene.training import rng_of
from velatura.tasks.recolour_model import Recolourer
from velatura.tasks.recolour_tiles import starts
from velatura.tasks.recolour_training import turned
from velatura.train.loop import fit, start

LOOKS = 8  # tiles on which held-out pixels are looked at
SMOOTH = 1.0  # of CIELAB: differences below count by their square


@dataclass(frozen=True)
class FineTuning:
    """How a recolourer is taught by a photograph."""

    steps: int = 120
    """At most."""
    tiles: int = 2
    """In a step."""
    rate: float = 2e-4
    """Largest learning rate of Adam."""
    every: int = 15
    """Steps between two looks at the held-out pixels."""
    patience: int = 3
    """Looks without anything better after which it ends."""

    def __post_init__(self) -> None:
        if min(self.steps, self.tiles, self.every, self.patience) < 1 or not self.rate > 0:
            raise InputError(f"teaching needs steps, tiles, looks and a rate above zero; found {self}")


class Lesson(NamedTuple):
    """Tiles of one step."""

    embedded: np.ndarray
    """float32 [tile, y, x, feature]"""
    rgb: np.ndarray
    """Of the photograph, float32 [tile, y, x, 3]."""
    counts: np.ndarray
    """Whether a pixel counts, float32 [tile, y, x]."""


class Finetuned(NamedTuple):
    """What a network has learned of a photograph."""

    recolourer: Recolourer
    steps: int
    """After which it was best."""
    difference: tuple[float, ...]
    """Mean CIEDE2000 of the held-out pixels at each look, the first before any step; empty where none were held out."""


class PhotoTiles:
    """Batches of tiles around pixels to learn from, each a function of its step alone."""

    def __init__(
        self, embedded: np.ndarray, photo: np.ndarray, *, learn: np.ndarray, side: int, tiles: int, key: PRNGKeyArray
    ) -> None:
        """Prepare batches of `tiles` tiles; embedded [y, x, f]; photo: sRGB 0 to 1 [y, x, 3]; learn: bool [y, x]."""
        self._images = tuple(_enlarged(image, side) for image in (embedded, photo))
        self._counts = _enlarged(learn.astype(np.float32), side, mirrored=False)
        self._places = np.argwhere(learn)
        self._side, self._tiles, self._key = side, tiles, key

    def __call__(self, step: int) -> Lesson:
        """Return the tiles of one step, each turned at random."""
        rng = rng_of(step, key=self._key)
        parts = list(zip(*(self._tile(rng) for _ in range(self._tiles)), strict=True))
        return Lesson(*(np.stack(part).astype(np.float32) for part in parts))

    def _tile(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        room = np.array(self._counts.shape) - self._side
        centre = self._places[rng.integers(len(self._places))]
        y, x = np.clip(centre - rng.integers(self._side, size=2), 0, room)
        way, part = int(rng.integers(8)), np.s_[y : y + self._side, x : x + self._side]
        return tuple(turned(image[part], way) for image in (*self._images, self._counts))


def finetuned(
    recolourer: Recolourer,
    embedded: np.ndarray,
    photo: np.ndarray,
    *,
    learn: np.ndarray,
    held_out: np.ndarray | None,
    stop: int | None = None,
    config: FineTuning = FineTuning(),
    key: PRNGKeyArray,
    progress: Progress = silent,
) -> Finetuned:
    """Return a recolourer taught by the pixels `learn` of a photograph.

    embedded: float32 [y, x, feature]; photo: sRGB 0 to 1, float32 [y, x, 3]; learn, held_out: bool [y, x]. With
    held-out pixels it is the network of the look at which these looked best, perhaps as it came; without, that of the
    last step. stop: it ends after so many steps; learning rates stay those of all `config.steps`. The loss is the mean
    distance in CIELAB. Same key, same bits.
    """
    side = recolourer.side
    draw = PhotoTiles(embedded, photo, learn=learn, side=side, tiles=config.tiles, key=key)
    looks = None if held_out is None else _looks(embedded, photo, held_out, side)
    rise = max(1, config.steps // 10)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.rate, rise, config.steps + rise, config.rate / 10)
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    best = Finetuned(recolourer, 0, () if looks is None else (_apart(recolourer.net, looks),))
    seen = list(best.difference)
    last = config.steps if stop is None else stop
    for now in islice(fit(start(recolourer.net, rule), photo_loss, draw, optimiser=rule, key=key), last):
        progress("teaching by the photograph", now.step, last)
        if looks is None or (now.step % config.every and now.step < last):
            continue
        seen.append(_apart(now.model, looks))
        if seen[-1] < min(seen[:-1]):
            best = best._replace(recolourer=recolourer._replace(net=now.model), steps=now.step)
        elif len(seen) - 1 - int(np.argmin(seen)) >= config.patience:
            break
    if looks is None:
        return Finetuned(recolourer._replace(net=now.model), now.step, ())
    return best._replace(difference=tuple(seen))


def photo_loss(net: eqx.Module, lesson: Lesson, *, key: PRNGKeyArray) -> Float[Array, ""]:
    """Mean distance in CIELAB over the pixels that count, small ones squared (pseudo-Huber)."""
    painter: Any = net
    colours, truth = jax.vmap(painter)(jnp.asarray(lesson.embedded)), jnp.asarray(lesson.rgb)
    gaps = ((cielab(colours[..., :3]) - cielab(truth)) ** 2).sum(axis=-1)
    apart = SMOOTH * (jnp.sqrt(gaps / SMOOTH**2 + 1) - 1)
    return (apart * lesson.counts).sum() / jnp.maximum(lesson.counts.sum(), 1.0)


def _looks(embedded: np.ndarray, photo: np.ndarray, held_out: np.ndarray, side: int) -> Lesson:
    """Tiles with the most held-out pixels, at most eight of a grid."""
    images = [_enlarged(embedded, side), _enlarged(photo, side)]
    counts = _enlarged(held_out.astype(np.float32), side, mirrored=False)
    height, width = counts.shape
    corners = [(y, x) for y in starts(height, side, 0) for x in starts(width, side, 0)]
    parts = [np.s_[y : y + side, x : x + side] for y, x in corners]
    parts = sorted(parts, key=lambda part: -float(counts[part].sum()))[:LOOKS]
    return Lesson(*(np.stack([image[part] for part in parts]).astype(np.float32) for image in (*images, counts)))


@eqx.filter_jit
def _difference(net: Any, tile: Array, rgb: Array) -> Array:
    return lab_difference(cielab(jnp.clip(net(tile)[..., :3], 0, 1)), cielab(rgb))


def _apart(net: eqx.Module, looks: Lesson) -> float:
    """Mean CIEDE2000 over the pixels that count."""
    apart = [np.asarray(_difference(net, tile, rgb)) for tile, rgb in zip(looks.embedded, looks.rgb, strict=True)]
    return float((np.stack(apart) * looks.counts).sum(dtype=np.float64) / looks.counts.sum())


def _enlarged(image: np.ndarray, side: int, *, mirrored: bool = True) -> np.ndarray:
    """An image at least a tile wide and high: continued by its mirror image, or by zeros."""
    lacking = [(0, max(0, side - size)) for size in image.shape[:2]]
    return np.pad(image, lacking + [(0, 0)] * (image.ndim - 2), mode="symmetric" if mirrored else "constant")
