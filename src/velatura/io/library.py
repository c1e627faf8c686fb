"""A laboratory's own library of pigments: measured spectra, each with the colour of its paint.

A palette file names them, in one of three forms; paths in it are relative to it, colours are 0 to 255:

    palette.toml   [[pigment]]  name = "vermilion"  spectrum = "0130.txt"  rgb = [186, 51, 40]   (or "#ba3328")
    palette.csv    the columns name, spectrum, rgb ("#ba3328"), or red, green, blue instead of rgb
    palette.json   {"vermilion": {"xrf": "0130.h5", "RGB": [186, 51, 40]}}   (as ganX reads it)

A spectrum is a text file of two columns, energy and counts, as libraries like INFRA-ART give it, a file of an
instrument (`velatura.io.spectrum`), or HDF5 with the datasets `x` (energy) and `y` (counts).
"""

import csv
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from velatura.base.errors import FileFormatError, InputError
from velatura.io.spectrum import MOST_KEV, read_spectrum_file

PALETTE_NAMES = ("palette.toml", "palette.csv", "palette.json")
HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")


@dataclass(frozen=True)
class LibrarySpectrum:
    """One pigment of a library."""

    name: str
    rgb: tuple[int, int, int]
    """Colour of the paint (sRGB, 0 to 255)."""
    energy: np.ndarray
    """Channel centres [keV], rising, float64 [channel]."""
    counts: np.ndarray
    """Counts or any intensity, not negative, float64 [channel]."""


def read_library(path: str | Path) -> tuple[LibrarySpectrum, ...]:
    """Read a palette file, or the one named palette.* in a folder, with all the spectra that it names.

    Raises InputError for a missing file, name, spectrum or colour and FileFormatError for what cannot be read.
    """
    path = _palette_file(Path(path))
    try:
        rows = {".toml": _toml_rows, ".json": _json_rows}.get(path.suffix.lower(), _csv_rows)(path)
    except (OSError, ValueError, csv.Error) as error:
        raise FileFormatError(
            f"{path.name} cannot be read: {str(error)[:120]}. Write it as docs/formats.md says"
        ) from error
    if not rows:
        raise InputError(f"{path.name} names no pigment. Give name, spectrum and rgb of at least one")
    names = [str(row.get("name", "")) for row in rows]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{path.name} names {twice[0]!r} more than once. Give each pigment a name of its own")
    return tuple(_pigment(row, path) for row in rows)


def read_measured(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one spectrum of a library: energy [keV], rising, and counts, not negative, float64 [channel] each.

    path: HDF5 with `x` (energy; beyond 200 it is taken as eV) and `y` (counts), or any format of `read_spectrum_file`
    with an energy axis. Raises InputError for a file that is absent and FileFormatError for anything else.
    """
    path = Path(path)
    if path.suffix.lower() in HDF5_SUFFIXES and path.is_file():
        return _hdf5_columns(path)
    spectrum = read_spectrum_file(path)
    return spectrum.axis(), np.maximum(spectrum.counts, 0)


def _palette_file(path: Path) -> Path:
    if path.is_dir():
        found = [path / name for name in PALETTE_NAMES if (path / name).is_file()]
        if not found:
            raise InputError(
                f"no palette in {path}: spectra alone have no colour. Add palette.csv with the columns "
                "name, spectrum, rgb"
            )
        return found[0]
    if not path.is_file():
        raise InputError(f"there is no palette {path}. Give a palette.toml, .csv or .json, or the folder of one")
    return path


def _toml_rows(path: Path) -> list[dict[str, Any]]:
    rows = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("pigment", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("each pigment must stand under its own [[pigment]]")
    return rows


def _json_rows(path: Path) -> list[dict[str, Any]]:
    table = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise ValueError("it must map names to {xrf, RGB}")
    return [{"name": name, "spectrum": row.get("xrf"), "rgb": row.get("RGB")} for name, row in table.items()]


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line and not line.startswith("#")]
    separator = next((mark for mark in ";\t" if lines and mark in lines[0]), ",")
    rows = []
    for row in csv.DictReader(lines, delimiter=separator, skipinitialspace=True):
        if row.get("rgb") is None and all(row.get(name) for name in ("red", "green", "blue")):
            row["rgb"] = [int(row[name]) for name in ("red", "green", "blue")]
        rows.append(row)
    return rows


def _pigment(row: dict[str, Any], path: Path) -> LibrarySpectrum:
    for key in ("name", "spectrum", "rgb"):
        if not row.get(key):
            raise InputError(f"{path.name}: the pigment {row.get('name')!r} lacks its {key}; found {row}"[:200])
    energy, counts = read_measured(path.parent / str(row["spectrum"]))
    return LibrarySpectrum(str(row["name"]), _colour(row["rgb"], str(row["name"])), energy, counts)


def _colour(value: Any, name: str) -> tuple[int, int, int]:
    """Whole numbers 0 to 255 from a list of three or from "#rrggbb"."""
    if isinstance(value, str) and re.fullmatch(r"#?[0-9a-fA-F]{6}", value.strip()):
        value = list(bytes.fromhex(value.strip().lstrip("#")))
    good = isinstance(value, list) and len(value) == 3 and all(type(part) is int and 0 <= part <= 255 for part in value)
    if not good:
        raise InputError(f'the colour of {name!r} must be [red, green, blue] of 0 to 255 or "#rrggbb"; found {value!r}')
    return (value[0], value[1], value[2])


def _hdf5_columns(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import h5py

    try:
        with h5py.File(path) as file:
            if missing := {"x", "y"} - set(file):
                raise FileFormatError(f"{path.name} must hold x (energy) and y (counts); it lacks {sorted(missing)}")
            energy, counts = (np.squeeze(np.asarray(file[name][()], np.float64)) for name in ("x", "y"))
    except (OSError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path.name} is no HDF5 spectrum: {str(error)[:120]}") from error
    if energy.ndim != 1 or energy.shape != counts.shape or energy.size < 2:
        raise FileFormatError(f"{path.name}: x and y must be equal columns; found {energy.shape} and {counts.shape}")
    if not (np.all(np.isfinite(energy)) and np.all(np.diff(energy) > 0)):
        raise FileFormatError(f"{path.name}: the energies x must rise from channel to channel")
    if not (np.all(np.isfinite(counts)) and np.all(counts >= 0) and counts.sum() > 0):
        raise FileFormatError(
            f"{path.name}: the counts y must be 0 or more and not all 0; found {counts.min():g} to {counts.max():g}. "
            "Was a background subtracted? Give the spectrum as measured"
        )
    return energy * (1e-3 if energy[-1] > MOST_KEV else 1.0), counts
