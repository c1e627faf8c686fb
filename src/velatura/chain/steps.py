"""The steps of an analysis on a workspace. A step returns its earlier result if that came from the same inputs."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.base.workspace import (
    Workspace,
    create_workspace,
    is_workspace,
    list_maps,
    open_workspace,
    read_cube,
    read_maps,
    write_maps,
)
from velatura.io.formats import fingerprint, open_scan
from velatura.io.options import DEFAULTS, ReadOptions
from velatura.tasks.elements import Elements
from velatura.tasks.segment import Segmentation


def workspace_for(scan: Path) -> Path:
    """Return where a scan goes when the user names no workspace: its name with .zarr, in the current folder."""
    return Path(f"{scan.stem or scan.name}.zarr")


def bring_in(
    scan: Path, target: Path | None = None, read: ReadOptions = DEFAULTS, *, progress: Progress = silent
) -> Workspace:
    """Open a workspace, or import a scan into one; a workspace that holds this scan already is opened.

    Raises InputError when `target` exists and holds something else.
    """
    if is_workspace(scan):
        if target is not None and target.resolve() != scan.resolve():
            raise InputError(f"{scan} is a workspace already; found another output, {target}. Leave out -o")
        return open_workspace(scan)
    target = workspace_for(scan) if target is None else target
    told = json.dumps(asdict(read), sort_keys=True)
    if is_workspace(target):
        workspace = open_workspace(target)
        known = read_cube(workspace).counts.attrs
        if scan.exists() and str(known.get("source", "")).endswith(fingerprint(scan)) and known.get("read") == told:
            return workspace
        raise InputError(
            f"{target} holds {known.get('source', 'another scan')} or was read with other options. "
            f"Choose another name: -o {target.with_name(target.stem + '-2.zarr')}"
        )
    cube = open_scan(scan, read)
    cube.counts.attrs["read"] = told
    return create_workspace(target, cube, progress=progress)


def summary_of(workspace: Workspace, *, progress: Progress = silent) -> xr.Dataset:
    """Return the scan's sum and maximum spectra, `sum_spectrum` and `max_spectrum` int64 [channel]."""
    from velatura.spectra.summary import summarise

    def make() -> xr.Dataset:
        summary = summarise(read_cube(workspace), progress=progress)
        spectra = {"sum_spectrum": summary.sum_spectrum, "max_spectrum": summary.max_spectrum}
        return xr.Dataset({name: ("channel", values) for name, values in spectra.items()})

    return settled(workspace, "spectra", {}, make=make)


def map_elements(workspace: Workspace, config: Elements, *, progress: Progress = silent) -> xr.Dataset:
    """Return the element maps of `tasks.elements` for the workspace's cube."""
    from velatura.tasks.elements import element_maps

    cube = read_cube(workspace)
    inputs = {"config": asdict(config), "axis": axis_of(cube)}
    return settled(workspace, "elements", inputs, make=lambda: element_maps(cube, config, progress=progress))


def map_segments(
    workspace: Workspace,
    config: Segmentation,
    *,
    seed: int = 0,
    mask: np.ndarray | None = None,
    clusters_from: Workspace | None = None,
    progress: Progress = silent,
) -> xr.Dataset:
    """Return the membership maps of `tasks.segment` for the workspace's cube."""
    from velatura.tasks.segment import segment

    cube = read_cube(workspace)
    others = None if clusters_from is None else read_maps(clusters_from, "segment")
    inputs = {
        "config": asdict(config),
        "seed": seed,
        "axis": axis_of(cube),
        "mask": None if mask is None else hashlib.sha256(np.packbits(mask).tobytes()).hexdigest(),
        "clusters_from": None if others is None else [str(clusters_from), others.attrs.get("inputs")],
    }
    return settled(
        workspace,
        "segment",
        inputs,
        make=lambda: segment(cube, config, seed=seed, mask=mask, clusters_from=others, progress=progress),
    )


def axis_of(cube: xr.Dataset) -> list[float]:
    """Return zero, gain and quadratic term of a cube, on which every map depends."""
    return [float(cube.counts.attrs[name]) for name in ("zero", "gain", "quadratic")]


def file_hash(path: Path | None) -> str | None:
    """Return the SHA-256 of a file, by which a result knows what it was made from; None where there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path is not None and path.is_file() else None


def settled(workspace: Workspace, name: str, inputs: dict, *, make: Callable[[], xr.Dataset]) -> xr.Dataset:
    """Return the stored result when it was made from the same inputs; else make it, store it and return it."""
    told = json.dumps(inputs, sort_keys=True, default=str)
    if name in list_maps(workspace):
        stored = read_maps(workspace, name)
        if stored.attrs.get("inputs") == told:
            return stored
    result = make().assign_attrs(inputs=told)
    write_maps(workspace, name, result, record=inputs)
    return result
