"""Our own workspace opens as a scan like any other."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.base.workspace import create_workspace, update_calibration
from velatura.io.formats import open_scan, recognise
from velatura.io.options import ReadOptions


def some_cube(rng: np.random.Generator, **facts: object) -> xr.Dataset:
    return make_cube(rng.poisson(1, (6, 7, 140)).astype(np.uint16), live_time=rng.random((6, 7)), **facts)


def test_workspace_is_recognised_and_keeps_its_source(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = some_cube(rng, source="scan.bcf sha256:abc")
    create_workspace(tmp_path / "painting.zarr", cube)
    assert recognise(tmp_path / "painting.zarr").name == "workspace .zarr"
    xr.testing.assert_identical(open_scan(tmp_path / "painting.zarr").compute(), cube)


def test_workspace_opens_under_any_name_on_its_present_axis(tmp_path: Path, rng: np.random.Generator) -> None:
    space = create_workspace(tmp_path / "painting", some_cube(rng))
    update_calibration(space, zero=0.5, gain=0.02)
    cube = open_scan(tmp_path / "painting")
    assert cube.energy.values[0] == 0.5
    assert cube.counts.attrs["source"] == "painting"


def test_reading_options_come_too_late(tmp_path: Path, rng: np.random.Generator) -> None:
    create_workspace(tmp_path / "painting.zarr", some_cube(rng))
    with pytest.raises(InputError, match="--serpentine has no meaning for a workspace: it was settled at the import"):
        open_scan(tmp_path / "painting.zarr", ReadOptions(serpentine=True))


def test_npy_through_the_workspace(tmp_path: Path, rng: np.random.Generator) -> None:
    counts = rng.poisson(1, (6, 7, 2, 140)).astype(np.uint16)
    np.save(tmp_path / "scan.npy", counts)
    scan = open_scan(tmp_path / "scan.npy", ReadOptions(axes="yxde"))
    create_workspace(tmp_path / "painting.zarr", scan)
    read = open_scan(tmp_path / "painting.zarr")
    assert np.array_equal(read.counts, counts.sum(axis=2))
    assert read.counts.attrs == scan.counts.attrs
