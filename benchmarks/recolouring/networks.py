"""Images a second of each network for recolouring while training, and megapixels a second of prediction.

    uv run python benchmarks/recolouring/networks.py                    # five minutes, most of them compiling
    uv run python benchmarks/recolouring/networks.py velatura --inputs 16

Marks on two cores, images of 128 x 128 in batches of 16: a megapixel takes under 5 seconds, and a training step of
"velatura" costs at most 1.6 steps of "small-uvit" (not reached: 1.7 to 2.0 were measured on a busy machine). Random
weights; a step is forward, backward and AdamW. The networks take turns, so that a busy machine slows all alike. Wall
time is the best of several passes; "idle" is what the CPU time alone would give with two free cores, for machines that
are shared.
"""

import argparse
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from velatura.nn.image_nets import IMAGE_NETS, build_image_net, counted_parameters

SIDE, BATCH, CORES = 128, 16, 2


def work_of(design: str, inputs: int) -> tuple[int, Callable, Callable]:
    """Counted parameters, one step of training and one prediction of a batch."""
    net = eqx.filter_jit(build_image_net)(design, inputs=inputs, side=SIDE, key=jax.random.key(0))
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=(BATCH, SIDE, SIDE, inputs)), jnp.float32)
    truth = jnp.asarray(rng.uniform(size=(BATCH, SIDE, SIDE, 3)), jnp.float32)
    optimiser = optax.adamw(1e-3)
    state = optimiser.init(eqx.filter(net, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(net, state, images, key):
        def loss(net):
            keys = jax.random.split(key, BATCH)
            return jnp.mean((jax.vmap(lambda image, own: net(image, key=own))(images, keys) - truth) ** 2)

        gradients = eqx.filter_grad(loss)(net)
        updates, state = optimiser.update(gradients, state, eqx.filter(net, eqx.is_inexact_array))
        return eqx.apply_updates(net, updates), state

    @eqx.filter_jit
    def predict(net, images):
        return jax.vmap(lambda image: net(image))(images)

    return counted_parameters(net), lambda: step(net, state, images, jax.random.key(1)), lambda: predict(net, images)


def seconds(work: Callable) -> tuple[float, float]:
    """Wall time of one call, and its CPU time on two cores."""
    wall, cpu = time.perf_counter(), time.process_time()
    jax.block_until_ready(work())
    return time.perf_counter() - wall, (time.process_time() - cpu) / CORES


def main() -> None:
    """Print one line for each design."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("designs", nargs="*", default=list(IMAGE_NETS))
    parser.add_argument("--inputs", type=int, default=3, help="features of a pixel")
    parser.add_argument("--passes", type=int, default=6)
    asked = parser.parse_args()
    designs = list(dict.fromkeys(["small-uvit", *asked.designs]))
    works = {design: work_of(design, asked.inputs) for design in designs}
    times = {design: [[], []] for design in designs}
    for turn in range(asked.passes + 1):
        for design, (_, *both) in works.items():
            for kept, work in zip(times[design], both, strict=True):
                found = seconds(work)
                kept.extend([found] if turn else [])  # the first pass compiles
    best = {design: [np.min(kept, axis=0) for kept in both] for design, both in times.items()}
    for design, ((wall, idle), (wall_predict, idle_predict)) in best.items():
        pixels = BATCH * SIDE**2 / 1e6
        print(f"{design:11} {works[design][0]:9,} parameters; training {BATCH / wall:5.1f} images/s, idle", end=" ")
        print(f"{BATCH / idle:5.1f} ({idle / best['small-uvit'][0][1]:.2f} x small-uvit); prediction", end=" ")
        print(f"{pixels / wall_predict:.2f} Mpixel/s, idle {pixels / idle_predict:.2f}")


if __name__ == "__main__":
    main()
