"""How work runs over blocks of a cube: bands of whole rows, read one ahead of the computation."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dask.array as da
import numpy as np

from velatura.base.cube import BAND_BYTES
from velatura.base.errors import FileFormatError, VelaturaError
from velatura.base.progress import Progress, silent


def row_bands(counts: Any, *, limit: int = BAND_BYTES) -> list[slice]:
    """Cut [y, x, channel] into runs of whole rows of at most `limit` bytes (at least one row).

    Bands of a dask array follow its chunks, so that no chunk is read twice.
    """
    height, width, channels = counts.shape
    most = max(1, limit // max(1, width * channels * counts.dtype.itemsize))
    steps = counts.chunks[0] if isinstance(counts, da.Array) else [1] * height
    runs: list[slice] = []
    stop = 0
    for step in steps:
        start, stop = stop, stop + step
        if runs and stop - runs[-1].start <= most:
            runs[-1] = slice(runs[-1].start, stop)
        else:
            runs.append(slice(start, stop))
    return runs


def read_band(counts: Any, rows: slice) -> np.ndarray:
    """Return the counts of some rows as a numpy array; other processes and threads are not disturbed.

    Raises FileFormatError where a lazy source fails: a disk that went away, a damaged part of a file.
    """
    try:
        band = counts[rows]
        return band.compute(scheduler="synchronous") if isinstance(band, da.Array) else np.asarray(band)
    except VelaturaError:
        raise
    except Exception as error:
        raise FileFormatError(
            f"rows {rows.start} to {rows.stop - 1} cannot be read: {type(error).__name__}: {error}. "
            "Is the disk still there? Copy the file again from the scanner"
        ) from error


def bands(
    counts: Any, *, stage: str = "reading", progress: Progress = silent, limit: int = BAND_BYTES
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, counts of these rows) from top to bottom; the next band is read while this one is worked on.

    counts: numpy or dask [y, x, channel]. At most two bands are in memory.
    """
    todo = row_bands(counts, limit=limit)
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(read_band, counts, todo[0])
        for done, rows in enumerate(todo):
            progress(stage, done, len(todo))
            band = ahead.result()
            if done + 1 < len(todo):
                ahead = reader.submit(read_band, counts, todo[done + 1])
            yield rows, band
    progress(stage, len(todo), len(todo))
