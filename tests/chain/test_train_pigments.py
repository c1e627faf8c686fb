import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.chain.train_pigments import WEIGHTS, Recipe, complete_bank, recipe_named, train_pigments
from velatura.scene.sources import SourcePlan
from velatura.tasks.pigment_model import load_pigments, predict
from velatura.train.weights import read_card

RECIPE = Recipe(design="fast", steps=4, size=16, groups=11, stacks=16)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = SourcePlan(groups=RECIPE.groups, stacks=RECIPE.stacks, seed=RECIPE.seed)
    return complete_bank(tmp_path_factory.mktemp("bank"), plan)


@pytest.fixture(scope="module")
def trained(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    return train_pigments(tmp_path_factory.mktemp("run"), RECIPE, bank=bank)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bytes(trained, bank: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("velatura.train.rundir").train.rundir.train.__kwdefaults__, "save_every", 2)

    def kill(stage: str, done: int, total: int) -> None:
        if stage == "training" and done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train_pigments(tmp_path / "run", RECIPE, bank=bank, progress=kill)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-000000002.safetensors"]
    path, _ = train_pigments(tmp_path / "run", RECIPE, bank=bank)
    assert path.read_bytes() == trained[0].read_bytes()


@pytest.mark.slow
def test_weights_carry_their_recipe_and_scores(trained) -> None:
    path, scores = trained
    card = read_card(path)
    assert card.recipe == json.loads(json.dumps(RECIPE.__dict__))
    assert {"f1_visible", "f1_hidden", "f1_low", "calibration_error", "auroc_unknown"} <= set(scores)
    for name, value in scores.items():
        np.testing.assert_equal(card.scores[name], value)


@pytest.mark.slow
def test_a_pupil_and_left_out_classes(trained, bank: Path, tmp_path: Path) -> None:
    recipe = Recipe(design="fast", steps=2, size=16, groups=11, stacks=16, left_out=("Hg",), teacher=str(trained[0]))
    path, _ = train_pigments(tmp_path / "run", recipe, bank=bank)
    answers = predict(load_pigments(path), np.ones((3, 1024), np.float32), np.zeros((3, 8), np.float32))
    assert np.isfinite(answers.probability).all()


@pytest.mark.slow
def test_training_goes_on_from_other_weights(trained, bank: Path, tmp_path: Path) -> None:
    before, rate = load_pigments(trained[0]).net.heads.layer.weight, 1e-12
    path, _ = train_pigments(tmp_path / "run", replace(RECIPE, steps=1, rate=rate, begin=str(trained[0])), bank=bank)
    np.testing.assert_allclose(load_pigments(path).net.heads.layer.weight, before, atol=1e-6)
    with pytest.raises(InputError, match="no weights 'bset'"):
        train_pigments(tmp_path / "other", replace(RECIPE, begin="bset"), bank=bank)


@pytest.mark.slow
def test_another_recipe_in_the_same_folder_is_refused(trained, bank: Path) -> None:
    with pytest.raises(InputError, match="steps"):
        train_pigments(trained[0].parent, Recipe(design="fast", steps=5, size=16, groups=11, stacks=16), bank=bank)
    assert (trained[0].parent / WEIGHTS).exists()


def test_recipes_by_name() -> None:
    short = recipe_named("short")
    assert recipe_named("short", steps=None, seed=3) == replace(short, seed=3)
    assert recipe_named("short", design="residual", steps=7) == replace(short, design="residual", steps=7)
    with pytest.raises(InputError, match="short"):
        recipe_named("shor")
