"""Rows of a scan in an HDF5 file, read when they are asked for; the file is open only meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from velatura.base.cube import BAND_BYTES
from velatura.base.errors import FileFormatError
from velatura.io.axes import cube_order
from velatura.io.hdf5_layouts import Part
from velatura.io.row_source import RowSource


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading, with all filters. What HDF5 cannot read comes out as FileFormatError."""
    import h5py
    import hdf5plugin  # noqa: F401  registers filters

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        told = " ".join(str(error).split())[:160]
        raise FileFormatError(f"{path.name} cannot be read as HDF5: {told}. Copy it again from the scanner") from error


class SetRows(RowSource):
    """A data set with axes y, x, e and perhaps d in any order."""

    def __init__(self, path: Path, part: Part, node: Any) -> None:
        self.path, self.part, self.dtype = path, part, node.dtype
        self.order = cube_order(part.axes)
        self.shape = tuple(node.shape[axis] for axis in self.order[-3:])
        self.chunk = node.chunks[part.axes.index("y")] if node.chunks else 1

    @property
    def rows(self) -> int | None:
        """Rows to read together so that no chunk is unpacked twice, or None where that is no matter or too much."""
        fitting = BAND_BYTES // max(1, self.shape[1] * self.shape[2] * max(4, self.dtype.itemsize))
        return None if self.chunk == 1 else fitting // self.chunk * self.chunk or None

    def read_rows(self, first: int, last: int) -> np.ndarray:
        """Read some rows and bring their axes into order."""
        wanted = {"y": slice(first, last), "d": slice(self.part.detector, (self.part.detector or 0) + 1)}
        with opened(self.path) as file:
            stored = file[self.part.path][tuple(wanted.get(letter, slice(None)) for letter in self.part.axes)]
        ordered = stored.transpose(self.order)
        return ordered[0] if "d" in self.part.axes else ordered


class ListedRows(RowSource):
    """A list of spectra [spectrum, channel] and the number of the spectrum of each pixel, int64 [y, x], -1 for none."""

    rows = None

    def __init__(self, path: Path, part: Part, node: Any, numbers: np.ndarray) -> None:
        self.path, self.part, self.dtype, self.numbers = path, part, node.dtype, numbers
        self.shape = (*numbers.shape, node.shape[1])

    def read_rows(self, first: int, last: int) -> np.ndarray:
        """Read the spectra of some rows; pixels without one stay zero."""
        numbers = self.numbers[first:last]
        present = numbers >= 0
        counts = np.zeros((*numbers.shape, self.shape[2]), self.dtype)
        if not present.any():
            return counts
        wanted, back = np.unique(numbers[present], return_inverse=True)
        start, stop = int(wanted[0]), int(wanted[-1]) + 1
        with opened(self.path) as file:
            if stop - start <= 2 * len(wanted):
                spectra = file[self.part.path][start:stop][wanted - start]
            else:
                spectra = file[self.part.path][wanted]
        counts[present] = spectra[back]
        return counts
