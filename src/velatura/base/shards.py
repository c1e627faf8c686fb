"""How counts lie on disk: Zarr v3 shards of whole spectra, cut into small blocks that serve maps and pixels alike.

A shard holds 125 x 125 pixels with all channels, fewer rows where a band of shards would pass 256 MiB; inside lie
blocks of 25 x 25 x 128 (5 x 125 x 128 in wide scans), bit-shuffled and compressed. Blocks are coded by `zarrs`; where
that is missing or fails, by zarr itself: either reads what the other wrote.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from velatura.base.blocks import bands
from velatura.base.progress import Progress, silent

SHARD_BAND_BYTES = 256 * 2**20
BLOCK_BAND_BYTES = 128 * 2**20
SHARD_SIDE = 125
BLOCK_CHANNELS = 128
BLOCKS = ((25, 25), (5, 125), (1, 625))  # rows, columns: all of 625 pixels; the first whose band is small enough


@dataclass(frozen=True)
class Layout:
    """Shapes [y, x, channel] of a shard and of the blocks in it."""

    shard: tuple[int, int, int]
    block: tuple[int, int, int]


def layout_of(shape: tuple[int, int, int], itemsize: int) -> Layout:
    """Choose shard and block for a cube of this shape and bytes a value.

    >>> layout_of((500, 500, 2048), 2)
    Layout(shard=(125, 125, 2048), block=(25, 25, 128))
    """
    _, width, channels = shape
    row = width * channels * itemsize
    rows, columns = next((block for block in BLOCKS if block[0] * row <= BLOCK_BAND_BYTES), BLOCKS[-1])
    most = min(SHARD_SIDE, SHARD_BAND_BYTES // row) // rows
    depth = -(-channels // BLOCK_CHANNELS) * BLOCK_CHANNELS
    return Layout((rows * max(1, most), max(SHARD_SIDE, columns), depth), (rows, columns, BLOCK_CHANNELS))


@contextmanager
def fast_codecs() -> Iterator[None]:
    """Let arrays made or opened inside code their blocks with `zarrs`, if it can be loaded."""
    import zarr

    try:
        import zarrs  # noqa: F401
    except (ImportError, OSError):
        yield
        return
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        yield


def write_counts(folder: Path, counts: Any, *, attributes: dict[str, Any], progress: Progress = silent) -> None:
    """Write counts [y, x, channel] into a new array at `folder`, one band of whole shards after the other.

    counts: unsigned, numpy or dask; attributes: plain values of JSON. At most one band of shards, 256 MiB, and two
    bands of the source are in memory.
    """
    import zarr
    from zarr.codecs import BloscCodec

    layout = layout_of(counts.shape, counts.dtype.itemsize)
    with fast_codecs():
        array = zarr.create_array(
            folder,
            shape=counts.shape,
            dtype=counts.dtype.newbyteorder("="),
            shards=layout.shard,
            chunks=layout.block,
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
            dimension_names=("y", "x", "energy"),
            attributes=attributes,
        )
    for rows, band in shard_bands(counts, layout.shard[0], progress=progress):
        try:
            array[rows] = band
        except Exception:  # whatever stops the fast codecs: the plain ones decide
            array = zarr.open_array(folder, mode="r+")
            array[rows] = band


def count_shards(folder: Path) -> int:
    """Return how many shards lie in an array's folder; a shard without any count is not written."""
    return sum(file.is_file() for file in (folder / "c").rglob("*"))


def shard_bands(counts: Any, rows: int, *, progress: Progress = silent) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, counts) in bands of exactly `rows` rows (the last may be lower), whatever the source's own bands.

    Every part of the source is read once. The same buffer is filled again and again: use it before going on.
    """
    buffer = np.empty((min(rows, counts.shape[0]), *counts.shape[1:]), counts.dtype)
    start = filled = 0
    for _, band in bands(counts, stage="importing", progress=progress):
        while len(band):
            taken = min(len(buffer) - filled, len(band))
            buffer[filled : filled + taken] = band[:taken]
            band, filled = band[taken:], filled + taken
            if filled == len(buffer):
                yield slice(start, start + filled), buffer
                start, filled = start + filled, 0
    if filled:
        yield slice(start, start + filled), buffer[:filled]


@dataclass(frozen=True)
class ShardedCounts:
    """Array-like [y, x, channel] of counts written by `write_counts`. It travels between processes as its path."""

    folder: Path

    @cached_property
    def _array(self) -> Any:
        import zarr

        with fast_codecs():
            return zarr.open_array(self.folder, mode="r")

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardedCounts, (self.folder,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, channel)."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """Unsigned."""
        return self._array.dtype

    @property
    def block_rows(self) -> int:
        """Rows of a block: bands of a multiple of it decode no block twice."""
        return self._array.chunks[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read and decode one part."""
        try:
            return np.asarray(self._array[index])
        except Exception:  # whatever stops the fast codecs: the plain ones decide
            import zarr

            return np.asarray(zarr.open_array(self.folder, mode="r")[index])
