"""The command line as a user meets it: exit codes, one message, the original untouched, runs that go on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from velatura.base.workspace import list_maps, open_workspace, provenance, read_cube, read_maps
from velatura.cli.main import VERBS, run
from velatura.io.export_cube import write_rpl
from velatura.scene.phantom import phantom

SMALL = (36, 30)


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    """A small simulated scan as .rpl and .raw."""
    path = tmp_path_factory.mktemp("scan") / "panel.rpl"
    write_rpl(path, phantom(counts=3000, rng=np.random.default_rng(3), shape=SMALL).cube)
    return path


@pytest.fixture(scope="module")
def analysed(scan, tmp_path_factory) -> Path:
    """The scan's workspace after `analyse`."""
    path = tmp_path_factory.mktemp("analysed") / "panel.zarr"
    before = scan.with_suffix(".raw").read_bytes()
    assert run(["analyse", str(scan), "-o", str(path), "--segmentation.clusters", "6"]) == 0
    assert scan.with_suffix(".raw").read_bytes() == before
    return path


def test_help_names_every_verb_and_imports_no_jax() -> None:
    code = "import sys; from velatura.cli.main import run; run(['--help']); sys.exit('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys) -> None:
    assert run([verb, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["info", "absent.rpl"], "absent.rpl"),
        (["segment", "absent.zarr"], "absent.zarr"),
        (["report", "absent.zarr"], "not a workspace"),
        (["analyse"], ""),
        (["segmnt", "x"], ""),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(tokens, words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tokens) == 2
    told = capsys.readouterr()
    assert words in told.err + told.out
    assert "Traceback" not in told.err
    assert not list(tmp_path.iterdir())


def test_broken_file_leaves_nothing(tmp_path, capsys) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04" + bytes(500))
    assert run(["analyse", str(broken), "-o", str(tmp_path / "out.zarr")]) == 2
    assert "broken.npz" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["broken.npz"]


def test_analyse_makes_maps_and_report(analysed) -> None:
    workspace = open_workspace(analysed)
    assert {"elements", "segment", "spectra"} <= set(list_maps(workspace))
    maps = read_maps(workspace, "segment")
    np.testing.assert_allclose(maps.membership.sum("cluster").values[maps.used.values], 1, atol=1e-5)
    folder = analysed.with_name("panel-report")
    assert (folder / "report.html").stat().st_size > 50_000
    assert list((folder / "figures").glob("*.png"))
    assert list((folder / "maps" / "segment").glob("membership_*.tif"))


def test_analyse_again_repeats_nothing(scan, analysed) -> None:
    before = provenance(open_workspace(analysed))
    assert run(["analyse", str(scan), "-o", str(analysed), "--segmentation.clusters", "6"]) == 0
    assert provenance(open_workspace(analysed)) == before


def test_analyse_goes_on_where_it_was_stopped(scan, tmp_path) -> None:
    path = tmp_path / "stopped.zarr"
    assert run(["elements", str(scan), "-o", str(path), "--lines", "Pb-La", "--lines", "Cu-Ka"]) == 0
    assert run(["analyse", str(path), "--elements.lines", "Pb-La", "--elements.lines", "Cu-Ka"]) == 0
    verbs = [record["verb"] for record in provenance(open_workspace(path))]
    assert verbs.count("elements") == verbs.count("import") == verbs.count("segment") == 1


def test_another_scan_is_not_overwritten(scan, analysed, tmp_path, capsys) -> None:
    other = tmp_path / "other.npy"
    np.save(other, np.ones((4, 5, 256), np.uint16))
    assert run(["import", str(other), "-o", str(analysed)]) == 2
    assert "Choose another name" in capsys.readouterr().err
    assert read_cube(open_workspace(analysed)).counts.shape[:2] == SMALL


def test_calibration_by_points_and_by_nonsense(scan, tmp_path, capsys) -> None:
    path = str(tmp_path / "points.zarr")
    assert run(["calibrate", str(scan), "-o", path, "--calibration", "0=0.0,500=10.0"]) == 0
    assert "gain 20.0000 eV" in capsys.readouterr().out
    assert run(["calibrate", path, "--calibration", "oops"]) == 2
    assert "640=6.404" in capsys.readouterr().err
    known = read_cube(open_workspace(Path(path))).counts.attrs
    assert known["gain"] == pytest.approx(0.02)
    assert json.loads(known["calibration_check"])["lines"]


def test_clusters_of_one_scan_on_another(analysed, tmp_path) -> None:
    again = tmp_path / "again.rpl"
    write_rpl(again, phantom(counts=3000, rng=np.random.default_rng(4), shape=SMALL).cube)
    path = tmp_path / "again.zarr"
    assert run(["segment", str(again), "-o", str(path), "--clusters-from", str(analysed)]) == 0
    first, second = (read_maps(open_workspace(one), "segment") for one in (analysed, path))
    np.testing.assert_array_equal(first.centre, second.centre)


def test_repair_makes_a_new_workspace(scan, tmp_path, capsys) -> None:
    path = tmp_path / "turned.zarr"
    assert run(["repair", str(scan), "-o", str(path), "--rotate", "90", "--crop", "0", "0", "20", "30"]) == 0
    assert read_cube(open_workspace(path)).counts.shape[:2] == (20, 30)
    assert "turned by 90 degrees" in capsys.readouterr().out
    assert run(["repair", str(scan), "-o", str(path)]) == 2


@pytest.mark.parametrize("kind", ["tiff", "csv", "png", "rpl", "npz"])
def test_export(analysed, tmp_path, kind) -> None:
    assert run(["export", str(analysed), str(tmp_path / kind), "--kind", kind]) == 0
    assert list((tmp_path / kind).rglob("*.*"))


def test_merge_joins_clusters_by_name(analysed, tmp_path, capsys) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(analysed, copy)
    assert run(["merge", str(copy), "C1+C3"]) == 0
    before, after = (read_maps(open_workspace(path), "segment") for path in (analysed, copy))
    assert after.sizes["cluster"] == before.sizes["cluster"] - 1
    np.testing.assert_allclose(
        after.membership.sel(cluster="C1+C3"), before.membership.sel(cluster=["C1", "C3"]).sum("cluster"), atol=1e-6
    )
    assert run(["merge", str(copy), "C2+C99"]) == 2
    assert "C99" in capsys.readouterr().err
