"""`velatura train embedding` and `velatura train recolour`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from velatura.base.errors import InputError
from velatura.base.progress import Progress
from velatura.cli.console import progress_bar, say

if TYPE_CHECKING:
    from velatura.scene.canvas_folder import CanvasFolder

CANVASES = "canvases"  # folder in that of the run
Way = Literal["reversal", "activations", "both"]


def embedding(
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    *,
    recipe: Annotated[str, Parameter(name="--recipe")] = "velatura",
    paintings: Annotated[Path | None, Parameter(name="--paintings")] = None,
    canvases: Annotated[Path | None, Parameter(name="--canvases")] = None,
    steps: Annotated[int | None, Parameter(name="--steps")] = None,
    seed: Annotated[int | None, Parameter(name="--seed")] = None,
    target: Annotated[Path | None, Parameter(name="--target")] = None,
    adapt: Annotated[Way | None, Parameter(name="--adapt")] = None,
) -> None:
    """Train the embedder that turns a spectrum into a few numbers, from pictures of paintings turned into spectra.

    A killed run goes on: give the same command again.

    Parameters
    ----------
    output
        Run folder; the weights are its embedding.safetensors.
    recipe
        velatura (that of the shipped weights), paper (the published Deep Variational Embedding), short (minutes on two
        cores), or autoencoder, pca3, pigments to compare.
    paintings
        Folder of pictures, such as velatura paintings makes; they are turned into canvases first.
    canvases
        Folder of the canvases, where they are made or were made; by default in the run folder.
    steps
        Updates of the weights, in place of the recipe's.
    seed
        Start of all chance.
    target
        Workspace or scan file to adapt to: up to 20,000 of its spectra are shown while training, without labels.
    adapt
        How to adapt to --target: reversal (the default), activations or both (docs/embedding.md).
    """
    from velatura.chain.embedding_target import target_counts
    from velatura.chain.train_embedding import embedding_recipe, train_embedding

    asked = embedding_recipe(recipe, steps=_checked(steps), seed=seed, adapt=_ways(adapt, target))
    with progress_bar() as progress:
        counts = None if target is None else target_counts(target, asked, progress=progress)
        data = _canvases(output, paintings, canvases=canvases, progress=progress)
        path, scores = train_embedding(output, asked, canvases=data, target=counts, progress=progress)
    _say(path, scores)


def recolour(
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    *,
    recipe: Annotated[str, Parameter(name="--recipe")] = "velatura",
    paintings: Annotated[Path | None, Parameter(name="--paintings")] = None,
    canvases: Annotated[Path | None, Parameter(name="--canvases")] = None,
    embedding: Annotated[Path | None, Parameter(name="--embedding")] = None,
    steps: Annotated[int | None, Parameter(name="--steps")] = None,
    seed: Annotated[int | None, Parameter(name="--seed")] = None,
) -> None:
    """Train the network that recolours, from pictures of paintings turned into spectra.

    A killed run goes on: give the same command again.

    Parameters
    ----------
    output
        Run folder; the weights are its recolour.safetensors (velatura recolour --model FILE).
    recipe
        velatura (that of the shipped weights), paper (the published SmallUViT), short (300 steps, minutes on 2 cores),
        or one to compare: uvit, vit, unet, pixels, velatura-embedding, velatura-pigments, pretrained, pix2pix.
    paintings
        Folder of pictures, such as velatura paintings makes; they are turned into canvases first.
    canvases
        Folder of the canvases, where they are made or were made; by default in the run folder.
    embedding
        File of the embedder, in place of the shipped one of the recipe.
    steps
        Updates of the weights, in place of the recipe's epochs.
    seed
        Start of all chance.
    """
    from velatura.chain.recolour_recipes import recipe_named
    from velatura.chain.train_recolour import train_recolour

    asked = recipe_named(recipe, steps=_checked(steps), seed=seed)
    with progress_bar() as progress:
        data = _canvases(output, paintings, canvases=canvases, progress=progress)
        path, scores = train_recolour(output, asked, canvases=data.folder, embedding=embedding, progress=progress)
    _say(path, scores)


def _checked(steps: int | None) -> int | None:
    if steps is not None and steps < 1:
        raise InputError(f"a training needs one step or more; asked for {steps}")
    return steps


def _ways(adapt: Way | None, target: Path | None) -> tuple[str, ...] | None:
    """Return the ways of adapting for a recipe; None where there is nothing to adapt to."""
    if target is None and adapt is not None:
        raise InputError(f"--adapt {adapt} needs spectra to adapt to; found no scan. Add --target SCAN")
    if target is None:
        return None
    return ("reversal", "activations") if adapt == "both" else (adapt or "reversal",)


def _canvases(output: Path, paintings: Path | None, *, canvases: Path | None, progress: Progress) -> "CanvasFolder":
    """Return the folder of canvases, with those of the pictures made where they are missing."""
    from velatura.scene.canvas_folder import PLAN, CanvasFolder, write_canvases
    from velatura.scene.seed_images import seed_images

    folder = canvases or output / CANVASES
    if paintings is not None:
        return write_canvases(folder, seed_images(paintings), progress=progress)
    if not (folder / PLAN).is_file():
        raise InputError(f"training needs pictures; found no canvases at {folder}. Give --paintings FOLDER")
    return CanvasFolder(folder)


def _say(path: Path, scores: dict[str, float]) -> None:
    for name, value in scores.items():
        say(f"{name:<28}{value:8.3f}")
    say(f"weights: {path}")
