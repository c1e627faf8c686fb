"""Domain adaptation of the embedding, with and without: trained on one scanner and physics, tested on another.

    python benchmarks/recolouring/embedding_adaptation.py CANVASES [STEPS]

Trained on layered paint under tubes with one anode, or on the library of one head (ganX mixtures of thick samples);
tested on layered paint of unseen paintings under other scanners with other anodes. The spectra of the test are seen
without labels while training. For each way: mean CIEDE2000 and share of main pigments found, when both are read from
the embedding by what was learned on the source alone, and how often a nearest-neighbour classifier tells source from
target (0.5: not at all). First line: one colour, the median of the source, for every pixel.
"""

import sys
from itertools import islice
from pathlib import Path

import jax
import numpy as np

from velatura.imaging.colour import colour_difference
from velatura.scene.canvas_folder import CanvasFolder
from velatura.scene.colour_canvas import Canvas
from velatura.tasks.embedding_model import embed, untrained_embedder
from velatura.tasks.embedding_scores import Held, colour_score, held_spectra, pigment_score
from velatura.tasks.embedding_training import Aim, Lessons, Pool, begun, loss_for, optimiser, pool_of
from velatura.train.ahead import Ahead
from velatura.train.loop import fit, start

WAYS = {"without": (), "reversal": ("reversal",), "activations": ("activations",), "both": ("reversal", "activations")}
STEPS, SIZE, DOSE = 400, 256, (500.0, 5000.0)
CANVASES, SPECTRA = 60, 4096
ANODE = "Rh"  # of the tubes of the source


def trained(pool: Pool, target: np.ndarray, adapt: tuple[str, ...], *, steps: int):
    """Return the embedding that a short training makes, as a function of counts."""
    aim, keys = Aim("taught", adapt=adapt), jax.random.split(jax.random.key(0), 3)
    lessons = Lessons(
        pool, size=SIZE, steps=steps, counts=DOSE, exact=False, key=keys[0], target=target if adapt else None
    )
    rule = optimiser(aim, rate=1e-3, steps=steps)
    state = start(begun(aim, usual=target[:8], key=keys[1]), rule)
    batches = Ahead(lessons)
    for now in islice(fit(state, loss_for(aim), batches, optimiser=rule, key=keys[2]), steps):
        net = now.model[0]
    batches.close()
    made = untrained_embedder("taught", key=jax.random.key(0))._replace(net=net)
    return lambda counts: embed(made, counts)


def told_apart(source: np.ndarray, target: np.ndarray) -> float:
    """Return how often the 15 nearest neighbours tell from which of both a spectrum comes."""
    half = slice(0, len(source) // 2), slice(len(source) // 2, None)
    sides = [np.repeat([0, 1], [len(source[h]), len(target[h])]) for h in half]
    both = [np.concatenate([source[h], target[h]]) for h in half]
    return pigment_score((both[0], sides[0]), (both[1], sides[1]))


def measure(source: Pool, target: Pool, *, steps: int = STEPS) -> dict[str, tuple[float, float, float]]:
    """Return for each way mean CIEDE2000, pigment accuracy and how far source and target can be told apart."""
    rng = np.random.default_rng(0)
    shown = held_spectra(target, SPECTRA, counts=DOSE, exact=False, rng=rng).counts
    near: Held = held_spectra(source, SPECTRA, counts=DOSE, exact=False, rng=rng)
    far: Held = held_spectra(target, SPECTRA, counts=DOSE, exact=False, rng=rng)
    one_colour = colour_difference(np.median(near.lab, axis=0), far.lab).mean()
    found = {"one colour": (float(one_colour), float("nan"), float("nan"))}
    for name, adapt in WAYS.items():
        make = trained(source, shown, adapt, steps=steps)
        one, other = make(near.counts), make(far.counts)
        middle, spread = one.mean(axis=0), one.std(axis=0) + 1e-6
        one, other = (one - middle) / spread, (other - middle) / spread
        found[name] = (
            colour_score((one, near.lab), (other, far.lab), key=jax.random.key(1)),
            pigment_score((one, near.pigment), (other, far.pigment)),
            told_apart(one, other),
        )
    return found


def under(canvases: CanvasFolder, split: str, kind: str, *, anode: str, other: bool = False) -> list[Canvas]:
    """Return canvases under tubes of an anode, or of any other one."""
    read = (canvases.read(file) for file in canvases.listed(split, kind))
    return list(islice((one for one in read if (one.instrument.tube.anode != anode) == other), CANVASES))


def main() -> None:
    """Print the tables."""
    canvases, steps = CanvasFolder(Path(sys.argv[1])), int(sys.argv[2]) if len(sys.argv) > 2 else STEPS
    rng = np.random.default_rng(1)
    target = pool_of(under(canvases, "test", "layers", anode=ANODE, other=True), "taught", rng=rng)
    sources = {
        f"layers under {ANODE}": under(canvases, "train", "layers", anode=ANODE),
        "library of one head": under(canvases, "train", "library", anode="", other=True),
    }
    for title, read in sources.items():
        print(f"\ntrained on: {title}\n{'':<14}{'CIEDE2000':>12}{'pigment':>12}{'told apart':>12}", flush=True)
        for name, values in measure(pool_of(read, "taught", rng=rng), target, steps=steps).items():
            print(f"{name:<14}" + "".join(f"{value:>12.3f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
