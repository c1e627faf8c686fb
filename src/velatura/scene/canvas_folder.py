"""A data set of canvases on disk, one file for each picture and kind; a killed run goes on.

folder/canvases.json        seed, size and pictures: what all files follow from
folder/0001-layers.npz ...  canvases, by the number of the picture
folder/tables/NAME/         their features under one embedder (`canvas_tables`)
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from velatura.base.aside import replace_text
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.scene.canvas_file import read_canvas, read_pixels, write_canvas
from velatura.scene.colour_canvas import KINDS, POOLS, Canvas, layers_canvas, library_canvas, pool_instrument
from velatura.scene.seed_images import SPLITS, SeedImage, read_seed

PLAN = "canvases.json"
LONGEST = 1.5  # longest side over the shortest; what juts out is cut
HIDDEN = 0.3  # share of layered pictures over remains of another one
VERSION = 1


class CanvasFile(NamedTuple):
    """One canvas of a folder."""

    path: Path
    number: int
    """Of the picture."""
    kind: str
    split: str
    name: str
    """Of the picture's file."""


@dataclass(frozen=True)
class CanvasFolder:
    """A data set that `write_canvases` made, or is making. Raises InputError where there is none."""

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not (self.folder / PLAN).is_file():
            raise InputError(f"{self.folder} holds no canvases. Make them with write_canvases")

    @cached_property
    def plan(self) -> dict[str, Any]:
        """Plain values of `canvases.json`."""
        return json.loads((self.folder / PLAN).read_text(encoding="utf-8"))

    @property
    def size(self) -> int:
        """Short side of every canvas [pixels]."""
        return self.plan["size"]

    def planned(self, split: str | None = None, kind: str | None = None) -> list[CanvasFile]:
        """Return every canvas of a split and a kind (None: of all), made or not, in order."""
        for asked, known in ((split, SPLITS), (kind, KINDS)):
            if asked is not None and asked not in known:
                raise InputError(f"canvases are {', '.join(known)}; asked for {asked!r}")
        return [
            CanvasFile(self.folder / f"{number:04}-{one}.npz", number, one, image["split"], image["name"])
            for number, image in enumerate(self.plan["images"])
            for one in KINDS
            if split in (None, image["split"]) and kind in (None, one)
        ]

    def listed(self, split: str | None = None, kind: str | None = None) -> list[CanvasFile]:
        """Return the canvases of a split and a kind (None: of all) that are there, in order."""
        return [file for file in self.planned(split, kind) if file.path.is_file()]

    def read(self, file: CanvasFile) -> Canvas:
        """Read one canvas."""
        return read_canvas(file.path)

    def read_pixels(self, file: CanvasFile) -> tuple[np.ndarray, np.ndarray]:
        """Read the true colours uint8 [y, x, 3] and the entries int32 [y, x] of one canvas."""
        return read_pixels(file.path)


def write_canvases(
    folder: Path, images: Sequence[SeedImage], *, kinds: Sequence[str] = KINDS, seed: int = 0, size: int = 128,
    progress: Progress = silent,
) -> CanvasFolder:  # fmt: skip
    """Make the canvases of pictures that are not yet there; the same images and seed give the same bytes.

    kinds: which of KINDS; size: short side [pixels], the long one is at most 1.5 times that. Each layered picture has a
    scanner of the pool of its split, and three in ten lie over remains of another picture of that split. Raises
    InputError when the folder holds canvases of other images, seed or size, and for a picture that cannot be read.
    """
    folder = Path(folder)
    if not images or not kinds or set(kinds) - set(KINDS):
        raise InputError(f"canvases need pictures and the kinds {', '.join(KINDS)}; found {len(images)}, {list(kinds)}")
    _plan(folder, images, seed=seed, size=size)
    found = CanvasFolder(folder)
    missing = [file for file in found.planned() if file.kind in kinds and not file.path.is_file()]
    done = len(images) * len(set(kinds)) - len(missing)
    for count, (file, scanner) in enumerate(_by_scanner(missing, seed), done):
        progress("canvases", count, done + len(missing))
        write_canvas(file.path, _made(images, file, scanner, seed=seed, size=size))
    progress("canvases", done + len(missing), done + len(missing))
    return found


def _plan(folder: Path, images: Sequence[SeedImage], *, seed: int, size: int) -> None:
    listed = [{"name": image.name, "split": image.split, "died": image.died} for image in images]
    plan = {"version": VERSION, "seed": seed, "size": size, "images": listed}
    if (folder / PLAN).is_file():
        held = CanvasFolder(folder).plan
        if held != plan:
            raise InputError(
                f"{folder} holds canvases of other images ({len(held['images'])}), seed or size ({held['size']}). "
                "Choose another folder, or remove it"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / PLAN, json.dumps(plan))


def _by_scanner(files: Sequence[CanvasFile], seed: int) -> Iterator[tuple[CanvasFile, int]]:
    """Files with the number of their scanner, one scanner after the other: each is prepared once."""
    drawn = [(file, int(_rng(file, seed, 0).integers(POOLS[file.split]))) for file in files]
    yield from sorted(drawn, key=lambda pair: (pair[0].kind != "library", pair[0].split, pair[1], pair[0].number))


def _made(images: Sequence[SeedImage], file: CanvasFile, scanner: int, *, seed: int, size: int) -> Canvas:
    longest, rng = round(LONGEST * size), _rng(file, seed, 1)
    rgb = read_seed(images[file.number].path, size, longest=longest)
    if file.kind == "library":
        return library_canvas(rgb, rng=rng)
    others = [image for image in images if image.split == file.split and image.name != file.name]
    over = rng.random() < HIDDEN and bool(others)
    beneath = read_seed(others[rng.integers(len(others))].path, size) if over else None
    return layers_canvas(
        rgb, rng=rng, instrument=pool_instrument(file.split, scanner), died=images[file.number].died, beneath=beneath
    )


def _rng(file: CanvasFile, seed: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng((seed, zlib.crc32(file.name.encode()), KINDS.index(file.kind), purpose))
