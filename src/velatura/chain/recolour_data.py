"""Canvases under an embedder: the tables that training picks from, and held-out pictures with fresh counts, on disk.

Everything lies in the folder of the canvases, named after the embedder, and is made once:
tables/EMBEDDER-FINGERPRINT-KIND-DRAWSxDOSE/  a few draws of each spectrum of a canvas
fresh/EMBEDDER-FINGERPRINT-...npz  pictures embedded from counts drawn for every pixel
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from velatura.base.aside import written_aside
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.scene.canvas_counts import fresh_rows
from velatura.scene.canvas_folder import CanvasFile, CanvasFolder
from velatura.scene.canvas_tables import write_tables
from velatura.scene.colour_canvas import Canvas, cropped

if TYPE_CHECKING:
    from velatura.tasks.embedding_model import Embedder
    from velatura.tasks.recolour_training import Album, Shown

DRAWS: Mapping[str, int] = MappingProxyType({"library": 128, "layers": 8})
"""Noisy draws of each spectrum of a canvas: a library's has about 10 spectra, one of layers up to 256."""
TEST_DOSES: Mapping[str, float] = MappingProxyType({"library": 400.0, "layers": 2000.0})
"""Mean counts of a pixel of held-out pictures: as published, and those of a quick scan."""


def files_of(canvases: CanvasFolder, split: str, kinds: Sequence[str]) -> list[list[CanvasFile]]:
    """Return the canvases of a split, one list for each kind. Raises InputError where a kind has none."""
    found = [canvases.listed(split, kind) for kind in kinds]
    for kind, files in zip(kinds, found, strict=True):
        if not files:
            raise InputError(f"{canvases.folder} has no canvas of the kind {kind} for {split}. Make more canvases")
    return found


def albums(
    canvases: CanvasFolder,
    embedder: "Embedder",
    *,
    files: Sequence[Sequence[CanvasFile]],
    doses: Sequence[float],
    progress: Progress = silent,
) -> list["Album"]:
    """Make what is missing of the tables of canvases, one for each dose; return one album for each list of files.

    files: canvases of one kind in each list, one or more (`files_of`).
    """
    from velatura.tasks.embedding_model import embed
    from velatura.tasks.recolour_training import Album

    found, mark = [], mark_of(embedder)
    for group in files:
        kind = group[0].kind
        names = [f"{mark}-{kind}-{DRAWS[kind]}x{dose:g}" for dose in doses]
        for dose, name in zip(doses, names, strict=True):
            write_tables(
                canvases, name, lambda counts: embed(embedder, counts), files=group, draws=DRAWS[kind],
                counts=float(dose), grid=(embedder.low, embedder.high, embedder.channels), progress=progress,
            )  # fmt: skip
        found.append(Album(tuple(group), tuple(names)))
    return found


def held_out(canvases: CanvasFolder, *, split: str, kind: str, number: int) -> list[CanvasFile]:
    """Return so many canvases of a split, evenly chosen, or all where there are fewer."""
    files = files_of(canvases, split, [kind])[0]
    return [files[int(place)] for place in np.linspace(0, len(files) - 1, min(number, len(files)))]


def fresh_counts(canvas: Canvas, file: CanvasFile, *, grid: tuple[float, float, int]) -> Iterator[np.ndarray]:
    """Yield counts of the canvas of a file, or of a part of it, uint16 [spectrum, channel], row by row.

    grid: lowest and highest energy [keV] and channels. Drawn by the name of the file: the same part, the same counts.
    """
    rng = np.random.default_rng((1, zlib.crc32(file.path.stem.encode())))
    low, high, channels = grid
    bands = fresh_rows(canvas, TEST_DOSES[canvas.kind], rng=rng, low=low, high=high, channels=channels)
    yield from (counts.reshape(-1, channels) for _, counts in bands)


def fresh_pictures(
    canvases: CanvasFolder,
    embedder: "Embedder",
    *,
    split: str,
    kind: str,
    number: int,
    side: int,
    progress: Progress = silent,
) -> "Shown":
    """Return pictures of a split, evenly chosen, each pixel embedded from counts of its own at TEST_DOSES.

    number: of pictures, or all where there are fewer; side: of the square in the middle of each. Made once, then read.
    """
    from velatura.tasks.embedding_model import embed
    from velatura.tasks.recolour_training import Shown

    chosen = held_out(canvases, split=split, kind=kind, number=number)
    name = f"{mark_of(embedder)}-{split}-{kind}-{TEST_DOSES[kind]:g}-{len(chosen)}-{side}-{_sum_of(chosen)}"
    path = canvases.folder / "fresh" / f"{name}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as held:
            return Shown(held["embedded"], held["rgb"])
    pictures, grid = [], (embedder.low, embedder.high, embedder.channels)
    for done, file in enumerate(chosen):
        progress(f"{split} {kind}, {embedder.name}", done, len(chosen))
        canvas = cropped(canvases.read(file), side)
        counts = fresh_counts(canvas, file, grid=grid)
        features = np.concatenate([embed(embedder, part).astype(np.float16) for part in counts])
        pictures.append((features.reshape(side, side, -1), canvas.rgb))
    progress(f"{split} {kind}, {embedder.name}", len(chosen), len(chosen))
    shown = Shown(*(np.stack(images) for images in zip(*pictures, strict=True)))
    _write(path, shown)
    return shown


def mark_of(embedder: "Embedder") -> str:
    """Return what folders and files of an embedder are called: its kind and fingerprint."""
    from velatura.tasks.recolour_model import fingerprint

    return f"{embedder.kind}-{fingerprint(embedder)}"


def _sum_of(files: Sequence[CanvasFile]) -> str:
    """Eight digits that tell the pictures and when they were made."""
    facts = " ".join(f"{file.path.name} {file.path.stat().st_size}" for file in files)
    return f"{zlib.crc32(facts.encode()):08x}"


def _write(path: Path, shown: "Shown") -> None:
    with written_aside(path) as aside, aside.open("wb") as stream:
        np.savez(stream, allow_pickle=False, embedded=shown.embedded, rgb=shown.rgb)
