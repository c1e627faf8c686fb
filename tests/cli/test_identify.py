"""`velatura identify` as a user meets it: a table, maps, one message for bad input, nothing half written."""

import csv
from pathlib import Path

import jax
import numpy as np
import pytest

from velatura.base.workspace import list_maps, open_workspace, read_maps
from velatura.chain.identify import evidence_of, instrument_of, map_pigments
from velatura.cli.main import run
from velatura.io.export_cube import write_rpl
from velatura.io.library import LibrarySpectrum
from velatura.physics.instrument import PRESETS
from velatura.scene.phantom import phantom
from velatura.tasks.identify import Identification
from velatura.tasks.pigment_model import save_pigments, untrained


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Weights of a network that was never trained."""
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_pigments(path, untrained(key=jax.random.key(5)))
    return path


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "panel.rpl"
    write_rpl(path, phantom(counts=2000, rng=np.random.default_rng(3), shape=(16, 14)).cube)
    return path


@pytest.fixture(scope="module")
def identified(scan, weights, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("identified") / "panel.zarr"
    assert run(["identify", str(scan), "-o", str(path), "--model", str(weights), "--period", "1600-1650"]) == 0
    return path


def test_maps_and_table_are_written(identified) -> None:
    maps = read_maps(open_workspace(identified), "identify")
    assert maps.probability.dims == ("paint", "xrf_class", "y", "x")
    assert maps.probability.dtype == np.float16
    assert maps.sizes["y"] == 16
    with identified.with_name("panel-evidence.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    stored = evidence_of(maps)
    assert len(rows) == len(stored) > 0
    assert rows[0]["pigments"] == stored[0]["pigments"]
    assert {row["region"] for row in rows} <= {str(name) for name in maps.region.values}
    totals = [maps.region_spectrum.values[number].sum() for number in range(maps.sizes["region"])]
    assert min(totals) > 0


def test_what_lies_outside_the_period_is_flagged_and_kept(identified) -> None:
    maps = read_maps(open_workspace(identified), "identify")
    late = maps.xrf_class.values[maps.outside_period.values]
    assert not set(late) & {"Pb", "Hg", "Cu"}
    flagged = {row["xrf_class"] for row in evidence_of(maps) if "outside the period" in row["flags"]}
    assert flagged <= set(late)


def test_the_same_again_is_not_computed_again(identified, weights) -> None:
    workspace = open_workspace(identified)
    before = (identified / "maps" / "identify" / "zarr.json").read_text()
    map_pigments(workspace, Identification(model=str(weights), period="1600-1650"))
    assert (identified / "maps" / "identify" / "zarr.json").read_text() == before


def test_another_table_needs_no_new_answers(identified, weights, monkeypatch) -> None:
    workspace, energy = open_workspace(identified), 0.04 * np.arange(900)
    before = read_maps(workspace, "identify")
    own = LibrarySpectrum("mine", (0, 0, 0), energy, before.region_spectrum.values[0, :900].astype(float) + 1)
    monkeypatch.setattr("velatura.chain.identify.identify", None)
    config = Identification(model=str(weights), period="1600-1650")
    after = map_pigments(workspace, config, library=(own,))
    np.testing.assert_array_equal(after.probability.values, before.probability.values)
    assert evidence_of(after)[0]["nearest_reference"] == "mine 1.00"
    assert len(evidence_of(after)) == len(evidence_of(before))


def test_cancelled_work_leaves_the_old_result_and_nothing_else(identified, weights) -> None:
    workspace = open_workspace(identified)
    before = sorted(path.relative_to(identified) for path in identified.rglob("*"))

    def cancel(stage: str, done: int, total: int, /) -> None:
        if stage == "identifying":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_pigments(workspace, Identification(model=str(weights)), progress=cancel)
    assert sorted(path.relative_to(identified) for path in identified.rglob("*")) == before
    assert "identify" in list_maps(workspace)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "absent.safetensors"], "no weights 'absent.safetensors'"),
        (["--period", "baroque"], "two years like 1600-1650"),
        (["--palette", "azurit"], 'did you mean "azurite"'),
        (["--instrument", "bruker"], 'did you mean "bruker-m6"'),
        (["--exclude", "nothing_of_ours"], "no pigment or XRF class"),
        (["--least-counts", "0"], "least counts"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(identified, weights, options, words, capsys) -> None:
    model = [] if "--model" in options else ["--model", str(weights)]
    assert run(["identify", str(identified), *model, *options]) == 2
    told = capsys.readouterr()
    assert words in told.err + told.out
    assert "Traceback" not in told.err


def test_the_instrument_comes_from_the_metadata_when_they_tell_all() -> None:
    cube = phantom(counts=500, rng=np.random.default_rng(1), shape=(8, 6)).cube
    assert instrument_of(cube).tube.voltage == cube.counts.attrs["tube_voltage"]
    cube.counts.attrs["instrument"] = "crono"
    assert instrument_of(cube) == PRESETS["crono"]
    cube.counts.attrs["instrument"] = "mine"
    del cube.counts.attrs["take_off_angle"]
    assert instrument_of(cube) is None


def test_refinement_needs_a_scanner(tmp_path, weights, capsys) -> None:
    counts = np.random.default_rng(0).poisson(3, (6, 5, 512)).astype(np.uint16)
    np.save(tmp_path / "scan.npy", counts)
    order = ["identify", str(tmp_path / "scan.npy"), "-o", str(tmp_path / "s.zarr"), "--model", str(weights)]
    assert run(["calibrate", *order[1:4], "--calibration", "0=0.0,500=40.0"]) == 0
    assert run(["identify", str(tmp_path / "s.zarr"), *order[4:], "--refine"]) == 2
    assert "--instrument bruker-m6" in capsys.readouterr().err
