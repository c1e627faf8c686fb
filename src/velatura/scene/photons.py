"""Photons of many stacks, a chunk at a time: one program for all that a bank needs of an instrument."""

from collections.abc import Iterator
from functools import partial

import jax
import numpy as np
from jaxtyping import Array

from velatura.physics.simulate import Bench, Scanner, emitted

CHUNK = {"cpu": 32}  # stacks at once: on a CPU they stay in its cache
LARGE_CHUNK = 4096  # elsewhere


def photons_of(mass: np.ndarray, shares: np.ndarray, scanner: Scanner, *, cells: int) -> Iterator[Array]:
    """Yield the photons float32 [stack, source] of `emitted` for stacks in order; together they are as many as `mass`.

    mass: float32 [stack, slot] g/cm2, top first; shares: mass share of each element float32 [stack, slot, element];
    cells: slices of a layer for secondary fluorescence.
    """
    chunk = CHUNK.get(jax.default_backend(), LARGE_CHUNK)
    for start in range(0, len(mass), chunk):
        rows = np.minimum(np.arange(start, start + chunk), len(mass) - 1)
        photons = _emitted(mass[rows], shares[rows], scanner.bench, cells=cells)
        yield photons if start + chunk <= len(mass) else photons[: len(mass) - start]


@partial(jax.jit, static_argnames="cells")
def _emitted(mass: Array, shares: Array, bench: Bench, *, cells: int) -> Array:
    with jax.default_matmul_precision("highest"):
        return jax.vmap(lambda m, s: emitted(m, s, bench, cells=cells))(mass, shares)
