"""Bruker .bcf (M4 Tornado, M6 Jetstream, Esprit) read by rows in bounded memory.

At opening, one pass over the stream notes where each row begins, which pixels are there and the largest count; after
that any band of rows is decoded alone. `bcf_container.py` reads the file system, `bcf_header.py` the calibration,
`bcf_pixels.py` the pixels. The tests compare the counts with RosettaSciIO's.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from velatura.base.cube import lazy_counts
from velatura.base.errors import FileFormatError, InputError
from velatura.io.bcf_container import MAGIC, InflatedFile, StoredFile, list_files
from velatura.io.bcf_header import read_live_time, read_spectrum_header
from velatura.io.bcf_pixels import PADDING, Pixels, walk_row
from velatura.io.detectors import Detector, one_cube
from velatura.io.options import ReadOptions
from velatura.io.row_source import RowSource, narrowest

FIRST_ROW = 0x1A0
WINDOW = 2**23  # bytes of a stream looked at together
ROW_LIMIT = 2**28  # bytes of one row; more is damage
SIDE_LIMIT = 2**16  # rows, or pixels in a row; more is damage


def sniff(path: Path, head: bytes) -> bool:
    """Is this a Bruker .bcf? Told by the magic of its container."""
    return head.startswith(MAGIC)


def open_scan(path: Path, options: ReadOptions) -> xr.Dataset:
    """Lazy cube of a .bcf; its streams are summed, or `options.detector` picks one by number.

    Raises FileFormatError when the file is damaged and InputError when streams cannot be summed or picked.
    """
    files = list_files(path)
    streams = sorted(int(name[12:]) for name in files if name.startswith("SpectrumData") and name[12:].isdecimal())
    if not streams or "HeaderData" not in files:
        raise FileFormatError(
            f"{path.name} holds no spectra (found {', '.join(files) or 'nothing'}). Save the map with its spectra"
        )
    text = files["HeaderData"].read(0, files["HeaderData"].size).decode("cp1252", "replace")
    numbers = _choose(path, streams, options.detector)
    headers = [read_spectrum_header(text, number) for number in numbers]
    sources = [files[f"SpectrumData{number}"] for number in numbers]
    with damage_named(path):
        maps = [
            index_stream(source, header.channels, allow_truncated=options.allow_truncated)
            for source, header in zip(sources, headers, strict=True)
        ]
    if len({(one.height, one.width) for one in maps}) > 1:
        raise InputError(f"{path.name}: its streams differ in size. Give --detector {numbers[0]} to read one")
    channels = max(one.channels for one in maps)
    detectors = [
        Detector(str(number), lazy_counts(BcfRows(source, one, channels)), {"zero": header.zero, "gain": header.gain})
        for number, source, one, header in zip(numbers, sources, maps, headers, strict=True)
    ]
    cube = one_cube(
        detectors,
        valid=np.logical_and.reduce([one.valid for one in maps]),
        calibration="file: CalibAbs, CalibLin",
        **headers[0].acquisition,
    )
    live_time = read_live_time(text, maps[0].height, maps[0].width)
    return cube if live_time is None else cube.assign(live_time=(("y", "x"), live_time))


def _choose(path: Path, streams: list[int], detector: str | None) -> list[int]:
    if detector is None:
        return streams
    if not detector.isdecimal() or int(detector) not in streams:
        raise InputError(
            f"{path.name} has no detector {detector!r}; found {', '.join(map(str, streams))}. Give one of these"
        )
    return [int(detector)]


@dataclass(frozen=True)
class StreamMap:
    """Where the rows of a stream are and what it holds."""

    height: int
    width: int
    channels: int
    largest: int
    """No count exceeds it."""
    valid: np.ndarray
    """bool [y, x], True for the pixels that are stored"""
    starts: np.ndarray
    """int64 [height + 1], byte at which each row begins; rows that are not there begin where the last one ends"""


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn a ValueError about the content of a stream into a FileFormatError with the file's name."""
    try:
        yield
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"{path.name} is damaged: {error}. Copy it again from the scanner") from error


def index_stream(file: StoredFile | InflatedFile, channels: int, *, allow_truncated: bool = False) -> StreamMap:
    """Walk once over a stream of at least `channels` channels. Raises ValueError or FileFormatError when it is damaged.

    allow_truncated: rows that are not wholly there are left out instead.
    """
    if file.size < FIRST_ROW:
        raise FileFormatError(
            f"{file.path.name}: a stream of {file.size} bytes has no rows; the scan is empty or cut short"
        )
    height, width = struct.unpack("<ii", file.read(0, 8))
    plausible = 8 * file.size + 2**16  # pixels: a stored one takes 22 bytes, and few scans are nearly empty
    if min(height, width) < 1 or max(height, width) > SIDE_LIMIT or height * width > plausible:
        raise ValueError(f"a scan of {height} x {width} pixels is not plausible")
    valid, largest = np.zeros((height, width), bool), 0
    starts = np.full(height + 1, FIRST_ROW, np.int64)
    span = (FIRST_ROW, file.present if allow_truncated else file.size)
    for block in row_blocks(file, span, rows=height, width=width, allow_truncated=allow_truncated):
        starts[block.first : block.first + len(block.starts)] = block.starts
        starts[block.first + len(block.starts) :] = block.stop
        y, x = block.y, block.pixels.heads["x"]
        if np.any(x >= width) or len(np.unique(y * width + x)) < len(x):
            raise ValueError(f"pixels beside or upon each other in row {block.first} or soon after")
        valid[y, x] = True
        channels = max(channels, int(block.pixels.heads["channels"].max(initial=0)))
        largest = max([largest, *(batch.largest() for _, batch in block.pixels.batches())])
    return StreamMap(height, width, channels, largest, valid, starts)


class BcfRows(RowSource):
    """Counts of one stream."""

    def __init__(self, file: StoredFile | InflatedFile, stream: StreamMap, channels: int) -> None:
        self.file, self.starts = file, stream.starts
        self.shape, self.dtype = (stream.height, stream.width, channels), narrowest(stream.largest)

    def read_rows(self, first: int, last: int) -> np.ndarray:
        """Decode some rows; absent pixels stay zero."""
        _, width, channels = self.shape
        counts = np.zeros((last - first, width, channels), self.dtype)
        span = (int(self.starts[first]), int(self.starts[last]))
        with damage_named(self.file.path):
            for block in row_blocks(self.file, span, rows=last - first, width=width):
                slots = block.y * width + block.pixels.heads["x"]
                for part, batch in block.pixels.batches():
                    batch.add_to(counts.reshape(-1, channels), slots[part])
        return counts


@dataclass(frozen=True)
class RowBlock:
    """Some neighbouring rows of a stream."""

    first: int
    """number of the first row, from where the reading began"""
    starts: list[int]
    """byte of the stream at which each row begins"""
    stop: int
    """byte behind the last of them"""
    y: np.ndarray
    """row number of every pixel, as `first`"""
    pixels: Pixels


def row_blocks(
    file: StoredFile | InflatedFile, span: tuple[int, int], *, rows: int, width: int, allow_truncated: bool = False
) -> Iterator[RowBlock]:
    """Read at most `rows` rows between two bytes of a stream, as many at once as fit WINDOW bytes.

    A stream that ends after a whole row gives fewer rows: the scan was stopped. One that ends within a row raises
    FileFormatError, or gives fewer rows with `allow_truncated`.
    """
    (at, stop), done, window = span, 0, WINDOW
    while at < stop and done < rows:
        data = file.read(at, min(stop, at + window))
        local, starts, stored, positions = 0, [], [], []
        while local < len(data) and done + len(starts) < rows:
            try:
                row, after = walk_row(data, local, width)
            except struct.error:
                break
            if after > len(data):
                break
            starts.append(at + local)
            stored.append(len(row))
            positions += row
            local = after
        if starts:
            block = np.frombuffer(data[:local] + bytes(PADDING), np.uint8)
            y = np.repeat(np.arange(done, done + len(starts)), stored)
            yield RowBlock(done, starts, at + local, y, Pixels(block, np.array(positions, np.int64)))
            at, done, window = at + local, done + len(starts), WINDOW
        elif at + len(data) == stop and allow_truncated:
            return
        elif at + len(data) == stop or window > ROW_LIMIT:
            raise FileFormatError(
                f"{file.path.name} ends within row {done} of {rows}. Copy it again, "
                "or give --allow-truncated to read the whole rows"
            )
        else:
            window *= 2
