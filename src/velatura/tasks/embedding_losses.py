"""What counts as wrong in an embedding: reconstruction, distance from a normal law, clusters; colour and pigments.

Sources: the published code of the Deep Variational Embedding's group (its silhouette carried no gradient; here the
assignments are held and the distances carry it), and Zhao, Song and Ermon, arXiv 1706.02262 (the MMD).
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from velatura.nn.embedding_net import Reading

NORMAL = 256  # samples of the normal law that a batch is compared with
LEAST_CLUSTERS, MOST_CLUSTERS = 4, 12
ROUNDS = 10  # of Lloyd
TINY = 1e-12  # squared distance below which two embeddings count as one: the root has a gradient there too
PIGMENTS, SHARES = 0.05, 0.1  # weights of presence and shares beside the colour


def reconstruction_error(said: Float[Array, "n channel"], truth: Float[Array, "n channel"]) -> Float[Array, ""]:
    """Return the mean squared difference."""
    return jnp.mean((said - truth) ** 2)


def squared_distances(one: Float[Array, "n f"], other: Float[Array, "m f"]) -> Float[Array, "n m"]:
    """Return |a - b|^2 of every pair; f is small."""
    return jnp.sum((one[:, None] - other[None]) ** 2, axis=-1)


def normal_discrepancy(embedding: Float[Array, "n f"], *, key: PRNGKeyArray) -> Float[Array, ""]:
    """Return the squared maximum mean discrepancy between a batch and 256 samples of the unit normal law.

    Kernel exp(-|a - b|^2 / f^2), the mean over all pairs (V-statistic).
    """
    width = embedding.shape[1] ** 2
    drawn = jax.random.normal(key, (NORMAL, embedding.shape[1]))

    def alike(one: Array, other: Array) -> Array:
        return jnp.mean(jnp.exp(-squared_distances(one, other) / width))

    return alike(drawn, drawn) + alike(embedding, embedding) - 2 * alike(drawn, embedding)


def spread_out(points: Float[Array, "n f"], clusters: int, *, key: PRNGKeyArray) -> Float[Array, "k f"]:
    """Return centres by k-means++: each drawn with odds of its squared distance to the nearest one before.

    Arthur and Vassilvitskii, SODA 2007. The first k of them are those that k clusters would begin with.
    """
    keys = jax.random.split(key, clusters)
    first = points[jax.random.randint(keys[0], (), 0, len(points))]

    def following(nearest: Array, own: Array) -> tuple[Array, Array]:
        centre = points[jax.random.categorical(own, jnp.log(nearest + TINY))]
        return jnp.minimum(nearest, jnp.sum((points - centre) ** 2, axis=1)), centre

    _, centres = jax.lax.scan(following, jnp.sum((points - first) ** 2, axis=1), keys[1:])
    return jnp.concatenate([first[None], centres])


def partition(points: Float[Array, "n f"], centres: Float[Array, "k f"], used: Int[Array, ""]) -> Int[Array, " n"]:
    """Return the labels after ten of Lloyd's rounds with the first `used` centres; one without points stays."""
    number = jnp.arange(len(centres))

    def labels_at(middles: Array) -> Array:
        return jnp.argmin(jnp.where(number < used, squared_distances(points, middles), jnp.inf), axis=1)

    def improve(_: Array, middles: Array) -> Array:
        member = jax.nn.one_hot(labels_at(middles), len(centres))
        mass = member.sum(axis=0)[:, None]
        return jnp.where(mass > 0, member.T @ points / jnp.maximum(mass, 1), middles)

    return labels_at(jax.lax.fori_loop(0, ROUNDS, improve, centres))


def silhouette(distance: Float[Array, "n n"], labels: Int[Array, " n"], *, clusters: int) -> Float[Array, ""]:
    """Return the mean of (b - a) / max(a, b) (Kaufman and Rousseeuw 1990), differentiable in the distances.

    a: mean distance to the others of the own cluster; b: the least mean distance to another cluster; 0 for a cluster
    of one. clusters: more than the largest label.
    """
    member = jax.nn.one_hot(labels, clusters)
    size, own = member.sum(axis=0), member.astype(bool)
    sums = distance @ member
    inside = jnp.sum(sums * member, axis=1) / jnp.maximum(size[labels] - 1, 1)
    others = jnp.where(own | (size == 0)[None], jnp.inf, sums / jnp.maximum(size, 1)[None])
    outside = jnp.min(others, axis=1)
    proper = (size[labels] > 1) & jnp.isfinite(outside)
    outside = jnp.where(proper, outside, inside)
    return jnp.mean(jnp.where(proper, (outside - inside) / jnp.maximum(jnp.maximum(inside, outside), TINY), 0.0))


def clusters_error(embedding: Float[Array, "n f"], *, key: PRNGKeyArray) -> Float[Array, ""]:
    """Return (1 - s) / 2, s the silhouette of the best k-means partition of a batch into 4 to 12 clusters."""
    held = jax.lax.stop_gradient(embedding)
    centres = spread_out(held, MOST_CLUSTERS, key=key)
    tried = jnp.arange(LEAST_CLUSTERS, MOST_CLUSTERS + 1)
    labels = jax.vmap(lambda used: partition(held, centres, used))(tried)
    distance = jnp.sqrt(squared_distances(embedding, embedding) + TINY) * (1 - jnp.eye(len(embedding)))
    fixed = jax.lax.stop_gradient(distance)
    scores = jax.vmap(lambda row: silhouette(fixed, row, clusters=MOST_CLUSTERS))(labels)
    return (1 - silhouette(distance, labels[jnp.argmax(scores)], clusters=MOST_CLUSTERS)) / 2


def ramp(progress: Float[Array, ""], begin: float, end: float) -> Float[Array, ""]:
    """Return 0 up to `begin`, 1 from `end` on, linear between; progress and both 0 to 1 of the training."""
    return jnp.clip((progress - begin) / (end - begin), 0.0, 1.0)


def colour_error(said: Reading, colour: Float[Array, "n 3"]) -> Float[Array, ""]:
    """Return the mean negative log likelihood of colours (fiftieths of CIELAB), Laplace laws of the said widths."""
    return jnp.mean(jnp.abs(said.colour - colour) * jnp.exp(-said.log_error) + said.log_error)


def pigment_error(said: Reading, shares: Float[Array, "n class"], seen: Float[Array, " class"]) -> Float[Array, ""]:
    """Return cross entropies of presence and of mass shares, with small weights.

    shares: of the XRF classes, rows that sum to 1 or to 0 (no pigment that shows); seen: 1 for classes that count.
    """
    presence = optax.sigmoid_binary_cross_entropy(said.presence, (shares > 0).astype(jnp.float32)) * seen[None]
    return PIGMENTS * presence.sum(axis=1).mean() - SHARES * jnp.sum(shares * said.log_shares, axis=1).mean()
