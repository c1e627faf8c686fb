"""Test pictures recoloured without any training: one colour for all, and each pixel alone against a palette."""

import zlib
from pathlib import Path

import numpy as np

from velatura.base.aside import written_aside
from velatura.chain.recolour_data import TEST_DOSES, fresh_counts, held_out
from velatura.scene.canvas_folder import CanvasFolder
from velatura.scene.colour_canvas import cropped
from velatura.scene.image_paint import TWELVE, library_of, named_palette
from velatura.scene.training import CHANNELS, HIGH, LOW
from velatura.tasks.recolour_baselines import mean_colour, mixed_palette_colour, nearest_palette_colour

BASELINES = ("mean colour", "nearest palette colour", "mixed palette colour")


def baseline(name: str, canvases: CanvasFolder, *, kind: str, number: int, side: int) -> np.ndarray:
    """Return the colours float32 [picture, y, x, 3] that a baseline gives the held-out pictures; kept on disk.

    The palette is that of the library, each spectrum as the canvas's own scanner sees thick paint of it.
    """
    chosen = held_out(canvases, split="test", kind=kind, number=number)
    if name == "mean colour":
        train = canvases.listed("train", kind)
        mean = mean_colour(canvases.read_pixels(file)[0] for file in train)
        return np.broadcast_to(mean, (len(chosen), side, side, 3))
    names = zlib.crc32(" ".join(file.path.name for file in chosen).encode())
    place = f"{name.replace(' ', '-')}-{kind}-{TEST_DOSES[kind]:g}-{len(chosen)}-{side}-{names:08x}.npy"
    path = canvases.folder / "fresh" / place
    if not path.is_file():
        found = np.stack([_of_palette(name, canvases, file, side=side) for file in chosen])
        _write(path, found.astype(np.float16))
    return np.load(path, allow_pickle=False).astype(np.float32)


def _of_palette(name: str, canvases: CanvasFolder, file, *, side: int) -> np.ndarray:
    canvas = cropped(canvases.read(file), side)
    palette = library_of(named_palette(TWELVE), canvas.instrument, window=(LOW, HIGH), channels=CHANNELS)
    colour = nearest_palette_colour if name.startswith("nearest") else mixed_palette_colour
    counts = np.concatenate(list(fresh_counts(canvas, file, grid=(LOW, HIGH, CHANNELS))))
    return colour(counts, palette.spectra, palette.rgb).reshape(side, side, 3)


def _write(path: Path, values: np.ndarray) -> None:
    with written_aside(path) as aside, aside.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)
