"""The file system inside a Bruker .bcf: numbered chunks, a tree of names, optional zlib blocks. Read, never written.

Layout (little endian). At 0x124 float32 version, uint32 chunk size; at 0x140 uint32 first chunk of the tree, items.
Chunk n begins at 0x118 + n * chunk size with 32 bytes of its own; the first uint32 is the next chunk of a chain.
The tree is a chain of chunks with whole 512-byte entries; the table of a file is a chain of chunk numbers.
A compressed file begins with `AACS`; before each block stand 16 bytes (packed size, size, checksum, next block).
"""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from velatura.base.errors import FileFormatError

MAGIC = b"AAMVHFSS"
FIRST_CHUNK, CHUNK_HEAD, ENTRY = 0x118, 32, 512
BLOCK_LIMIT = 2**26  # a zlib block of more bytes is damage: Esprit writes 512 KiB


class StoredFile:
    """One file of the container, as stored: `size` bytes of which any part can be read."""

    def __init__(self, path: Path, chunk_size: int, chunks: np.ndarray, size: int) -> None:
        self.path, self.chunk_size, self.chunks, self.size = path, chunk_size, chunks, size

    @property
    def present(self) -> int:
        """Bytes that can be read: all of them, unless the container is cut short."""
        ends = FIRST_CHUNK + (self.chunks.astype(np.int64) + 1) * self.chunk_size
        missing = np.flatnonzero(ends > self.path.stat().st_size)
        return min(self.size, int(missing[0]) * (self.chunk_size - CHUNK_HEAD)) if len(missing) else self.size

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes start to stop; chunks that lie side by side are read at once."""
        usable = self.chunk_size - CHUNK_HEAD
        skipped = start // usable
        numbers = self.chunks[skipped : -(-stop // usable)].astype(np.int64)
        with self.path.open("rb") as file:
            runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
            parts = [_payload(file, int(run[0]), len(run), self.chunk_size) for run in runs if len(run)]
        data = b"".join(parts)[start - skipped * usable : stop - skipped * usable]
        if len(data) != stop - start:
            raise _cut_short(self.path, stop - start, len(data))
        return data


class InflatedFile:
    """A file of the container behind zlib blocks; the block used last is kept."""

    def __init__(self, stored: StoredFile) -> None:
        self.path, self._stored, self._last = stored.path, stored, (-1, b"")
        block, _, blocks = struct.unpack("<III", stored.read(4, 16))
        at, starts, sizes = 0x80, [], []
        while len(starts) < blocks and at + 16 <= stored.present:
            packed, size = struct.unpack("<II", stored.read(at, at + 8))
            if at + 16 + packed > stored.present:
                break
            starts.append((at + 16, at + 16 + packed))
            sizes.append(size)
            at += 16 + packed
        if not blocks or max([block, *sizes]) > BLOCK_LIMIT:
            raise FileFormatError(
                f"{self.path.name}: damaged list of {blocks} compressed blocks. Copy it again from the scanner"
            )
        self._starts, self._edges = starts, np.cumsum([0, *sizes])
        self.present = int(self._edges[-1])
        self.size = self.present if len(starts) == blocks else blocks * block  # at most; some are missing

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes start to stop; only the blocks that hold them are unpacked."""
        first = int(np.searchsorted(self._edges, start, "right")) - 1
        last = min(int(np.searchsorted(self._edges, stop, "left")), len(self._starts))
        data = b"".join(self._block(number) for number in range(first, last))
        data = data[start - int(self._edges[first]) : stop - int(self._edges[first])]
        if len(data) != stop - start:
            raise _cut_short(self.path, stop - start, len(data))
        return data

    def _block(self, number: int) -> bytes:
        kept, data = self._last
        if kept != number:
            size = int(self._edges[number + 1] - self._edges[number])
            try:
                data = zlib.decompressobj().decompress(self._stored.read(*self._starts[number]), size)
            except zlib.error as error:
                raise FileFormatError(f"{self.path.name}: compressed block {number} is damaged ({error})") from error
            if len(data) != size:
                raise FileFormatError(
                    f"{self.path.name}: compressed block {number} holds {len(data)} bytes, not {size}"
                )
            self._last = (number, data)
        return data


def _cut_short(path: Path, asked: int, found: int) -> FileFormatError:
    return FileFormatError(
        f"{path.name} is cut short: {asked} bytes of a file inside it were asked, {found} are there. "
        "Copy it again, or give --allow-truncated to read the whole rows"
    )


def list_files(path: Path) -> dict[str, StoredFile | InflatedFile]:
    """Return the files of the container by name. Raises FileFormatError when it is damaged or something else."""
    total = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(FIRST_CHUNK + CHUNK_HEAD + 16)
        if len(head) < FIRST_CHUNK + CHUNK_HEAD + 16 or head[:8] != MAGIC:
            raise FileFormatError(f"{path.name} is no Bruker .bcf: it begins with {head[:8]!r}, not {MAGIC!r}")
        _, chunk_size = struct.unpack_from("<fI", head, 0x124)
        tree, items = struct.unpack_from("<II", head, 0x140)
        if chunk_size < ENTRY + CHUNK_HEAD or chunk_size > total or items * ENTRY > total:
            raise FileFormatError(f"{path.name}: damaged head (chunks of {chunk_size} bytes, {items} entries)")
        each = (chunk_size - CHUNK_HEAD) // ENTRY
        entries = b"".join(part[: each * ENTRY] for part in _chain(file, tree, -(-items // each), chunk_size))
        found: dict[str, StoredFile | InflatedFile] = {}
        for at in range(0, min(items * ENTRY, len(entries) - ENTRY + 1), ENTRY):
            table, size = struct.unpack_from("<iQ", entries, at)
            name = entries[at + 224 : at + 480].split(b"\0")[0].decode("latin-1")
            folder = entries[at + 220]
            if not folder and table >= 0 and 0 < size <= total:
                stored = _stored(path, file, chunk_size, (table, size))
                found[name] = InflatedFile(stored) if stored.read(0, min(4, size)) == b"AACS" else stored
    return found


def _stored(path: Path, file: BinaryIO, chunk_size: int, place: tuple[int, int]) -> StoredFile:
    table, size = place
    count = -(-size // (chunk_size - CHUNK_HEAD))
    parts = b"".join(_chain(file, table, -(-count * 4 // (chunk_size - CHUNK_HEAD)), chunk_size))
    if len(parts) < count * 4:
        raise FileFormatError(
            f"{path.name} is cut short: its list of chunks is incomplete. Copy it again from the scanner"
        )
    return StoredFile(path, chunk_size, np.frombuffer(parts, "<u4", count), size)


def _chain(file: BinaryIO, number: int, count: int, chunk_size: int) -> list[bytes]:
    """Payloads of `count` chunks from `number` on, following the links."""
    parts = []
    for _ in range(count):
        file.seek(FIRST_CHUNK + number * chunk_size)
        link = file.read(4)
        parts.append(_payload(file, number, 1, chunk_size))
        number = int.from_bytes(link, "little")
    return parts


def _payload(file: BinaryIO, first: int, count: int, chunk_size: int) -> bytes:
    """What `count` neighbouring chunks hold, less their own 32 bytes; short at the end of the file."""
    file.seek(FIRST_CHUNK + first * chunk_size)
    data = file.read(count * chunk_size)
    whole = len(data) // chunk_size * chunk_size
    body = np.frombuffer(data[:whole], np.uint8).reshape(-1, chunk_size)[:, CHUNK_HEAD:]
    return body.tobytes() + data[whole + CHUNK_HEAD :]
