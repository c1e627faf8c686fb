"""The pass over the pixels as a reducer: `init`, `update` by one block, `merge` of two parts (finish: frames.py).

The statistics of a cluster are the weighted moments of [y; 1] in its own frame of the iteration before. There every
axis has about the same length, so that float32 keeps the smallest eigenvalue of an elongated cluster. Sums over blocks
are compensated (Neumaier 1974).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float

from velatura.cluster.membership import Frames, Numbers, Rule, assign, raise_to, whiten


class Sums(NamedTuple):
    """Sums over pixels; each is a pair (sum, its rounding error)."""

    moments: Float[Numbers, "2 k e e"]
    """Sum of weight * u**m * [y; 1] [y; 1]', e = d + 1."""
    validity: Float[Numbers, "2 3"]
    """Sums of weight * (noise u**m, u**2 over all clusters, -u log u over all clusters)."""


def init(clusters: int, features: int, dtype: jnp.dtype) -> Sums:
    """Return the sums over no pixels."""
    return Sums(jnp.zeros((2, clusters, features + 1, features + 1), dtype), jnp.zeros((2, 3), dtype))


def add(total: Float[Array, "2 ..."], part: Float[Array, "..."]) -> Float[Array, "2 ..."]:
    """Add `part` to a (sum, rounding error) pair (two-sum of Knuth)."""
    high, low = total[0], total[1]
    new = high + part
    back = new - high
    return jnp.stack([new, low + ((high - (new - back)) + (part - back))])


def moments(y: Float[Array, "k d p"], weights: Float[Array, "k p"]) -> Float[Array, "k e e"]:
    """Return the sums of weight * [y; 1] [y; 1]' of every cluster."""
    one = jnp.ones((y.shape[0], 1, y.shape[2]), y.dtype)
    y = jnp.concatenate([y, one], axis=1)
    return jnp.einsum("kip,kjp->kij", y * weights[:, None, :], y, precision="highest")


def update(
    total: Sums, block: Float[Array, "d p"], weights: Float[Array, " p"], frames: Frames, rule: Rule, given=None
) -> Sums:
    """Add one block of pixels. `given`: memberships [k, p] to be used instead of those that follow from the frames."""
    y = whiten(frames, block)
    if given is None:
        u, noise = assign(jnp.sum(y * y, axis=1), frames, rule)
    else:
        u, noise = given, jnp.zeros_like(weights)
    part = moments(y, raise_to(u, rule.power) * weights)
    entropy = -u * jnp.log(jnp.maximum(u, jnp.finfo(u.dtype).tiny))
    counted = jnp.stack([raise_to(noise, rule.power), jnp.square(u).sum(axis=0), entropy.sum(axis=0)])
    return Sums(add(total.moments, part), add(total.validity, jnp.sum(counted * weights, axis=1)))


def scan(blocks, weights, frames: Frames, *, rule: Rule, given=None) -> Sums:
    """Run the reducer over [block, d, p] with weights [block, p]."""
    start = init(frames.offsets.shape[0], frames.offsets.shape[1], blocks.dtype)
    parts = (blocks, weights) if given is None else (blocks, weights, given)

    def step(total: Sums, part):
        return update(total, part[0], part[1], frames, rule, *part[2:]), None

    return jax.lax.scan(step, start, parts)[0]


@partial(jax.jit, static_argnames=("rule", "mesh"))
def sweep(blocks, weights, frames: Frames, given=None, *, rule: Rule, mesh: Mesh) -> Sums:
    """One pass over resident blocks, spread over the devices of `mesh` by whole blocks."""
    if mesh.size == 1:
        return scan(blocks, weights, frames, rule=rule, given=given)

    def local(blocks, weights, frames, given):
        return jax.lax.psum(scan(blocks, weights, frames, rule=rule, given=given), "pixels")

    pixels, everywhere = PartitionSpec("pixels"), PartitionSpec()
    spread = jax.shard_map(
        local, mesh=mesh, in_specs=(pixels, pixels, everywhere, pixels), out_specs=everywhere, check_vma=False
    )
    return spread(blocks, weights, frames, given)
