"""A trained network made ready for one scanner: by a few labelled spots, by simulation of the scanner, by its moments.

Supervised: some hundred steps on batches in which spots stand beside simulated spectra, so that what the network knows
of all other pigments stays; only the last layers learn. Spots are few; each comes thinned and shifted in many ways.
Unsupervised: the simulated part is seen through the scanner as its sum spectrum shows it (`scanner_effects`), or the
embeddings of measured spectra get the mean and the covariance of simulated ones (CORAL).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

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
from velatura.scene.training import KNOWN, Drawn, View, draw, grid
from velatura.tasks.pigment_model import Answers, PigmentModel, predict
from velatura.tasks.pigment_scores import Spectra
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
    rate: float = 1e-3
    """Largest learning rate."""
    batches: int = 24
    """Different batches that are shown in turn."""
    general: int = 128
    """Simulated spectra through random detectors in a step, a multiple of 8."""
    scanner: int = 128
    """Simulated spectra through the scanner that was found, in a step."""
    spots: int = 64
    """Spectra of spots in a step."""

    def __post_init__(self) -> None:
        least = min(self.steps, self.batches, self.scanner, self.spots)
        if least < 1 or self.general < VIEWS or self.general % VIEWS:
            raise InputError(
                f"adaptation needs steps, batches and spectra, the general ones a multiple of {VIEWS}; found {self}"
            )


class SpotLessons:
    """Batches of spots, each a function of its step alone."""

    def __init__(self, spots: Spots, size: int, *, condition: np.ndarray, key: PRNGKeyArray) -> None:
        """Prepare batches of `size` spectra; condition: the scanner as `described`, zeros if unknown, float32 [8]."""
        self._spots, self._size, self._condition, self._key = spots, size, condition, key

    def __call__(self, step: int) -> Batch:
        """Return the batch of one step: spots drawn at random, thinned, with a drift that all of them share."""
        rng = _rng(self._key, step)
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
        group, view = self._seen[int(_rng(self._key, step).integers(len(self._seen)))]
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
    drawn = Drawn(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    there, counted = drawn.labels[..., -1], drawn.mask[..., -1]
    return Spectra(drawn, np.any(there & counted, axis=1), ~np.any(there, axis=1))


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
    """The first batches of some lessons in turn, as the trunk of a network sees them: it is asked only once."""

    def __init__(self, net: SpectrumNet, lessons: Callable[[int], Batch], batches: int) -> None:
        """Prepare; nothing is drawn yet."""
        self._net = eqx.tree_at(lambda whole: whole.trunk.last, net, eqx.nn.Identity())
        self._lessons, self._batches, self._known = lessons, batches, {}

    def __call__(self, step: int) -> Batch:
        """Return the batch of one step; in place of counts, `features` holds what comes out of the trunk."""
        number = step % self._batches
        if number not in self._known:
            batch = self._lessons(number)
            values = _trunk(self._net, jnp.asarray(batch.features), jnp.asarray(batch.condition))
            self._known[number] = batch._replace(features=np.asarray(values))
        return self._known[number]


def adapted(
    net: SpectrumNet,
    memories: Sequence[Memory],
    config: Adaptation = Adaptation(),
    *,
    key: PRNGKeyArray,
    progress: Progress = silent,
) -> SpectrumNet:
    """Return the network with heads and the matrix of the embedding adapted to what is remembered.

    The rest of the trunk stays: it knows lines, and a few spots cannot spoil it. `config.steps` of Adam (Kingma and Ba,
    ICLR 2015); same memories and key, same bits.
    """
    rise = config.steps // 10 + 1
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.rate, rise, config.steps + rise, config.rate / 20)
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    tail = SpectrumNet(Remembered(net.trunk.last), net.heads)  # ty: ignore
    for now in islice(fit(start(tail, rule), loss, mixed(memories), optimiser=rule, key=key), config.steps):
        progress("adapting", now.step, config.steps)
    parts = now.model.trunk.last, now.model.heads
    return eqx.tree_at(lambda whole: (whole.trunk.last, whole.heads), net, parts)


def aligned(net: SpectrumNet, measured: np.ndarray, simulated: np.ndarray, *, shrink: float = 0.1) -> SpectrumNet:
    """Return the network with embeddings of measured spectra brought to mean and covariance of simulated ones.

    measured, simulated: embeddings by this network, float [n, 256]; shrink: share of each covariance that is replaced
    by a multiple of one, 0 to 1. The map C_s^(1/2) C_m^(-1/2) (Sun, Feng and Saenko, AAAI 2016) is linear and becomes a
    part of the trunk's last matrix. Both sets must hold the same materials in the same shares: other pigments would be
    turned into those of the simulation.
    """
    (near, colour), (far, own) = (_moments(values, shrink) for values in (simulated, measured))
    turn = _power(colour, 0.5) @ _power(own, -0.5)
    last = net.trunk.last
    weight = jnp.asarray(turn @ np.asarray(last.weight, np.float64), jnp.float32)
    bias = jnp.asarray(turn @ (np.asarray(last.bias, np.float64) - far) + near, jnp.float32)
    return eqx.tree_at(lambda whole: (whole.trunk.last.weight, whole.trunk.last.bias), net, (weight, bias))


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
    every = (~(labels & mask) | found).all(axis=(1, 2))[told]
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
    parts = np.array_split(_rng(key, 0).permutation(number), min(FOLDS, number))
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


def _moments(values: np.ndarray, shrink: float) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, np.float64)
    covariance = np.cov(values, rowvar=False)
    even = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return values.mean(axis=0), (1 - shrink) * covariance + shrink * even


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix; directions without extent stay out."""
    sizes, axes = np.linalg.eigh(matrix)
    kept = sizes > 1e-9 * sizes[-1]
    return (axes * np.where(kept, np.where(kept, sizes, 1.0) ** exponent, 0.0)) @ axes.T


def _rng(key: PRNGKeyArray, number: int) -> np.random.Generator:
    return np.random.default_rng((*np.asarray(jax.random.key_data(key)).tolist(), number))
