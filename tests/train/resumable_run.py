"""A small training run as a program: resumable_run.py FOLDER [STEP], killed by itself after STEP where one is given."""

import os
import signal
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from velatura.train.loop import start
from velatura.train.rundir import open_run, train


def loss(model, batch, *, key):
    x, y = batch
    noise = 0.1 * jax.random.normal(key, x.shape)
    return jnp.mean((jax.vmap(model)(x + noise) - y) ** 2)


@jax.jit
def batch_of(key):
    x = jax.random.normal(key, (64, 8))
    return x, jnp.sin(3 * x[:, :2])


def main(folder: Path, killed_after: int | None) -> None:
    optimiser = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(1e-2, 60)),
        optax.contrib.reduce_on_plateau(patience=3, accumulation_size=4),
    )  # fmt: skip
    model = eqx.nn.MLP(8, 2, 32, 2, key=jax.random.key(0))
    draws = jax.random.key(1)
    run = open_run(folder, {"steps": 60, "width": 32})
    states = train(
        run, loss, lambda step: batch_of(jax.random.fold_in(draws, step)), state=start(model, optimiser),
        optimiser=optimiser, key=jax.random.key(2), steps=60, save_every=7,
    )  # fmt: skip
    for state in states:
        if state.step % 3 == 0:
            run.log(state.step, loss=state.loss)
        if state.step == killed_after:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else None)
