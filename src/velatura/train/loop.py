"""The one training loop. It yields; whoever calls it decides when to log, to save and to stop.

The batch of a step and its randomness depend on the step's number alone, never on what came before: that is why a
resumed run repeats the unbroken one.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

import equinox as eqx
import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


class State(NamedTuple):
    """Where a run stands."""

    model: PyTree
    opt_state: PyTree
    step: int
    """Number of updates that the model has had."""
    loss: Float[Array, ""]
    """Of the last batch, before its update; still on the device, so that reading it is what waits."""


def start(model: PyTree, optimiser: optax.GradientTransformation) -> State:
    """Return the state before the first step: step 0, loss NaN.

    Arrays that were made of plain numbers get a fixed dtype, lest each of the first steps is compiled again.
    """
    fixed = jax.tree.map(lambda leaf: leaf.astype(leaf.dtype) if eqx.is_array(leaf) else leaf, model)
    return State(fixed, optimiser.init(eqx.filter(fixed, eqx.is_inexact_array)), 0, jax.numpy.asarray(float("nan")))


def fit(
    state: State,
    loss: Callable[..., Float[Array, ""]],
    draw: Callable[[int], Any],
    *,
    optimiser: optax.GradientTransformation,
    key: PRNGKeyArray,
    told: Callable[[int], float] | None = None,
) -> Iterator[State]:
    """Yield the state after each step, without end, going on from `state`.

    loss(model, batch, key=...) is the mean over a batch; draw(step) returns the batch of a step (arrays), always the
    same one for the same step. Step n uses fold_in(key, n). Optimisers that look at the loss (reduce_on_plateau) get it
    as `value`, or, where `told` is given, told(step): a number such as the last score on held-out data. Batches of one
    shape are compiled once.
    """
    optimiser = optax.with_extra_args_support(optimiser)

    @eqx.filter_jit
    def update(
        model: PyTree, opt_state: PyTree, batch: Any, step_key: PRNGKeyArray, seen: Array | None
    ) -> tuple[PyTree, PyTree, Array]:
        value, gradients = eqx.filter_value_and_grad(loss)(model, batch, key=step_key)
        weights = eqx.filter(model, eqx.is_inexact_array)
        updates, opt_state = optimiser.update(gradients, opt_state, weights, value=value if seen is None else seen)
        return eqx.apply_updates(model, updates), opt_state, value

    model, opt_state = state.model, state.opt_state
    for step in count(state.step):
        seen = None if told is None else jax.numpy.asarray(told(step), jax.numpy.float32)
        model, opt_state, value = update(model, opt_state, draw(step), jax.random.fold_in(key, step), seen)
        yield State(model, opt_state, step + 1, value)
