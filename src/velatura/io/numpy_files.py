"""What lies in an .npy or .npz file: headers checked against the file, values read lazily where they can be mapped."""

import struct
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from velatura.base.errors import FileFormatError
from velatura.io.mapped import MappedArray

LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member: ..., length of its name, length of its extra field
MOST_DEFLATED = 1032  # deflate cannot shrink data further (technical notes of zlib, Gailly & Adler)


@dataclass(frozen=True)
class Stored:
    """An array as a file declares it; its size agrees with the file's."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    offset: int | None
    """Bytes of the file before the first value; None where the array is compressed."""

    def seen_as(self, shape: tuple[int, ...]) -> Any:
        """Return the array, mapped or (compressed) read into memory, in another shape of the same size."""
        if self.offset is not None:
            return MappedArray(self.path, self.dtype, shape, self.offset, fortran=self.fortran)
        return self.load().reshape(shape, order="F" if self.fortran else "C")

    def load(self) -> np.ndarray:
        """Read all values."""
        if self.offset is not None:
            return np.array(self.seen_as(self.shape)[...])
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.name}.npy") as member:
            return np.lib.format.read_array(member, allow_pickle=False)


def read_npy(path: Path) -> Stored:
    """Read the header of an .npy file. Raises FileFormatError when it does not fit the file."""
    with path.open("rb") as file:
        shape, fortran, dtype, start = _header(file, path.name, path.stat().st_size)
    return Stored(path, path.stem, shape, dtype, fortran, start)


def read_npz(path: Path) -> dict[str, Stored]:
    """Read the headers of all arrays in an .npz file; what is no array is left out.

    Raises FileFormatError for arrays of objects and for headers that do not fit their member.
    """
    found = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".npy"):
                continue
            if member.file_size > MOST_DEFLATED * (member.compress_size + 64):
                raise FileFormatError(f"{path.name}: {member.filename} declares more bytes than it can hold; damaged")
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as file:
                shape, fortran, dtype, length = _header(file, f"{path.name}: {name}", member.file_size)
            start = _values_start(path, member) + length if member.compress_type == zipfile.ZIP_STORED else None
            found[name] = Stored(path, name, shape, dtype, fortran, start)
    return found


def _header(file: IO[bytes], name: str, room: int) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Read an .npy header: shape, Fortran order, dtype, its own length; `room`: bytes of header and values."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise FileFormatError(f"{name} holds pickled Python objects, which could run code. Save plain numbers instead")
    length, promised = file.tell(), prod(shape) * dtype.itemsize
    if length + promised != room:
        raise FileFormatError(
            f"{name} declares {shape} of {dtype}, {promised} bytes; found {room - length}. Copy or save it again"
        )
    return shape, fortran, dtype, length


def _values_start(path: Path, member: zipfile.ZipInfo) -> int:
    with path.open("rb") as file:
        file.seek(member.header_offset)
        return member.header_offset + LOCAL_HEADER.size + sum(LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size)))
