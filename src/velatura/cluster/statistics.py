"""The pass over the pixels as a reducer: `init`, `update` by one block, `merge` of two parts (finish: frames.py).

A cluster's second moments are taken between y = W x - b, its whitened frame of the iteration before, and x. Their
rounding error grows with the axis ratio of a cluster, not with its square, so that float32 keeps the smallest
eigenvalue; and one matrix product serves all clusters. Sums over blocks are compensated (Knuth's two-sum).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float

from velatura.cluster.membership import Frames, Numbers, Rule, assign, raise_to, squared_length, whiten


class Sums(NamedTuple):
    """Sums over pixels of weight w; on the devices each is a pair (sum, its rounding error)."""

    moments: Float[Numbers, "*pair k d e"]
    """Sum of w u^m y [x; 1]', e = d + 1."""
    mass: Float[Numbers, "*pair k"]
    """Sum of w u^m."""
    partition: Float[Numbers, "*pair 3"]
    """Sums of w (noise u^m, u^2 over all clusters, -u log u over all clusters)."""


def init(clusters: int, features: int, dtype: jnp.dtype) -> Sums:
    """Return the sums over no pixels."""
    shapes = ((2, clusters, features, features + 1), (2, clusters), (2, 3))
    return Sums(*(jnp.zeros(shape, dtype) for shape in shapes))


def update(total: Sums, block: Float[Array, "e p"], weights: Float[Array, " p"], *, frames: Frames, rule: Rule) -> Sums:
    """Add one block of pixels [x; 1]."""
    clusters, features, _ = frames.whiteners.shape
    y = whiten(frames, block)
    u, noise = assign(squared_length(y), frames, rule)
    share = raise_to(u, rule.power) * weights
    weighted = (y * share[:, None, :]).reshape(clusters * features, -1)
    moments = jnp.matmul(weighted, block.T, precision="highest").reshape(clusters, features, -1)
    entropy = -u * jnp.log(jnp.maximum(u, jnp.finfo(u.dtype).tiny))
    partition = [raise_to(noise, rule.power), jnp.square(u).sum(axis=0), entropy.sum(axis=0)]
    part = Sums(moments, share.sum(axis=1), jnp.stack([jnp.sum(weights * each) for each in partition]))
    return jax.tree.map(add, total, part)


def add(total: Float[Array, "2 ..."], part: Float[Array, "..."]) -> Float[Array, "2 ..."]:
    """Add `part` to a (sum, rounding error) pair."""
    high, low = total[0], total[1]
    new = high + part
    back = new - high
    return jnp.stack([new, low + ((high - (new - back)) + (part - back))])


def merge(total: Sums | None, part: Sums) -> Sums:
    """Add sums from the devices to those on the host, in float64."""
    wide = Sums(*(np.asarray(pair, np.float64).sum(axis=0) for pair in part))
    return wide if total is None else Sums(*(one + other for one, other in zip(total, wide, strict=True)))


@partial(jax.jit, static_argnames=("rule", "mesh"))
def sweep(
    blocks: Float[Array, "block e p"], weights: Float[Array, "block p"], frames: Frames, *, rule: Rule, mesh: Mesh
) -> Sums:
    """One pass over resident blocks, spread by whole blocks over the devices of `mesh`."""

    def local(blocks, weights, frames):
        clusters, features = frames.offsets.shape
        start = init(clusters, features, blocks.dtype)

        def step(total, part):
            return update(total, *part, frames=frames, rule=rule), None

        return jax.lax.scan(step, start, (blocks, weights))[0]

    def spread(*pixels):
        return jax.lax.psum(local(*pixels), "pixels")

    if mesh.size == 1:
        return local(blocks, weights, frames)
    cut, whole = PartitionSpec("pixels"), PartitionSpec()
    return jax.shard_map(spread, mesh=mesh, in_specs=(cut, cut, whole), out_specs=whole, check_vma=False)(
        blocks, weights, frames
    )
