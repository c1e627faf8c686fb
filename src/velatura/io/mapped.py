"""A plain binary array inside a file, mapped into memory only while a part of it is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class MappedArray:
    """Array-like view of a file. It keeps no handle open (the file may be moved or backed up) and travels as its name.

    What it returns are mapped pages of the file, read by the system when they are touched: no private memory.
    """

    path: Path
    dtype: np.dtype
    """As stored, byte order included."""
    shape: tuple[int, ...]
    """Lengths of the axes in the order of the file."""
    offset: int = 0
    """Bytes before the first value."""
    fortran: bool = False
    """First axis runs fastest."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Map the file and return one part of it, read-only."""
        layout = "F" if self.fortran else "C"
        return np.asarray(np.memmap(self.path, self.dtype, "r", self.offset, self.shape, layout))[index]


@dataclass(frozen=True)
class Ordered:
    """An array-like seen with its axes in cube order, [detector,] y, x, channel; of one detector when it is chosen."""

    source: Any
    """Array-like that returns views: `MappedArray` or numpy."""
    order: tuple[int, ...]
    """Stored axis of each axis seen, the detector's first."""
    detector: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(y, x, channel)."""
        return tuple(self.source.shape[axis] for axis in self.order[-3:])

    @property
    def dtype(self) -> np.dtype:
        """As stored."""
        return self.source.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read one part."""
        array = self.source[...].transpose(self.order)
        return (array if self.detector is None else array[self.detector])[index]
