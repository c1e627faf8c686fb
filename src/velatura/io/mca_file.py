"""One spectrum in a text file: Amptek .mca with its tags, or a bare list of counts in .txt."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from velatura.base.cube import whole_counts
from velatura.base.errors import FileFormatError, InputError

MAGIC = b"<<PMCA SPECTRUM>>"
START, END = b"<<DATA>>", b"<<END>>"
HEAD_BYTES = 4096
MOST_KEV = 200.0  # energies above this are in eV


@dataclass(frozen=True)
class SpectrumHead:
    """What stands before the counts of one file."""

    points: tuple[tuple[float, float], ...] = ()
    """(channel, energy [keV]) in their order."""
    live_time: float | None = None
    """[s]"""

    def axis(self) -> tuple[float, float] | None:
        """Zero [keV] and gain [keV/channel] of the straight line through the points, or None without one that rises.

        One point means a line through the origin; more than two are fitted by least squares.
        """
        points = np.array([(0.0, 0.0), *self.points] if len(self.points) == 1 else self.points).reshape(-1, 2)
        if np.unique(points[:, 0]).size < 2:
            return None
        gain, zero = np.polyfit(points[:, 0], points[:, 1], 1)
        return (round(float(zero), 9), round(float(gain), 12)) if gain > 0 else None


def read_head(path: Path) -> SpectrumHead:
    """Read calibration points and live time of a file; a .txt list has none. Raises FileFormatError without counts."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if not is_mca(head):
            return SpectrumHead()
        while START not in head and (more := file.read(16 * HEAD_BYTES)):
            head += more
    if START not in head:
        raise FileFormatError(f"{path.name} has no <<DATA>>: it is cut short or empty. Copy it again from the scanner")
    head = head[: head.index(START)]
    live_time = re.search(rb"LIVE_TIME\s*-\s*(\S+)", head)
    calibration = head.partition(b"<<CALIBRATION>>")[2].partition(b"<<")[0]
    pairs = [[_number(word) for word in line.split()] for line in calibration.splitlines()]
    points = [(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and pair[0] is not None and pair[1] is not None]
    scale = 1e-3 if any(energy > MOST_KEV for _, energy in points) else 1.0
    return SpectrumHead(
        tuple((channel, energy * scale) for channel, energy in points), _number(live_time[1]) if live_time else None
    )


def read_counts(path: Path) -> np.ndarray:
    """Read the counts, uint32 [channel]. Raises FileFormatError for anything that is no list of whole numbers."""
    data = path.read_bytes()
    try:
        counts = _between_tags(data) if is_mca(data) else _last_column(data)
        if not len(counts):
            raise ValueError("there are none")
        return whole_counts(counts, dtype=np.uint32)
    except (ValueError, OverflowError, InputError) as error:
        raise FileFormatError(
            f"{path.name} is no list of whole counts: {str(error)[:120]}. Is it damaged, or no spectrum?"
        ) from error


def is_mca(data: bytes) -> bool:
    """Does a file begin as Amptek's do?"""
    return data.lstrip().startswith(MAGIC)


def _between_tags(data: bytes) -> np.ndarray:
    start, end = data.find(START), data.rfind(END)
    if start < 0 or end < start:
        raise ValueError("it has no <<DATA>> ... <<END>>, so it is cut short")
    part = data[start + len(START) : end]
    counts = np.fromstring(part, np.int64, sep=" ") if part.strip() else np.empty(0, np.int64)
    if len(counts) != len(part.split()):
        raise ValueError(f"only the first {len(counts)} are")
    return counts


def _last_column(data: bytes) -> np.ndarray:
    """Counts of a list of one or two columns; lines without numbers before it are passed over."""
    rows = [re.split(rb"[\s;,]+", line.strip()) for line in data.splitlines() if line.strip()]
    while rows and _number(rows[0][0]) is None:
        del rows[0]
    columns = len(rows[0]) if rows else 0
    if columns not in (1, 2) or any(len(row) != columns for row in rows):
        raise ValueError("one or two columns of numbers were expected")
    return np.array([float(row[-1]) for row in rows])


def _number(word: bytes) -> float | None:
    """The finite number that a word is, with a decimal comma or point, or None."""
    try:
        value = float(word.replace(b",", b"."))
    except ValueError:
        return None
    return value if np.isfinite(value) else None
