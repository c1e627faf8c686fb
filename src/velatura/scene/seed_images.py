"""Seed images: pictures of paintings whose colours synthetic scans are made to have, split so that tests are fair."""

import csv
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from velatura.base.errors import InputError

TABLE = "paintings.csv"
SPLITS = ("train", "validation", "test")
SHARES = (0.7, 0.2, 0.1)
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")


class SeedImage(NamedTuple):
    """One picture of a folder."""

    path: Path
    name: str
    """Of the file: it identifies the picture in data sets and decides its random numbers."""
    split: str
    """One of SPLITS."""
    died: int | None = None
    """Year in which the artist died, a hint to the pigments; None: not known."""


def seed_images(folder: Path, *, splits: Sequence[str] = SPLITS) -> list[SeedImage]:
    """List the pictures of a folder in the order of their names.

    Where it holds a `paintings.csv` (columns `file`, and as far as known `split`, `artist`, `artist_died`), its rows
    are the list. Without a split, a stable hash of the artist, else of the file's name, sends 70 % to training, 20 % to
    validation and 10 % to the test. Raises InputError for a folder without pictures, rows whose file is missing and
    splits that do not exist.
    """
    folder = Path(folder)
    if unknown := [name for name in splits if name not in SPLITS]:
        raise InputError(f"no split {unknown[0]!r}; there are {', '.join(SPLITS)}")
    if (folder / TABLE).is_file():
        found = [_of_row(folder, row) for row in _rows(folder / TABLE)]
    elif folder.is_dir():
        paths = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
        found = [SeedImage(path, path.name, hashed_split(path.name)) for path in paths]
    else:
        raise InputError(f"seed images are a folder of pictures; found none at {folder}. Give another folder")
    if not found:
        raise InputError(f"{folder} holds no pictures ({', '.join(SUFFIXES)}). Give another folder")
    return sorted((image for image in found if image.split in splits), key=lambda image: image.name)


def hashed_split(name: str) -> str:
    """Return the split of a name: always the same, 70, 20 and 10 % of all names.

    >>> hashed_split("0001.jpg") == hashed_split("0001.jpg")
    True
    """
    place = zlib.crc32(name.encode()) / 2**32
    return SPLITS[int(np.searchsorted(np.cumsum(SHARES)[:-1], place, side="right"))]


def read_seed(path: Path, size: int = 128, *, longest: int | None = None) -> np.ndarray:
    """Read a picture as uint8 [y, x, 3], its short side brought to `size` pixels without distortion.

    longest: the long side is cut to that many pixels, by default to `size`, so that the picture is square; its middle
    stays. Raises InputError for what is no picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    longest = size if longest is None else longest
    if not 2 <= size <= longest:
        raise InputError(f"sides must be 2 pixels or more, the long one not shorter; found {size} and {longest}")
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (size, size))
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as a picture: {error}. Give a JPEG, PNG or TIFF file") from error
    scale = size / min(picture.size)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    resized = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0))
    return resized[window((height, width), (min(height, longest), min(width, longest)), rng=None)]


def window(shape: tuple[int, int], wanted: tuple[int, int], *, rng: np.random.Generator | None) -> tuple[slice, slice]:
    """Return the rows and columns of a part of `wanted` pixels: anywhere or, where rng is None, in the middle."""
    spare = [have - want for have, want in zip(shape, wanted, strict=True)]
    starts = [room // 2 for room in spare] if rng is None else [int(rng.integers(room + 1)) for room in spare]
    rows, columns = (slice(start, start + want) for start, want in zip(starts, wanted, strict=True))
    return rows, columns


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}. It must be a table with the column file") from error
    if rows and "file" not in rows[0]:
        raise InputError(f"{path} must have a column file; found {', '.join(rows[0])}. Remove it to use every picture")
    return rows


def _of_row(folder: Path, row: dict[str, str]) -> SeedImage:
    name = row["file"]
    if not (folder / name).is_file():
        raise InputError(f"{folder / TABLE} lists {name!r}, which is not there. Fetch it again, or remove the row")
    split = row.get("split") or hashed_split(row.get("artist") or name)
    if split not in SPLITS:
        raise InputError(f"{folder / TABLE}: the split of {name!r} must be {', '.join(SPLITS)}; found {split!r}")
    died = (row.get("artist_died") or "").strip()
    return SeedImage(folder / name, name, split, int(died) if died.lstrip("-").isdigit() else None)
