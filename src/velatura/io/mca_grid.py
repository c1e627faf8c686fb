"""Where in the scan each file of a folder belongs: from `colonneXrighe.txt`, from file names, or from a given width."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from velatura.base.errors import InputError

GRID_FILE = "colonnexrighe.txt"  # in lower case
MOST_MISSING = 8  # names that say a grid this many times larger than the number of files are misread
LARGEST = 2**26  # pixels; no scan has more
_ITEM = re.compile(r"^\s*(righe|colonne|dwell-time)\D*?(\d+(?:[.,]\d+)?)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Grid:
    """Size of the scan and what its own file says."""

    height: int | None = None
    width: int | None = None
    dwell_time: float | None = None
    """[s]"""


def read_grid(*folders: Path) -> Grid:
    """Read the first `colonneXrighe.txt` in these folders: lines such as `righe  60`, `dwell-time 3,000000`."""
    for folder in folders:
        for path in folder.iterdir():
            if path.name.lower() == GRID_FILE:
                text = path.read_text("latin-1")[:10_000]
                found = {name.lower(): float(value.replace(",", ".")) for name, value in _ITEM.findall(text)}
                size = [int(found[name]) if found.get(name, 0) >= 1 else None for name in ("righe", "colonne")]
                if (size[0] or 1) * (size[1] or 1) > LARGEST:
                    raise InputError(f"{path.name} says {size[0]} rows of {size[1]} pixels. Correct it")
                return Grid(size[0], size[1], found.get("dwell-time"))
    return Grid()


def place_files(names: list[str], grid: Grid, *, width: int | None = None, folder: str = "the folder") -> np.ndarray:
    """Return the number of the file of each pixel, int32 [y, x], -1 where there is none.

    names: of the files. A width given by the user comes first, then the grid's own file, then names with a row and a
    column number (`name_12_034`); names with one running number need a width. Raises InputError, naming the numbers
    found and the remedy, when files and grid do not fit.
    """
    numbers = _varying_numbers(names)
    if numbers.shape[1] == 2 and width is None:
        placed = _by_row_and_column(numbers, grid, folder)
        if placed is not None:
            return placed
    width = width or grid.width
    if width is None and len(names) > 1:
        raise InputError(
            f"{folder} holds {len(names)} spectra and nothing says how many make a row. Give --width, the pixels a row"
        )
    return _by_order(numbers, width or 1, grid.height if width == grid.width else None, folder)


def _varying_numbers(names: list[str]) -> np.ndarray:
    """Numbers in the names [file, number] without those that never change; none where names differ in their build."""
    found = [[int(digits[-15:]) for digits in re.findall(r"\d+", Path(name).stem)[-4:]] for name in names]
    if len({len(row) for row in found}) > 1:
        return np.empty((len(names), 0), np.int64)
    numbers = np.array(found, np.float64).reshape(len(names), -1)
    return numbers[:, np.ptp(numbers, axis=0) > 0] if numbers.size else numbers


def _by_row_and_column(numbers: np.ndarray, grid: Grid, folder: str) -> np.ndarray | None:
    """Pixels from row and column numbers; None when they do not look like that."""
    y, x = (numbers - numbers.min(axis=0)).astype(np.int64).T
    height, width = int(y.max()) + 1, int(x.max()) + 1
    if height * width > MOST_MISSING * len(numbers) or len(np.unique(y * width + x)) < len(numbers):
        return None
    placed = np.full((max(height, grid.height or 0), max(width, grid.width or 0)), -1, np.int32)
    if grid.height and grid.width and placed.shape != (grid.height, grid.width):
        raise InputError(
            f"{folder}: names of files run over {height} rows and {width} columns, but colonneXrighe.txt says "
            f"{grid.height} and {grid.width}. Give --width to place the files in the order of their names"
        )
    placed[y, x] = np.arange(len(numbers))
    return placed


def _by_order(numbers: np.ndarray, width: int, height: int | None, folder: str) -> np.ndarray:
    """Pixels in the order of the files."""
    running = _running_number(numbers, width * height if height else None)
    count = int(running.max()) + 1
    rows = height or -(-count // width)
    if count > rows * width or (height is None and count % width):
        size = f"{rows} rows of {width}" if height else f"whole rows of {width}"
        raise InputError(
            f"{folder} holds {len(running)} spectra up to number {count}, not {size}. Give the right --width"
        )
    if len(np.unique(running)) < len(running):
        raise InputError(f"{folder}: several files have the same number. Keep the spectra of one scan only")
    placed = np.full(rows * width, -1, np.int32)
    placed[running] = np.arange(len(running))
    return placed.reshape(rows, width)


def _running_number(numbers: np.ndarray, pixels: int | None) -> np.ndarray:
    """Place of each file from 0: its one number, whose gaps are missing files, else its rank by all its numbers.

    Counting begins at 0 or 1; at the least number when that cannot be.
    """
    if numbers.shape[1] == 1:
        own = numbers[:, 0].astype(np.int64)
        least = int(own.min())
        first = min(least, 1)
        if own.max() - first >= (pixels or MOST_MISSING * len(own)):
            first = least
        if own.max() - first < MOST_MISSING * len(own):
            return own - first
    order = np.lexsort(numbers.T[::-1]) if numbers.shape[1] else np.arange(len(numbers))
    rank = np.empty(len(numbers), np.int64)
    rank[order] = np.arange(len(numbers))
    return rank
