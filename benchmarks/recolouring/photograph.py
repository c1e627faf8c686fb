"""A photograph as teacher: how near the colours come to the truth where the photograph does not show it.

    python benchmarks/recolouring/photograph.py PAINTINGS --paintings 6                 # with the shipped weights
    python benchmarks/recolouring/photograph.py PAINTINGS --model recolour.safetensors
    python benchmarks/recolouring/photograph.py PAINTINGS --model none                  # 16 PCA scores, no network

PAINTINGS is a folder of pictures; those of its test split are painted in layers and scanned by a scanner that no
training saw. Four photographs of each: its left half; random blocks of a half of it; the whole, faded and darkened in
patches which a mask leaves out; the whole with losses left out. Printed is the mean CIEDE2000 from the original picture
on the pixels that did not teach: of the photograph itself where it shows them, of each way to learn, of the way that
was chosen, and what held-out blocks of the photograph had promised for it. About a minute a painting on 2 cores with a
network, seconds without.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.scene.canvas_counts import fresh_rows
from velatura.scene.colour_canvas import Canvas, layers_canvas, pool_instrument
from velatura.scene.fading import aged
from velatura.scene.seed_images import SeedImage, read_seed, seed_images
from velatura.tasks.embedding_model import embed_and_judge, load_embedder
from velatura.tasks.recolour_cube import EmbeddedCube
from velatura.tasks.recolour_finetune import FineTuning
from velatura.tasks.recolour_model import Recolourer, load_recolourer
from velatura.tasks.recolour_photo import SPECTRAL, WAYS, PhotoTeaching, recolour_by_photo

FADED, DARKENED, LOST = 2.5, 0.7, 0.15
BINS, SCORES = 128, 16  # of the spectra without an embedder
DOSE = 1000.0  # counts a pixel


class Case(NamedTuple):
    """One photograph of a painting."""

    photo: np.ndarray
    taught: np.ndarray
    scored: np.ndarray


def cases(rgb: np.ndarray, rng: np.random.Generator) -> dict[str, Case]:
    """Photographs of a picture, sRGB 0 to 1 [y, x, 3]."""
    height, width = rgb.shape[:2]
    left = np.zeros((height, width), bool)
    left[:, : width // 2] = True
    blocks = np.kron(rng.permutation(36).reshape(6, 6) < 18, np.ones((-(-height // 6), -(-width // 6)), bool))
    blocks = blocks[:height, :width].astype(bool)
    faded = aged(rgb, faded=FADED, darkened=DARKENED, rng=rng)
    losses = aged(rgb, lost=LOST, rng=rng)
    return {
        "left half": Case(rgb, left, ~left),
        "half, in blocks": Case(rgb, blocks, ~blocks),
        "faded": Case(faded.rgb, ~faded.changed, faded.changed),
        "losses": Case(losses.rgb, ~losses.lost, losses.lost),
    }


def embedded(canvas: Canvas, model: str, rng: np.random.Generator) -> tuple[EmbeddedCube, Recolourer | None]:
    """Return a fresh scan of a canvas, embedded, and the recolourer."""
    shape = canvas.entry.shape
    if model == "none":
        bands = (counts.reshape(-1, BINS, counts.shape[-1] // BINS) for _, counts in fresh_rows(canvas, DOSE, rng=rng))
        sums = [band.sum(axis=-1) for band in bands]
        roots = np.sqrt(np.concatenate(sums) + 0.375)
        roots -= roots.mean(axis=0)
        scores = roots @ np.linalg.svd(roots.T @ roots)[0][:, :SCORES]
        features = (scores / scores.std(axis=0)).reshape(*shape, SCORES).astype(np.float32)
        return EmbeddedCube(features, np.zeros(shape, np.float32), np.ones(shape, bool)), None
    recolourer = load_recolourer(model)
    embedder = load_embedder(recolourer.embedder)
    grid = {"low": embedder.low, "high": embedder.high, "channels": embedder.channels}
    judged = [
        embed_and_judge(embedder, counts.reshape(-1, embedder.channels).astype(np.float32))
        for _, counts in fresh_rows(canvas, DOSE, rng=rng, **grid)
    ]
    features, strange = (np.concatenate(parts) for parts in zip(*judged, strict=True))
    return EmbeddedCube(features.reshape(*shape, -1), strange.reshape(shape), np.ones(shape, bool)), recolourer


def scored(
    case: Case, rgb: np.ndarray, cube: EmbeddedCube, recolourer: Recolourer | None, options: argparse.Namespace
) -> dict:
    """Mean CIEDE2000 from the truth on the scored pixels, by each way, by the one chosen, and as it was promised."""

    def apart(picture: np.ndarray) -> float:
        gaps = colour_difference(srgb_to_lab(picture[case.scored]), srgb_to_lab(rgb[case.scored]))
        return float(gaps.mean())

    row, trials = {"photograph": float("nan") if case.photo is rgb else apart(case.photo)}, []
    for way in WAYS if recolourer is not None else SPECTRAL:
        config = PhotoTeaching(ways=(way,), tuning=FineTuning(steps=options.steps))
        key = jax.random.key(options.seed)
        found = recolour_by_photo(cube, recolourer, case.photo, taught=case.taught, config=config, key=key)
        row[way] = apart(found.colours.rgb)
        trials.append(found.trials[0])
    best = min(trials, key=lambda trial: trial.chosen_by)
    return row | {"chosen": row[best.way], "promised": best.reported}


def canvas_of(seed: SeedImage, number: int, options: argparse.Namespace) -> tuple[Canvas, np.random.Generator]:
    """Return a painting in layers, and the generator of all that follows."""
    rng = np.random.default_rng((options.seed, number))
    picture = read_seed(seed.path, options.size)
    head = pool_instrument("test", number % 4)
    return layers_canvas(picture, rng=rng, instrument=head, died=seed.died), rng


def main() -> None:
    """Print one line for each painting and photograph, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="velatura")
    parser.add_argument("--paintings", type=int, default=6)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=FineTuning().steps)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seeds = seed_images(options.folder, splits=("test",))
    chosen = [seeds[k] for k in np.linspace(0, len(seeds) - 1, options.paintings).round().astype(int)]
    table: dict[str, list[dict]] = {}
    for number, seed in enumerate(chosen):
        started = time.perf_counter()
        canvas, rng = canvas_of(seed, number, options)
        rgb = canvas.rgb.astype(np.float32) / 255
        cube, recolourer = embedded(canvas, options.model, rng)
        for name, case in cases(rgb, rng).items():
            table.setdefault(name, []).append(scored(case, rgb, cube, recolourer, options))
            show(f"{seed.name}, {name}", table[name][-1])
        print(f"{seed.name}: {time.perf_counter() - started:.0f} s", flush=True)
    for name, rows in table.items():
        show(f"mean, {name}", {column: float(np.mean([row[column] for row in rows])) for column in rows[0]})


def show(name: str, row: dict[str, float], write: Callable = print) -> None:
    """Print one line of the table."""
    write(f"{name:<28}" + "  ".join(f"{column} {value:5.1f}" for column, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
