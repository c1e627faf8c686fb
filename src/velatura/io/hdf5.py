"""HDF5 scans: NeXus, PyMca, PyXRF, XRF-Maps, Larch, Bruker Crono, ganX, and any other with one set [y, x, energy]."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from velatura.base.cube import lazy_counts
from velatura.base.errors import FileFormatError
from velatura.io.axes import rows_of_list
from velatura.io.detectors import Detector, one_cube
from velatura.io.hdf5_axis import find_axis, find_live_time
from velatura.io.hdf5_layouts import Part, list_sets, locate
from velatura.io.hdf5_rows import ListedRows, SetRows, opened
from velatura.io.options import ReadOptions

MAGIC = b"\x89HDF\r\n\x1a\n"


def sniff(path: Path, head: bytes) -> bool:
    """Is this HDF5? Its signature stands at the beginning or behind a user block of 512 bytes."""
    return head.startswith(MAGIC) or head[512:520] == MAGIC


def open_scan(path: Path, options: ReadOptions) -> xr.Dataset:
    """Lazy cube of an HDF5 file; detectors are summed, or `options.detector` picks one; `options.dataset` picks a set.

    Raises FileFormatError for a broken file and InputError when it is not clear which set or axis is meant.
    """
    with opened(path) as file:
        sets = list_sets(file)
        detectors, notes, valid = [], [], None
        for number, part in enumerate(locate(file, sets, options)):
            node = sets[part.path]
            rows, valid = _rows(path, part, sets, options)
            axis, note = find_axis(node, number, rows.shape[-1])
            counts = lazy_counts(rows, rows=rows.rows, scale=options.scale)
            live_time = _live_time(node, number, rows)
            detectors.append(Detector(part.name, counts, axis, live_time))
            notes.append(note)
    told: dict[str, Any] = {"calibration": " + ".join(sorted(set(notes)))}
    return one_cube(detectors, detector=options.detector, valid=valid, **told)


def _rows(path: Path, part: Part, sets: Any, options: ReadOptions) -> tuple[SetRows | ListedRows, np.ndarray | None]:
    """The counts of one detector and the pixels that have a spectrum (None: all)."""
    node = sets[part.path]
    if part.axes != "e":
        return SetRows(path, part, node), None
    if part.index is None:
        shape = rows_of_list(node.shape, options.width)
        return ListedRows(path, part, node, np.arange(node.shape[0]).reshape(shape[:2])), None
    stored = sets[part.index][()]
    if stored.dtype.kind not in "iu" or stored.ndim < 2 or stored.size != stored.shape[0] * stored.shape[1]:
        raise FileFormatError(f"{path.name}: {part.index} should number the pixels [y, x]; found {stored.shape}")
    numbers = stored.reshape(stored.shape[:2])
    valid = (numbers >= 0) & (numbers < node.shape[0])
    return ListedRows(path, part, node, np.where(valid, numbers, -1).astype(np.int64)), valid


def _live_time(node: Any, number: int, rows: SetRows | ListedRows) -> np.ndarray | None:
    if isinstance(rows, SetRows):
        return find_live_time(node, number, rows.shape[:2])
    times = find_live_time(node, number, (node.shape[0], 1))
    return None if times is None else np.where(rows.numbers >= 0, times.ravel()[rows.numbers], 0)
