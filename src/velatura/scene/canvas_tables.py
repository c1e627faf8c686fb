"""Canvases under one embedder, on disk: features of some noisy draws of each entry, from which training picks."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from velatura.base.aside import replace_text, written_aside
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.scene.canvas_counts import Embed, embedded_table
from velatura.scene.canvas_folder import CanvasFile, CanvasFolder
from velatura.scene.training import CHANNELS, HIGH, LOW

CARD = "table.json"


def write_tables(
    canvases: CanvasFolder, name: str, embed: Embed, *, files: Sequence[CanvasFile] | None = None, draws: int = 32,
    counts: float | tuple[float, float] = 1000.0, grid: tuple[float, float, int] = (LOW, HIGH, CHANNELS), seed: int = 0,
    progress: Progress = silent,
) -> None:  # fmt: skip
    """Make the `embedded_table` of each canvas that has none yet, in tables/NAME; a killed run goes on.

    files: which canvases, by default all that are listed; grid: the embedder's, lowest and highest energy [keV] and
    channels. Raises InputError when the tables of that name were made with other draws, counts, grid or seed.
    """
    files = canvases.listed() if files is None else files
    card = json.loads(json.dumps({"draws": draws, "counts": counts, "grid": grid, "seed": seed}))
    folder = canvases.folder / "tables" / name
    if (folder / CARD).is_file():
        held = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if held != card:
            raise InputError(f"{folder} was made with {held}; asked for {card}. Choose another name, or remove it")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(folder / CARD, json.dumps(card))
    low, high, channels = grid
    missing = [file for file in files if not table_path(canvases, file, name).is_file()]
    for number, file in enumerate(missing, len(files) - len(missing)):
        progress(f"features {name}", number, len(files))
        rng = np.random.default_rng((seed, zlib.crc32(file.path.stem.encode())))
        table = embedded_table(
            canvases.read(file), embed, rng=rng, draws=draws, counts=counts, low=low, high=high, channels=channels
        )
        with written_aside(table_path(canvases, file, name)) as aside, aside.open("wb") as stream:
            np.save(stream, table, allow_pickle=False)
    progress(f"features {name}", len(files), len(files))


def read_table(canvases: CanvasFolder, file: CanvasFile, name: str) -> np.ndarray:
    """Read the features float16 [entry, draw, feature] of a canvas. Raises InputError where there are none."""
    path = table_path(canvases, file, name)
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} holds no features ({error}). Make them with write_tables") from error


def table_path(canvases: CanvasFolder, file: CanvasFile, name: str) -> Path:
    """Return where the features of a canvas lie."""
    return canvases.folder / "tables" / name / f"{file.path.stem}.npy"
