"""Our own workspace, opened as a scan."""

from dataclasses import fields
from pathlib import Path

import xarray as xr

from velatura.base.workspace import is_workspace, open_workspace, read_cube
from velatura.io.options import ReadOptions, refuse


def sniff(path: Path, head: bytes) -> bool:
    """Tell a workspace by the mark in its attributes."""
    return path.is_dir() and is_workspace(path)


def open_scan(path: Path, options: ReadOptions) -> xr.Dataset:
    """Open the cube that was imported into a workspace; `source` stays that of the original file.

    Raises InputError for reading options: they were settled when the scan was imported.
    """
    refuse(options, *(field.name for field in fields(options)), what="a workspace: it was settled at the import")
    cube = read_cube(open_workspace(path))
    cube.counts.attrs.setdefault("source", path.name)
    return cube
