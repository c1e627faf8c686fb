"""Fitting an embedding to a scan without labels, while it is trained: two options of the one training.

"reversal": a small head tries to tell scan from simulation, and the encoder learns to make that impossible (gradient
reversal; Ganin et al., arXiv 1505.07818). "activations": small adversarial steps of the vector before the embedding
must not change the cluster that a measured spectrum falls in (APAn of Sun, Lu and Ling, arXiv 2208.12853; theirs are
classes of a classifier, ours the nearest of the batch's own cluster centres).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from velatura.tasks.embedding_losses import partition, spread_out, squared_distances

ADAPTATIONS = ("reversal", "activations")
STEEP = 10.0  # of the strength's rise
CLUSTERS = 10  # that stand for classes
STEP, LENGTH = 1.0, 1.0  # of the search for the worst direction, and of the step along it, on the unit sphere
WEIGHT = 0.1  # of the activations' part, as in the published code
REVERSED = 0.1  # of the gradient that the encoder gets back: at 1 it learned to overtake the head, not to confuse it
TINY = 1e-12
LEAST_SPREAD = 1e-3  # of a feature over which it is divided


@jax.custom_vjp
def reversed_gradient(values: Array, strength: Array) -> Array:
    """Return the values; their gradient comes back times minus `strength`."""
    del strength
    return values


def _forward(values: Array, strength: Array) -> tuple[Array, Array]:
    return values, strength


def _backward(strength: Array, gradient: Array) -> tuple[Array, Array]:
    return -strength * gradient, jnp.zeros_like(strength)


reversed_gradient.defvjp(_forward, _backward)


def strength_at(progress: Float[Array, ""]) -> Float[Array, ""]:
    """Return 2 / (1 + exp(-10 p)) - 1 for progress p, 0 to 1: 0 at the start of a training, 1 at its end."""
    return 2 / (1 + jnp.exp(-STEEP * progress)) - 1


def reversal_error(
    head: Callable, simulated: Float[Array, "n f"], measured: Float[Array, "m f"], *, progress: Float[Array, ""]
) -> Float[Array, ""]:
    """Return the cross entropy of the head that tells measured embeddings from simulated ones, gradients reversed.

    The head sees the features over their deviation in the batch: making all of them larger does not fool it.
    """
    both = jnp.concatenate([simulated, measured])
    middle, spread = jax.lax.stop_gradient((both.mean(axis=0), both.std(axis=0) + LEAST_SPREAD))
    seen = reversed_gradient((both - middle) / spread, REVERSED * strength_at(progress))
    truth = jnp.concatenate([jnp.zeros(len(simulated)), jnp.ones(len(measured))])
    return jnp.mean(optax.sigmoid_binary_cross_entropy(jax.vmap(head)(seen), truth))


def activation_error(
    net: PyTree,
    hidden: Float[Array, "m width"],
    simulated: Float[Array, "n f"],
    *,
    progress: Float[Array, ""],
    key: PRNGKeyArray,
) -> Float[Array, ""]:
    """Return how far the clusters of measured spectra change under the worst small step of their activations.

    net: its `project` leads from activations to the embedding; hidden: activations of measured spectra; simulated:
    embeddings whose clusters (ten, by k-means) take the place of classes. Activations are brought to the unit sphere
    and back to their own length, the step has length one there, and the change is the Kullback-Leibler divergence of
    the distributions over clusters; times 0.1 and the strength of the progress.
    """
    one, two = jax.random.split(key)
    centres, width = _clusters(jax.lax.stop_gradient(simulated), key=one)
    size = jnp.sqrt(jnp.sum(hidden**2, axis=1, keepdims=True) + TINY)
    unit = hidden / size

    def said(direction: Array) -> Array:
        embedding = jax.vmap(net.project)(size * _normed(direction))
        return jax.nn.log_softmax(-squared_distances(embedding, centres) / width)

    plain = jax.lax.stop_gradient(said(unit))

    def change(step: Array) -> Array:
        return jnp.mean(jnp.sum(jnp.exp(plain) * (plain - said(unit + step)), axis=1))

    begin = STEP * _normed(jax.random.normal(two, unit.shape))
    worst = jax.lax.stop_gradient(LENGTH * _normed(jax.grad(lambda step: change(step) * len(unit))(begin)))
    return WEIGHT * strength_at(progress) * change(worst)


def _clusters(embedding: Array, *, key: PRNGKeyArray) -> tuple[Array, Array]:
    """Centres [k, f] of a batch, and twice the mean squared distance to the own one."""
    begun = spread_out(embedding, CLUSTERS, key=key)
    member = jax.nn.one_hot(partition(embedding, begun, jnp.asarray(CLUSTERS)), CLUSTERS)
    mass = member.sum(axis=0)[:, None]
    centres = jnp.where(mass > 0, member.T @ embedding / jnp.maximum(mass, 1), begun)
    spread = jnp.mean(jnp.sum(member * squared_distances(embedding, centres), axis=1))
    return centres, 2 * spread + TINY


def _normed(values: Array) -> Array:
    return values / jnp.sqrt(jnp.sum(values**2, axis=1, keepdims=True) + TINY)
