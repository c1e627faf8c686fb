"""Bands of rows: all rows once and in order, whatever the source, and failures told in one message."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.base.blocks import bands, row_bands
from velatura.base.errors import FileFormatError, InputError

heights = st.lists(st.integers(1, 5), min_size=1, max_size=8)


@given(chunks=heights, limit=st.integers(1, 400), lazy=st.booleans())
def test_bands_cover_all_rows_once_and_keep_to_the_limit(chunks: list[int], limit: int, lazy: bool) -> None:
    counts = np.zeros((sum(chunks), 2, 3), np.uint16)
    source = da.from_array(counts, chunks=(tuple(chunks), 2, 3)) if lazy else counts
    found = row_bands(source, limit=limit)
    assert [row for band in found for row in range(band.start, band.stop)] == list(range(sum(chunks)))
    edges = set(np.cumsum([0, *chunks]).tolist())
    for band in found:
        inside = [edge for edge in edges if band.start < edge < band.stop]
        assert (band.stop - band.start) * 12 <= limit or (not inside if lazy else band.stop - band.start == 1)
        assert not lazy or {band.start, band.stop} <= edges


@settings(deadline=None, max_examples=25)
@given(chunks=heights, limit=st.integers(1, 200))
def test_bands_bring_the_counts(chunks: list[int], limit: int) -> None:
    counts = np.arange(sum(chunks) * 6, dtype=np.uint16).reshape(-1, 2, 3)
    source = da.from_array(counts, chunks=(tuple(chunks), 2, 3))
    told = []
    read = [band for _, band in bands(source, limit=limit, progress=lambda *step: told.append(step))]
    assert np.array_equal(np.concatenate(read), counts)
    assert told[0] == ("reading", 0, len(read))
    assert told[-1] == ("reading", len(read), len(read))


def test_caller_may_cancel() -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    read = bands(np.zeros((9, 2, 3), np.uint16), limit=12, progress=stop)
    assert len([next(read), next(read)]) == 2
    with pytest.raises(KeyboardInterrupt):
        next(read)


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (OSError("device gone"), FileFormatError, r"rows 2 to 3 cannot be read: OSError: device gone.*Copy the file"),
        (MemoryError(), FileFormatError, "MemoryError"),
        (InputError("a message of ours"), InputError, "^a message of ours$"),
    ],
)
def test_failing_source_is_told_by_its_rows(failure: Exception, kind: type, message: str) -> None:
    def fail(block: np.ndarray, block_info=None) -> np.ndarray:
        if block_info[0]["chunk-location"][0] == 1:
            raise failure
        return block

    source = da.zeros((6, 2, 3), dtype=np.uint16, chunks=(2, 2, 3)).map_blocks(fail, dtype=np.uint16)
    with pytest.raises(kind, match=message):
        list(bands(source, limit=24))
