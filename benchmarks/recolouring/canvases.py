"""Canvases for training recolouring: how long they take, how large they are, how well the paint meets the colours.

    python benchmarks/recolouring/canvases.py PAINTINGS

CPU seconds a picture by kind, without the first one of each scanner (which compiles and prepares); kilobytes on disk;
CIEDE2000 between the pictures and their paint; CPU microseconds a pixel for drawing counts, by dose.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np

from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.scene.canvas_counts import fresh_cube
from velatura.scene.canvas_file import read_canvas, write_canvas
from velatura.scene.colour_canvas import KINDS, Canvas, layers_canvas, library_canvas, pool_instrument
from velatura.scene.seed_images import SeedImage, read_seed, seed_images

PICTURES = 24
SIZE, LONGEST = 128, 192
DOSES = (300, 1_000, 3_000, 10_000)


def made(image: SeedImage, kind: str) -> Canvas:
    """Return one canvas."""
    rgb, rng = read_seed(image.path, SIZE, longest=LONGEST), np.random.default_rng(0)
    if kind == "library":
        return library_canvas(rgb, rng=rng)
    return layers_canvas(rgb, rng=rng, instrument=pool_instrument("train", 0), died=image.died)


def away(canvas: Canvas) -> float:
    """Median CIEDE2000 between the picture and its paint (library: its clusters)."""
    painted = srgb_to_lab(canvas.painted / 255)[canvas.entry]
    return float(np.median(colour_difference(srgb_to_lab(canvas.rgb / 255), painted)))


def main() -> None:
    """Measure and print."""
    every = seed_images(Path(sys.argv[1]))
    images = every[:: max(1, len(every) // PICTURES)][:PICTURES]
    print(f"{'kind':8} {'s/picture':>9} {'kB':>6} {'CIEDE2000 median':>17} {'worst':>6} {'entries':>8}")
    for kind in KINDS:
        made(images[0], kind)
        start = process_time()
        canvases = [made(image, kind) for image in images]
        seconds = (process_time() - start) / len(images)
        colours = [away(canvas) for canvas in canvases]
        with TemporaryDirectory() as folder:
            path = Path(folder) / "one.npz"
            sizes = []
            for canvas in canvases:
                write_canvas(path, canvas)
                sizes.append(path.stat().st_size)
            start = process_time()
            read_canvas(path)
            reading = process_time() - start
        entries = np.mean([len(canvas.rates) for canvas in canvases])
        size = np.mean(sizes) / 1000
        print(f"{kind:8} {seconds:9.3f} {size:6.0f} {np.median(colours):17.2f} {max(colours):6.2f} {entries:8.0f}")
        print(f"         reading one: {1000 * reading:.1f} ms")
    for dose in DOSES:
        start = process_time()
        cube = fresh_cube(canvases[-1], dose, rng=np.random.default_rng(0))
        pixels = cube.shape[0] * cube.shape[1]
        print(f"counts at {dose:6}: {1e6 * (process_time() - start) / pixels:5.1f} us a pixel")


if __name__ == "__main__":
    main()
