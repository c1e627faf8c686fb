"""Maps and spectra for other programs: TIFF, CSV, PNG. Every file is written aside and put in place when it is whole.

Images keep the orientation of the scan: first row on top.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from velatura.base.aside import written_aside
from velatura.base.errors import InputError, did_you_mean

MM_PER_CM = 10.0
MOST_16 = 2**16 - 1
KINDS = ("tiff", "tiff16", "png", "csv")


def images_of(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Return all images [y, x] of a result by name; those along axes get their labels: "probability_hidden_Hg"."""
    found = {}
    for name, variable in dataset.data_vars.items():
        if variable.dims[-2:] == ("y", "x"):
            labels = product(*(dataset[dim].values.tolist() for dim in variable.dims[:-2]))
            images = variable.values.reshape(-1, *variable.shape[-2:])
            found |= {"_".join(map(str, (name, *own))): image for own, image in zip(labels, images, strict=True)}
    return found


def export_maps(folder: Path, dataset: xr.Dataset, *, kind: str = "tiff", pitch: float | None = None) -> list[Path]:
    """Write every image of a result into a file of its own; returns the files.

    kind: "tiff" (32-bit float), "tiff16", "png" or "csv" (one line a row of pixels); pitch: [mm], becomes the TIFF's
    resolution. Raises InputError for an unknown kind.
    """
    if kind not in KINDS:
        raise InputError(f'maps can be written as {", ".join(KINDS)}; found "{kind}"{did_you_mean(kind, KINDS)}')
    files = []
    for name, image in images_of(dataset).items():
        stem = folder / re.sub(r"[^\w.+-]+", "_", name)
        path = stem.with_name(f"{stem.name}.{'tif' if kind.startswith('tiff') else kind}")
        if kind == "tiff":
            write_tiff(path, {name: image}, pitch=pitch)
        elif kind == "tiff16":
            write_tiff16(path, {name: image}, pitch=pitch)
        elif kind == "png":
            write_png(path, image)
        else:
            write_matrix(path, image)
        files.append(path)
    return files


def write_tiff(path: Path, images: Mapping[str, np.ndarray], *, pitch: float | None = None) -> None:
    """Write images [y, x] as pages of a 32-bit float TIFF, each with its name as description; NaN stays NaN.

    pitch: step of the scanner [mm].
    """
    _write_pages(path, {name: np.asarray(image, np.float32) for name, image in images.items()}, pitch)


def write_tiff16(path: Path, images: Mapping[str, np.ndarray], *, pitch: float | None = None) -> Path:
    """Write images [y, x] as pages of a 16-bit TIFF, each stretched over 0 to 65535; NaN becomes 0.

    Returns the text beside it, `NAME.scale.csv`, which tells the values that 0 and 65535 stand for.
    """
    pages, scales = {}, [("image", "value_at_0", f"value_at_{MOST_16}")]
    for name, image in images.items():
        low, high = _limits(image)
        pages[name] = np.rint(_stretched(image, low, high) * MOST_16).astype(np.uint16)
        scales.append((name, repr(low), repr(high)))
    beside = path.with_name(f"{path.stem}.scale.csv")
    _write_pages(path, pages, pitch)
    _write_lines(beside, iter(scales))
    return beside


def write_png(path: Path, image: np.ndarray, *, limits: tuple[float, float] | None = None) -> None:
    """Write an image [y, x] as 8-bit grey PNG; `limits` become black and white, by default its least and most."""
    from PIL import Image

    grey = np.rint(_stretched(image, *(limits or _limits(image))) * 255).astype(np.uint8)
    with written_aside(path) as aside:
        Image.fromarray(grey).save(aside, format="PNG")


def write_matrix(path: Path, image: np.ndarray) -> None:
    """Write an image [y, x] as CSV, one line for each row of pixels."""
    with written_aside(path) as aside:
        np.savetxt(aside, image, fmt="%.7g", delimiter=",")


def write_pixels(path: Path, images: Mapping[str, np.ndarray]) -> None:
    """Write images of the same shape as a CSV table: y, x (from 0) and a column for each image."""
    height, width = next(iter(images.values())).shape
    columns = [*np.indices((height, width)).reshape(2, -1), *(np.ravel(image) for image in images.values())]
    rows = (tuple(f"{value:.7g}" for value in row) for row in zip(*columns, strict=True))
    _write_lines(path, _with_header(("y", "x", *images), rows))


def write_spectra(path: Path, spectra: xr.Dataset) -> None:
    """Write all spectra [energy] and [label, energy] of a result as a CSV table with the energy [keV] first."""
    columns = {"energy_keV": spectra.energy.values}
    for name, variable in spectra.data_vars.items():
        if variable.dims == ("energy",):
            columns[str(name)] = variable.values
        elif variable.dims[1:] == ("energy",):
            labels = spectra[variable.dims[0]].values
            columns |= {f"{name}_{label}": one for label, one in zip(labels, variable.values, strict=True)}
    rows = (tuple(f"{value:.9g}" for value in row) for row in zip(*columns.values(), strict=True))
    _write_lines(path, _with_header(tuple(columns), rows))


def _write_pages(path: Path, pages: Mapping[str, np.ndarray], pitch: float | None) -> None:
    import tifffile

    size: dict[str, Any] = {}
    if pitch:
        size = {"resolution": (MM_PER_CM / pitch, MM_PER_CM / pitch), "resolutionunit": "CENTIMETER"}
    with written_aside(path) as aside, tifffile.TiffWriter(aside) as writer:
        for name, page in pages.items():
            writer.write(page, description=name.encode(), metadata=None, photometric="minisblack", **size)


def _limits(image: np.ndarray) -> tuple[float, float]:
    finite = image[np.isfinite(image)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _stretched(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the image from 0 (low) to 1 (high), clipped, float64; NaN and an image of one value become 0."""
    span = high - low if high > low else 1.0
    return np.nan_to_num(np.clip((np.asarray(image, np.float64) - low) / span, 0.0, 1.0), nan=0.0)


def _with_header(header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    yield header
    yield from rows


def _write_lines(path: Path, rows: Iterator[tuple[str, ...]]) -> None:
    with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
