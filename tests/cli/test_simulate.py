"""`velatura simulate` as a user meets it: workspaces with truth, banks that go on, one message for errors."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from velatura.base.workspace import open_workspace, read_cube, read_maps
from velatura.chain import spectra_bank
from velatura.chain.spectra_bank import read_bank, write_bank
from velatura.cli.main import run
from velatura.scene.bank import Bank

SCENE = """
width = 12
height = 10
channels = 512
counts = 400
instrument = "crono"

[[layer]]
kind = "support"
paint = "linen_canvas"
thickness = 500

[[layer]]
kind = "pentimento"
paint = "vermilion"
area = { rectangle = [0.0, 0.0, 0.5, 1.0] }
thickness = 20

[[layer]]
kind = "overpaint"
paint = "lead_white"
thickness = 15
"""


@pytest.fixture
def scene(tmp_path) -> Path:
    path = tmp_path / "panel.toml"
    path.write_text(SCENE)
    return path


@pytest.fixture
def image(tmp_path, rng) -> Path:
    path = tmp_path / "picture.png"
    pixels = np.zeros((16, 20, 3), np.uint8)
    pixels[:, :10], pixels[:8, 10:] = (200, 60, 40), (240, 240, 230)
    Image.fromarray(pixels).save(path)
    return path


def bytes_of(path: Path) -> np.ndarray:
    return read_cube(open_workspace(path)).counts.values


def test_a_scene_becomes_a_workspace_with_its_truth(scene, tmp_path, capsys) -> None:
    one, two = tmp_path / "one.zarr", tmp_path / "two.zarr"
    assert run(["simulate", "--scene", str(scene), "-o", str(one)]) == 0
    assert "truth in maps/truth" in capsys.readouterr().out
    assert run(["simulate", "--scene", str(scene), "-o", str(two)]) == 0
    counts, truth = bytes_of(one), read_maps(open_workspace(one), "truth")
    np.testing.assert_array_equal(counts, bytes_of(two))
    assert counts.shape == (10, 12, 512)
    assert counts.sum(-1).mean() == pytest.approx(400, rel=0.03)
    mercury = truth.mass_thickness.sel(pigment="vermilion").sum("layer").values
    assert (mercury[:, :5] > 0).all()
    assert not mercury[:, 7:].any()
    assert truth.hidden.any("layer").values[:, :5].all()
    assert truth.detectability.sel(pigment="vermilion").values[:, :5].min() > 9


def test_explaining_a_scene(scene, tmp_path, capsys) -> None:
    picture = tmp_path / "depth.png"
    assert run(["simulate", "--scene", str(scene), "--explain", "-o", str(picture)]) == 0
    told = capsys.readouterr().out
    assert "Hg-La" in told
    assert "from vermilion 100%" in told
    assert "seen, with its delta chi2: " in told
    with Image.open(picture) as opened:
        assert min(opened.size) > 500


@pytest.mark.parametrize("method", ["ganx", "layers"])
def test_a_picture_becomes_a_scan(image, tmp_path, method) -> None:
    path = tmp_path / "picture.zarr"
    options = "--colours 3 --counts 300 --threshold 0.6 --window 1 30 --channels 256"
    tokens = ["--palette", "cinnabar,titanium_white,ivory_black", *options.split()]
    assert run(["simulate", "--image", str(image), "--method", method, "-o", str(path), *tokens]) == 0
    cube = read_cube(open_workspace(path))
    counts, energy = cube.counts.values, cube.energy.values
    mercury = counts[:, :, np.abs(energy - 9.99) < 0.25].sum(-1)
    assert mercury[:, :10].mean() > 2 * mercury[:8, 10:].mean()
    if method == "ganx":
        assert cube.sizes["energy"] == 256
        assert (energy[0] + energy[-1]) / 2 == pytest.approx(15.5)
        assert (counts.sum(-1) == 300).all()
    assert "truth" in [entry.name for entry in (path / "maps").iterdir()]


def test_a_killed_bank_goes_on_and_equals_the_unbroken_one(tmp_path, monkeypatch) -> None:
    bank, whole, broken = Bank(600, seed=3, channels=256), tmp_path / "whole.zarr", tmp_path / "broken.zarr"
    write_bank(whole, bank)

    def stop(stage: str, done: int, total: int) -> None:
        if done >= 512:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bank(broken, bank, progress=stop)
    assert not broken.exists()
    drawn = []
    original = spectra_bank.draw_batch
    monkeypatch.setattr(spectra_bank, "draw_batch", lambda b, k: (drawn.append(k), original(b, k))[1])
    write_bank(broken, bank)
    assert drawn == [1]
    one, two = read_bank(whole).load(), read_bank(broken).load()
    assert one.identical(two)
    assert one.sizes["spectrum"] == 600
    total = one.counts.values.sum(-1).astype(float)
    np.testing.assert_allclose(total, one.dose.values, atol=6 * np.sqrt(one.dose.values.max()))
    np.testing.assert_allclose(one.volume_share.values[:, 0].sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ([], "give one of --scene FILE, --image FILE, --random N; found none"),
        (["--random", "5", "--image", "x.png", "-o", "x.zarr"], "found --image and --random"),
        (["--random", "5"], "where shall it go"),
        (["--random", "0", "-o", "x.zarr"], "at least one spectrum; asked for 0"),
        (["--random", "5", "-o", "x.zarr", "--period", "baroque"], "two years like 1600-1650"),
        (["--random", "5", "-o", "x.zarr", "--period", "1650-1600"], "from the earlier to the later"),
        (["--random", "5", "-o", "x.zarr", "--instrument", "crona"], 'did you mean "crono"'),
        (["--image", "absent.png", "-o", "x.zarr"], "cannot be read as a picture"),
        (["--scene", "absent.toml", "-o", "x.zarr"], "absent.toml"),
        (["--image", "x.png", "-o", "x.zarr", "--window", "20", "5"], "the window must rise"),
        (["--image", "x.png", "--explain"], "--explain reads a scene"),
    ],
)
def test_bad_requests(tokens, words, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["simulate", *tokens]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert "Traceback" not in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"vermilion"', '"vermillion"', 'did you mean "vermilion"'),
        ("thickness = 15", "thickness = -15", "-15"),
        ('instrument = "crono"', 'instrument = { like = "crono", tube = { voltage = 400.0 } }', "found 400 kV"),
        ('kind = "overpaint"', 'kind = "overpant"', "overpaint"),
    ],
)
def test_bad_scenes(scene, tmp_path, capsys, old, new, words) -> None:
    scene.write_text(SCENE.replace(old, new))
    assert run(["simulate", "--scene", str(scene), "-o", str(tmp_path / "out.zarr")]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) <= 2
    assert not (tmp_path / "out.zarr").exists()
