"""Cubes for other programs: LISPIX .rpl/.raw and NumPy .npz, streamed, and read again as the same cube."""

import json
import zipfile
from pathlib import Path

import numpy as np
import xarray as xr

from velatura.base.aside import replace_text, written_aside
from velatura.base.blocks import bands
from velatura.base.cube import ACQUISITION
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent


def write_rpl(path: Path, cube: xr.Dataset, *, progress: Progress = silent) -> None:
    """Write a cube as .rpl text and .raw values (record by vector, little-endian) beside it.

    The format has no place for valid pixels and live time. Raises InputError for a quadratic energy axis.
    """
    counts, facts = cube.counts.data, cube.counts.attrs
    if facts["quadratic"]:
        raise InputError(f"an .rpl file holds a linear energy axis; found quadratic {facts['quadratic']}. Write .npz")
    height, width, depth = counts.shape
    keys = {
        "key": "value",
        "width": width,
        "height": height,
        "depth": depth,
        "offset": 0,
        "data-length": counts.dtype.itemsize,
        "data-type": "unsigned",
        "byte-order": "little-endian" if counts.dtype.itemsize > 1 else "dont-care",
        "record-by": "vector",
        "depthscaleorigin": repr(facts["zero"]),
        "depthscaleincrement": repr(facts["gain"]),
        "depthscaleunits": "keV",
    }
    if "pitch" in facts:
        keys |= {"width-scale": repr(float(facts["pitch"])), "width-units": "mm"}
    stored = counts.dtype.newbyteorder("<")
    with written_aside(path.with_suffix(".raw")) as aside, aside.open("wb") as raw:
        for _, band in bands(counts, stage="exporting", progress=progress):
            raw.write(np.ascontiguousarray(band, stored).data)
    replace_text(path.with_suffix(".rpl"), "".join(f"{key}\t{value}\n" for key, value in keys.items()))


def write_npz(path: Path, cube: xr.Dataset, *, progress: Progress = silent) -> None:
    """Write a cube as .npz: counts (not compressed: they can be mapped), valid, live_time, axis and acquisition."""
    facts = cube.counts.attrs
    told = {key: facts[key] for key in ACQUISITION if key in facts}
    small = {name: cube[name].values for name in ("valid", "live_time", "energy") if name in cube}
    small |= {name: np.float64(facts[name]) for name in ("zero", "gain", "quadratic")}
    small["acquisition"] = np.array(json.dumps(told))
    with written_aside(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("counts.npy", "w", force_zip64=True) as member:
            header = {"descr": cube.counts.dtype.str, "fortran_order": False, "shape": cube.counts.shape}
            np.lib.format.write_array_header_1_0(member, header)
            for _, band in bands(cube.counts.data, stage="exporting", progress=progress):
                member.write(np.ascontiguousarray(band).data)
        for name, array in small.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
