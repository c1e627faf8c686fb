"""A recoloured scan for other programs: TIFF, PNG, NPZ and CSV, none without its stamp."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from velatura.base.aside import written_aside
from velatura.base.errors import InputError
from velatura.io.export import images_of, write_tiff
from velatura.report.raster import to_rgb
from velatura.report.recolour_picture import stamped_png, transparent

SUFFIXES = (".png", ".tif", ".tiff", ".npz", ".csv")
PICTURES = ("rgb", "hidden_rgb", "photo_rgb")
MM_PER_INCH = 25.4
WORST = 25.0  # CIEDE2000 that is white in the picture of the error: another colour altogether


def write_colours(path: Path, maps: xr.Dataset, *, name: str = "rgb", pitch: float | None = None) -> None:
    """Write colours of a result of `recolour` into one file that carries the stamp; the suffix says the kind.

    .png: 8 bits, transparent where there is no colour, the stamp in a strip below and in the text of the file; .tif:
    32-bit float, red, green, blue from 0 to 1, NaN where there is no colour, the stamp as description; .npz: all
    images; .csv: all images as a table of pixels. name: "rgb" or "hidden_rgb"; pitch: [mm]. Raises InputError for
    another suffix.
    """
    suffix, stamp = kind_of(path), str(maps.attrs["stamp"])
    with written_aside(path) as aside:
        if suffix == ".png":
            told = {"Description": name, "Parameters": str(maps.attrs.get("parameters", ""))}
            aside.write_bytes(stamped_png(transparent(maps[name].values), stamp, told=told))
        elif suffix == ".npz":
            images: dict[str, Any] = {str(key): image.values for key, image in maps.data_vars.items()}
            with aside.open("wb") as file:
                np.savez_compressed(file, **images, stamp=np.array(stamp), attributes=np.array(json.dumps(maps.attrs)))
        elif suffix == ".csv":
            _write_table(aside, maps, stamp)
        else:
            _write_picture(aside, maps[name].values, stamp, pitch=pitch)


def kind_of(path: Path) -> str:
    """Return the suffix by which colours are written; raises InputError for one that is not known."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"colours can be written as {', '.join(SUFFIXES)}; found {path.name!r}. Name it recoloured.png"
        )
    return suffix


def export_colours(folder: Path, maps: xr.Dataset, *, kind: str = "tiff", pitch: float | None = None) -> list[Path]:
    """Write all images of a result of `recolour` into a folder and return the files; each carries the stamp.

    kind: "tiff" and "tiff16" (both 32-bit float, as a stretched colour would lie), "png", or "csv" (one table).
    """
    if kind == "csv":
        write_colours(path := folder / "colours.csv", maps)
        return [path]
    files = []
    for name in (name for name in PICTURES if name in maps):
        files.append(folder / f"{name}.{'png' if kind == 'png' else 'tif'}")
        write_colours(files[-1], maps, name=name, pitch=pitch)
    stamp = str(maps.attrs["stamp"])
    for name, image in images_of(maps).items():
        files.append(folder / f"{name}.{'png' if kind == 'png' else 'tif'}")
        if kind == "png":
            grey = to_rgb(np.asarray(image, np.float32), 0.0, WORST if name == "error" else 1.0)
            with written_aside(files[-1]) as aside:
                aside.write_bytes(stamped_png(grey, stamp, told={"Description": name}))
        else:
            write_tiff(files[-1], {f"{name}. {stamp}": image}, pitch=pitch)
    return files


def _write_picture(path: Path, rgb: np.ndarray, stamp: str, *, pitch: float | None) -> None:
    import tifffile

    size: dict[str, Any] = {}
    if pitch:
        size = {"resolution": (MM_PER_INCH / pitch, MM_PER_INCH / pitch), "resolutionunit": "INCH"}
    image = np.asarray(rgb, np.float32)
    with tifffile.TiffWriter(path) as writer:
        writer.write(image, photometric="rgb", description=stamp, metadata=None, software="Velatura", **size)


def _write_table(path: Path, maps: xr.Dataset, stamp: str) -> None:
    """One line a pixel after a comment with the stamp: y, x and every image."""
    columns = dict(zip(("y", "x"), np.indices(maps.trust.shape), strict=True))
    for name in (name for name in PICTURES if name in maps):
        columns |= {f"{name}_{colour}": maps[name].sel(colour=colour).values for colour in maps.colour.values.tolist()}
    columns |= images_of(maps)
    table = np.stack([np.ravel(image).astype(np.float64) for image in columns.values()], axis=1)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        np.savetxt(file, table, fmt="%.6g", delimiter=",", header=f"# {stamp}\n{','.join(columns)}", comments="")
