"""Folders of spectra, one text file a pixel: Amptek .mca or lists of counts in .txt; a sub-folder for each detector.

Files are parsed when their rows are read; at opening only their heads are. Pixels without a file are not valid.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from velatura.base.axis import redistribute
from velatura.base.cube import energy_axis, lazy_counts
from velatura.base.errors import FileFormatError, InputError, did_you_mean
from velatura.io.detectors import SEED, Detector, common_axis, one_cube
from velatura.io.hints import ASSUMED
from velatura.io.mca_file import SpectrumHead, is_mca, read_counts, read_head
from velatura.io.mca_grid import GRID_FILE, Grid, place_files, read_grid
from velatura.io.options import ReadOptions
from velatura.io.row_source import RowSource

SUFFIXES = (".mca", ".txt")


def sniff(path: Path, head: bytes) -> bool:
    """Is this a folder of .mca files or of .txt lists, or one such .mca file?"""
    try:
        return bool(_detector_folders(path)) if path.is_dir() else is_mca(head)
    except OSError:
        return False


def open_scan(path: Path, options: ReadOptions) -> xr.Dataset:
    """Lazy cube of a folder; detectors in sub-folders are summed, or `options.detector` picks one by name or number.

    Raises FileFormatError for a damaged file and InputError when files and grid do not fit or detectors differ in size.
    """
    if not path.is_dir():
        raise InputError(f"{path.name} is one spectrum; a scan is a folder of them. Give the folder {path.parent.name}")
    folders = _detector_folders(path)
    if not folders:
        raise FileFormatError(
            f"{path.name} holds no .mca files and no .txt lists of counts. Give the folder of the scan"
        )
    chosen = _choose(path, list(folders), options.detector)
    scans = [read_folder(folder, folders[folder], read_grid(folder, path), width=options.width) for folder in chosen]
    if len({scan.placed.shape for scan in scans}) > 1:
        sizes = ", ".join(f"{scan.folder.name} {scan.placed.shape}" for scan in scans)
        raise InputError(f"{path.name}: its detectors differ in size ({sizes}). Give --detector to read one of them")
    present = np.logical_and.reduce([scan.placed >= 0 for scan in scans])
    known = all(scan.axes for scan in scans)
    notes: dict[str, Any] = {"calibration": "file: CALIBRATION" if known else ASSUMED}
    if not present.all():
        notes["missing"] = f"{int((~present).sum())} of {present.size} pixels have no file"
    if any(len(scan.axes) > 1 for scan in scans):
        notes["resampled"] = f"spectra with axes of their own moved to one energy axis, seed {SEED}"
    notes["dwell_time"] = read_grid(path, *folders).dwell_time
    return one_cube([scan.detector() for scan in scans], valid=present, **notes)


@dataclass(frozen=True)
class FolderScan:
    """The files of one detector."""

    folder: Path
    names: tuple[str, ...]
    placed: np.ndarray
    """int32 [y, x], number of the file of each pixel or -1"""
    channels: int
    axes: tuple[tuple[float, float], ...]
    """the different calibrations (zero, gain), the commonest first; none where no file tells one"""
    axis_of_file: np.ndarray
    """int [file], which of `axes`"""
    live_time: np.ndarray | None

    def detector(self) -> Detector:
        """Counts on one axis, read lazily."""
        axes = [{"zero": zero, "gain": gain} for zero, gain in self.axes]
        if len(axes) < 2:
            return Detector(self.folder.name, lazy_counts(McaRows(self)), axes[0] if axes else {}, self.live_time)
        blank = da.zeros((1, 1, self.channels), dtype=np.uint32)
        axis, channels = common_axis([Detector("", blank, own) for own in axes])
        rows = McaRows(self, energy_axis(channels, **axis))
        return Detector(self.folder.name, lazy_counts(rows), axis, self.live_time)


def read_folder(folder: Path, names: list[str], grid: Grid, *, width: int | None = None) -> FolderScan:
    """Place the files of one detector and read their heads."""
    placed = place_files(names, grid, width=width, folder=folder.name)
    heads = [read_head(folder / name) for name in names]
    found = [head.axis() for head in heads]
    axes = tuple(axis for axis, _ in Counter(axis for axis in found if axis).most_common())
    which = np.array([axes.index(axis) if axis else 0 for axis in found])
    channels = len(read_counts(folder / names[0]))
    return FolderScan(folder, tuple(names), placed, channels, axes, which, _live_time(heads, placed))


class McaRows(RowSource):
    """Counts of one detector, moved to `axis` where the files have axes of their own."""

    def __init__(self, scan: FolderScan, axis: np.ndarray | None = None) -> None:
        self.scan, self.axis, self.dtype = scan, axis, np.dtype(np.uint32)
        self.shape = (*scan.placed.shape, scan.channels if axis is None else len(axis))

    def read_rows(self, first: int, last: int) -> np.ndarray:
        """Parse the files of some rows."""
        scan = self.scan
        counts = np.zeros((last - first, *self.shape[1:]), np.uint32)
        for y, x in np.argwhere(scan.placed[first:last] >= 0):
            number = int(scan.placed[first + y, x])
            spectrum = read_counts(scan.folder / scan.names[number])
            if len(spectrum) != scan.channels:
                raise FileFormatError(
                    f"{scan.names[number]} has {len(spectrum)} channels, but {scan.names[0]} has {scan.channels}. "
                    "It is cut short or of another scan: copy it again, or take it out"
                )
            counts[y, x] = spectrum if self.axis is None else self._moved(spectrum, number)
        return counts

    def _moved(self, spectrum: np.ndarray, number: int) -> np.ndarray:
        """The spectrum of one file on the common axis; its draw depends on the file's number alone."""
        zero, gain = self.scan.axes[self.scan.axis_of_file[number]]
        own = energy_axis(len(spectrum), zero=zero, gain=gain)
        assert self.axis is not None
        return redistribute(spectrum, own, self.axis, rng=np.random.default_rng([SEED, number]))


def _spectra(folder: Path) -> list[str]:
    """Names of the spectra in a folder in alphabetical order: .mca files, or the .txt files where there are none."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    names = [name for name in names if name.lower() != GRID_FILE and not name.startswith(".")]
    names = [name for name in names if name.lower().endswith(".mca")] or names
    return names if names and _looks_like_spectrum(folder / names[0]) else []


def _detector_folders(path: Path) -> dict[Path, list[str]]:
    """The folder itself with its spectra, or its sub-folders that have some."""
    if names := _spectra(path):
        return {path: names}
    inside = {folder: _spectra(folder) for folder in sorted(path.iterdir()) if folder.is_dir()}
    return {folder: names for folder, names in inside.items() if names}


def _looks_like_spectrum(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1024)
    lines = head.splitlines()
    return is_mca(head) or (len(lines) > 10 and all(c in b"0123456789.,;eE+- \t\r\n" for c in b"".join(lines[8:])))


def _choose(path: Path, folders: list[Path], detector: str | None) -> list[Path]:
    if detector is None:
        return folders
    names = [folder.name for folder in folders]
    if detector in names:
        return [folders[names.index(detector)]]
    if detector.isdecimal() and int(detector) < len(names):
        return [folders[int(detector)]]
    raise InputError(
        f'{path.name} has no detector "{detector}"; found {", ".join(names)}{did_you_mean(detector, names)}'
    )


def _live_time(heads: list[SpectrumHead], placed: np.ndarray) -> np.ndarray | None:
    times = [head.live_time for head in heads]
    if any(time is None or time <= 0 for time in times):
        return None
    return np.append(np.array(times, np.float32), 0)[placed].astype(np.float32)
