"""Pixels laid out for the passes: centred, scaled by a power of two, cut into padded feature-major blocks, on devices.

The scores are one array [d, n] (kept on the devices) or a function that starts a new iterator over arrays [d, n_i]
(larger than memory: read once a pass; the next part is prepared while the devices work on this one).
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from velatura.cluster.membership import Frames, Rule
from velatura.cluster.statistics import Sums, merge, sweep
from velatura.cluster.survey import Parts, Survey, in_parts, survey

CPU_BLOCK = 512
"""Pixels a block on processors: y of all clusters stays in the cache of a core (measured: half the time of 4096)."""
DEVICE_BLOCK = 2**19
"""Pixels a block on accelerators, where each launch of a kernel costs about 10 us."""


def arithmetic(precision: str) -> contextlib.AbstractContextManager:
    """Return the context in which JAX has 64-bit numbers when they are wanted; nothing global is switched."""
    return jax.enable_x64(new_val=True) if precision == "float64" else contextlib.nullcontext()


@dataclass(frozen=True)
class Units:
    """The units of the arithmetic: x = (score - shift) / scale, in `dtype`."""

    shift: np.ndarray
    scale: float
    dtype: np.dtype

    def place(self, scores: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return pixels [x; 1], [d + 1, n], in `out` when it is given."""
        out = np.empty((len(scores) + 1, scores.shape[1]), self.dtype) if out is None else out
        np.subtract(scores, self.shift.astype(self.dtype)[:, None], out=out[:-1], dtype=self.dtype)
        out[:-1] *= self.dtype.type(1 / self.scale)
        out[-1] = 1
        return out


@dataclass(frozen=True)
class Layout:
    """How pixels lie on the devices: `count` blocks of `block` pixels for every part, spread over `mesh`."""

    units: Units
    count: int
    block: int
    mesh: Mesh

    def load(self, scores: np.ndarray, weights: np.ndarray) -> tuple[jax.Array, jax.Array]:
        """Return pixels as [block, d + 1, p] and weights as [block, p] on the devices, zero on the padding."""
        blocks = np.zeros((self.count, len(scores) + 1, self.block), self.units.dtype)
        padded = np.zeros((self.count, self.block), self.units.dtype)
        padded.reshape(-1)[: len(weights)] = weights
        for number in range(-(-scores.shape[1] // self.block)):
            piece = scores[:, number * self.block : (number + 1) * self.block]
            self.units.place(piece, out=blocks[number, :, : piece.shape[1]])
        over_pixels = NamedSharding(self.mesh, PartitionSpec("pixels"))
        return jax.device_put(blocks, over_pixels), jax.device_put(padded, over_pixels)


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

    def sums(self, frames: Frames, rule: Rule) -> Sums:
        """One pass over all pixels; float64 on the host."""
        passes = (sweep(*loaded, frames, rule=rule, mesh=self.layout.mesh) for loaded in self.loaded())
        total, before = None, next(passes)
        for now in passes:  # these sums are under way while the ones before are fetched
            total, before = merge(total, before), now
        return merge(total, before)


def lay_out(
    scores: Any, weights: np.ndarray | None, *, dtype: np.dtype, rng: np.random.Generator, devices: Sequence | None
) -> Pixels:
    """Look at the scores, choose the layout and put the pixels on the devices (a stream stays where it is).

    devices: by default the first. Blocks are large off the CPU. Raises InputError for the wrong rank, no pixels, values
    that are not finite and weights that do not fit.
    """
    parts = in_parts(scores, weights)
    seen = survey(parts, rng=rng)
    widest = np.sqrt(np.diagonal(seen.covariance).max())
    scale = 2.0 ** np.round(np.log2(widest)) if widest > 0 else 1.0
    mesh = Mesh(np.asarray(jax.local_devices()[:1] if devices is None else devices), ("pixels",))
    largest = CPU_BLOCK if mesh.devices.flat[0].platform == "cpu" else DEVICE_BLOCK
    block = min(largest, -(-seen.widest // mesh.size // 128) * 128)
    count = -(-seen.widest // (block * mesh.size)) * mesh.size
    shift = seen.mean.astype(np.float32).astype(np.float64)
    layout = Layout(Units(shift, float(scale), np.dtype(dtype)), count, block, mesh)
    return Pixels(layout, parts, seen, None if callable(scores) else layout.load(*next(parts())))
