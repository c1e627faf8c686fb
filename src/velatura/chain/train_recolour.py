"""From canvases to a published recolourer: tables of features, training, calibration and scores.

run/pretraining/            of `train.rundir`, where hidden squares are guessed first
run/config.json ...         of `train.rundir`
run/recolour.safetensors    the result
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from math import isnan
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any

import numpy as np

from velatura.base.errors import InputError, did_you_mean
from velatura.base.progress import Progress, silent

WEIGHTS = "recolour.safetensors"
LOG_EVERY = 20  # steps between two records
SAVE_EVERY = 200  # steps between two checkpoints
VALIDATED, TESTED = 24, 48  # held-out pictures of each kind
REAL = "layers"  # kind of canvases on which errors are calibrated: real scans are of this kind
WATCHED = 24  # of those for validation, looked at after every epoch
CHOICES: Mapping[str, str] = MappingProxyType({
    "image": "128 x 128 pixels (not published)",
    "optimiser": "AdamW, weight decay .01 (not published)",
    "schedule": "rate halved after 5 epochs without a better MS-SSIM of validation pictures (only the kind published)",
    "dropout": "dropout and stochastic depth .1 (that they are equal is published)",
    "augmentation": "turns by 90 degrees and mirror images (not published)",
    "loss": "redmean on colours of 0 to 1, mean over pixels (scale not published)",
    "skips": "added (follows from the number of parameters)",
    "counts": "400 a pixel (that of ganX)",
})  # fmt: skip
"""What the publication leaves open, in the model card of the recipe "paper"."""


@dataclass(frozen=True)
class Recipe:
    """How weights are made; the same recipe on the same canvases gives the same weights on the same machine."""

    design: str = "velatura"
    """small-uvit, vit, unet, pixels or velatura."""
    embedder: str = "velatura"
    """Name of the embedder that makes the features: velatura, paper or pigments."""
    kinds: tuple[str, ...] = ("library", "layers")
    """Kinds of canvases."""
    doses: tuple[float, ...] = (400.0, 2000.0, 10000.0)
    """Mean counts of a pixel, each picture at one of them."""
    loss: str = "perceptual"
    """redmean, l1 or perceptual."""
    error: bool = True
    """Whether the network tells its expected error."""
    epochs: float = 20.0
    """Times that every picture is seen, on the mean."""
    steps: int = 0
    """Updates of the weights, in place of epochs where above 0."""
    size: int = 16
    """Pictures in a step."""
    rate: float = 1e-3
    """Largest learning rate."""
    schedule: str = "cosine"
    """cosine or plateau."""
    pretrain: float = 0.0
    """Steps of guessing hidden squares before the colours, as a share of the steps."""
    critic: float = 0.0
    """Weight of a critic's verdict (Pix2Pix); 0.01 is the published one beside an L1 loss."""
    seed: int = 0
    side: int = 128
    """Pixels of the square pictures."""


VELATURA = Recipe()
RECIPES: Mapping[str, Recipe] = MappingProxyType({
    "velatura": VELATURA,
    "paper": Recipe(
        design="small-uvit", embedder="paper", kinds=("library",), doses=(400.0,), loss="redmean", error=False,
        epochs=100.0, schedule="plateau",
    ),
    "short": replace(VELATURA, epochs=8.0),
    "uvit": replace(VELATURA, design="small-uvit"),
    "vit": replace(VELATURA, design="vit"),
    "unet": replace(VELATURA, design="unet"),
    "pixels": replace(VELATURA, design="pixels"),
    "velatura-embedding": replace(VELATURA, embedder="paper"),
    "velatura-pigments": replace(VELATURA, embedder="pigments"),
    "pretrained": replace(VELATURA, pretrain=0.5),
    "pix2pix": replace(VELATURA, design="small-uvit", critic=0.01),
})  # fmt: skip


def recipe_named(name: str, **changes: Any) -> Recipe:
    """Return one of RECIPES with some values changed (None: not changed). Raises InputError for an unknown name."""
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}; known are {', '.join(RECIPES)}{did_you_mean(name, RECIPES)}")
    return replace(RECIPES[name], **{field: value for field, value in changes.items() if value is not None})


def train_recolour(
    folder: Path, recipe: Recipe, *, canvases: Path, embedding: Path | None = None, progress: Progress = silent
) -> tuple[Path, dict[str, float]]:
    """Make weights in a run folder and return their file and scores; the same call again goes on where it stopped.

    canvases: folder that `scene.canvas_folder.write_canvases` made; what it lacks of the embedder's tables is made.
    embedding: file of the embedder, in place of the shipped one of the recipe's name. Raises InputError where the
    folder holds a run of another recipe or embedder.
    """
    import jax

    from velatura.chain.recolour_data import albums, files_of
    from velatura.scene.canvas_folder import CanvasFolder
    from velatura.tasks.embedding_model import load_embedder
    from velatura.tasks.recolour_model import fingerprint
    from velatura.tasks.recolour_training import Pictures
    from velatura.train.rundir import open_run

    embedder, data = load_embedder(embedding or recipe.embedder), CanvasFolder(canvases)
    pictures = [len(files) for files in files_of(data, "train", recipe.kinds)]
    held = {"embedding": fingerprint(embedder), "pictures": pictures, "canvas_seed": data.plan["seed"]}
    run = open_run(Path(folder), asdict(recipe) | held)
    books = albums(data, embedder, kinds=recipe.kinds, doses=recipe.doses, progress=progress)
    epoch = -(-sum(pictures) // recipe.size)
    plan = replace(recipe, steps=recipe.steps or round(recipe.epochs * epoch))
    keys = jax.random.split(jax.random.key(recipe.seed), 5)
    draw = Pictures(data, books, key=keys[0], size=recipe.size, side=recipe.side)
    watched = _held_out(data, embedder, plan, "validation", progress=progress)
    net = _network(plan, embedder.features, key=keys[1])
    if plan.pretrain > 0:
        net = _pretrained(run.folder, net, plan, draw=draw, inputs=embedder.features, keys=keys[3:], progress=progress)
    net = _coloured(run, net, plan, draw=draw, watched=watched, epoch=epoch, key=keys[2], progress=progress)
    tested = _held_out(data, embedder, plan, "test", progress=progress)
    return _published(run.folder, net, recipe, embedder=embedder, watched=watched, tested=tested)


def _network(plan: Recipe, inputs: int, *, key: Any, outputs: int | None = None) -> Any:
    from velatura.nn.image_nets import build_image_net

    outputs = outputs or 3 + plan.error
    return build_image_net(plan.design, inputs=inputs, outputs=outputs, side=plan.side, key=key)


def _held_out(data: Any, embedder: Any, plan: Recipe, split: str, *, progress: Progress) -> dict[str, Any]:
    """Pictures of a split by kind; for a test of both kinds, whatever the recipe has seen."""
    from velatura.chain.recolour_data import TEST_DOSES, fresh_pictures

    kinds, number = (plan.kinds, VALIDATED) if split == "validation" else (tuple(TEST_DOSES), TESTED)
    return {
        kind: fresh_pictures(data, embedder, split=split, kind=kind, number=number, side=plan.side, progress=progress)
        for kind in kinds
        if data.listed(split, kind)
    }


def _pretrained(
    folder: Path, net: Any, plan: Recipe, *, draw: Callable[[int], Any], inputs: int, keys: Any, progress: Progress
) -> Any:
    """Let a network guess hidden squares first, and return `net` with all that it can take over from that."""
    from velatura.tasks.recolour_losses import hidden_patches_loss
    from velatura.tasks.recolour_training import optimiser, transferred
    from velatura.train.loop import start
    from velatura.train.rundir import open_run

    steps = max(1, round(plan.pretrain * plan.steps))
    run = open_run(folder / "pretraining", asdict(plan))
    rule = optimiser("cosine", rate=plan.rate, steps=steps, epoch=1)
    begun = start(_network(plan, inputs, outputs=inputs, key=keys[0]), rule)
    taught = _looped(
        run, hidden_patches_loss, draw, begun=begun, rule=rule, key=keys[1], steps=steps, size=plan.size,
        stage="pre-training", progress=progress,
    )  # fmt: skip
    return transferred(net, taught)


def _coloured(
    run: Any, net: Any, plan: Recipe, *, draw: Callable[[int], Any], watched: Mapping[str, Any], epoch: int, key: Any,
    progress: Progress,
) -> Any:  # fmt: skip
    """Teach colours to the end and return the network."""
    from velatura.tasks.recolour_losses import colour_loss
    from velatura.tasks.recolour_training import Shown, likeness, net_of, optimiser
    from velatura.train.loop import start

    few = WATCHED // len(watched)
    seen = Shown(*(np.concatenate([part[:few] for part in parts]) for parts in zip(*watched.values(), strict=True)))
    rule = optimiser(plan.schedule, rate=plan.rate, steps=plan.steps, epoch=epoch, critic=plan.critic > 0)
    model, loss = net, colour_loss(plan.loss)
    if plan.critic > 0:
        model, loss = _with_critic(net, plan, inputs=seen.embedded.shape[-1], key=key)
    return net_of(_looped(
        run, loss, draw, begun=start(model, rule), rule=rule, key=key, steps=plan.steps, size=plan.size,
        stage="training", progress=progress, epoch=epoch, judge=lambda now: likeness(net_of(now), seen),
    ))  # fmt: skip


def _with_critic(net: Any, plan: Recipe, *, inputs: int, key: Any) -> tuple[Any, Callable[..., Any]]:
    """Return a network beside its critic, and the loss of both."""
    import jax

    from velatura.nn.critic import Critic
    from velatura.tasks.recolour_losses import Pair, critic_loss

    critic = Critic(inputs=inputs, side=plan.side, key=jax.random.fold_in(key, plan.steps))
    return Pair(net, critic), critic_loss(plan.loss, weight=plan.critic)


def _looped(
    run: Any, loss: Callable[..., Any], draw: Callable[[int], Any], *, begun: Any, rule: Any, key: Any, steps: int,
    size: int, stage: str, progress: Progress, epoch: int = 0, judge: Callable[[Any], float] | None = None,
) -> Any:  # fmt: skip
    """Train to the end and return the model, with a record every 20 steps and a verdict after every epoch."""
    from velatura.tasks.recolour_training import Waited
    from velatura.train.ahead import Ahead
    from velatura.train.rundir import newest, train

    batches, losses = Ahead(draw), []
    waited, verdict, clock = Waited(batches), Verdict(run), monotonic()
    try:
        for now in train(
            run, loss, waited, state=begun, optimiser=rule, key=key, steps=steps, save_every=SAVE_EVERY,
            told=verdict if judge else None,
        ):  # fmt: skip
            losses.append(float(now.loss))
            progress(stage, now.step, steps)
            if now.step % LOG_EVERY == 0:
                spent = monotonic() - clock
                speed = {"images_per_second": size * len(losses) / spent, "waiting": waited.seconds / spent}
                run.log(now.step, loss=sum(losses) / len(losses), **speed)
                losses, waited.seconds, clock = [], 0.0, monotonic()
            if judge and epoch and (now.step % epoch == 0 or now.step == steps):
                begun_judging = monotonic()
                run.log(now.step, ms_ssim=verdict.given(judge(now.model)))
                clock += monotonic() - begun_judging
    finally:
        batches.close()
    return newest(run, begun).model


class Verdict:
    """What an optimiser is told: 1 less the last MS-SSIM, 1 before there is one; after a break, the last on record."""

    def __init__(self, run: Any) -> None:
        """Begin with nothing known."""
        self._run, self._last = run, float("nan")

    def given(self, score: float) -> float:
        """Take a new score, and return it."""
        self._last = score
        return score

    def __call__(self, step: int) -> float:
        """Return the number for a step."""
        if isnan(self._last):
            known = [record["ms_ssim"] for record in self._run.records() if "ms_ssim" in record]
            self._last = known[-1] if known else 0.0
        return 1 - self._last


def _published(
    folder: Path, net: Any, recipe: Recipe, *, embedder: Any, watched: Mapping[str, Any], tested: Mapping[str, Any]
) -> tuple[Path, dict[str, float]]:
    """Calibrate on validation pictures, of layers where there are some, score on test pictures, write the weights."""
    from velatura.tasks.recolour_model import Recolourer, architecture, calibrated_by, fingerprint, save_recolourer
    from velatura.tasks.recolour_scores import differences
    from velatura.tasks.recolour_training import recoloured
    from velatura.train.weights import ModelCard

    flips = 1 if recipe.error else 4
    shown = watched.get(REAL, next(iter(watched.values())))
    said = recoloured(net, shown, flips=flips)
    apart = differences(said[..., :3], shown.rgb / np.float32(255))
    calibration = calibrated_by(said[..., 3].ravel(), apart.ravel())
    found = _scored(net, calibration, tested, flips=flips)
    build = architecture(
        recipe.design, inputs=embedder.features, outputs=3 + recipe.error, side=recipe.side, embedder=recipe.embedder
    )
    details: dict[str, Any] = {"embedding": fingerprint(embedder)}
    if recipe.loss == "redmean":
        details["choices"] = dict(CHOICES)
    card = ModelCard(build, asdict(recipe), recipe.seed, found, details)
    save_recolourer(folder / WEIGHTS, Recolourer(net, recipe.embedder, recipe.side, calibration, card))
    return folder / WEIGHTS, found


def _scored(net: Any, calibration: Any, tested: Mapping[str, Any], *, flips: int) -> dict[str, float]:
    """Scores of each kind of test pictures, and of their maps."""
    from velatura.tasks.recolour_model import calibrated
    from velatura.tasks.recolour_scores import differences, map_scores, scores
    from velatura.tasks.recolour_training import recoloured

    found = {}
    for kind, shown in tested.items():
        said, truth = recoloured(net, shown, flips=flips), shown.rgb / np.float32(255)
        error, trust = calibrated(said[..., 3], calibration)
        maps = map_scores(error, trust, apart=differences(said[..., :3], truth))
        found |= {f"{kind}_{name}": value for name, value in (scores(said[..., :3], truth) | maps).items()}
    return found
