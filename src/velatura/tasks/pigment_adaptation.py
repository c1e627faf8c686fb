"""A trained network made ready for one scanner: by a few labelled spots, and by simulation of just that scanner.

With labels: some hundred small steps on batches in which spots stand beside simulated spectra, so that what the network
knows of all other pigments stays. Spots are few; each comes thinned and shifted in many ways. Without labels: simulated
stacks are seen through the scanner as its sum spectrum shows it (`scanner_effects`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.base.axis import redistribute
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.nn.spectrum_net import SpectrumNet
from velatura.scene.classes import XrfClass
from velatura.scene.sources import SourceGroup
from velatura.scene.training import KNOWN, View, draw, grid, rng_of
from velatura.tasks.pigment_model import Answers, PigmentModel, predict
from velatura.tasks.pigment_scores import Spectra, spectra_of
from velatura.tasks.pigment_spots import Spots
from velatura.tasks.pigment_training import COUNTS, VIEWS, Batch, batch_of, loss
from velatura.train.loop import fit, start
from velatura.train.metrics import macro_f1

THINNEST = 0.1  # least share of a spot's counts that is shown
SPOT_GAIN, SPOT_OFFSET = 0.001, 0.5  # standard deviation of a factor; channels, uniform both ways
EDGE = 8  # channels that counts may leave the grid by
FOLDS = 5


@dataclass(frozen=True)
class Adaptation:
    """How a network is adapted."""

    steps: int = 300
    rate: float = 3e-4
    """Largest learning rate."""
    batches: int = 60
    """Different batches that are shown in turn."""
    layers: str = "all"
    """all, or last: the matrix of the embedding and the heads, ten times faster."""
    general: int = 64
    """Simulated spectra through random detectors in a step, a multiple of 8."""
    scanner: int = 64
    """Simulated spectra through the scanner that was found, in a step."""
    spots: int = 32
    """Spectra of spots in a step."""

    def __post_init__(self) -> None:
        least = min(self.steps, self.batches, self.scanner, self.spots)
        if least < 1 or self.general < VIEWS or self.general % VIEWS:
            raise InputError(
                f"adaptation needs steps, batches and spectra, the general ones a multiple of {VIEWS}; found {self}"
            )
        if self.layers not in ("all", "last"):
            raise InputError(f"the layers that learn are all or last; found {self.layers!r}")


class SpotLessons:
    """Batches of spots, each a function of its step alone."""

    def __init__(self, spots: Spots, size: int, *, condition: np.ndarray, key: PRNGKeyArray) -> None:
        """Prepare batches of `size` spectra; condition: the scanner as `described`, zeros if unknown, float32 [8]."""
        self._spots, self._size, self._condition, self._key = spots, size, condition, key

    def __call__(self, step: int) -> Batch:
        """Return the batch of one step: spots drawn at random, thinned, with a drift that all of them share."""
        rng = rng_of(step, key=self._key)
        rows = rng.integers(len(self._spots.names), size=self._size)
        features = varied(self._spots.features[rows], rng=rng)
        told = (rng.random(self._size) < KNOWN)[:, None] * self._condition
        labels, mask = self._spots.labels[rows], self._spots.mask[rows]
        nothing = np.zeros(labels.shape), np.zeros(labels.shape[:2])
        beneath = np.where(labels[:, 1].any(axis=1), 1.0, -1.0)
        arrays = features, told, labels, mask, *nothing, beneath
        return Batch(*(np.asarray(array, np.float32) for array in arrays))


class ScannerLessons:
    """Batches of simulated spectra through given views of groups, each a function of its step alone."""

    def __init__(
        self,
        seen: Sequence[tuple[SourceGroup, View]],
        classes: tuple[XrfClass, ...],
        size: int,
        *,
        key: PRNGKeyArray,
        counts: tuple[float, float] = COUNTS,
    ) -> None:
        """Prepare batches of `size` spectra of doses in `counts`."""
        self._seen, self._classes, self._size, self._counts, self._key = seen, classes, size, counts, key

    def __call__(self, step: int) -> Batch:
        """Return the batch of one step, from one group."""
        key = jax.random.fold_in(self._key, step)
        group, view = self._seen[int(rng_of(step, key=self._key).integers(len(self._seen)))]
        return batch_of(
            [draw(group, self._classes, self._size, key=key, counts=self._counts, seen=view)], self._classes
        )


def spectra_through(
    seen: Sequence[tuple[SourceGroup, View]],
    classes: tuple[XrfClass, ...],
    number: int,
    *,
    key: PRNGKeyArray,
    counts: tuple[float, float],
    stacks: np.ndarray | None = None,
) -> Spectra:
    """Draw `number` spectra of each group through its view, to calibrate by or to score on; stacks: by default all."""
    parts = [
        draw(group, classes, number, key=jax.random.fold_in(key, place), counts=counts, stacks=rows, seen=view)
        for place, (group, view) in enumerate(seen)
        for rows in [np.arange(len(group.photons)) if stacks is None else stacks]
    ]
    return spectra_of(parts)


def mixed(parts: Sequence[Callable[[int], Batch]]) -> Callable[[int], Batch]:
    """Return a function that puts the batches of several lessons together."""
    return lambda step: Batch(*(np.concatenate(a) for a in zip(*(part(step) for part in parts), strict=True)))


def varied(features: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return other counts that the same spots might have shown, float32 [n, channel]: fewer, and slightly shifted.

    Each spectrum keeps 10 to 100 % of its counts, at most 100,000, chosen one by one: Poisson counts stay Poisson.
    """
    axis = grid()
    step = axis[1] - axis[0]
    whole = axis[0] + step * np.arange(-EDGE, len(axis) + EDGE)
    moved = axis * (1 + SPOT_GAIN * np.clip(rng.standard_normal(), -3, 3)) + step * rng.uniform(-1, 1) * SPOT_OFFSET
    counts = redistribute(features.astype(np.int64), moved, whole, rng=rng)[:, EDGE:-EDGE]
    share = np.exp(rng.uniform(np.log(THINNEST), 0, len(counts)))
    share *= np.minimum(1, COUNTS[1] / np.maximum(counts.sum(axis=1), 1))
    return rng.binomial(counts.astype(np.int64), share[:, None]).astype(np.float32)


class Remembered(eqx.Module):
    """In place of a trunk: it takes what the trunk makes of a spectrum before its last matrix, and applies that."""

    last: eqx.nn.Linear

    def __call__(
        self, values: Float[Array, " values"], instrument: Float[Array, " instrument"], *, key: PRNGKeyArray | None
    ) -> Float[Array, " embedding"]:
        """Return the embedding."""
        return self.last(values)


class Memory:
    """The first batches of some lessons, in turn; with a network, as its trunk sees them, so that it is asked once."""

    def __init__(self, lessons: Callable[[int], Batch], batches: int, *, net: SpectrumNet | None = None) -> None:
        """Prepare; nothing is drawn yet."""
        self._net = None if net is None else eqx.tree_at(lambda whole: whole.trunk.last, net, eqx.nn.Identity())
        self._lessons, self._batches, self._known = lessons, batches, {}

    def __call__(self, step: int) -> Batch:
        """Return the batch of one step; with a network, `features` holds what comes out of its trunk."""
        number = step % self._batches
        if number not in self._known:
            batch = self._lessons(number)
            if self._net is not None:
                values = _trunk(self._net, jnp.asarray(batch.features), jnp.asarray(batch.condition))
                batch = batch._replace(features=np.asarray(values))
            self._known[number] = batch
        return self._known[number]


def remembered(net: SpectrumNet, lessons: Callable[[int], Batch], config: Adaptation) -> Memory:
    """Return lessons in the form that `adapted` takes; it may be used for several adaptations of the same network."""
    return Memory(lessons, config.batches, net=net if config.layers == "last" else None)


def adapted(
    net: SpectrumNet,
    memories: Sequence[Memory],
    config: Adaptation = Adaptation(),
    *,
    key: PRNGKeyArray,
    progress: Progress = silent,
) -> SpectrumNet:
    """Return the network after `config.steps` of Adam (Kingma and Ba, ICLR 2015) on what is remembered, all together.

    Same memories and key, same bits.
    """
    rise = config.steps // 10 + 1
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.rate, rise, config.steps + rise, config.rate / 20)
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    stub: Any = Remembered(net.trunk.last)
    learning = net if config.layers == "all" else SpectrumNet(stub, net.heads)
    for now in islice(fit(start(learning, rule), loss, mixed(memories), optimiser=rule, key=key), config.steps):
        progress("adapting", now.step, config.steps)
    if config.layers == "all":
        return now.model
    parts = now.model.trunk.last, now.model.heads
    return eqx.tree_at(lambda whole: (whole.trunk.last, whole.heads), net, parts)


class SpotScores(NamedTuple):
    """How well answers agree with spots."""

    f1: float
    """Macro F1 over the classes that are named somewhere, both paints together."""
    log_likelihood: float
    """Mean natural logarithm of the probability given to what is known, per known label."""
    right: float
    """Share of the spots of which everything named was found."""


def spot_scores(answers: Answers, spots: Spots, thresholds: np.ndarray) -> SpotScores:
    """Compare answers with spots; thresholds: [paint, class], or for each spot its own."""
    classes = thresholds.shape[-1]
    labels, mask = spots.labels[..., :classes], spots.mask[..., :classes]
    probability = np.clip(answers.probability, 1e-6, 1 - 1e-6)
    chance = np.log(np.where(labels, probability, 1 - probability))
    found = answers.probability >= thresholds
    flat = [a.reshape(len(a), -1) for a in (labels, found.astype(float), mask)]
    f1 = macro_f1(flat[0], flat[1], mask=flat[2])
    told = (labels & mask).any(axis=(1, 2))
    every = np.all(~(labels & mask) | found, axis=(1, 2))[told]
    return SpotScores(f1, float(chance[mask].mean()), float(every.mean()) if len(every) else float("nan"))


def left_out_answers(
    spots: Spots, learn: Callable[[Spots], PigmentModel], *, condition: np.ndarray, key: PRNGKeyArray
) -> tuple[Answers, np.ndarray]:
    """Return what networks that never saw a spot say of it, and their thresholds, float32 [spot, paint, class].

    learn: adapts to some spots. A fifth of the spots is left out at a time; of up to five spots each one alone. Raises
    InputError for a single spot.
    """
    number = len(spots.names)
    if number < 2:
        raise InputError("one spot alone cannot be left out. Label two or more")
    parts = np.array_split(rng_of(0, key=key).permutation(number), min(FOLDS, number))
    said, thresholds = [], []
    for part in parts:
        model = learn(spots.chosen(np.setdiff1d(np.arange(number), part)))
        said.append(answers_for(model, spots.chosen(part), condition))
        thresholds += [model.thresholds] * len(part)
    back = np.argsort(np.concatenate(parts))
    answers = Answers(*(np.concatenate(values)[back] for values in zip(*said, strict=True)))
    return answers, np.stack(thresholds)[back]


def answers_for(model: PigmentModel, spots: Spots, condition: np.ndarray) -> Answers:
    """Return what a network says of spots; condition: float32 [8]."""
    return predict(model, spots.features, np.broadcast_to(condition, (len(spots.features), 8)))


@eqx.filter_jit
def _trunk(net: SpectrumNet, features: Array, condition: Array) -> Array:
    """What the trunk makes of spectra before its last matrix, which was taken out, [n, values]."""
    return jax.vmap(lambda counts, told: net.embed(counts, told, key=None))(features, condition)
