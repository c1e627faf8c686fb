"""How fast recolourers learn: pictures a second, the share of time that training waits for pictures, step times.

    python benchmarks/recolouring/training_speed.py CANVASES --embedding EMBEDDING.safetensors

CANVASES: a folder of `velatura train recolour`, whose tables for that embedder are made first where they are missing.
Some steps of each recipe after the first, which compiles. "drawn" is how long one batch takes to be drawn, in a thread
of its own; "waiting" is the share of the steps in which the loop stood still for it. Run it on an idle machine.
"""

import argparse
import time
from itertools import islice
from pathlib import Path

import jax

from velatura.chain.recolour_data import albums, files_of
from velatura.chain.recolour_recipes import RECIPES
from velatura.nn.image_nets import build_image_net
from velatura.nn.layers import count_parameters
from velatura.scene.canvas_folder import CanvasFolder
from velatura.tasks.embedding_model import load_embedder
from velatura.tasks.recolour_losses import colour_loss
from velatura.tasks.recolour_training import Pictures, Waited, optimiser
from velatura.train.ahead import Ahead
from velatura.train.loop import fit, start

KINDS, DOSES = ("library", "layers"), (400.0, 2000.0, 10000.0)  # of the recipe velatura


def measured(name: str, draw: Pictures, *, inputs: int, size: int, steps: int) -> dict[str, float]:
    """Train a recipe's network for a few steps."""
    recipe = RECIPES[name]
    net = build_image_net(
        recipe.design, inputs=inputs, outputs=3 + recipe.error, side=recipe.side, key=jax.random.key(0)
    )
    rule = optimiser(recipe.schedule, rate=recipe.rate, steps=1000, epoch=100)
    told = (lambda step: 1.0) if recipe.schedule == "plateau" else None
    batches = Ahead(draw)
    waited = Waited(batches)
    states = fit(
        start(net, rule), colour_loss(recipe.loss), waited, optimiser=rule, key=jax.random.key(1), told=told
    )  # fmt: skip
    first = time.perf_counter()
    float(next(states).loss)
    compiled, waited.seconds, begun = time.perf_counter() - first, 0.0, time.perf_counter()
    for state in islice(states, steps):
        float(state.loss)
    spent = time.perf_counter() - begun
    batches.close()
    found = {"parameters": count_parameters(net), "first step s": compiled, "step s": spent / steps}
    return found | {"pictures/s": size * steps / spent, "waiting": waited.seconds / spent}


def main() -> None:
    """Print one line for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("canvases", type=Path)
    parser.add_argument("--embedding", required=True)
    parser.add_argument("--recipes", nargs="+", default=["paper", "uvit", "vit", "unet", "pixels", "velatura"])
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10)
    asked = parser.parse_args()
    embedder, canvases = load_embedder(asked.embedding), CanvasFolder(asked.canvases)
    books = albums(canvases, embedder, files=files_of(canvases, "train", KINDS), doses=DOSES)
    draw = Pictures(canvases, books, key=jax.random.key(2), size=asked.size, side=RECIPES["velatura"].side)
    draw(0)
    begun = time.perf_counter()
    for step in range(1, 6):
        jax.block_until_ready(draw(step))
    drawn = (time.perf_counter() - begun) / 5
    print(f"{jax.devices()[0].device_kind}, {asked.size} pictures a step, drawn in {drawn:.3f} s")
    for name in asked.recipes:
        found = measured(name, draw, inputs=embedder.features, size=asked.size, steps=asked.steps)
        print(f"{name:10} " + "  ".join(f"{what} {value:.4g}" for what, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
