"""Array-likes that hand out rows of a scan on demand: what `lazy_counts` wraps. Nothing is read before."""

from typing import Any

import numpy as np


class RowSource:
    """Counts [y, x, channel] of which any run of whole rows can be read alone.

    A reader gives `shape`, `dtype` and `read_rows`.
    Sources hold paths and small tables, never open files, so that they can travel to other processes.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    def read_rows(self, first: int, last: int) -> np.ndarray:
        """Counts of the rows first <= y < last, [last - first, x, channel] of `dtype`."""
        raise NotImplementedError

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read the rows that `key` touches, then index them as numpy would."""
        key = key if isinstance(key, tuple) else (key,)
        rows = np.arange(self.shape[0])[key[0]]
        if rows.size == 0:
            return np.empty((0, *self.shape[1:]), self.dtype)[(slice(None), *key[1:])]
        first, last = int(rows.min()), int(rows.max()) + 1
        band = self.read_rows(first, last)
        if isinstance(key[0], slice):
            return band[(slice(None, None, key[0].step), *key[1:])]
        return band[(rows - first, *key[1:])]


def narrowest(largest: int) -> np.dtype:
    """The narrowest unsigned integer that holds `largest`."""
    return np.dtype(
        next(dtype for dtype in (np.uint8, np.uint16, np.uint32, np.uint64) if largest <= np.iinfo(dtype).max)
    )
