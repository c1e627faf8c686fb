"""ganX mode: pixels a minute, against one multinomial draw over all channels and against the published package.

    python benchmarks/ganx.py                                # about 1 minute on 2 cores, 0.5 GiB
    python benchmarks/ganx.py --published OTHER/bin/python   # an interpreter that can import ganX 0.0.2

One painting-like picture, twelve pigments, 400 counts in 1024 bins. All rows are measured in turn in the same run,
the least of several rounds each; ratios are what counts. The published package is given a smaller picture of the same
kind, as it holds (pixels x 400) draws for each cluster at once; clustering is left out on both sides. Its mixed
spectra are also compared with ours.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from velatura.scene.draws import MixtureCounts
from velatura.scene.ganx import CHANNELS, WINDOW, Palette, ganx_cube, make_palette, mixture

SHAPE, SMALL, COUNTS, PIGMENTS, ROUNDS = (256, 1024), (48, 64), 400, 12, 4
COLOURS = np.array([[200, 60, 40], [60, 90, 160], [240, 235, 220], [30, 25, 20], [120, 110, 60], [90, 140, 90]])
PUBLISHED = """
import contextlib, io, json, sys, time
import numpy as np
from ganx.XRF_generator_classes import XRFGenerator
pigments, image, rounds = json.loads(sys.argv[1]), np.load(sys.argv[2]), int(sys.argv[3])
with contextlib.redirect_stdout(io.StringIO()):
    walls, processors = [], []
    for _ in range(rounds):
        generator = XRFGenerator(pigments, image, N_start=10, delta_N=1)
        generator.do_cluster()
        began = time.perf_counter(), time.process_time()
        generator.generate_xrf()
        walls.append(time.perf_counter() - began[0])
        processors.append(time.process_time() - began[1])
    database = generator._pigmentDataBaseUtils.pigments_dict_data
    colours = np.array(json.loads(sys.argv[4]))
    pdfs = [generator.get_distribution_from_rgb(colour, database).tolist() for colour in colours]
print(json.dumps({"wall": min(walls), "processor": min(processors), "pdfs": pdfs}))
"""


def least(work: Callable[[], object]) -> np.ndarray:
    """Least wall and least processor time [s] [2]."""
    costs = []
    for _ in range(ROUNDS):
        began = time.perf_counter(), time.process_time()
        work()
        costs.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return np.min(costs, axis=0)


def make_picture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Patches of a few colours with the grain of a photograph, none of them pure black."""
    patches = rng.integers(len(COLOURS), size=(shape[0] // 16, shape[1] // 16)).repeat(16, 0).repeat(16, 1)
    return np.clip(COLOURS[patches] + rng.normal(scale=8, size=(*shape, 3)), 1, 255).astype(np.uint8)


def toy_palette(rng: np.random.Generator) -> Palette:
    """Lines on a falling continuum."""
    low, high = WINDOW
    energy = low + (high - low) / CHANNELS * (np.arange(CHANNELS) + 0.5)
    lines = np.exp(-(((energy - rng.uniform(2, 20, (PIGMENTS, 6, 1))) / 0.1) ** 2)).sum(axis=1)
    rgb = rng.integers(20, 256, (PIGMENTS, 3)).astype(np.uint8)
    names = [f"pigment {number}" for number in range(PIGMENTS)]
    return make_palette(names, rgb, lines + 0.05 * np.exp(-energy / 10), energy=energy)


def published(python: str, palette: Palette, image: np.ndarray) -> dict:
    """Time ganX 0.0.2 in its own interpreter, and ask for its mixed spectra of `COLOURS`."""
    with tempfile.TemporaryDirectory() as folder:
        pigments = {}
        for name, rgb, spectrum in zip(palette.names, palette.rgb, palette.spectra, strict=True):
            path = Path(folder) / f"{name}.h5"
            with h5py.File(path, "w") as file:
                file["x"] = np.linspace(*WINDOW, CHANNELS + 1)  # it looks for the window's ends among the energies,
                file["y"] = np.append(spectrum, 0)  # and leaves out the bin at the upper one
            pigments[name] = {"xrf": str(path), "RGB": np.rint(rgb * 255).astype(int).tolist()}
        np.save(Path(folder) / "image.npy", image)
        arguments = [json.dumps(pigments), f"{folder}/image.npy", "2", json.dumps((COLOURS / 255).tolist())]
        done = subprocess.run([python, "-c", PUBLISHED, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", help="interpreter with ganX 0.0.2")
    python = parser.parse_args().published
    rng = np.random.default_rng(1)
    palette, image = toy_palette(rng), make_picture(SHAPE, rng)
    began = time.perf_counter()
    truth = ganx_cube(image, palette, rng=rng).truth
    print(
        f"clustering and mixtures of {image[..., 0].size} pixels: {time.perf_counter() - began:.1f} s, once a picture"
    )
    shares = mixture(truth.rgb.values, palette)
    source = MixtureCounts(truth.labels.values, shares, palette.spectra, COUNTS, poisson=False, seed=1)
    pdfs = (shares @ palette.spectra)[truth.labels.values[0]]
    rows, pixels = 32, 32 * SHAPE[1]
    early = least(lambda: source[:rows])
    costs = {"multinomial over all channels": least(lambda: rng.multinomial(COUNTS, pdfs)) / SHAPE[1]}
    if python:
        found = published(python, palette, make_picture(SMALL, rng))
        costs["ganX 0.0.2"] = np.array([found["wall"], found["processor"]]) / (SMALL[0] * SMALL[1])
        ours = mixture(COLOURS.astype(np.uint8), palette) @ palette.spectra
        print(f"largest difference of mixed spectra: {np.abs(ours - found['pdfs']).max() / ours.max():.1e} of the peak")
    this = np.minimum(early, least(lambda: source[:rows])) / pixels
    print(f"{60e-6 / this[0]:.1f} million pixels a minute; {COUNTS} counts in {CHANNELS} bins, {PIGMENTS} pigments")
    print(f"{'us a pixel':32} {'wall':>8} {'ratio':>6} {'CPU':>8} {'ratio':>6}")
    for name, cost in {"this": this, **costs}.items():
        ratio = cost / this
        print(f"{name:32} {cost[0] * 1e6:8.2f} {ratio[0]:6.1f} {cost[1] * 1e6:8.2f} {ratio[1]:6.1f}")


if __name__ == "__main__":
    main()
