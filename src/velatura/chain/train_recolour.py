"""From canvases to a published recolourer: tables of features, training, calibration and scores.

run/pretraining/            of `train.rundir`, where hidden squares are guessed first
run/judging/                of `train.rundir`, where a judge learns how wrong the colours are
run/config.json ...         of `train.rundir`
run/recolour.safetensors    the result
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from math import isnan
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from velatura.base.progress import Progress, silent
from velatura.chain.recolour_recipes import CHOICES, Recipe

WEIGHTS = "recolour.safetensors"
LOG_EVERY = 20  # steps between two records
SAVE_EVERY = 200  # steps between two checkpoints
VALIDATED, TESTED = 24, 48  # held-out pictures of each kind
JUDGE_RATE = 2e-3  # largest learning rate of a judge
WATCHED = 24  # of those for validation, looked at after every epoch


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
    files = files_of(data, "train", recipe.kinds)
    pictures = [len(group) for group in files]
    held = {"embedding": fingerprint(embedder), "pictures": pictures, "canvas_seed": data.plan["seed"]}
    run = open_run(Path(folder), asdict(recipe) | held)
    books = albums(data, embedder, files=files, doses=recipe.doses, progress=progress)
    epoch = -(-sum(pictures) // recipe.size)
    plan = replace(recipe, steps=recipe.steps or round(recipe.epochs * epoch))
    keys = jax.random.split(jax.random.key(recipe.seed), 5)
    draw = Pictures(data, books, key=keys[0], size=recipe.size, side=recipe.side)
    watched = _held_out(data, embedder, plan, "validation", progress=progress)
    net = _network(plan, embedder.features, key=keys[1])
    if plan.pretrain > 0:
        net = _pretrained(run.folder, net, plan, draw=draw, inputs=embedder.features, keys=keys[3:], progress=progress)
    net = _coloured(run, net, plan, draw=draw, watched=watched, epoch=epoch, key=keys[2], progress=progress)
    net = _judged(run.folder, net, plan, data=data, embedder=embedder, key=keys[2], progress=progress)
    tested = _held_out(data, embedder, plan, "test", progress=progress)
    return _published(run.folder, net, recipe, embedder=embedder, watched=watched, tested=tested)


def _network(plan: Recipe, inputs: int, *, key: Any, outputs: int | None = None) -> Any:
    from velatura.nn.image_nets import build_image_net

    outputs = outputs or 3 + plan.error
    return build_image_net(plan.design, inputs=inputs, outputs=outputs, side=plan.side, key=key)


def _held_out(data: Any, embedder: Any, plan: Recipe, split: str, *, progress: Progress) -> dict[str, Any]:
    """Pictures of a split by kind; for a test of both kinds, whatever the recipe has seen."""
    from velatura.chain.recolour_data import TEST_DOSES, fresh_pictures

    kinds = plan.kinds if split == "validation" else tuple(TEST_DOSES)
    options = {"split": split, "side": plan.side, "progress": progress}
    return {
        kind: fresh_pictures(data, embedder, kind=kind, number=_number(len(files), split), **options)
        for kind in kinds
        if (files := data.listed(split, kind))
    }


def _number(there: int, split: str) -> int:
    """How many of a split's pictures of a kind are looked at: of those for validation, half are left for a judge."""
    return min(VALIDATED, -(-there // 2)) if split == "validation" else TESTED


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
        stage="training", progress=progress, epoch=epoch, verdict=lambda now: likeness(net_of(now), seen),
    ))  # fmt: skip


def _judged(folder: Path, net: Any, plan: Recipe, *, data: Any, embedder: Any, key: Any, progress: Progress) -> Any:
    """Teach a judge on the validation pictures that are not used to calibrate, and return the network beside it.

    The network alone where the recipe has no judge, and where no pictures are left to teach one.
    """
    import jax

    from velatura.chain.recolour_data import albums, files_of, held_out
    from velatura.nn.judged_net import Judge, JudgedNet
    from velatura.tasks.recolour_judging import Answers, judging_loss
    from velatura.tasks.recolour_training import Pictures, optimiser
    from velatura.train.loop import start
    from velatura.train.rundir import open_run

    left = []
    for kind, files in zip(plan.kinds, files_of(data, "validation", plan.kinds), strict=True):
        looked_at = held_out(data, split="validation", kind=kind, number=_number(len(files), "validation"))
        left.append([file for file in files if file not in looked_at])
    if not plan.judge or not all(left):
        return net
    run, keys = open_run(folder / "judging", asdict(plan)), jax.random.split(key, 3)
    books = albums(data, embedder, files=left, doses=plan.doses, progress=progress)
    draw = Answers(net, Pictures(data, books, key=keys[0], size=plan.size, side=plan.side))
    outputs = 3 + plan.error
    begun = Judge(inputs=embedder.features + outputs, key=keys[1])
    rule = optimiser("cosine", rate=JUDGE_RATE, steps=plan.judge, epoch=1)
    taught = _looped(
        run, judging_loss(outputs), draw, begun=start(begun, rule), rule=rule, key=keys[2],
        steps=plan.judge, size=plan.size, stage="judging", progress=progress,
    )  # fmt: skip
    return JudgedNet(net, taught)


def _with_critic(net: Any, plan: Recipe, *, inputs: int, key: Any) -> tuple[Any, Callable[..., Any]]:
    """Return a network beside its critic, and the loss of both."""
    import jax

    from velatura.nn.critic import Critic
    from velatura.tasks.recolour_losses import Pair, critic_loss

    critic = Critic(inputs=inputs, side=plan.side, key=jax.random.fold_in(key, plan.steps))
    return Pair(net, critic), critic_loss(plan.loss, weight=plan.critic)


def _looped(
    run: Any, loss: Callable[..., Any], draw: Callable[[int], Any], *, begun: Any, rule: Any, key: Any, steps: int,
    size: int, stage: str, progress: Progress, epoch: int = 0, verdict: Callable[[Any], float] | None = None,
) -> Any:  # fmt: skip
    """Train to the end and return the model, with a record every 20 steps and a verdict after every epoch."""
    from velatura.tasks.recolour_training import Waited
    from velatura.train.ahead import Ahead
    from velatura.train.rundir import newest, train

    batches, losses = Ahead(draw), []
    waited, said, clock = Waited(batches), Verdict(run), monotonic()
    try:
        for now in train(
            run, loss, waited, state=begun, optimiser=rule, key=key, steps=steps, save_every=SAVE_EVERY,
            told=said if verdict else None,
        ):  # fmt: skip
            losses.append(float(now.loss))
            progress(stage, now.step, steps)
            if now.step % LOG_EVERY == 0:
                spent = monotonic() - clock
                speed = {"images_per_second": size * len(losses) / spent, "waiting": waited.seconds / spent}
                run.log(now.step, loss=sum(losses) / len(losses), **speed)
                losses, waited.seconds, clock = [], 0.0, monotonic()
            if verdict and epoch and (now.step % epoch == 0 or now.step == steps):
                begun_looking = monotonic()
                run.log(now.step, ms_ssim=said.given(verdict(now.model)))
                clock += monotonic() - begun_looking
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
    """Calibrate on validation pictures, score on test pictures, write the weights."""
    from velatura.nn.judged_net import JudgedNet
    from velatura.tasks.recolour_model import Recolourer, architecture, fingerprint, save_recolourer, uncalibrated
    from velatura.train.weights import ModelCard

    build = architecture(
        recipe.design, inputs=embedder.features, outputs=3 + recipe.error, side=recipe.side, embedder=recipe.embedder,
        judged=isinstance(net, JudgedNet),
    )  # fmt: skip
    details: dict[str, Any] = {"embedding": fingerprint(embedder)}
    if recipe.loss == "redmean":
        details["choices"] = dict(CHOICES)
    card = ModelCard(build, asdict(recipe), recipe.seed, {}, details)
    made = Recolourer(net, recipe.embedder, recipe.side, uncalibrated(), card)
    made = made._replace(calibration=_calibration(made, watched.values()))
    found = _scored(made, tested)
    save_recolourer(folder / WEIGHTS, made._replace(card=replace(card, scores=found)))
    return folder / WEIGHTS, found


def _calibration(made: Any, watched: Iterable[Any]) -> Any:
    """What pictures that no training saw, of each kind as many, teach about the errors."""
    from velatura.tasks.recolour_model import calibrated_by
    from velatura.tasks.recolour_scores import differences
    from velatura.tasks.recolour_training import recoloured

    told, apart = [], []
    for shown in watched:
        said = recoloured(made.net, shown, flips=made.flips)
        told.append(said[..., 3].ravel())
        apart.append(differences(said[..., :3], shown.rgb / np.float32(255)).ravel())
    return calibrated_by(np.concatenate(told), np.concatenate(apart))


def _scored(made: Any, tested: Mapping[str, Any]) -> dict[str, float]:
    """Scores of each kind of test pictures, and of their maps."""
    from velatura.tasks.recolour_model import calibrated
    from velatura.tasks.recolour_scores import differences, map_scores, scores
    from velatura.tasks.recolour_training import recoloured

    found = {}
    for kind, shown in tested.items():
        said, truth = recoloured(made.net, shown, flips=made.flips), shown.rgb / np.float32(255)
        error, trust = calibrated(said[..., 3], made.calibration)
        maps = map_scores(error, trust, apart=differences(said[..., :3], truth))
        found |= {f"{kind}_{name}": value for name, value in (scores(said[..., :3], truth) | maps).items()}
    return found
