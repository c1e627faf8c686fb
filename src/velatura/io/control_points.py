"""Control points: a table of places that a scan and a photograph both show, CSV with a heading."""

import csv
from pathlib import Path

import numpy as np

from velatura.base.errors import FileFormatError, InputError

COLUMNS = ("x_scan", "y_scan", "x_photo", "y_photo")


def read_control_points(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return points (x, y) on the scan and on the photograph, two float64 [point, 2] [pixels].

    The heading names the columns x_scan, y_scan, x_photo and y_photo, in any order; others are left alone. Pixels count
    from the upper left, whole numbers at their centres. Raises InputError where there is no file and FileFormatError
    for missing columns or what is no number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"asked for the control points {path}; found no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"asked for the control points {path}; found no text. Save a CSV file") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    delimiter = ";" if lines and ";" in lines[0] else ","
    rows = list(csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True))
    if not rows or (lacking := [name for name in COLUMNS if name not in rows[0]]):
        found = "no rows" if not rows else f"no {', '.join(lacking)}"
        raise FileFormatError(f"control points need a heading {','.join(COLUMNS)}; found {found} in {Path(path).name}")
    points = np.array([[_number(row[name], line, path) for name in COLUMNS] for line, row in enumerate(rows, 1)])
    return points[:, :2], points[:, 2:]


def _number(text: str | None, row: int, path: Path) -> float:
    try:
        value = float((text or "").replace(",", "."))
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise FileFormatError(f"asked for a number [pixels]; found {text!r} in row {row} of {Path(path).name}")
    return value
