"""All formats, and the one way to open a scan: recognised by content first, by suffix only among what fits."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from velatura.base.errors import FileFormatError, InputError, VelaturaError, did_you_mean
from velatura.io import arrays, bcf, hdf5, mca, rpl, store
from velatura.io.axes import turn_odd_rows
from velatura.io.options import DEFAULTS, ReadOptions

HEAD_BYTES = 1024
WHOLE_HASH = 2**30  # larger originals are hashed by samples
PIECE = 2**20
SAMPLES = 64


@dataclass(frozen=True)
class Format:
    """One kind of scan: two functions, `sniff` to tell whether a file is of this kind and `open` to make the cube."""

    name: str
    """As a user would say it, e.g. "Bruker .bcf"."""
    suffixes: tuple[str, ...]
    """Usual suffixes, lower case, with the dot; empty for folders."""
    sniff: Callable[[Path, bytes], bool]
    """(path, first 1024 bytes; empty for a folder) -> is it of this format? Never raises."""
    open: Callable[[Path, ReadOptions], xr.Dataset]
    """Lazy cube of the file; raises FileFormatError or InputError with one clear message."""


FORMATS = (
    Format("workspace .zarr", (".zarr",), store.sniff, store.open_scan),
    Format("Bruker .bcf", (".bcf",), bcf.sniff, bcf.open_scan),
    Format("HDF5, NeXus", (".h5", ".hdf5", ".hdf", ".nxs", ".he5"), hdf5.sniff, hdf5.open_scan),
    Format("folder of .mca or .txt", (".mca",), mca.sniff, mca.open_scan),
    Format("NumPy .npy", (".npy",), arrays.sniff_npy, arrays.open_npy),
    Format("NumPy .npz", (".npz",), arrays.sniff_npz, arrays.open_npz),
    Format("LISPIX .rpl + .raw", (".rpl", ".raw"), rpl.sniff, rpl.open_scan),
)


def recognise(path: Path) -> Format:
    """Return the format of a file or folder, by its content; the suffix decides among those that fit.

    Raises InputError when nothing is there and FileFormatError for an empty file or an unknown content.
    """
    if not path.exists():
        near = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
        raise InputError(f"no file or folder {path}{did_you_mean(path.name, near)}")
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if not head:
            raise FileFormatError(f"{path.name} is empty (0 bytes). Copy it again from the scanner")
    fitting = [form for form in FORMATS if form.sniff(path, head)]
    if not fitting:
        named = [form.name for form in FORMATS if path.suffix.lower() in form.suffixes]
        found = f"its name says {named[0]} but its content does not" if named else "its content is of none of these"
        raise FileFormatError(
            f"{path.name}: {found}; is it damaged, or not a scan? "
            f"Velatura reads {', '.join(form.name for form in FORMATS)}"
        )
    return min(fitting, key=lambda form: path.suffix.lower() not in form.suffixes)


def open_scan(path: Path | str, options: ReadOptions = DEFAULTS) -> xr.Dataset:
    """Open any scan lazily as a cube; attribute `source` tells the name and the hash of the original.

    Whatever goes wrong with a broken file comes out as FileFormatError with the file's name; wrong options as
    InputError.
    """
    path = Path(path)
    try:
        form = recognise(path)
        cube = form.open(path, options)
        if options.serpentine and not cube.counts.attrs.get("serpentine"):
            cube = turn_odd_rows(cube)
        if "source" not in cube.counts.attrs:
            cube.counts.attrs["source"] = f"{path.name} {fingerprint(path)}"
    except VelaturaError:
        raise
    except Exception as error:
        told = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"{path.name} cannot be read: {type(error).__name__}: {told}. "
            "It is damaged or mislabelled: copy it again from the scanner"
        ) from error
    return cube


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of an original as text: "sha256:..." for one of at most 1 GiB.

    Larger ones are not read as a whole: the size and 64 evenly spread MiB of each file, the first and the last among
    them, are hashed: "sha256-of-64-MiB:...". A folder, or an .rpl with its .raw, is hashed file by file with the names.
    """
    files = _originals(path)
    whole = sum(file.stat().st_size for file in files) <= WHOLE_HASH
    digest = hashlib.sha256()
    for file in files:
        if len(files) > 1:
            digest.update(file.name.encode())
        for piece in _pieces(file, whole=whole):
            digest.update(piece)
    return f"sha256{'' if whole else f'-of-{SAMPLES}-MiB'}:{digest.hexdigest()}"


def _originals(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return list(rpl.pair(path)) if path.suffix.lower() in (".rpl", ".raw") else [path]


def _pieces(file: Path, *, whole: bool) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if whole or size <= SAMPLES * PIECE:
            while piece := stream.read(PIECE):
                yield piece
            return
        yield str(size).encode()
        for sample in range(SAMPLES):
            stream.seek(sample * (size - PIECE) // (SAMPLES - 1))
            yield stream.read(PIECE)
