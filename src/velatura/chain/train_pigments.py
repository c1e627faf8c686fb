"""From nothing to published weights: the bank of sources, the training, the calibration and the scores.

run/bank/0001.npz ...    groups of stacks; made once, each alone, so that a killed run goes on
run/config.json ...      of `train.rundir`
run/pigments.safetensors the result
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from velatura.base.progress import Progress, silent
from velatura.chain.steps import file_hash
from velatura.train.recipes import chosen_recipe

BANK, WEIGHTS = "bank", "pigments.safetensors"
CALIBRATION, TEST = 1024, 1024  # spectra drawn of each held-out group
DOSES = (1e3, 1e5)  # counts, in training and calibration
TEST_DOSE = 1e4


@dataclass(frozen=True)
class Recipe:
    """How weights are made; the same recipe gives the same weights on the same machine."""

    design: str = "perceptron"
    """residual, transformer, perceptron or fast."""
    steps: int = 12_000
    """Updates of the weights."""
    size: int = 512
    """Spectra in a step."""
    rate: float = 1.5e-3
    """Largest learning rate."""
    groups: int = 400
    """Tubes and geometries in the bank; a tenth is held out."""
    stacks: int = 512
    """Stacks of paint in each group."""
    seed: int = 0
    left_out: tuple[str, ...] = ()
    """XRF classes that the network never sees, to test its answer "unknown"."""
    teacher: str = ""
    """Weights to learn from beside the truth: a file, best or fast; none if empty."""
    begin: str = ""
    """Weights to go on from, with other batches than they have seen: a file, best or fast."""


RECIPES = {
    "full": Recipe(),
    "short": Recipe(design="fast", steps=3_000, groups=60),
    "fast": Recipe(design="fast", steps=4_000, teacher="best"),
    "further": Recipe(steps=8_000, rate=1e-3, begin="best"),
}


def recipe_named(name: str, **changes: Any) -> Recipe:
    """Return one of RECIPES with some values changed (None: not changed). Raises InputError for an unknown name."""
    return chosen_recipe(RECIPES, name, **changes)


def train_pigments(
    folder: Path, recipe: Recipe, *, bank: Path | None = None, progress: Progress = silent
) -> tuple[Path, dict[str, float]]:
    """Make weights in a run folder and return their file and scores; the same call again goes on where it stopped.

    bank: a folder of groups to use and to complete, of the same recipe; by default one in the run's folder. Raises
    InputError where the folder holds a run of another recipe.
    """
    import jax

    from velatura.nn.spectrum_net import build
    from velatura.scene.classes import xrf_classes
    from velatura.scene.sources import SourcePlan, split
    from velatura.tasks.pigment_model import load_pigments, shapes_for
    from velatura.tasks.pigment_training import Lessons, Pupil, loss, optimiser
    from velatura.train.loop import start
    from velatura.train.rundir import open_run, trained

    run = open_run(Path(folder), asdict(recipe))
    plan = SourcePlan(groups=recipe.groups, stacks=recipe.stacks, seed=recipe.seed)
    where = complete_bank(bank or run.folder / BANK, plan, progress=progress)
    began = load_pigments(recipe.begin) if recipe.begin else None
    first = jax.random.key(recipe.seed)
    first = jax.random.fold_in(first, _number_of(recipe.begin)) if began else first
    classes, keys = xrf_classes(), jax.random.split(first, 3)
    groups = read_groups(where, split(plan).training)
    draw = Lessons(groups, classes, key=keys[0], size=recipe.size, left_out=recipe.left_out)
    if recipe.teacher:
        draw = Pupil(draw, load_pigments(recipe.teacher))
    rule = optimiser(recipe.steps, rate=recipe.rate)
    net = began.net if began else build(recipe.design, shapes_for(classes), key=keys[1])
    options = {"optimiser": rule, "key": keys[2], "steps": recipe.steps, "progress": progress}
    net = trained(run, loss, draw, state=start(net, rule), **options)
    return _published(run.folder, net, recipe, groups=groups, bank=where, plan=plan)


def _number_of(weights: str) -> int:
    """A number of 32 bits that the bytes of some weights decide."""
    from velatura.tasks.pigment_model import shipped

    return int(str(file_hash(shipped(weights) or Path(weights)))[:8], 16)


def complete_bank(folder: Path, plan: Any, *, progress: Progress = silent) -> Path:
    """Make the groups of a bank that its folder lacks, and return the folder."""
    from velatura.scene.sources import source_group, write_group

    for number in range(plan.groups):
        progress("bank of stacks", number, plan.groups)
        if not (path := group_path(folder, number)).exists():
            write_group(path, source_group(plan, number))
    progress("bank of stacks", plan.groups, plan.groups)
    return Path(folder)


def group_path(folder: Path, number: int) -> Path:
    """Return the file of one group of a bank."""
    return Path(folder) / f"{number:04}.npz"


def read_groups(folder: Path, numbers: Sequence[int]) -> list:
    """Read some groups of a bank."""
    from velatura.scene.sources import read_group

    return [read_group(group_path(folder, number)) for number in numbers]


def _published(
    folder: Path, net: Any, recipe: Recipe, *, groups: list, bank: Path, plan: Any
) -> tuple[Path, dict[str, float]]:
    """Calibrate, score on what nothing has seen before, and write the weights."""
    import jax

    from velatura.scene.classes import xrf_classes
    from velatura.scene.sources import split
    from velatura.tasks.pigment_model import PigmentModel, architecture, save_pigments, uncalibrated
    from velatura.tasks.pigment_scores import calibrated_by, held_out_spectra, tested
    from velatura.train.weights import ModelCard

    classes, keys = xrf_classes(), jax.random.split(jax.random.key(recipe.seed + 1), 3)
    apart = read_groups(bank, split(plan).calibration)
    learned = held_out_spectra(apart, classes, CALIBRATION, key=keys[0], counts=DOSES)
    usual = held_out_spectra(groups[::4], classes, 256, key=keys[1], counts=DOSES, kept_back=True)
    card = ModelCard(architecture(recipe.design, classes), asdict(recipe), recipe.seed, {})
    model = calibrated_by(PigmentModel(net, classes, uncalibrated(len(classes)), card), learned, usual=usual)
    last = read_groups(bank, split(plan).held_out)
    found = tested(model, held_out_spectra(last, classes, TEST, key=keys[2], counts=(TEST_DOSE, TEST_DOSE)))
    save_pigments(folder / WEIGHTS, model._replace(card=replace(card, scores=found)))
    return folder / WEIGHTS, found
