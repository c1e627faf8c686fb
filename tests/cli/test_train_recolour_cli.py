"""`velatura train embedding` and `recolour`: adapting to a scan; bad input gets one message and exit code 2."""

import numpy as np
import pytest

import velatura.chain.train_embedding as chain
import velatura.cli.train_recolour as cli
from velatura.base.cube import make_cube
from velatura.base.workspace import create_workspace
from velatura.cli.main import run


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["recolour"], "found no canvases at"),
        (["embedding"], "found no canvases at"),
        (["recolour", "--recipe", "velatur"], 'did you mean "velatura"'),
        (["embedding", "--recipe", "pape"], 'did you mean "paper"'),
        (["recolour", "--steps", "0"], "one step or more; asked for 0"),
        (["embedding", "--paintings", "nowhere"], "found none at nowhere"),
        (["embedding", "--adapt", "both"], "Add --target SCAN"),
        (["embedding", "--target", "nowhere.zarr"], "no file or folder nowhere.zarr"),
        (["embedding", "--target", "x.zarr", "--recipe", "pca3"], "embedder pca3 is not trained"),
    ],
)
def test_bad_input_is_told(tokens: list[str], message: str, tmp_path, capsys) -> None:
    assert run(["train", tokens[0], "-o", str(tmp_path / "run"), *tokens[1:]]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("tokens", "ways"),
    [
        ([], ("reversal",)),
        (["--adapt", "activations"], ("activations",)),
        (["--adapt", "both"], ("reversal", "activations")),
    ],
)
def test_an_embedder_adapts_to_a_scan(tokens: list[str], ways: tuple[str, ...], tmp_path, monkeypatch) -> None:
    counts = np.zeros((3, 4, 400), np.uint16)
    counts[..., 200] = 70
    create_workspace(tmp_path / "scan.zarr", make_cube(counts, zero=0.0, gain=0.05))
    asked = {}

    def train_embedding(folder, recipe, **given):
        asked.update(given, recipe=recipe)
        return folder / "embedding.safetensors", {}

    monkeypatch.setattr(chain, "train_embedding", train_embedding)
    monkeypatch.setattr(cli, "_canvases", lambda *given, **named: None)
    order = ["train", "embedding", "-o", str(tmp_path / "run"), "--target", str(tmp_path / "scan.zarr"), *tokens]
    assert run(order) == 0
    assert asked["recipe"].adapt == ways
    assert asked["target"].shape == (12, 1024)
    assert (asked["target"].sum(axis=1) == 70).all()
