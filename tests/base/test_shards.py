"""Counts on disk: bounded bands of whole shards, the same values by fast and plain codecs."""

import sys
from copy import deepcopy
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.codec_pipeline import BatchedCodecPipeline

from velatura.base import shards
from velatura.base.shards import BLOCK_BAND_BYTES, SHARD_BAND_BYTES, ShardedCounts, layout_of, shard_bands, write_counts

SHAPES = [(1, 1, 1), (11, 11, 2000), (130, 30, 300), (3, 700, 130)]


@given(
    shape=st.tuples(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 16_384)),
    itemsize=st.sampled_from([1, 2, 4]),
)
def test_layout_bounds_memory_and_fits_together(shape: tuple[int, int, int], itemsize: int) -> None:
    layout = layout_of(shape, itemsize)
    row = shape[1] * shape[2] * itemsize
    assert layout.shard[0] * row <= max(SHARD_BAND_BYTES, row)
    assert layout.block[0] * row <= max(BLOCK_BAND_BYTES, row)
    assert all(shard % block == 0 for shard, block in zip(layout.shard, layout.block, strict=True))
    assert layout.shard[2] >= shape[2]
    assert layout.block[0] * layout.block[1] == 625


@settings(deadline=None, max_examples=30)
@given(chunks=st.lists(st.integers(1, 7), min_size=1, max_size=6), rows=st.integers(1, 9))
def test_bands_are_cut_anew_without_loss(chunks: list[int], rows: int) -> None:
    counts = np.arange(sum(chunks) * 6, dtype=np.uint16).reshape(-1, 2, 3)
    found = [
        (band.start, band.stop, part.copy())
        for band, part in shard_bands(da.from_array(counts, (tuple(chunks), 2, 3)), rows)
    ]
    assert np.array_equal(np.concatenate([part for *_, part in found]), counts)
    assert [start for start, *_ in found] == list(range(0, sum(chunks), rows))
    assert [stop - start for start, stop, _ in found] == [len(part) for *_, part in found]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "u4"])
def test_write_then_read_is_identity(tmp_path: Path, rng: np.random.Generator, shape: tuple, dtype: str) -> None:
    counts = rng.poisson(0.5, shape).astype(dtype)
    write_counts(tmp_path / "counts", counts, attributes={"zero": 1.5})
    read = ShardedCounts(tmp_path / "counts")
    assert read.shape == shape
    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(read[:], counts)
    assert np.array_equal(read[0, 0], counts[0, 0])
    assert np.array_equal(deepcopy(read)[:, 0, :1], counts[:, 0, :1])
    assert zarr.open_array(tmp_path / "counts").attrs["zero"] == 1.5


def without_zarrs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarrs", None)


def test_fast_and_plain_codecs_read_each_other(tmp_path: Path, rng, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = rng.poisson(0.5, (130, 30, 300)).astype(np.uint16)
    fast, slow = tmp_path / "fast", tmp_path / "plain"
    write_counts(fast, counts, attributes={})
    assert type(ShardedCounts(fast)._array._async_array.codec_pipeline).__name__ == "ZarrsCodecPipeline"
    by_fast = ShardedCounts(fast)[:]
    without_zarrs(monkeypatch)
    write_counts(slow, counts, attributes={})
    assert isinstance(ShardedCounts(fast)._array._async_array.codec_pipeline, BatchedCodecPipeline)
    assert np.array_equal(ShardedCounts(fast)[:], by_fast)
    monkeypatch.undo()
    assert np.array_equal(ShardedCounts(slow)[:], counts)
    assert np.array_equal(by_fast, counts)


class FailingPipeline(BatchedCodecPipeline):
    """Codecs that can be loaded and then fail at work."""

    async def read(self, *args, **kwargs):
        raise RuntimeError("codec broke")

    async def write(self, *args, **kwargs):
        raise RuntimeError("codec broke")


def test_failing_fast_codecs_are_replaced_by_plain_ones(tmp_path: Path, rng, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = rng.poisson(0.5, (130, 30, 300)).astype(np.uint16)
    zarr.registry.register_pipeline(FailingPipeline)
    name = f"{FailingPipeline.__module__}.{FailingPipeline.__qualname__}"
    monkeypatch.setattr(shards, "fast_codecs", lambda: zarr.config.set({"codec_pipeline.path": name}))
    write_counts(tmp_path / "counts", counts, attributes={})
    read = ShardedCounts(tmp_path / "counts")
    assert isinstance(read._array._async_array.codec_pipeline, FailingPipeline)
    assert np.array_equal(read[:], counts)
