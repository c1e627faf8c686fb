"""LISPIX .rpl + .raw: a text file of keys that describes a plain binary cube, also as ESPRIT exports it (M6).

Source: the LISPIX documentation of the format (D. Bright, NIST). Keys without meaning for a cube are left alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from velatura.base.cube import lazy_counts, make_cube
from velatura.base.errors import FileFormatError
from velatura.io.mapped import MappedArray, Ordered
from velatura.io.options import ReadOptions, refuse

TEXT_BYTES = 64 * 1024
KINDS = {"unsigned": "u", "signed": "i", "float": "f"}
LENGTHS = {"u": (1, 2, 4, 8), "i": (1, 2, 4, 8), "f": (2, 4, 8)}
ORDERS = {"big-endian": ">", "little-endian": "<", "dont-care": "<"}
SIZES = ("width", "height", "depth")
NEEDED = (*SIZES, "data-length", "data-type", "record-by")
TO_KEV = {"kev": 1.0, "ev": 1e-3}
TO_MM = {"mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "nm": 1e-6, "m": 1e3}
EXAMPLE = (
    "width 100, height 80, depth 4096, offset 0, data-length 2, data-type unsigned, byte-order little-endian, "
    "record-by vector"
)


def sniff(path: Path, head: bytes) -> bool:
    """Tell whether this is an .rpl text, or a .raw file (which has no mark of its own)."""
    if path.suffix.lower() == ".raw":
        return path.is_file()
    return set(SIZES) <= {line.split()[0] for line in _text(head).lower().splitlines() if line.strip()}


def pair(path: Path) -> tuple[Path, Path]:
    """Return the (.rpl, .raw) files that belong together. Raises FileFormatError when one is missing."""
    beside = {
        file.suffix.lower(): file
        for file in sorted(path.parent.iterdir())
        if file.stem == path.stem and file.suffix.lower() in (".rpl", ".raw")
    }
    kind = ".raw" if path.suffix.lower() == ".raw" else ".rpl"
    beside[kind] = path
    if ".rpl" not in beside:
        raise FileFormatError(
            f"{path.name} needs {path.stem}.rpl beside it, a text of lines key<TAB>value; found none. "
            f"Export it again or write: {EXAMPLE}"
        )
    if ".raw" not in beside:
        raise FileFormatError(f"{path.name} needs its counts in {path.stem}.raw beside it; found none. Copy both files")
    return beside[".rpl"], beside[".raw"]


def read_keys(rpl: Path) -> dict[str, str]:
    """Return the keys (lower case) and values (as they are) of an .rpl text; comments after `;` are left out."""
    with rpl.open("rb") as file:
        text = _text(file.read(TEXT_BYTES))
    pairs = (line.split(";")[0].split(maxsplit=1) for line in text.splitlines())
    return {words[0].lower().replace("_", "-"): words[1].strip() for words in pairs if len(words) == 2}


def _text(content: bytes) -> str:
    """Decode UTF-8, with or without its mark, or what older programs write."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


@dataclass(frozen=True)
class Layout:
    """Where the values of a .raw file lie."""

    width: int
    height: int
    depth: int
    offset: int
    dtype: np.dtype
    record_by: str

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of spectra."""
        return self.width * self.depth * self.dtype.itemsize


def read_layout(rpl: Path) -> Layout:
    """Read and check the keys that say how the .raw file is laid out. Raises FileFormatError."""
    keys = read_keys(rpl)
    if missing := [key for key in NEEDED if key not in keys]:
        raise FileFormatError(f"{rpl.name} must give {', '.join(NEEDED)}; missing: {', '.join(missing)}. Add them")
    width, height, depth, length = (_whole(rpl, keys, key, least=1) for key in (*SIZES, "data-length"))
    offset = _whole(rpl, {"offset": "0"} | keys, "offset", least=0)
    kind = KINDS[_choice(rpl, keys, "data-type", tuple(KINDS))]
    if length not in LENGTHS[kind]:
        raise FileFormatError(
            f"{rpl.name}: data-length of {keys['data-type']} must be in {LENGTHS[kind]}; found {length}"
        )
    order = ORDERS[_choice(rpl, {"byte-order": "dont-care"} | keys, "byte-order", tuple(ORDERS))]
    records = ("vector", "image", "dont-care") if depth == 1 or width * height == 1 else ("vector", "image")
    record_by = _choice(rpl, keys, "record-by", records)
    return Layout(width, height, depth, offset, np.dtype(f"{order}{kind}{length}"), record_by)


def _whole(rpl: Path, keys: dict[str, str], key: str, *, least: int) -> int:
    value = _number(rpl, keys, key)
    if not value >= least or value != int(value):
        raise FileFormatError(f"{rpl.name}: {key} must be a whole number of at least {least}; found {keys[key]}")
    return int(value)


def _number(rpl: Path, keys: dict[str, str], key: str) -> float:
    try:
        value = float(keys[key].replace(",", "."))
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise FileFormatError(f'{rpl.name}: {key} must be a number; found "{keys[key]}". Correct the text file')
    return value


def _choice(rpl: Path, keys: dict[str, str], key: str, known: tuple[str, ...]) -> str:
    if (value := keys[key].lower().replace("'", "")) not in known:
        raise FileFormatError(f'{rpl.name}: {key} must be one of {", ".join(known)}; found "{keys[key]}"')
    return value


def acquisition(rpl: Path) -> dict[str, Any]:
    """Return the calibration [keV] and the pitch [mm] that the text gives, in the words of `make_cube`."""
    keys = read_keys(rpl)
    found: dict[str, Any] = {"calibration": "assumed: 10 eV a channel from 0 keV"}
    for origin, step, units, assumed in (
        ("depthscaleorigin", "depthscaleincrement", "depthscaleunits", "kev"),
        ("depth-origin", "depth-scale", "depth-units", "ev"),
        ("", "ev-per-chan", "", "ev"),
    ):
        factor = TO_KEV.get(keys.get(units, assumed).lower())
        if factor and keys.get(step, "dont-know")[:4].lower() != "dont":
            zero = _number(rpl, keys, origin) * factor if origin in keys else 0.0
            found = {"zero": zero, "gain": _number(rpl, keys, step) * factor, "calibration": f"file: {step}"}
            break
    if (factor := TO_MM.get(keys.get("width-units", "").lower())) and "width-scale" in keys:
        found["pitch"] = _number(rpl, keys, "width-scale") * factor
    return found


def open_scan(path: Path, options: ReadOptions) -> xr.Dataset:
    """Open the pair of files lazily as a cube.

    Raises FileFormatError for a text that is not clear and for a .raw file of the wrong size.
    """
    refuse(options, "detector", "dataset", "axes", "width", what="an .rpl file: it names its axes itself")
    rpl, raw = pair(path)
    layout = read_layout(rpl)
    rows = whole_rows(raw, layout, allow_truncated=options.allow_truncated)
    if layout.record_by == "image":
        planes = MappedArray(raw, layout.dtype, (layout.depth, rows, layout.width), layout.offset)
        source = Ordered(planes, (1, 2, 0))
    else:
        source = MappedArray(raw, layout.dtype, (rows, layout.width, layout.depth), layout.offset)
    counts = lazy_counts(source, scale=options.scale)
    valid = np.ones((layout.height, layout.width), bool)
    if missing := layout.height - rows:
        empty = da.zeros(
            (missing, layout.width, layout.depth), dtype=counts.dtype, chunks=(counts.chunks[0][0], -1, -1)
        )
        counts = da.concatenate([counts, empty])
        valid[rows:] = False
    return make_cube(counts, valid=valid, **acquisition(rpl))


def whole_rows(raw: Path, layout: Layout, *, allow_truncated: bool = False) -> int:
    """Return how many rows of the cube the .raw file holds: all, or fewer only where that is allowed.

    Raises FileFormatError when the file is shorter than promised, or longer by a row or more (then the text is wrong).
    """
    found, promised = raw.stat().st_size, layout.offset + layout.height * layout.row_bytes
    rows = max(0, found - layout.offset) // layout.row_bytes
    if layout.height == rows:
        return rows
    shape = f"{layout.height} x {layout.width} x {layout.depth} of {layout.dtype.name} need {promised} bytes"
    if rows > layout.height:
        raise FileFormatError(f"{raw.name}: {shape}, found {found}. Correct sizes or data-length in the .rpl file")
    if layout.record_by == "image":
        remedy = "Copy it again from the scanner (recorded by image, so no spectrum is whole)"
    elif allow_truncated and rows:
        return rows
    else:
        remedy = f"Copy it again from the scanner, or read the {rows} whole rows with --allow-truncated"
    raise FileFormatError(f"{raw.name} breaks off: {shape}, found {found}. {remedy}")
