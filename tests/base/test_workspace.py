"""The workspace keeps cube and results whole: written and read alike, replaced in one step, killed without harm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from velatura.base import workspace as module
from velatura.base.aside import replace_text, written_aside
from velatura.base.blocks import bands
from velatura.base.cube import make_cube
from velatura.base.errors import CalibrationError, FileFormatError, InputError
from velatura.base.workspace import (
    add_record,
    create_workspace,
    is_workspace,
    list_maps,
    open_workspace,
    plain,
    provenance,
    read_cube,
    read_maps,
    update_calibration,
    write_maps,
)


def some_cube(rng: np.random.Generator, height: int = 30) -> xr.Dataset:
    counts = rng.poisson(0.5, (height, 20, 150)).astype(np.uint16)
    valid, live_time = rng.random((2, height, 20))
    return make_cube(
        counts, zero=-0.1, gain=0.02, valid=valid > 0.2, live_time=live_time, anode="Rh", pitch=np.float64(0.5)
    )


def some_maps(value: float = 0.25) -> xr.Dataset:
    membership = np.full((2, 4, 5), value, np.float32)
    membership[0, 0, 0] = np.nan
    return xr.Dataset(
        {
            "membership": (("cluster", "y", "x"), membership),
            "labels": (("y", "x"), np.full((4, 5), -1, np.int16)),
            "used": (("y", "x"), np.eye(4, 5, dtype=bool)),
            "note": (("cluster",), np.array(["red", "lapis β"])),
            "composite": (("proposal", "y", "x"), np.zeros((0, 4, 5), np.float32)),
        },
        coords={
            "cluster": ["C1", "C2"],
            "colour": ("cluster", ["#112233", "#445566"]),
            "share": ("cluster", [0.25, 0.75]),
            "energy": ("energy", np.arange(3.0), {"units": "keV"}),
            "proposal": np.array([], str),
        },
        attrs={"parameters": '{"clusters": 2}', "iterations": np.int64(7), "converged": np.bool_(True)},
    )


def test_cube_comes_back_with_everything(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = some_cube(rng)
    create_workspace(tmp_path / "p.zarr", cube)
    read = read_cube(open_workspace(tmp_path / "p.zarr"))
    xr.testing.assert_identical(read.compute(), cube)
    assert [file.name for file in tmp_path.iterdir()] == ["p.zarr"]


def test_folder_is_plain_zarr_for_others(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = some_cube(rng)
    create_workspace(tmp_path / "p.zarr", cube)
    seen = xr.open_zarr(tmp_path / "p.zarr", consolidated=False)
    assert np.array_equal(seen.counts, cube.counts)
    assert seen.counts.attrs["gain"] == 0.02
    assert seen.valid.dims == ("y", "x")


def test_nothing_is_overwritten_and_nothing_else_is_opened(tmp_path: Path, rng: np.random.Generator) -> None:
    create_workspace(tmp_path / "p.zarr", some_cube(rng))
    with pytest.raises(InputError, match=r"p\.zarr exists already"):
        create_workspace(tmp_path / "p.zarr", some_cube(rng))
    with pytest.raises(InputError, match=r"scan\.rpl is not a workspace\. Make one: velatura import"):
        open_workspace(tmp_path / "scan.rpl")
    meta = tmp_path / "p.zarr" / "zarr.json"
    meta.write_text(meta.read_text().replace('"layout": 1', '"layout": 99'))
    with pytest.raises(FileFormatError, match=r"layout 99, this version reads 1\. Import the scan again"):
        open_workspace(tmp_path / "p.zarr")
    meta.write_text("[1, 2")
    assert not is_workspace(tmp_path / "p.zarr")


def test_cancelled_import_leaves_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    def cancel(stage: str, done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_workspace(tmp_path / "p.zarr", some_cube(rng), progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_import_removes_what_a_killed_one_left(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / ".p[1].zarr.01234567.part" / "counts").mkdir(parents=True)
    create_workspace(tmp_path / "p[1].zarr", some_cube(rng))
    assert [file.name for file in tmp_path.iterdir()] == ["p[1].zarr"]


def test_calibration_is_replaced_and_counts_stay(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = some_cube(rng)
    space = create_workspace(tmp_path / "p.zarr", cube)
    update_calibration(space, zero=0.3, gain=0.01, quadratic=1e-7, calibration="two points", residual=np.float32(2.5))
    read = read_cube(space)
    assert np.array_equal(read.counts, cube.counts)
    assert read.energy.values[[0, 100]] == pytest.approx([0.3, 1.301])
    assert read.counts.attrs["calibration"] == "two points"
    assert read.counts.attrs["anode"] == "Rh"
    with pytest.raises(CalibrationError, match="energy must rise"):
        update_calibration(space, zero=0.3, gain=-0.01)
    assert read_cube(space).counts.attrs["gain"] == 0.01
    assert provenance(space)[-1] | {"time": "", "version": ""} == {
        "verb": "calibrate", "time": "", "version": "", "zero": 0.3, "gain": 0.01, "quadratic": 1e-7,
        "calibration": "two points", "residual": 2.5,
    }  # fmt: skip


def test_maps_come_back_as_they_were(tmp_path: Path, rng: np.random.Generator) -> None:
    space = create_workspace(tmp_path / "p.zarr", some_cube(rng))
    write_maps(space, "segment", some_maps(), record={"parameters": {"clusters": 2}, "seed": 3})
    read = read_maps(space, "segment")
    xr.testing.assert_identical(read, some_maps())
    assert list_maps(space) == ["segment"]
    record = provenance(space)[-1]
    assert record["verb"] == "segment"
    assert record["seed"] == 3
    assert (space.path / record["result"]).is_dir()


def test_missing_maps_are_told_with_the_remedy(tmp_path: Path, rng: np.random.Generator) -> None:
    space = create_workspace(tmp_path / "p.zarr", some_cube(rng))
    with pytest.raises(InputError, match=r"holds no segment; found no result yet\. Make it: velatura segment"):
        read_maps(space, "segment")
    write_maps(space, "segment", some_maps())
    with pytest.raises(InputError, match=r'holds no segmnt; found segment; did you mean "segment"'):
        read_maps(space, "segmnt")


def test_new_maps_replace_the_old_and_only_the_last_two_are_kept(tmp_path: Path, rng: np.random.Generator) -> None:
    space = create_workspace(tmp_path / "p.zarr", some_cube(rng))
    for value in (0.25, 0.5, 0.75):
        write_maps(space, "segment", some_maps(value))
        assert read_maps(space, "segment").membership[1, 1, 1] == value
    versions = [entry for entry in (space.path / "maps" / "segment").iterdir() if entry.is_dir()]
    assert len(versions) == 2
    assert [record["verb"] for record in provenance(space)] == ["import", *["segment"] * 3]


@pytest.mark.parametrize("step", ["_write_dataset", "add_record", "_write_group"])
def test_failure_at_any_step_leaves_the_old_maps(tmp_path: Path, rng, monkeypatch: pytest.MonkeyPatch, step) -> None:
    space = create_workspace(tmp_path / "p.zarr", some_cube(rng))
    write_maps(space, "segment", some_maps(0.25))
    with monkeypatch.context() as broken:
        broken.setattr(module, step, lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_maps(space, "segment", some_maps(0.5))
    assert read_maps(space, "segment").membership[1, 1, 1] == 0.25
    write_maps(space, "segment", some_maps(0.75))
    assert read_maps(space, "segment").membership[1, 1, 1] == 0.75
    assert len([entry for entry in (space.path / "maps" / "segment").iterdir() if entry.is_dir()]) == 2


def test_damage_is_told(tmp_path: Path, rng: np.random.Generator) -> None:
    space = create_workspace(tmp_path / "p.zarr", some_cube(rng, height=130))
    write_maps(space, "segment", some_maps())
    shards = sorted(file for file in (space.path / "counts" / "c").rglob("*") if file.is_file())
    assert len(shards) == 2
    whole = shards[1].read_bytes()
    shards[1].unlink()
    with pytest.raises(FileFormatError, match=r"p\.zarr lacks 1 of 2 files of counts\. Copy"):
        read_cube(space)
    shards[1].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"rows .* cannot be read"):
        list(bands(read_cube(space).counts.data))
    (space.path / "counts" / "zarr.json").write_text("{}")
    with pytest.raises(FileFormatError, match=r"p\.zarr is damaged: "):
        read_cube(space)
    version = json.loads((space.path / "maps" / "segment" / "zarr.json").read_text())["attributes"]["current"]
    (space.path / "maps" / "segment" / version / "membership" / "zarr.json").write_text("no JSON")
    with pytest.raises(FileFormatError, match=r"p\.zarr is damaged: "):
        read_maps(space, "segment")


def test_records_are_json_whatever_they_hold(tmp_path: Path, rng: np.random.Generator) -> None:
    facts = {"array": np.arange(2), "path": Path("a"), "number": np.float32(0.5), "nothing": None, "pair": (1, "b")}
    assert plain(facts) == {"array": [0, 1], "path": "a", "number": 0.5, "nothing": None, "pair": [1, "b"]}
    space = create_workspace(tmp_path / "p.zarr", some_cube(rng))
    add_record(space, "look", **facts)
    assert provenance(space)[-1]["array"] == [0, 1]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_refusing_disk_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        replace_text(tmp_path / "a.txt", "text")


def test_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written: .*Free the disk or choose another place"):
        replace_text(tmp_path / "file" / "a.txt", "text")


def test_old_text_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    replace_text(path, "old")
    with pytest.raises(ZeroDivisionError), written_aside(path) as aside:
        aside.write_text(f"ne{1 / 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, shutil, signal, sys, time, traceback
from pathlib import Path
import numpy as np, xarray as xr
import zarr, zarrs
from velatura.base.cube import make_cube
from velatura.base.workspace import *

path = Path(sys.argv[1])
cube = make_cube((np.arange(260 * 30 * 150) % 7).reshape(260, 30, 150).astype(np.uint16))

def write(times=10**6):
    space = open_workspace(path) if path.exists() else create_workspace(path, cube)
    for value in range(times):
        image = np.full((5, 260, 30), value + 1, np.float32)
        write_maps(space, "segment", xr.Dataset({"m": (("k", "y", "x"), image)}, attrs={"value": value + 1}))

def check():
    if not path.exists():
        return "none"
    space = open_workspace(path)
    assert np.array_equal(read_cube(space).counts, cube.counts)
    provenance(space)
    if not list_maps(space):
        return "cube"
    maps = read_maps(space, "segment")
    assert (maps.m == maps.attrs["value"]).all()
    return "maps"

def child(work):
    pid = os.fork()
    if pid:
        return pid
    try:
        print(work() or "written", flush=True)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

imports = np.linspace(0.0, 0.3, 7)
for number, delay in enumerate([*imports, *np.random.default_rng(5).uniform(0.0, 0.4, 7)]):
    if number < len(imports):
        shutil.rmtree(path, ignore_errors=True)
    pid = child(write)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert os.waitpid(child(check), 0)[1] == 0
assert os.waitpid(child(lambda: write(2)), 0)[1] == 0
assert os.waitpid(child(check), 0)[1] == 0
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_killed_at_any_moment_leaves_the_old_or_none_and_the_next_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    run = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    states = run.stdout.split()
    assert states[0] == "none"
    assert states[-2:] == ["written", "maps"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.zarr"]
    assert len(list((path / "maps" / "segment").iterdir())) == 3  # two versions and the pointer
    assert json.loads((path / "maps" / "segment" / "zarr.json").read_text())["attributes"]["current"]
