"""All formats, and the one way to open a scan: recognised by content first, by suffix only among what fits."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from velatura.io.options import ReadOptions

HEAD_BYTES = 1024


@dataclass(frozen=True)
class Format:
    """One kind of scan. A reader is two functions: `sniff` says whether a file is of this kind, `open` makes the cube."""

    name: str
    """As a user would say it, e.g. "Bruker .bcf"."""
    suffixes: tuple[str, ...]
    """Usual suffixes, lower case, with the dot; empty for folders."""
    sniff: Callable[[Path, bytes], bool]
    """(path, first 1024 bytes; empty for a folder) -> is it of this format? Never raises."""
    open: Callable[[Path, ReadOptions], xr.Dataset]
    """Lazy cube of the file; raises FileFormatError or InputError with one clear message."""
