"""Spots of a painting whose pigments are known: what a table says of them, and what a network may learn from that.

The table is a CSV file with one row for each spot: `x` and `y` (pixel, from 0, x to the right) or `file` (a spectrum of
its own, relative to the table), `pigments` (names of pigments or XRF classes with ; between), and if wanted `hidden`
(the same, of a paint beneath) and `absent` (what is surely not there). `unknown` stands for a material that is none.

What is named is there. What is not named is absent where one of its markers has no lines in the spectrum, not even at
two standard deviations; else nobody knows, and it does not count.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from velatura.atomic.elements import atomic_number
from velatura.base.blocks import read_band
from velatura.base.errors import InputError, did_you_mean
from velatura.io.spectrum import read_spectrum_file
from velatura.scene.classes import XrfClass, restricted

COLUMNS = ("x", "y", "file", "pigments", "hidden", "absent")
UNKNOWN = "unknown"
FAINT = 2.0  # standard deviations of an element's lines below which it is taken for absent
TELLING = 19  # potassium: lines of lighter elements are lost in air, so that their lack says nothing


class Spot(NamedTuple):
    """One row of the table; the names are numbers of classes, the last one after them all is `unknown`."""

    name: str
    """How messages call it, such as "row 3 (x 120, y 48)"."""
    pixel: tuple[int, int] | None
    """(y, x)"""
    file: Path | None
    pigments: tuple[int, ...]
    hidden: tuple[int, ...]
    absent: tuple[int, ...]


class Spots(NamedTuple):
    """Spectra of spots, and what is known of each class in both paints (visible, hidden; strangers last)."""

    names: tuple[str, ...]
    features: np.ndarray
    """Counts on the grid of `scene.training.grid`, float32 [spot, channel]."""
    labels: np.ndarray
    """Whether a class is there, bool [spot, paint, class]."""
    mask: np.ndarray
    """Whether that is known, bool [spot, paint, class]."""

    def chosen(self, rows: Sequence[int] | np.ndarray) -> "Spots":
        """Return some of the spots."""
        rows = np.asarray(rows, int)
        return Spots(tuple(self.names[row] for row in rows), *(a[rows] for a in self[1:]))


def read_spots(path: Path, classes: Sequence[XrfClass]) -> tuple[Spot, ...]:
    """Read a table of spots.

    Raises InputError, naming the row, for columns that are missing or unknown, pigments that are unknown (with a near
    miss), a class that is said to be there and absent, and rows without pigments or place.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no table of spots {path}. Write one with the columns x, y, pigments")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}. Save it as CSV in UTF-8") from error
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    table = csv.DictReader(line for _, line in lines)
    columns = [str(name).strip().lower() for name in table.fieldnames or ()]
    _check_columns(columns, path)
    table.fieldnames = columns
    spots = tuple(_spot(row, number, path, classes=classes) for row, (number, _) in zip(table, lines[1:], strict=True))
    if not spots:
        raise InputError(f"{path.name} holds no spots: nothing is labelled. Add a row such as 120,48,lead_white")
    return spots


def gather_spots(
    spots: Sequence[Spot],
    classes: Sequence[XrfClass],
    cube: xr.Dataset | None = None,
    *,
    radius: int = 1,
    anode: str | None = None,
    tube_voltage: float | None = None,
    rng: np.random.Generator,
) -> Spots:
    """Return the spectra of the spots with what is known of them.

    cube: the scan (see `make_cube`); of it each spot is the sum of valid pixels in a square of 2 radius + 1; anode and
    tube_voltage [kV]: of the scanner, where known; rng: for the draws that bring counts onto the grid.
    Raises InputError for pixels outside the scan or without counts, and where a spot needs a scan and there is none.
    """
    from velatura.scene.training import grid

    features = np.empty((len(spots), len(grid())), np.float32)
    for row, spot in enumerate(spots):
        features[row] = _features(spot, cube, radius=radius, rng=rng)
        if not features[row].sum() > 0:
            raise InputError(f"{spot.name} has no counts from {grid()[0]:.1f} to {grid()[-1]:.0f} keV. Choose another")
    return spots_of(spots, features, classes, anode=anode, tube_voltage=tube_voltage)


def spots_of(
    spots: Sequence[Spot],
    features: np.ndarray,
    classes: Sequence[XrfClass],
    *,
    anode: str | None = None,
    tube_voltage: float | None = None,
) -> Spots:
    """Return spots with given spectra, counts [spot, channel] on the grid; work out what is known of each."""
    told = [_known(spot, counts, classes, anode, tube_voltage) for spot, counts in zip(spots, features, strict=True)]
    labels, mask = (np.stack(arrays) for arrays in zip(*told, strict=True))
    return Spots(tuple(spot.name for spot in spots), np.asarray(features, np.float32), labels, mask)


def _check_columns(columns: list[str], path: Path) -> None:
    for name in columns:
        if name not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise InputError(f"{path.name}: no column {name!r}; known are {known}{did_you_mean(name, COLUMNS)}")
    if "pigments" not in columns or not ({"x", "y"} <= {*columns} or "file" in columns):
        raise InputError(f"{path.name} needs the columns x, y, pigments or file, pigments; found {', '.join(columns)}")


def _spot(row: dict[str, str | None], number: int, path: Path, *, classes: Sequence[XrfClass]) -> Spot:
    if None in row:
        raise InputError(f"{path.name}, line {number}: more values than columns. Put ; between pigments, not a comma")
    said = {name: (value or "").strip() for name, value in row.items()}
    where = f"{path.name}, line {number}"
    file = path.parent / said["file"] if said.get("file") else None
    pixel = None
    if file is None:
        try:
            pixel = int(said.get("y", "")), int(said.get("x", ""))
        except ValueError:
            found = f"x = {said.get('x', '')!r}, y = {said.get('y', '')!r}"
            raise InputError(f"{where}: a spot needs a pixel, two whole numbers, or a file; found {found}") from None
        where = f"{where} (x {pixel[1]}, y {pixel[0]})"
    named = [_classes_in(said.get(column, ""), classes, where) for column in ("pigments", "hidden", "absent")]
    pigments, hidden, absent = named
    if not pigments and not hidden:
        raise InputError(f"{where}: nothing is labelled. Name its pigments, or leave the row out")
    if both := {*absent} & {*pigments, *hidden}:
        name = [*(one.name for one in classes), UNKNOWN][min(both)]
        raise InputError(f"{where}: {name} is said to be there and to be absent. Take one of the two out")
    return Spot(where, pixel, file, pigments, hidden, absent)


def _classes_in(text: str, classes: Sequence[XrfClass], where: str) -> tuple[int, ...]:
    """Numbers of the classes that names, with ; between, mean."""
    found = []
    for name in filter(None, (part.strip() for part in text.split(";"))):
        if name == UNKNOWN:
            found.append(len(classes))
            continue
        try:
            left = restricted(classes, palette=(name,))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        found.append(next(number for number, row in enumerate(left) if row.members))
    return tuple(dict.fromkeys(found))


def _features(spot: Spot, cube: xr.Dataset | None, *, radius: int, rng: np.random.Generator) -> np.ndarray:
    """Counts on the grid, float32 [channel]."""
    if spot.file is not None:
        spectrum = read_spectrum_file(spot.file)
        return _on_grid(np.rint(np.maximum(spectrum.counts, 0))[None], spectrum.axis(), rng=rng)[0]
    if cube is None:
        raise InputError(f"{spot.name} names a pixel, but no scan is given. Give the scan, or files of spectra")
    height, width = cube.sizes["y"], cube.sizes["x"]
    y, x = spot.pixel or (-1, -1)
    if not (0 <= y < height and 0 <= x < width):
        raise InputError(
            f"{spot.name} lies outside the scan of {width} x {height} pixels. x runs from 0 to {width - 1}"
        )
    rows, columns = (slice(max(at - radius, 0), at + radius + 1) for at in (y, x))
    valid = cube.valid.values[rows, columns]
    counts = read_band(cube.counts.data, slice(rows.start, min(rows.stop, height)))[:, columns]
    return _on_grid(counts[valid].sum(axis=0, dtype=np.int64)[None], cube.energy.values, rng=rng)[0]


def _on_grid(counts: np.ndarray, energy: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    from velatura.tasks.identify import on_grid

    return on_grid(counts, energy, seed=int(rng.integers(2**31)))


def _known(
    spot: Spot, counts: np.ndarray, classes: Sequence[XrfClass], anode: str | None, tube_voltage: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and mask, bool [paint, class]."""
    from velatura.scene.training import grid
    from velatura.spectra.explain import elements_in

    labels, mask = np.zeros((2, 2, len(classes) + 1), bool)
    labels[0, spot.pigments] = labels[1, spot.hidden] = True
    mask[labels] = True
    mask[:, spot.absent] = True
    found = elements_in(counts, grid(), anode=anode, tube_voltage=tube_voltage, threshold=FAINT)
    there = {one.element for one in found}
    for number, row in enumerate(classes):
        lacking = [name for name in row.markers if atomic_number(name) >= TELLING and name not in there]
        if lacking and not labels[:, number].any():
            mask[:, number] = True
        if not row.visible:
            mask[:, number] = False
    return labels, mask
