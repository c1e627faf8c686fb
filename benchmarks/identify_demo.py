"""The pigments of the demo's panel against its truth: F1 of every class map, visible and hidden.

    python benchmarks/identify_demo.py [best | fast | FILE] [untold]      about two minutes on 2 cores

The panel is that of `velatura demo` (seed 1, 5000 counts a pixel). A class counts in a pixel where it is not there, and
where it is there and shows: delta chi2 of 25 and more after all else was refitted, at the pixel's counts, for the mean
stack of the pixels that share their passages and their halves of light and dark paint. The hidden paint is the figure
and the toning that lies over it. The network is told the instrument as the panel's metadata do, or nothing ("untold").
"""

import sys
from collections.abc import Iterator

import numpy as np
import xarray as xr

from velatura.chain.identify import instrument_of, told
from velatura.physics.material import Paint
from velatura.physics.simulate import expected_counts, prepare
from velatura.physics.stack import Layer, Stack, elements_of, pack
from velatura.scene.classes import XrfClass, class_matrix, xrf_classes
from velatura.scene.detectability import evidence
from velatura.scene.phantom import INSTRUMENT, Phantom, phantom, stack_at
from velatura.tasks.identify import Identification, identify
from velatura.tasks.pigment_model import load_pigments
from velatura.train.metrics import f1_scores, mean_over_classes

DETECTABLE = 25.0
COUNTS, SEED = 5000, 1
FIRST = 2  # layers of every stack that hold no paint to be named: canvas and ground


def groups(panel: Phantom) -> Iterator[tuple[np.ndarray, Stack]]:
    """Pixels bool [y, x] that share passages and halves of light and dark paint, with their mean stack."""
    truth = panel.truth
    halves = [truth[name].values >= 0.5 for name in ("cover_light", "figure_light")]
    keys = np.stack([truth.visible.values, truth.hidden.values, *halves], axis=-1)
    for key in np.unique(keys.reshape(-1, keys.shape[-1]), axis=0):
        here = (keys == key).all(axis=-1)
        mean = {
            name: float(truth[name].values[here].mean()) for name in ("cover_light", "cover", "figure_light", "figure")
        }
        names = truth.visible.attrs["names"][key[0]], truth.hidden.attrs["names"][key[1]]
        yield (
            here,
            stack_at(*names, cover=(mean["cover_light"], mean["cover"]), figure=(mean["figure_light"], mean["figure"])),
        )


def by_class(stack: Stack, classes: tuple[XrfClass, ...]) -> Stack:
    """The stack with the pigments of a class in a paint gathered in the largest of them."""
    owner = {member: row.name for row in classes for member in row.members}
    layers = []
    for layer in stack.layers:
        gathered: dict[str, dict[str, float]] = {}
        for name, share in layer.paint.pigments.items():
            gathered.setdefault(owner.get(name, name), {})[name] = share
        pigments = {max(parts, key=parts.__getitem__): sum(parts.values()) for parts in gathered.values()}
        layers.append(
            Layer(Paint(layer.paint.name, pigments, layer.paint.loading, layer.paint.binder), layer.thickness)
        )
    return Stack(tuple(layers))


def truth_of(panel: Phantom, classes: tuple[XrfClass, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What is there, and where that counts, bool [paint, class, y, x] each."""
    counts = panel.cube.counts.values.sum(axis=-1)
    there = np.zeros((2, len(classes), *counts.shape), bool)
    mask = np.repeat(np.array([row.visible for row in classes])[None, :, None, None], 2, axis=0) | there
    parts = [(here, by_class(stack, classes)) for here, stack in groups(panel)]
    scanner = prepare(INSTRUMENT, elements_of([stack for _, stack in parts]))

    def simulate(stacks: list[Stack]) -> np.ndarray:
        return expected_counts(pack(stacks, scanner.elements), scanner)

    for here, stack in parts:
        top = len(stack.layers) - 2  # the varnish lies over the visible paint
        best = np.zeros((2, len(classes)))
        for row in evidence([stack], simulate, counts=float(counts[here].mean())):
            if FIRST <= row.layer <= top:
                paint, number = int(row.layer < top), int(class_matrix([row.pigment], classes)[0].argmax())
                there[paint, number, here] = True
                best[paint, number] = max(best[paint, number], float(row.delta_chi2[0]))
        lost = there[:, :, here] & (best < DETECTABLE)[:, :, None]
        mask[:, :, here] &= ~lost
    return there, mask


def table(maps: xr.Dataset, there: np.ndarray, mask: np.ndarray, classes: tuple[XrfClass, ...]) -> None:
    """Print one line for each class that is there or is found, and the means."""
    answered = maps.answered.values
    probability, threshold = np.zeros(there.shape, np.float32), np.full(there.shape[:2], 2.0)
    for number, name in enumerate(maps.xrf_class.values):
        place = [row.name for row in classes].index(str(name))
        probability[:, place] = maps.probability.values[:, number]
        threshold[:, place] = maps.threshold.values[:, number].astype(np.float16)
    for paint, name in enumerate(("visible", "hidden")):
        truth, said, counts = (a[paint][:, answered].T for a in (there, probability, mask))
        scores = f1_scores(truth, said, mask=counts, threshold=threshold[paint])
        print(f"\n{name}: macro F1 {mean_over_classes(scores):.3f} over {np.isfinite(scores).sum()} classes")
        print(f"{'class':<12}{'pixels':>8}{'that show':>10}{'found':>8}{'F1':>7}")
        for number, row in enumerate(classes):
            found = said[:, number] >= threshold[paint, number]
            if truth[:, number].any() or found.any():
                pixels = truth[:, number].sum(), (truth & counts)[:, number].sum(), found.sum()
                print(f"{row.name:<12}{pixels[0]:>8}{pixels[1]:>10}{pixels[2]:>8}{scores[number]:>7.3f}")


def main() -> None:
    """Identify the panel and score it."""
    options = sys.argv[1:]
    name = next((option for option in options if option != "untold"), "best")
    panel, classes = phantom(counts=COUNTS, rng=np.random.default_rng(SEED)), xrf_classes()
    condition = None if "untold" in options else told(instrument_of(panel.cube))
    maps = identify(panel.cube, load_pigments(name), Identification(model=name), condition=condition, seed=SEED)
    there, mask = truth_of(panel, classes)
    print(
        f"weights {name}, instrument {'untold' if condition is None else 'told'}, {COUNTS} counts a pixel, seed {SEED}"
    )
    table(maps, there, mask, classes)
    answered, bust = maps.answered.values, panel.truth.hidden.values > 0
    print(f"\nunknown: {maps.unexplained.values[answered].mean():.1%} of the pixels (true: none)")
    over, beside = (float(maps.hidden.values[where].mean()) for where in (bust, ~bust))
    print(f"second paint: {over:.2f} over the bust, {beside:.2f} elsewhere")


if __name__ == "__main__":
    main()
