import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import velatura.chain.train_embedding as chain
from velatura.base.errors import InputError
from velatura.chain.train_embedding import Recipe, embedding_recipe, train_embedding
from velatura.scene.classes import xrf_classes
from velatura.scene.training import grid
from velatura.tasks.embedding_model import embed, load_embedder
from velatura.train.weights import read_card

RECIPE = Recipe("dve", steps=4, size=16, counts=(100.0, 100.0), exact=True)


class KilledError(Exception):
    pass


class Canvases:
    """As a folder of canvases: two spectra, two colours."""

    def __init__(self, kinds: tuple[str, ...] = ("library", "layers")) -> None:
        self.kinds = kinds

    def listed(self, split: str, kind: str) -> list:
        return [SimpleNamespace(kind=kind, split=split)] * (kind in self.kinds)

    def read(self, file: SimpleNamespace) -> SimpleNamespace:
        rng = np.random.default_rng(len(file.split))
        rates = np.exp(-0.5 * ((grid() - np.array([[6.4], [10.5]])) / 0.07) ** 2) + 2e-3
        entry = rng.integers(2, size=(8, 8)).astype(np.int32)
        colours = np.array([[200, 30, 30], [240, 240, 230]], np.uint8)
        visible = np.eye(len(xrf_classes()), dtype=np.float32)[:2]
        return SimpleNamespace(
            rgb=colours[entry], entry=entry, rates=rates / rates.sum(axis=1, keepdims=True), visible=visible,
            kind=file.kind,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in (("USUAL", 256), ("TAUGHT", 200), ("ASKED", 100)):
        monkeypatch.setattr(chain, name, number)
    monkeypatch.setattr("velatura.tasks.embedding_scores.REGRESSOR_STEPS", 5)
    monkeypatch.setattr("velatura.tasks.embedding_scores.CALIBRATION", 1024)
    monkeypatch.setattr("velatura.tasks.embedding_scores.CLUSTERS", range(4, 6))


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from velatura.train.rundir import train

    monkeypatch.setitem(train.__kwdefaults__, "save_every", 2)
    whole, scores = train_embedding(tmp_path / "whole", RECIPE, canvases=Canvases())

    def kill(stage: str, done: int, total: int) -> None:
        if stage == "training" and done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train_embedding(tmp_path / "run", RECIPE, canvases=Canvases(), progress=kill)
    path, _ = train_embedding(tmp_path / "run", RECIPE, canvases=Canvases())
    assert path.read_bytes() == whole.read_bytes()
    card = read_card(path)
    assert card.recipe == json.loads(json.dumps(RECIPE.__dict__))
    assert card.scores == scores
    assert {"ciede2000_library", "ciede2000_layers", "reconstruction_library"} <= set(scores)
    assert any("silhouette" in line for line in card.details["choices"])
    with pytest.raises(InputError, match="steps"):
        train_embedding(tmp_path / "run", replace(RECIPE, steps=5), canvases=Canvases())


@pytest.mark.slow
def test_a_taught_embedder_adapts_to_a_scan(tmp_path: Path, rng) -> None:
    recipe = replace(RECIPE, kind="taught", steps=2, exact=False, counts=(100.0, 900.0), adapt=("reversal",))
    target = rng.poisson(1, (30, 1024)).astype(np.uint16)
    path, _ = train_embedding(tmp_path / "run", recipe, canvases=Canvases(), target=target)
    assert np.isfinite(embed(load_embedder(path), target)).all()
    with pytest.raises(InputError, match="holds a run with target = "):
        train_embedding(tmp_path / "run", recipe, canvases=Canvases(), target=target[1:])


def test_a_projection_takes_no_steps(tmp_path: Path) -> None:
    path, scores = train_embedding(tmp_path / "run", embedding_recipe("pca3"), canvases=Canvases(("library",)))
    assert "target" not in json.loads((path.parent / "config.json").read_text())
    made = load_embedder(path)
    assert (made.kind, made.features) == ("pca3", 3)
    assert not any(name.endswith("layers") for name in scores)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="way of adapting"):
        train_embedding(tmp_path / "a", replace(RECIPE, adapt=("reversal",)), canvases=Canvases())
    with pytest.raises(InputError, match="embedder pca3 is not trained"):
        replace(embedding_recipe("pca3"), adapt=("reversal",))
    with pytest.raises(InputError, match="layers; found none"):
        train_embedding(tmp_path / "b", RECIPE, canvases=Canvases(("library",)))


def test_recipes_by_name() -> None:
    assert embedding_recipe("paper", steps=None, seed=3) == replace(embedding_recipe("paper"), seed=3)
    assert embedding_recipe("paper").exact
    with pytest.raises(InputError, match="velatura"):
        embedding_recipe("velatur")
