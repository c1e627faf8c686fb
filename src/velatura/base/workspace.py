"""The workspace: one folder per painting, a Zarr v3 group, which holds the imported cube and every result.

    painting.zarr/counts  valid  live_time     the imported cube; its calibration lies in the attributes of `counts`
    painting.zarr/maps/NAME/ID                 versions of a result; attribute `current` of maps/NAME says which counts
    painting.zarr/provenance                   one JSON text for each verb that wrote

Nothing is ever half there: cubes and results are written aside and put in place by one renaming, so a run that is
killed leaves the old state. One process at a time writes a result of the same name.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import xarray as xr

from velatura.base.aside import remove, replace_text, written_aside
from velatura.base.cube import BAND_BYTES, energy_axis, lazy_counts, make_cube
from velatura.base.errors import FileFormatError, InputError, VelaturaError, did_you_mean
from velatura.base.progress import Progress, silent
from velatura.base.shards import ShardedCounts, count_shards, write_counts

LAYOUT = 1  # of the folder; raised when older software could not read it
META = "zarr.json"
TEXTS = "texts"  # attribute that holds a result's variables of text, for which Zarr has no settled type


@dataclass(frozen=True)
class Workspace:
    """A folder that is known to be a workspace."""

    path: Path


def create_workspace(path: Path, cube: xr.Dataset, *, progress: Progress = silent) -> Workspace:
    """Import a cube into a new workspace, streaming it in bounded memory.

    Raises InputError when something of this name exists or the disk refuses. What an earlier killed import of this
    name left is removed.
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path} exists already. Open it, or choose another name for the workspace")
    for left in path.parent.glob(f".{escape(path.name)}.*.part"):
        remove(left)
    with written_aside(path) as aside:
        aside.mkdir()
        for name in ("maps", "provenance"):
            _write_group(aside / name)
        write_counts(aside / "counts", cube.counts.data, attributes=plain(cube.counts.attrs), progress=progress)
        for name in ("valid", "live_time"):
            if name in cube:
                _write_image(aside / name, cube[name].values)
        shards = count_shards(aside / "counts")
        _write_group(aside, velatura={"layout": LAYOUT, "version": version("velatura"), "shards": shards})
        add_record(Workspace(aside), "import", shape=cube.counts.shape, dtype=cube.counts.dtype.name)
    return Workspace(path)


def open_workspace(path: Path) -> Workspace:
    """Open a workspace. Raises InputError where there is none and FileFormatError where another software made it."""
    path = Path(path)
    if not is_workspace(path):
        raise InputError(f"{path} is not a workspace. Make one: velatura import SCAN -o {path.with_suffix('.zarr')}")
    if (found := _attributes(path)["velatura"].get("layout")) != LAYOUT:
        raise FileFormatError(f"{path.name} has layout {found}, this version reads {LAYOUT}. Import the scan again")
    return Workspace(path)


def is_workspace(path: Path) -> bool:
    """Tell whether a folder is one of our workspaces. Never raises."""
    try:
        return isinstance(_attributes(path)["velatura"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read_cube(workspace: Workspace) -> xr.Dataset:
    """Return the imported cube lazily, on its present energy axis.

    Raises FileFormatError when a part of the folder is missing or damaged.
    """
    source = ShardedCounts(workspace.path / "counts")
    with _telling(workspace):
        found, written = count_shards(source.folder), _attributes(workspace.path)["velatura"]["shards"]
        if found != written:
            lacking = f"lacks {written - found} of {written} files of counts"
            raise FileFormatError(f"{workspace.path.name} {lacking}. Copy the whole folder again")
        _, width, channels = source.shape
        block = source.block_rows
        rows = max(1, BAND_BYTES // (block * width * channels * source.dtype.itemsize)) * block
        images = {name: _read_image(workspace.path / name) for name in ("valid", "live_time")}
        return make_cube(lazy_counts(source, rows=rows), **images, **_attributes(source.folder))


def update_calibration(workspace: Workspace, *, zero: float, gain: float, quadratic: float = 0.0, **notes: Any) -> None:
    """Put the cube on another energy axis in one step; counts are not touched. `notes` go into its attributes.

    zero: [keV]; gain: [keV/channel]; quadratic: [keV/channel2]. Raises CalibrationError for an axis that does not rise.
    """
    meta = workspace.path / "counts" / META
    content = json.loads(meta.read_text(encoding="utf-8"))
    axis = {"zero": float(zero), "gain": float(gain), "quadratic": float(quadratic)}
    energy_axis(content["shape"][-1], **axis)
    content["attributes"] |= plain({**notes, **axis})
    add_record(workspace, "calibrate", **notes, **axis)
    replace_text(meta, json.dumps(content, indent=2))


def write_maps(
    workspace: Workspace, name: str, dataset: xr.Dataset, *, record: Mapping[str, Any] | None = None
) -> None:
    """Write a result and then make it the current one in one step; the version before the last is removed.

    name: e.g. "segment"; record: what provenance keeps of this run (parameters, seed, numbers measured).
    """
    folder = workspace.path / "maps" / name
    previous = _current(folder)
    new = uuid4().hex[:12]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _write_dataset(folder / new, dataset)
    except BaseException:
        remove(folder / new)
        raise
    add_record(workspace, name, result=f"maps/{name}/{new}", **(record or {}))
    _write_group(folder, current=new)
    for old in folder.iterdir():
        if old.name not in (new, previous, META):
            remove(old)


def read_maps(workspace: Workspace, name: str) -> xr.Dataset:
    """Read a result into memory. Raises InputError when there is none, FileFormatError when it is damaged."""
    folder = workspace.path / "maps" / name
    if (current := _current(folder)) is None:
        known = list_maps(workspace)
        raise InputError(
            f"{workspace.path.name} holds no {name}; found {', '.join(known) or 'no result yet'}"
            f"{did_you_mean(name, known)}. Make it: velatura {name} {workspace.path}"
        )
    with _telling(workspace):
        dataset = xr.open_zarr(folder / current, consolidated=False, chunks=None).load().drop_encoding()
    for key, dims, values, is_coordinate in json.loads(dataset.attrs.pop(TEXTS)):
        text = {key: (dims, np.array(values, str))}
        dataset = dataset.assign_coords(text) if is_coordinate else dataset.assign(text)
    return dataset


def list_maps(workspace: Workspace) -> list[str]:
    """Return the names of the results that are there, in alphabetical order."""
    folder = workspace.path / "maps"
    return sorted(entry.name for entry in folder.iterdir() if _current(entry) is not None)


def add_record(workspace: Workspace, verb: str, **record: Any) -> None:
    """Add to the provenance what a verb did: with its time, our version, and the source and energy axis of the cube."""
    now = datetime.now(UTC)
    cube = _attributes(workspace.path / "counts")
    facts = {"verb": verb, "time": now.isoformat(timespec="seconds"), "version": version("velatura")}
    facts |= {key: cube[key] for key in ("source", "zero", "gain", "quadratic") if key in cube}
    name = f"{now:%Y%m%dT%H%M%S.%f}-{verb}-{uuid4().hex[:6]}.json"
    replace_text(workspace.path / "provenance" / name, json.dumps(plain(facts | record), indent=2))


def provenance(workspace: Workspace) -> list[dict[str, Any]]:
    """Return all records, oldest first."""
    files = sorted(file for file in (workspace.path / "provenance").glob("*.json") if file.name != META)
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if not file.name.startswith(".")]


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: numpy scalars and arrays, tuples and paths become numbers, lists and text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


@contextmanager
def _telling(workspace: Workspace) -> Iterator[None]:
    """Turn whatever damaged files raise into one message."""
    try:
        yield
    except VelaturaError:
        raise
    except Exception as error:
        found = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise FileFormatError(f"{workspace.path.name} is damaged: {found}. Copy the whole folder again") from error


def _write_group(folder: Path, **attributes: Any) -> None:
    content = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    replace_text(folder / META, json.dumps(content, indent=2))


def _attributes(folder: Path) -> dict[str, Any]:
    return json.loads((folder / META).read_text(encoding="utf-8"))["attributes"]


def _current(folder: Path) -> str | None:
    """Name of the version of a result that counts; None where there is no result."""
    if not (folder / META).is_file():
        return None
    current = _attributes(folder).get("current")
    return current if current and (folder / current / META).is_file() else None


def _write_image(folder: Path, image: np.ndarray) -> None:
    import zarr

    zarr.create_array(folder, data=image, chunks=image.shape, dimension_names=("y", "x"))


def _read_image(folder: Path) -> Any:
    import zarr

    return zarr.open_array(folder, mode="r")[...] if folder.is_dir() else None


def _write_dataset(folder: Path, dataset: xr.Dataset) -> None:
    texts = {key: variable for key, variable in dataset.variables.items() if variable.dtype.kind in "UO"}
    stored = dataset.drop_vars(texts).drop_encoding()
    kept = [[key, text.dims, text.values.astype(str).tolist(), key in dataset.coords] for key, text in texts.items()]
    stored.attrs = {**plain(dataset.attrs), TEXTS: json.dumps(kept)}
    encoding = {}
    for key, variable in stored.variables.items():
        variable.attrs = plain(variable.attrs)
        whole = variable.ndim < 3 or variable.dims[:2] == ("y", "x")  # one image, in colours or not
        images = variable.shape if whole else (1, *variable.shape[1:])
        encoding[key] = {"chunks": tuple(max(1, size) for size in images)}
    stored.to_zarr(folder, mode="w-", zarr_format=3, consolidated=False, encoding=encoding)
