"""Teaching a judge how wrong a network's colours are, on pictures that the network never saw (`nn.judged_net`)."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.nn.judged_net import question
from velatura.tasks.recolour_losses import Batch, error_loss


class Answers:
    """Wraps a draw(step) of pictures: each comes back as what a judge is shown, with the network's colours in it."""

    def __init__(self, net: Any, draw: Callable[[int], Batch]) -> None:
        """Prepare the questions about a network, whose weights stay as they are."""
        self._net, self._draw = net, draw

    def __call__(self, step: int) -> Batch:
        """Return the pictures of a step: features and what the network says [picture, y, x, input + output], truth."""
        batch = self._draw(step)
        return Batch(np.asarray(_asked(self._net, jnp.asarray(batch.embedded, jnp.float32))), batch.rgb)


def judging_loss(outputs: int) -> Callable[..., Float[Array, ""]]:
    """Return the loss of a judge of networks with some outputs: `error_loss` of what it tells of their colours."""

    def loss(judge: Any, batch: Batch, *, key: PRNGKeyArray) -> Float[Array, ""]:
        del key
        shown, truth = jnp.asarray(batch.embedded), jnp.asarray(batch.rgb, jnp.float32) / 255
        colours = shown[..., -outputs:][..., :3]
        said = jnp.concatenate([colours, jax.vmap(judge)(shown)], axis=-1)
        return jnp.mean(jax.vmap(error_loss)(said, truth))

    return loss


@eqx.filter_jit
def _asked(net: Any, embedded: Array) -> Array:
    return question(embedded, jax.vmap(net)(embedded))
