"""`velatura recolour` as a user meets it: stamped maps and files, one message for bad input, nothing computed twice."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import tifffile
import xarray as xr
from PIL import Image

from velatura.base.workspace import open_workspace, provenance, read_maps, write_maps
from velatura.chain.analyse import Analysis, analyse
from velatura.chain.page import make_report
from velatura.chain.recolour import can_recolour, map_colours
from velatura.cli.main import run
from velatura.tasks.elements import Elements
from velatura.tasks.embedding_model import save_embedder, untrained_embedder
from velatura.tasks.recolour_cube import STAMP, Recolouring
from velatura.tasks.recolour_model import save_recolourer, untrained
from velatura.tasks.segment import Segmentation

CHANNELS, GAIN = 512, 0.08
DESIGN = "pixels"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, Path]:
    """Weights that were never trained: a recolourer, its embedding, and a recolourer for more features."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {name: folder / f"{name}.safetensors" for name in ("model", "embedding", "wider")}
    keys = jax.random.split(jax.random.key(4))
    save_embedder(paths["embedding"], untrained_embedder("pca3", key=keys[0]))
    for name, inputs in (("model", 3), ("wider", 5)):
        build = {"inputs": inputs, "embedder": str(paths["embedding"]), "outputs": 4, "side": 32}
        save_recolourer(paths[name], untrained(DESIGN, **build, key=keys[1]))
    return paths


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    """Two materials side by side, at 40 kV."""
    axis = GAIN * np.arange(CHANNELS)
    lines = [40 * np.exp(-(((axis - at) / 0.12) ** 2)) for at in (8.04, 10.55)]
    expected = np.where(np.arange(12)[:, None] < 6, *lines) + 1.0
    counts = np.random.default_rng(0).poisson(np.broadcast_to(expected, (10, 12, CHANNELS))).astype(np.uint16)
    counts[0, 0] = 0
    np.save(path := tmp_path_factory.mktemp("scan") / "scan.npy", counts)
    return path


def pigments() -> xr.Dataset:
    """As `identify` would find them: lead white everywhere, vermilion beneath its lower half."""
    probability = np.full((2, 2, 10, 12), 0.02, np.float16)
    probability[0, 0], probability[1, 1, 5:] = 0.95, 0.9
    image, beneath = np.zeros((10, 12), np.float32), np.repeat([0.05, 0.98], 5).astype(np.float32)
    known = {"paint": "visible", "xrf_class": "Pb", "pigments": "lead white: Pb", "found": 1.0, "probability": 0.95}
    rows = [{"region": name, "pixels": 60} | known for name in ("A1", "A2")]
    names = ("xrf_class", ["lead_white, red_lead", "cinnabar, vermilion"])
    return xr.Dataset(
        {
            "probability": (("paint", "xrf_class", "y", "x"), probability),
            "share": (("paint", "xrf_class", "y", "x"), probability),
            "amount": (("paint", "y", "x"), np.stack([image, image])),
            "hidden": (("y", "x"), np.repeat(beneath[:, None], 12, axis=1)),
            **dict.fromkeys(("unknown", "strangeness"), (("y", "x"), image)),
            "unexplained": (("y", "x"), image > 1),
            "answered": (("y", "x"), image == 0),
            "regions": (("y", "x"), np.repeat(np.arange(2, dtype=np.int16), 5)[:, None] + np.zeros((1, 12), np.int16)),
            "region_spectrum": (("region", "energy"), np.ones((2, CHANNELS), np.int64)),
        },
        {
            "paint": ["visible", "hidden"], "xrf_class": ["Pb", "Hg"], "members": names,
            "markers": ("xrf_class", ["Pb", "Hg"]), "region": ["A1", "A2"], "energy": GAIN * np.arange(CHANNELS),
            "threshold": (("paint", "xrf_class"), np.full((2, 2), 0.5, np.float32)),
        },
        {"parameters": json.dumps({"period": "1600-1650"}), "evidence": json.dumps(rows), "notes": "[]"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def recoloured(scan, weights, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recoloured")
    path = folder / "scan.zarr"
    assert run(["calibrate", str(scan), "-o", str(path), "--calibration", f"0=0.0,500={500 * GAIN}"]) == 0
    write_maps(open_workspace(path), "identify", pigments())
    order = ["recolour", str(path), "--model", str(weights["model"]), "--export", str(folder / "colours.png")]
    assert run(order) == 0
    return path


def test_maps_are_stored_with_their_stamp(recoloured) -> None:
    maps = read_maps(open_workspace(recoloured), "recolour")
    assert maps.rgb.dims == ("y", "x", "colour")
    assert maps.rgb.dtype == maps.trust.dtype == maps.hidden_trust.dtype == np.float32
    assert np.isnan(maps.rgb.values[0, 0]).all()
    assert maps.trust.values[0, 0] == 0
    assert len(list(recoloured.glob("maps/recolour/*/rgb/c/*"))) == 1
    assert maps.attrs["stamp"] == STAMP
    assert json.loads(maps.attrs["parameters"])["embedding"] == "embedding"
    assert json.loads(maps.attrs["card"])["recolourer"]["architecture"]["design"] == DESIGN
    regions = json.loads(maps.attrs["regions"])
    assert [(row["region"], row["pixels"], row["open"]) for row in regions] == [("A1", 59, True), ("A2", 60, True)]
    assert maps.invisible.values.all()
    np.testing.assert_array_equal(np.isfinite(maps.hidden_rgb.values[..., 0]), np.arange(10)[:, None] >= np.full(12, 5))
    assert any("no scan in air" in note for note in json.loads(maps.attrs["notes"]))


def test_the_picture_carries_the_stamp_in_pixels_and_text(recoloured) -> None:
    with Image.open(recoloured.with_name("colours.png")) as picture:
        assert picture.text["Disclaimer"] == STAMP
        pixels, factor = np.asarray(picture), picture.width // 12
    maps = read_maps(open_workspace(recoloured), "recolour")
    shown = pixels[factor // 2 : 10 * factor : factor, factor // 2 :: factor]
    assert shown[0, 0, 3] == 0
    np.testing.assert_allclose(shown[1:, :, :3], 255 * maps.rgb.values[1:], atol=0.51)
    strip = pixels[10 * factor :]
    assert len(strip) >= 14
    assert np.ptp(strip[..., 0]) > 150


@pytest.mark.parametrize("suffix", ["tif", "npz", "csv"])
def test_other_files_carry_it_too(recoloured, weights, tmp_path, suffix) -> None:
    path = tmp_path / f"colours.{suffix}"
    assert run(["recolour", str(recoloured), "--model", str(weights["model"]), "--export", str(path)]) == 0
    rgb = read_maps(open_workspace(recoloured), "recolour").rgb.values
    if suffix == "tif":
        with tifffile.TiffFile(path) as file:
            assert file.pages[0].description == STAMP
        np.testing.assert_array_equal(tifffile.imread(path), rgb)
    elif suffix == "npz":
        with np.load(path) as file:
            assert str(file["stamp"]) == STAMP
            np.testing.assert_array_equal(file["rgb"], rgb)
    else:
        text = path.read_text()
        assert text.startswith(f"# {STAMP}\ny,x,rgb_red,rgb_green,rgb_blue,")
        table = np.genfromtxt(path, delimiter=",", skip_header=2)
        np.testing.assert_allclose(table[:, 2:5].reshape(rgb.shape), rgb, rtol=1e-5)


def test_the_same_again_is_not_computed_again(recoloured, weights, monkeypatch) -> None:
    monkeypatch.setattr("velatura.chain.recolour.recolour_cube", None)
    before = provenance(open_workspace(recoloured))
    map_colours(open_workspace(recoloured), Recolouring(model=str(weights["model"])))
    assert provenance(open_workspace(recoloured)) == before


def test_cancelled_work_leaves_the_old_result_and_nothing_else(recoloured, weights) -> None:
    before = sorted(path.relative_to(recoloured) for path in recoloured.rglob("*"))

    def cancel(stage: str, done: int, total: int, /) -> None:
        if stage == "recolouring":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_colours(
            open_workspace(recoloured), Recolouring(model=str(weights["model"]), least_counts=60), progress=cancel
        )
    assert sorted(path.relative_to(recoloured) for path in recoloured.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "absent.safetensors"], "no weights 'absent.safetensors'"),
        (["--embedding", "absent.safetensors"], "no embedder 'absent.safetensors'"),
        (["--model", "WIDER"], "Leave out --embedding"),
        (["--least-counts", "0"], "least counts"),
        (["--export", "picture.jpeg"], "recoloured.png"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(recoloured, weights, options, words, capsys) -> None:
    options = [str(weights["wider"]) if part == "WIDER" else part for part in options]
    model = [] if "--model" in options else ["--model", str(weights["model"])]
    assert run(["recolour", str(recoloured), *model, *options]) == 2
    told = capsys.readouterr()
    assert words in told.err + told.out
    assert "Traceback" not in told.err


@pytest.mark.parametrize("kind", ["tiff", "png", "csv"])
def test_export_of_all_images_is_stamped(recoloured, tmp_path, kind) -> None:
    assert run(["export", str(recoloured), str(tmp_path), "--kind", kind, "--maps", "recolour"]) == 0
    files = sorted((tmp_path / "recolour").iterdir())
    names = {path.stem for path in files}
    assert names == (
        {"colours"} if kind == "csv" else {"rgb", "hidden_rgb", "error", "trust", "hidden_trust", "invisible"}
    )
    assert all(b"A hypothesis, not evidence" in path.read_bytes() for path in files)


def test_report_shows_the_colours_stamped(recoloured, tmp_path) -> None:
    files = make_report(open_workspace(recoloured), tmp_path)
    page = files.page.read_text()
    assert STAMP in page
    assert 'id="colours"' in page
    assert {"recoloured.png"} <= {path.name for path in files.figures}
    assert any(path.parts[-2:] == ("recolour", "rgb.tif") for path in files.maps)


def test_analyse_recolours_and_leaves_it_out_without_weights(recoloured, weights, monkeypatch, tmp_path) -> None:
    plan = Analysis(
        elements=Elements(lines=("Cu-Ka",)), segmentation=Segmentation(clusters=3, proposals=0),
        recolouring=Recolouring(model=str(weights["model"]), least_counts=40),
    )  # fmt: skip
    monkeypatch.setattr("velatura.tasks.pigment_model.shipped", lambda name="best": None)
    workspace = open_workspace(recoloured)
    analyse(workspace, plan)
    assert json.loads(read_maps(workspace, "recolour").attrs["parameters"])["least_counts"] == 40
    monkeypatch.setattr("velatura.tasks.recolour_model.shipped", lambda name="velatura": None)
    before = provenance(workspace)
    analyse(workspace, replace(plan, recolouring=Recolouring()))
    assert provenance(workspace) == before
    assert not can_recolour(Recolouring())
    assert can_recolour(plan.recolouring)
