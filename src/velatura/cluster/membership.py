"""From pixels to memberships, one block at a time: distances in each cluster's own frame, then the rule of the method.

Symbols: k cluster, d feature, p pixel of a block; W whitener [k, d, d] and b offset [k, d] of a frame, so that the
squared distance to cluster k is D = |W x - b|^2; u membership; m fuzzifier.
"""

from functools import partial, reduce
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Numbers = jax.Array | np.ndarray


class Rule(NamedTuple):
    """How distances become memberships, and memberships become weights of the statistics (static under jit)."""

    kind: Literal["fuzzy", "hard", "mixture"]
    exponent: float = 1.0
    """u is proportional to D**-exponent; the fuzzy rule takes 1 / (m - 1)."""
    power: float = 1.0
    """Statistics weigh a pixel by u**power; the fuzzy rule takes m."""


def rule_of(method: str, fuzzifier: float) -> Rule:
    """Return the rule of membership of a method."""
    if method == "k-means":
        return Rule("hard")
    if method == "gaussian-mixture":
        return Rule("mixture")
    return Rule("fuzzy", round(1 / (fuzzifier - 1), 12), fuzzifier)


class Frames(NamedTuple):
    """Where the clusters are, as the device sees it."""

    whiteners: Float[Numbers, "k d d"]
    offsets: Float[Numbers, "k d"]
    log_weights: Float[Numbers, " k"]
    """Mixture: log of proportion over root of determinant; else 0. -inf: a cluster that takes no part."""
    noise: Float[Numbers, ""]
    """Squared distance delta^2 of the noise cluster; infinite without one."""


def whiten(frames: Frames, block: Float[Array, "e p"]) -> Float[Array, "k d p"]:
    """Return y = W x - b of every cluster for pixels [x; 1]; |y|^2 is the squared distance."""
    clusters, features, _ = frames.whiteners.shape
    maps = jnp.concatenate([frames.whiteners, -frames.offsets[:, :, None]], axis=2)
    y = jnp.matmul(maps.reshape(clusters * features, features + 1), block, precision="highest")
    return y.reshape(clusters, features, -1)


def squared_length(y: Float[Array, "k d p"]) -> Float[Array, "k p"]:
    """Return the sums of squares over d, written out: a reduction over a middle axis is slow on processors."""
    return reduce(jnp.add, [jnp.square(y[:, feature]) for feature in range(y.shape[1])])


def raise_to(x: Float[Array, "..."], power: float) -> Float[Array, "..."]:
    """Return x**power for x >= 0; halves and small whole powers by products and roots, others through logs."""
    whole, half = divmod(2 * power, 2)
    if half in (0, 1) and 0 <= whole <= 8:
        root = jnp.sqrt(x) if half else None
        product = jax.lax.integer_pow(x, int(whole)) if whole else jnp.ones_like(x)
        return product if root is None else product * root
    return jnp.exp(power * jnp.log(x))


def assign(
    distance2: Float[Array, "k p"], frames: Frames, rule: Rule
) -> tuple[Float[Array, "k p"], Float[Array, " p"]]:
    """Return the memberships of the clusters and of the noise cluster; together they sum to 1.

    The fuzzy rule (Bezdek 1981; noise: Dave 1991) is taken relative to the smallest distance, so that neither a pixel
    on a centre nor one far from all can overflow; a pixel on several centres is shared by them.
    """
    if rule.kind == "mixture":
        return jax.nn.softmax(frames.log_weights[:, None] - distance2 / 2, axis=0), jnp.zeros_like(distance2[0])
    distance2 = distance2 - frames.log_weights[:, None]
    if rule.kind == "hard":
        winner = jnp.argmin(distance2, axis=0)
        hard = (winner[None, :] == jnp.arange(distance2.shape[0])[:, None]).astype(distance2.dtype)
        return hard, jnp.zeros_like(distance2[0])
    distance2 = jnp.maximum(distance2, jnp.finfo(distance2.dtype).tiny ** 0.75)
    least = jnp.minimum(distance2.min(axis=0), frames.noise)
    share = raise_to(least / distance2, rule.exponent)
    noise = raise_to(least / frames.noise, rule.exponent)
    scale = 1 / (share.sum(axis=0) + noise)
    return share * scale, noise * scale


@partial(jax.jit, static_argnames="rule")
def memberships_of(
    block: Float[Array, "e p"], frames: Frames, *, rule: Rule
) -> tuple[Float[Array, "k p"], Float[Array, " p"], Float[Array, " p"]]:
    """Return memberships, noise memberships and squared distances to the nearest cluster of pixels [x; 1]."""
    distance2 = squared_length(whiten(frames, block))
    return *assign(distance2, frames, rule), distance2.min(axis=0)
