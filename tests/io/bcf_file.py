"""A small writer of Bruker .bcf files, so that the reader can be tried without anybody's data.

Not a test: `test_bcf.py` and `benchmarks/bcf.py` run this file with `runpy` and take its functions.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

SPECTRUM_XML = """<SpectrumData{n}><ClassInstance Type="TRTSpectrum"><TRTHeaderedClass>
<ClassInstance Type="TRTXrfHeader"><Voltage>50</Voltage><Anode>45</Anode><ExcitationAngle>{angle}</ExcitationAngle>
<DetectionAngle>5,1E1</DetectionAngle></ClassInstance></TRTHeaderedClass>
<ClassInstance Type="TRTSpectrumHeader"><ChannelCount>{channels}</ChannelCount><CalibAbs>{zero}</CalibAbs>
<CalibLin>{gain}</CalibLin></ClassInstance><Channels>{sum}</Channels></ClassInstance></SpectrumData{n}>"""


def header_xml(
    spectra: int = 1, *, channels: int = 64, zero: str = "-9,5E-1", gain: str = "1E-2", extra: str = ""
) -> bytes:
    """Acquisition header of `spectra` streams, with a decimal comma and a tag name that XML forbids."""
    body = "".join(
        SPECTRUM_XML.format(n=n, channels=channels, zero=zero, gain=gain, angle="5E1", sum=",".join("0" * channels))
        for n in range(spectra)
    )
    sem = '<ClassInstance Type="TRTSEMData"><HV>20</HV><DX>5E2</DX><DY>500,0</DY></ClassInstance>'
    text = f'<?xml version="1.0" encoding="WINDOWS-1252"?><TRT><0bad name>\x80</0bad name>{sem}{extra}{body}</TRT>'
    return text.encode("latin-1")


def pulses(spectrum: np.ndarray, bits: int) -> tuple[int, int, int, bytes]:
    """(flag, run-length bytes, pulses, data) of a pixel as a list of 16-bit or packed 12-bit channels."""
    channel = np.repeat(np.arange(len(spectrum)), spectrum)
    if bits == 16:
        return 0, 0, len(channel), channel.astype("<u2").tobytes()
    bit = (channel[:, None] >> np.arange(11, -1, -1)) & 1
    packed = np.packbits(np.concatenate([bit.ravel(), np.zeros(-bit.size % 16, int)]).astype(np.uint8))
    return 1, 0, len(channel), packed.view(">u2").astype("<u2").tobytes()


def runs(spectrum: np.ndarray, *, flag: int = 3, gain: int = 0, run: int = 200, extra: Iterable[int] = ()) -> tuple:
    """The same pixel as run-length instructions, each of the narrowest item that holds its values, and single pulses.

    gain: subtracted from a run where all its values allow it; extra: channels of pulses appended after the runs.
    """
    data, extra = bytearray(), list(extra)
    edges = np.flatnonzero(np.diff(spectrum > 0)) + 1
    for part in np.split(spectrum.astype(np.int64), edges):
        for start in range(0, len(part), run):
            values = part[start : start + run]
            if values[0] == 0:
                data += bytes([0, len(values)])
                continue
            base = gain if values.min() >= gain else 0
            item = next(k for k in (1, 2, 4, 8) if (values - base).max() < 1 << 4 * k)
            data += bytes([item, len(values)]) + base.to_bytes(item, "little")
            if item == 1:
                nibbles = np.append(values - base, 0)[: len(values) + len(values) % 2].astype(np.uint8)
                data += (nibbles[::2] | nibbles[1::2] << 4).tobytes()
            else:
                data += (values - base).astype(f"<u{item // 2}").tobytes()
    return flag, len(data), len(extra), bytes(data) + np.array(extra, "<u2").tobytes()


def row_bytes(pixels: Iterable[tuple[int, int, tuple[int, int, int, bytes]]]) -> bytes:
    """One row of a stream from its stored pixels (x, channels used, encoded spectrum)."""
    stored = [
        struct.pack("<IHHIHHHI", x, used, used, 12 << 16, flag, size, count, len(data)) + data
        for x, used, (flag, size, count, data) in pixels
    ]
    return struct.pack("<i", len(stored)) + b"".join(stored)


def stream_head(height: int, width: int) -> bytes:
    """What stands before the first row of a stream."""
    return struct.pack("<iii", height, width, 4096).ljust(0x1A0, b"\0")


def compress(data: bytes, block: int = 4096) -> bytes:
    """The same file in zlib blocks behind an `AACS` header."""
    parts = [data[at : at + block] for at in range(0, len(data), block)]
    out = struct.pack("<4sIII", b"AACS", block, 0, len(parts)).ljust(0x80, b"\0")
    for part in parts:
        packed = zlib.compress(part, 1)
        out += struct.pack("<IIII", len(packed), len(part), zlib.crc32(part), len(out) + 16 + len(packed)) + packed
    return out


def write_bcf(path: Path, files: dict[str, tuple[int, Iterable[bytes]]], *, chunk_size: int = 4096) -> None:
    """Write the container; `files`: name -> (size in bytes, its pieces in order), kept in EDSDatabase.

    Tables of chunks that need several chunks are chained backwards, so that the order on disk is not the logical one.
    """
    usable = chunk_size - 32
    each = usable // 512  # entries of the tree do not cross chunks
    tree_chunks = -(-(len(files) + 1) // each)
    entries, at = [_entry("EDSDatabase", -1, 0)], 1 + tree_chunks
    with path.open("wb") as out:
        out.write(bytes(0x118 + chunk_size * at))  # chunk 0 holds the head
        for name, (size, pieces) in files.items():
            count = -(-size // usable)
            tables = max(1, -(-count * 4 // usable))
            table = np.arange(at + tables, at + tables + count, dtype="<u4").tobytes()
            for k in reversed(range(tables)):
                after = at + tables - 2 - k if k + 1 < tables else 0xFFFFFFFF
                _write_chunk(out, table[k * usable : (k + 1) * usable], usable, after)
            for chunk in _chunks(pieces, usable):
                _write_chunk(out, chunk, usable)
            entries.append(_entry(name, at + tables - 1, size))
            at += tables + count
        out.seek(0x118 + chunk_size)
        for k in range(tree_chunks):
            after = k + 2 if k + 1 < tree_chunks else 0xFFFFFFFF
            _write_chunk(out, b"".join(entries[k * each : (k + 1) * each]), usable, after)
        out.seek(0)
        out.write(b"AAMVHFSS")
        out.seek(0x124)
        out.write(struct.pack("<fI", 2.6, chunk_size))
        out.seek(0x140)
        out.write(struct.pack("<III", 1, len(entries), at))


def _entry(name: str, table: int, size: int) -> bytes:
    """One line of the tree; a folder has no table."""
    parent = 0 if table >= 0 else -1
    numbers = (table, size, 0, 0, 0, 0, parent)
    return struct.pack("<iQQQQIi176s?3s256s32s", *numbers, b"", table < 0, b"", name.encode(), b"")


def _write_chunk(out: BinaryIO, payload: bytes, usable: int, after: int = 0xFFFFFFFF) -> None:
    out.write(struct.pack("<I28x", after) + payload.ljust(usable, b"\0"))


def _chunks(pieces: Iterable[bytes], usable: int) -> Iterator[bytes]:
    """Cut the pieces into blocks of `usable` bytes, the last one padded."""
    held = b""
    for piece in pieces:
        held += piece
        whole = len(held) // usable * usable
        yield from (held[at : at + usable] for at in range(0, whole, usable))
        held = held[whole:]
    if held:
        yield held.ljust(usable, b"\0")
