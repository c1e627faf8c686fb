"""How work runs over blocks of a cube: bands of whole rows, read one ahead of the computation."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from velatura.base.cube import BAND_BYTES
from velatura.base.progress import Progress, silent


def row_bands(counts: Any, *, limit: int = BAND_BYTES) -> list[slice]:
    """Cut [y, x, channel] into runs of whole rows of at most `limit` bytes (at least one row).

    Bands of a dask array follow its chunks, so that no chunk is read twice.
    """
    height, width, channels = counts.shape
    rows = max(1, limit // max(1, width * channels * counts.dtype.itemsize))
    edges = np.cumsum([0, *counts.chunks[0]]) if hasattr(counts, "chunks") else np.arange(0, height + rows, rows)
    bands, start = [], 0
    for here, after in zip(edges[1:], [*edges[2:], None], strict=True):
        if after is None or after - start > rows:
            bands.append(slice(int(start), int(min(here, height))))
            start = here
        if here >= height:
            break
    return bands


def read_band(counts: Any, rows: slice) -> np.ndarray:
    """Return the counts of some rows as a numpy array; other processes and threads are not disturbed."""
    band = counts[rows]
    return band.compute(scheduler="synchronous") if hasattr(band, "compute") else np.asarray(band)


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
