"""Pixels laid out for the passes: centred, scaled by a power of two, cut into padded feature-major blocks, on devices.

The scores are one array [d, n] (kept on the devices) or a function that starts a new iterator over arrays [d, n_i]
(larger than memory: read once a pass; the next part is prepared while the devices work on this one).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from velatura.cluster.membership import Frames, Rule
from velatura.cluster.statistics import Sums, sweep
from velatura.cluster.survey import Parts, Survey, in_parts, survey

CPU_BLOCK = 4096
"""Pixels a block on processors: what the caches of a core hold."""
DEVICE_BLOCK = 2**19
"""Pixels a block on accelerators, where each launch of a kernel costs about 10 us."""


@dataclass(frozen=True)
class Layout:
    """How scores become blocks: x = (score - shift) / scale in `dtype`, `block` pixels each, spread over `mesh`."""

    shift: np.ndarray
    scale: float
    dtype: np.dtype
    block: int
    mesh: Mesh

    def place(self, scores: np.ndarray) -> np.ndarray:
        """Return (scores - shift) / scale, [d, n]."""
        shift, scale = self.shift.astype(self.dtype)[:, None], self.dtype.type(1 / self.scale)
        return np.subtract(scores, shift, dtype=self.dtype) * scale

    def blocks(self, rows: np.ndarray, place: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
        """Cut [r, n] into [block, r, p], zero on the padding; `place` is applied to each piece."""
        needed = -(-rows.shape[1] // self.block)
        out = np.zeros((-(-needed // self.mesh.size) * self.mesh.size, len(rows), self.block), self.dtype)
        for number in range(needed):
            piece = rows[:, number * self.block : (number + 1) * self.block]
            out[number, :, : piece.shape[1]] = piece if place is None else place(piece)
        return out

    def put(self, array: np.ndarray) -> jax.Array:
        """Spread an array over the devices by its first axis."""
        return jax.device_put(array, NamedSharding(self.mesh, PartitionSpec("pixels")))

    def load(self, scores: np.ndarray, weights: np.ndarray) -> tuple[jax.Array, jax.Array]:
        """Return scores as [block, d, p] and weights as [block, p] on the devices."""
        return self.put(self.blocks(scores, self.place)), self.put(self.blocks(weights[None, :])[:, 0, :])


@dataclass(frozen=True)
class Pixels:
    """All pixels of one clustering."""

    layout: Layout
    parts: Parts
    survey: Survey
    resident: tuple[jax.Array, jax.Array] | None
    """Blocks and weights kept on the devices; None for a stream."""

    def loaded(self) -> Iterator[tuple[jax.Array, jax.Array]]:
        """Yield (blocks, weights) on the devices."""
        if self.resident is not None:
            yield self.resident
        else:
            yield from (self.layout.load(scores, weights) for scores, weights in self.parts())

    def sums(self, frames: Frames, rule: Rule, given: np.ndarray | None = None) -> Sums:
        """One pass over all pixels; float64 on the host. given: memberships [k, n] to be used, resident pixels only."""
        shares = None if given is None else self.layout.put(self.layout.blocks(given))
        mesh, total = self.layout.mesh, None
        passes = (sweep(*loaded, frames, shares, rule=rule, mesh=mesh) for loaded in self.loaded())
        before = next(passes)
        for now in passes:  # these sums are under way while the ones before are fetched
            total, before = merge(total, before), now
        return merge(total, before)


def merge(total: Sums | None, part: Sums) -> Sums:
    """Add sums from the devices (pairs of sum and rounding error) to those on the host, in float64."""
    wide = Sums(*(np.asarray(pair, np.float64).sum(axis=0) for pair in part))
    return wide if total is None else Sums(*(one + other for one, other in zip(total, wide, strict=True)))


def lay_out(
    scores: Any, weights: np.ndarray | None, *, dtype: np.dtype, rng: np.random.Generator, devices: Sequence | None
) -> Pixels:
    """Look at the scores, choose the layout and put the pixels on the devices (a stream stays where it is).

    Raises InputError for the wrong rank, no pixels, values that are not finite and weights that do not fit.
    """
    parts = in_parts(scores, weights)
    seen = survey(parts, rng=rng)
    middle = np.average(seen.sample, axis=1, weights=seen.weights).astype(np.float32)
    spread = np.sqrt(np.square(seen.sample - middle[:, None].astype(np.float64)).mean(axis=1).max())
    scale = 2.0 ** np.round(np.log2(spread)) if spread > 0 else 1.0
    layout = choose_layout(seen.pixels, shift=middle.astype(np.float64), scale=scale, dtype=dtype, devices=devices)
    return Pixels(layout, parts, seen, None if callable(scores) else layout.load(*next(parts())))


def choose_layout(pixels: int, *, shift: np.ndarray, scale: float, dtype: np.dtype, devices: Sequence | None) -> Layout:
    """Return the layout for so many pixels on these devices (by default the first): large blocks off the CPU."""
    mesh = Mesh(np.asarray(jax.local_devices()[:1] if devices is None else devices), ("pixels",))
    largest = CPU_BLOCK if mesh.devices.flat[0].platform == "cpu" else DEVICE_BLOCK
    share = -(-max(pixels, 1) // mesh.size)
    return Layout(shift, float(scale), np.dtype(dtype), min(largest, -(-share // 128) * 128), mesh)
