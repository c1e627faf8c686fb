"""NumPy .npy and .npz: arrays without names for their axes; see `velatura.io.axes` for how these are worked out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from velatura.base.cube import lazy_counts
from velatura.base.errors import FileFormatError, InputError, did_you_mean
from velatura.io.axes import LEAST_CHANNELS, cube_order, rows_of_list, work_out_axes
from velatura.io.detectors import Detector, one_cube
from velatura.io.hints import Hints
from velatura.io.mapped import Ordered
from velatura.io.numpy_files import Stored, read_npy, read_npz
from velatura.io.options import ReadOptions, refuse

NPY = b"\x93NUMPY"
COLOURS = 4  # a last axis this short is one of colours or coordinates


def sniff_npy(path: Path, head: bytes) -> bool:
    """Tell an .npy file by its magic bytes."""
    return head.startswith(NPY)


def sniff_npz(path: Path, head: bytes) -> bool:
    """Tell an .npz file: a zip whose first member is an .npy."""
    length = int.from_bytes(head[26:28], "little")
    return head.startswith(b"PK\x03\x04") and head[30 : 30 + length].endswith(b".npy")


def open_npy(path: Path, options: ReadOptions) -> xr.Dataset:
    """Open an .npy file lazily as a cube. Raises FileFormatError for a broken file, InputError for unclear axes."""
    refuse(options, "dataset", what="an .npy file: it holds one array")
    stored = read_npy(path)
    return _cube({stored.name: stored}, [stored.name], options)


def open_npz(path: Path, options: ReadOptions) -> xr.Dataset:
    """Open an .npz file as a cube: one array of spectra, or several equal ones as detectors; with its calibration.

    Arrays that are not compressed are read lazily. Raises FileFormatError for a broken file and InputError where it
    is not clear which array or axis is meant.
    """
    members = read_npz(path)
    return _cube(members, spectra_of(members, options), options)


def spectra_of(members: Mapping[str, Stored], options: ReadOptions) -> list[str]:
    """Return the names of the arrays that hold the spectra. Raises InputError, naming what was found."""
    listing = ", ".join(f"{name} {stored.shape}" for name, stored in members.items()) or "no array"
    if options.dataset is not None:
        if options.dataset not in members:
            hint = did_you_mean(options.dataset, members)
            raise InputError(f'no array "{options.dataset}"; found {listing}{hint}. Choose one with --dataset')
        return [options.dataset]
    found = [name for name, stored in members.items() if _may_be_spectra(stored, options)]
    whole = [name for name in found if members[name].dtype.kind in "iu"]
    found = whole or found
    kinds = {(members[name].shape, members[name].dtype) for name in found}
    if len(kinds) != 1 or (len(found) > 1 and len(members[found[0]].shape) == 4):
        raise InputError(f"one array of spectra [y, x, channel] was sought; found {listing}. Choose with --dataset")
    return found


def _may_be_spectra(stored: Stored, options: ReadOptions) -> bool:
    axes = (3, 4) if options.width is None else (2,)
    image = len(stored.shape) == 3 and stored.shape[-1] <= COLOURS
    likely = options.axes is not None or (max(stored.shape, default=0) >= LEAST_CHANNELS and not image)
    return len(stored.shape) in axes and stored.dtype.kind in "iuf" and likely


def _cube(members: Mapping[str, Stored], names: list[str], options: ReadOptions) -> xr.Dataset:
    parts = {label: view for name in names for label, view in _views(members[name], options).items()}
    hints = Hints({name: stored for name, stored in members.items() if name not in names}, len(parts))
    detectors, notes = [], {}
    for number, (label, view) in enumerate(parts.items()):
        counts = lazy_counts(view, scale=options.scale)
        axis, notes[label] = hints.axis(label, number, view.shape[-1])
        detectors.append(Detector(label, counts, axis, hints.live_time(label, view.shape[:2])))
    told = {"calibration": " + ".join(sorted(set(notes.values()))), **hints.acquisition()}
    cube = one_cube(detectors, detector=options.detector, **told)
    valid = members.get("valid")
    if valid is not None and valid.shape == cube.valid.shape:
        cube["valid"] = (("y", "x"), valid.load().astype(bool))
    return cube


def _views(stored: Stored, options: ReadOptions) -> dict[str, Any]:
    """Return array-likes [y, x, channel], by the name of the detector."""
    if stored.dtype.kind not in "iuf":
        raise FileFormatError(f"{stored.name}: counts must be numbers; found {stored.dtype}. Save plain integers")
    if len(stored.shape) == 2:
        return {stored.name: stored.seen_as(rows_of_list(stored.shape, options.width))}
    axes = work_out_axes(stored.shape, options.axes)
    whole = Ordered(stored.seen_as(stored.shape), cube_order(axes))
    if "d" not in axes:
        return {stored.name: whole}
    return {f"{number}": Ordered(whole.source, whole.order, number) for number in range(stored.shape[axes.index("d")])}
