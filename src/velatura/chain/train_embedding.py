"""From canvases to a published embedder: the pool of spectra, the training, the calibration and the scores.

run/config.json ...         of `train.rundir`
run/embedding.safetensors   the result
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.train.recipes import chosen_recipe

if TYPE_CHECKING:
    from velatura.scene.canvas_folder import CanvasFolder
    from velatura.tasks.embedding_model import Embedder
    from velatura.tasks.embedding_training import Pool

WEIGHTS = "embedding.safetensors"
FITTED = ("pca3", "pigments")  # kinds without a training
USUAL, TAUGHT, ASKED = 16_384, 8192, 4096  # spectra for calibration, for the scores' regressor, and for its test


@dataclass(frozen=True)
class Recipe:
    """How an embedder is made; the same recipe and canvases give the same weights on the same machine."""

    kind: str = "taught"
    """dve, autoencoder, pca3, taught or pigments; pca3 and pigments take no steps."""
    steps: int = 4000
    """Updates of the weights."""
    size: int = 768
    """Spectra in a step."""
    rate: float = 1.5e-3
    """Largest learning rate."""
    counts: tuple[float, float] = (400.0, 20_000.0)
    """Range of the dose."""
    exact: bool = False
    """Exactly the lower of both counts in every spectrum, and an axis that holds still."""
    discrepancy: float = 0.01
    """Weight of the maximum mean discrepancy after its ramp."""
    clusters: float = 2e-5
    """Weight of the clusters."""
    adapt: tuple[str, ...] = ()
    """Domain adaptation to a scan: reversal, activations, both, or none."""
    canvases: tuple[str, ...] = ("library", "layers")
    """Kinds of canvases to learn from."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.adapt and self.kind in FITTED:
            raise InputError(
                f"a scan is adapted to while a network is trained; the embedder {self.kind} is not trained. "
                "Choose another recipe, such as velatura or paper"
            )


_PAPER = Recipe("dve", steps=4000, size=512, rate=1e-3, counts=(400.0, 400.0), exact=True, canvases=("library",))
RECIPES: Mapping[str, Recipe] = {
    "velatura": Recipe(),
    "paper": _PAPER,
    "autoencoder": replace(_PAPER, kind="autoencoder"),
    "pca3": replace(_PAPER, kind="pca3", steps=0),
    "pigments": Recipe("pigments", steps=0),
    "short": Recipe(steps=400, size=512),
}


def embedding_recipe(name: str, **changes: Any) -> Recipe:
    """Return one of RECIPES with some values changed (None: not changed). Raises InputError for an unknown name."""
    return chosen_recipe(RECIPES, name, **changes)


def train_embedding(
    folder: Path,
    recipe: Recipe,
    *,
    canvases: "CanvasFolder",
    target: np.ndarray | None = None,
    progress: Progress = silent,
) -> tuple[Path, dict[str, float]]:
    """Make an embedder in a run folder and return its file and scores; the same call again goes on where it stopped.

    canvases: those of the split "train" teach, those of "test" score; target: counts of a scan to adapt to
    [pixel, channel], on the embedder's grid. Raises InputError where the folder holds a run of another recipe or
    target, where there are no canvases of a kind that the recipe names, and where an adaptation lacks its target.
    """
    import jax

    from velatura.scene.training import rng_of
    from velatura.tasks.embedding_scores import calibrated, held_spectra
    from velatura.tasks.embedding_training import joined_pools
    from velatura.train.rundir import open_run

    if bool(recipe.adapt) != (target is not None):
        raise InputError("adapting needs spectra of a scan and a way of adapting; found only one. Give both or none")
    run = open_run(folder, asdict(recipe) | _told(target))
    keys = jax.random.split(jax.random.key(recipe.seed), 4)
    taught = _pools(canvases, "train", recipe.kind, key=keys[0], progress=progress)
    if lacking := [kind for kind in recipe.canvases if kind not in taught]:
        raise InputError(f"the recipe learns from canvases of {', '.join(lacking)}; found none. Make them first")
    pool, rng = joined_pools([taught[kind] for kind in recipe.canvases]), rng_of(1, key=keys[0])
    usual = held_spectra(pool, USUAL, counts=recipe.counts, exact=recipe.exact, rng=rng)
    net = _net(run, recipe, pool=pool, usual=usual.counts, target=target, key=keys[1], progress=progress)
    embedder = calibrated(recipe.kind, net, pool, usual=usual.counts, rng=rng)
    asked = _pools(canvases, "test", recipe.kind, key=keys[2], progress=progress)
    scores = _scores(embedder, taught, asked, key=keys[3])
    return _published(run.folder, embedder, recipe, scores=scores), scores


def _told(target: np.ndarray | None) -> dict[str, str]:
    """What a run's configuration says of the spectra to adapt to: nothing where there are none."""
    if target is None:
        return {}
    return {"target": hashlib.sha256(target.astype(np.float32).tobytes()).hexdigest()[:16]}


def _pools(canvases: "CanvasFolder", split: str, embedder: str, *, key: Any, progress: Progress) -> dict[str, "Pool"]:
    """Spectra of the canvases of a split, by their kind; kinds that are not there are left out."""
    from velatura.chain.recolour_data import TEST_DOSES
    from velatura.scene.training import rng_of
    from velatura.tasks.embedding_training import pool_of

    found = {}
    for number, kind in enumerate(TEST_DOSES):
        files = canvases.listed(split, kind)
        read = (_read(canvases, files, place, progress) for place in range(len(files)))
        if files:
            found[kind] = pool_of(read, embedder, rng=rng_of(number, key=key))
    return found


def _read(canvases: "CanvasFolder", files: list, place: int, progress: Progress) -> Any:
    progress(f"reading canvases of {files[place].kind}", place, len(files))
    return canvases.read(files[place])


def _net(
    run: Any, recipe: Recipe, *, pool: Any, usual: np.ndarray, target: np.ndarray | None, key: Any, progress: Progress
) -> Any:
    """Train a network to the end, or fit a projection."""
    import jax

    from velatura.tasks.embedding_scores import answer_components, components
    from velatura.tasks.embedding_training import Lessons, begun, loss_for, optimiser
    from velatura.train.loop import start
    from velatura.train.rundir import trained

    if recipe.kind == "pca3":
        return components(usual)
    if recipe.kind == "pigments":
        return answer_components(usual)
    keys = jax.random.split(key, 3)
    aim = aim_of(recipe)
    lessons = Lessons(
        pool, size=recipe.size, steps=recipe.steps, counts=recipe.counts, exact=recipe.exact, key=keys[0], target=target
    )
    rule = optimiser(aim, rate=recipe.rate, steps=recipe.steps)
    state = start(begun(aim, usual=usual[:1024], key=keys[1]), rule)
    options = {"optimiser": rule, "key": keys[2], "steps": recipe.steps, "progress": progress}
    return trained(run, loss_for(aim), lessons, state=state, **options)[0]


def aim_of(recipe: Recipe) -> Any:
    """Return what the losses need to know of a recipe."""
    from velatura.tasks.embedding_training import Aim

    return Aim(recipe.kind, discrepancy=recipe.discrepancy, clusters=recipe.clusters, adapt=recipe.adapt)


def _scores(embedder: "Embedder", taught: dict, asked: dict, *, key: Any) -> dict[str, float]:
    """Scores on unseen paintings of each kind of canvases, by names such as ciede2000_layers."""
    import jax

    from velatura.chain.recolour_data import TEST_DOSES
    from velatura.scene.training import rng_of
    from velatura.tasks.embedding_scores import held_spectra, tested

    found, (one, two) = {}, jax.random.split(key)
    for place, kind in enumerate(kind for kind in TEST_DOSES if kind in taught and kind in asked):
        sets = [
            held_spectra(pool, number, counts=(TEST_DOSES[kind],) * 2, exact=True, rng=rng_of(place, number, key=one))
            for pool, number in ((taught[kind], TAUGHT), (asked[kind], ASKED))
        ]
        found |= {f"{name}_{kind}": value for name, value in tested(embedder, *sets, key=two).items()}
    return found


def _published(folder: Path, embedder: "Embedder", recipe: Recipe, *, scores: dict[str, float]) -> Path:
    """Write the weights with their card."""
    from velatura.tasks.embedding_model import architecture, save_embedder
    from velatura.tasks.embedding_training import choices
    from velatura.train.weights import ModelCard

    chosen = {"choices": list(choices(aim_of(recipe)))} if recipe.exact else {}
    card = ModelCard(architecture(recipe.kind), asdict(recipe), recipe.seed, scores, chosen)
    save_embedder(folder / WEIGHTS, embedder._replace(card=card))
    return folder / WEIGHTS
