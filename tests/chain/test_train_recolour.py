"""Training of recolourers from small canvases: the same bytes after a kill, every option of the one loop, cards."""

import csv
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from velatura.base.errors import InputError
from velatura.chain import train_recolour as chain
from velatura.chain.recolour_data import fresh_pictures
from velatura.chain.recolour_recipes import RECIPES, Recipe, recipe_named
from velatura.chain.train_recolour import Verdict, train_recolour
from velatura.scene.canvas_file import write_canvas
from velatura.scene.canvas_folder import CanvasFolder, write_canvases
from velatura.scene.seed_images import seed_images
from velatura.tasks.embedding_model import load_embedder, save_embedder, untrained_embedder
from velatura.tasks.recolour_model import architecture, embedder_for, fingerprint, load_recolourer, recolour
from velatura.train.rundir import open_run
from velatura.train.weights import read_card

SIDE = 32
RECIPE = Recipe(
    design="pixels",
    embedder="paper",
    doses=(400.0, 2000.0),
    steps=5,
    size=2,
    side=SIDE,
    schedule="plateau",
    rate=0.01,
    loss="redmean",
    judge=3,
)
SPLITS = ("train", "train", "train", "validation", "validation", "test")


class KilledError(Exception):
    pass


def killer(stage: str, at: int):
    """A progress that kills the work at a step of a stage."""

    def progress(now: str, done: int, total: int) -> None:
        if (now, done) == (stage, at):
            raise KilledError

    return progress


@pytest.fixture(scope="module")
def canvases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures; what stands for layers of paint are the same spectra, dearer to make in earnest."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(4)
    with (folder / "paintings.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "split"])
        for number, split in enumerate(SPLITS):
            table.writerow([f"{number}.png", split])
            tones = rng.integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(tones).resize((40, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    made = write_canvases(folder / "canvases", seed_images(folder), kinds=["library"], size=SIDE)
    for file in made.planned(kind="layers"):
        library = made.read(made.listed(kind="library")[file.number])
        write_canvas(file.path, library._replace(kind="layers"))
    return made.folder


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("embedder") / "embedding.safetensors"
    save_embedder(path, untrained_embedder("pca3", key=jax.random.key(0)))
    return path


@pytest.fixture(scope="module")
def trained(canvases: Path, embedding: Path, tmp_path_factory) -> tuple[Path, dict[str, float]]:
    return train_recolour(tmp_path_factory.mktemp("run"), RECIPE, canvases=canvases, embedding=embedding)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bytes(trained, canvases, embedding, tmp_path, monkeypatch) -> None:
    """An epoch has three steps: the break comes after a verdict that the schedule must remember."""
    monkeypatch.setattr(chain, "SAVE_EVERY", 2)
    for stage, at in (("training", 3), ("training", 5), ("judging", 2), ("judging", 3)):
        with pytest.raises(KilledError):
            train_recolour(tmp_path / "run", RECIPE, canvases=canvases, embedding=embedding, progress=killer(stage, at))
    path, scores = train_recolour(tmp_path / "run", RECIPE, canvases=canvases, embedding=embedding)
    assert path.read_bytes() == trained[0].read_bytes()
    assert scores == trained[1]
    last = "checkpoints/step-000000005.safetensors"
    assert (path.parent / last).read_bytes() == (trained[0].parent / last).read_bytes()


@pytest.mark.slow
def test_pretraining_and_a_critic_go_on_to_the_same_bytes(canvases, embedding, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(chain, "SAVE_EVERY", 2)
    recipe = replace(RECIPE, schedule="cosine", pretrain=0.6, critic=0.01, steps=4, error=False, loss="l1")
    whole, _ = train_recolour(tmp_path / "whole", recipe, canvases=canvases, embedding=embedding)
    for stage, at in (("pre-training", 1), ("training", 3)):
        with pytest.raises(KilledError):
            train_recolour(
                tmp_path / "broken", recipe, canvases=canvases, embedding=embedding, progress=killer(stage, at)
            )
    broken, _ = train_recolour(tmp_path / "broken", recipe, canvases=canvases, embedding=embedding)
    assert broken.read_bytes() == whole.read_bytes()
    assert load_recolourer(whole).card.architecture == architecture(
        "pixels", inputs=3, outputs=3, side=SIDE, embedder="paper", judged=True
    )


def test_weights_carry_recipe_scores_and_embedder(trained, embedding, tmp_path) -> None:
    path, scores = trained
    card = read_card(path)
    assert card.recipe == {**asdict(RECIPE), "kinds": list(RECIPE.kinds), "doses": list(RECIPE.doses)}
    assert card.scores == scores
    assert {"library_ms_ssim", "layers_ciede2000", "layers_trust_ece", "library_error_rank"} <= set(scores)
    back = load_recolourer(path)
    assert fingerprint(embedder_for(back, embedding)) == card.details["embedding"]
    other = tmp_path / "other.safetensors"
    save_embedder(other, untrained_embedder("pca3", key=jax.random.key(1)))
    with pytest.raises(InputError, match=r"taught with the embedder 'paper' \w{8}; found \w{8}"):
        embedder_for(back, other)


def test_a_trained_recolourer_says_what_was_scored(trained, canvases, embedding) -> None:
    """The scores in the card are those of `recolour` on the same fresh pictures."""
    from velatura.tasks.recolour_scores import scores

    path, said = trained
    data, embedder, back = CanvasFolder(canvases), load_embedder(embedding), load_recolourer(path)
    shown = fresh_pictures(data, embedder, split="test", kind="layers", number=48, side=SIDE)
    rgb = np.stack([recolour(back, np.float32(image)).rgb for image in shown.embedded])
    for name, value in scores(rgb, shown.rgb / np.float32(255)).items():
        assert value == pytest.approx(said[f"layers_{name}"], rel=0.02, abs=2e-3)  # weights of 11 bits


def test_fresh_pictures_are_made_once(canvases, embedding) -> None:
    data, embedder = CanvasFolder(canvases), load_embedder(embedding)
    told = []
    options = {"split": "validation", "kind": "library", "number": 3, "side": SIDE}
    first = fresh_pictures(data, embedder, **options, progress=lambda *now: told.append(now))
    again = fresh_pictures(data, embedder, **options, progress=lambda *now: told.append(now))
    assert len(told) in (0, 3)  # nothing where another test was first
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.embedded.shape == (2, SIDE, SIDE, 3)
    assert np.unique(first.embedded.reshape(-1, 3), axis=0).shape[0] > 0.9 * SIDE**2  # every pixel its own counts


def test_the_schedule_is_told_the_last_verdict_on_record(tmp_path) -> None:
    run = open_run(tmp_path, {})
    assert Verdict(run)(0) == 1
    run.log(3, ms_ssim=0.25)
    run.log(4, loss=1.0)
    verdict = Verdict(run)
    assert verdict(4) == 0.75
    assert verdict.given(0.5) == 0.5
    assert verdict(5) == 0.5


def test_what_does_not_fit_is_refused(trained, canvases, embedding, tmp_path) -> None:
    with pytest.raises(InputError, match=r"rate = 0\.01; asked for 0\.1"):
        train_recolour(trained[0].parent, replace(RECIPE, rate=0.1), canvases=canvases, embedding=embedding)
    with pytest.raises(InputError, match="canvases of 32 pixels; asked for 64"):
        train_recolour(tmp_path / "a", replace(RECIPE, side=64), canvases=canvases, embedding=embedding)
    with pytest.raises(InputError, match="no embedder"):
        train_recolour(tmp_path / "b", RECIPE, canvases=canvases, embedding=tmp_path / "none")
    with pytest.raises(InputError, match=r"no recipe 'papr'.*did you mean .paper"):
        recipe_named("papr")


def test_recipes_are_those_of_the_table() -> None:
    assert set(RECIPES) >= {"paper", "velatura", "short", "vit", "unet", "pixels", "pretrained", "pix2pix"}
    paper = RECIPES["paper"]
    assert (paper.design, paper.loss, paper.schedule, paper.epochs, paper.kinds) == (
        "small-uvit", "redmean", "plateau", 100, ("library",),
    )  # fmt: skip
    assert recipe_named("velatura", steps=None, seed=3) == replace(RECIPES["velatura"], seed=3)
