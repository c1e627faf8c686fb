"""Teaching a network to name pigments: what it is shown at each step, and what counts as wrong.

A step's batch mixes several instruments. What is in a stack but cannot be seen in its spectrum is neither right nor
wrong: it does not count (`scene.training.Drawn.mask`).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.base.errors import InputError, did_you_mean
from velatura.nn.spectrum_net import SpectrumNet
from velatura.scene.classes import XrfClass
from velatura.scene.sources import SourceGroup
from velatura.scene.training import Drawn, View, draw, joined, rng_of, view
from velatura.tasks.pigment_model import PigmentModel, raw_outputs, sigmoid
from velatura.train.schedule import rise_and_fall

VIEWS = 8  # instruments in a batch
ROUND = 8  # steps that look through the same instruments: their responses cost more than the spectra
COUNTS = (1e3, 1e5)  # range of the dose
INVENTED = 0.1  # share of spectra with lines of elements that do not exist
UNSURE = 0.15  # weight of labels that other pigments explain as well: what to say there is a guess
BENEATH = 0.3  # weight of the question whether what may be visible lies beneath
SHARES, HIDDEN, MASS = 0.1, 0.1, 0.02  # weight of the other losses beside that of presence
LEAST_MASS = 1e-3  # mg/cm2
MG = 1e3  # mg in a g


class Batch(NamedTuple):
    """What a network is shown, and what it should say; [n, paint, class] with strangers as the last class."""

    features: np.ndarray
    condition: np.ndarray
    labels: np.ndarray
    """1 where the class is there."""
    mask: np.ndarray
    """1 where that counts, less where other pigments may stand for it."""
    shares: np.ndarray
    """Mass shares among the classes that can be seen; a row of zeros does not count."""
    mass: np.ndarray
    """Mass per area [mg/cm2] of these, [n, paint]; 0 does not count."""
    hidden: np.ndarray
    """1: a second paint lies beneath and shows; -1: one that does not show; 0: none. [n]"""


class Lessons:
    """The batches of a training, each a function of its step alone."""

    def __init__(
        self,
        groups: Sequence[SourceGroup],
        classes: tuple[XrfClass, ...],
        *,
        key: PRNGKeyArray,
        size: int = 512,
        counts: tuple[float, float] = COUNTS,
        left_out: Sequence[str] = (),
        invented: float = INVENTED,
    ) -> None:
        """Prepare batches of `size` spectra, a multiple of 8, of doses in `counts`.

        left_out: names of classes that are never shown; invented: share of spectra with lines of no element.
        Raises InputError for unknown ones and for another size.
        """
        if size % VIEWS:
            raise InputError(f"a batch mixes {VIEWS} instruments; {size} spectra is no multiple. Ask for 512")
        names = [row.name for row in classes]
        for name in left_out:
            if name not in names:
                raise InputError(f"no XRF class {name!r} to leave out{did_you_mean(name, names)}")
        self._groups, self._classes, self._key, self._size, self._counts = groups, classes, key, size, counts
        self._invented = invented
        self._stacks = [shown_stacks(group, [name in left_out for name in names]) for group in groups]
        self._usable = [number for number, rows in enumerate(self._stacks) if len(rows)]
        self._views = lru_cache(2)(self._drawn_views)

    def __call__(self, step: int) -> Batch:
        """Return the batch of one step."""
        key = jax.random.fold_in(self._key, step)
        drawn = [
            draw(
                self._groups[number], self._classes, self._size // VIEWS, key=jax.random.fold_in(key, place),
                counts=self._counts, stacks=self._stacks[number], seen=seen, invented=self._invented,
            )
            for place, (number, seen) in enumerate(self._views(step // ROUND))
        ]  # fmt: skip
        return batch_of(drawn, self._classes)

    def _drawn_views(self, number: int) -> list[tuple[int, View]]:
        """Groups and detectors of one round of steps."""
        rng = rng_of(number, key=self._key)
        chosen = rng.choice(self._usable, VIEWS, replace=len(self._usable) < VIEWS)
        return [(int(group), view(self._groups[group], rng=rng)) for group in chosen]


class Pupil:
    """The same batches for a network that imitates another one: its word counts where the truth cannot be known.

    Where it can, the target is the middle of both (Hinton, Vinyals and Dean, arXiv 1503.02531).
    """

    def __init__(self, lessons: Lessons, teacher: PigmentModel) -> None:
        """Prepare; the teacher is asked at every step."""
        self._lessons, self._teacher = lessons, teacher

    def __call__(self, step: int) -> Batch:
        """Return the batch of one step."""
        batch = self._lessons(step)
        said = sigmoid(raw_outputs(self._teacher.net, batch.features, batch.condition).presence)
        seen = np.array([*(row.visible for row in self._teacher.classes), True], np.float32)
        labels = (batch.mask * batch.labels + said) / (batch.mask + 1)
        return batch._replace(labels=labels, mask=np.broadcast_to(seen, labels.shape).copy())


def shown_stacks(group: SourceGroup, hidden: Sequence[bool]) -> np.ndarray:
    """Return the numbers of a group's stacks for training in which none of some classes occurs; hidden: [class]."""
    left_out = group.labels.share[: group.training, :, : len(hidden)][..., np.array(hidden, bool)]
    return np.flatnonzero(~left_out.any(axis=(1, 2)))


def batch_of(drawn: Sequence[Drawn], classes: Sequence[XrfClass]) -> Batch:
    """Put spectra of several instruments together, and work out what the network should say."""
    every = joined(drawn)
    seen = np.array([*(row.visible for row in classes), True])
    mass = every.mass_thickness * seen * MG
    whole = mass.sum(axis=2)
    whole[:, 0] *= (every.labels & every.mask)[:, 0].any(axis=1)
    whole[:, 1] *= every.order
    counted = whole[:, :, None] > 0
    shares = np.where(counted, mass / np.where(counted, whole[:, :, None], 1.0), 0.0)
    beneath = every.labels[:, 1].any(axis=1)
    hidden = np.where(every.order & beneath, 1.0, np.where(beneath, -1.0, 0.0))
    arrays = every.features, every.condition, every.labels, _weights(every), shares, whole, hidden
    return Batch(*(np.asarray(array, np.float32) for array in arrays))


def _weights(every: Drawn) -> np.ndarray:
    """How much each label counts [n, paint, class]: 1 where it can be decided.

    Whether a class lies in the visible paint or beneath often cannot be told. Both sides of that question weigh the
    same, so that the answer is a fair bet.
    """
    visible, hidden = every.labels[:, 0], every.labels[:, 1]
    beneath = (visible & ~hidden) | (hidden & ~every.order[:, None])
    swapped = np.stack([hidden & ~visible, beneath], axis=1)
    fair = np.array([1.0, BENEATH])[:, None]
    return every.seen * np.where(swapped, fair, np.where(every.mask, 1.0, UNSURE))


def loss(net: SpectrumNet, batch: Batch, *, key: PRNGKeyArray) -> Float[Array, ""]:
    """Return the mean loss of a batch: presence by cross entropy, and with small weights shares, masses and order."""
    keys = jax.random.split(key, len(batch.features))
    said = jax.vmap(lambda counts, condition, own: net(counts, condition, key=own))(
        batch.features, batch.condition, keys
    )
    presence = optax.sigmoid_binary_cross_entropy(said.presence, batch.labels) * batch.mask
    shares = -(batch.shares * said.log_shares).sum(axis=2)
    known = batch.mass > 0
    wrong = optax.huber_loss(said.log_mass - jnp.log(jnp.maximum(batch.mass, LEAST_MASS)))
    order = optax.sigmoid_binary_cross_entropy(said.hidden, jnp.maximum(batch.hidden, 0)) * (batch.hidden >= 0)
    return (
        presence.sum(axis=(1, 2)).mean()
        + SHARES * shares.sum(axis=1).mean()
        + HIDDEN * order.mean()
        + MASS * jnp.where(known, wrong, 0.0).sum(axis=1).mean()
    )


def optimiser(steps: int, *, rate: float = 1e-3) -> optax.GradientTransformation:
    """Return AdamW (Loshchilov and Hutter, ICLR 2019) with a short rise of the rate and a fall by half a cosine."""
    schedule = rise_and_fall(rate, steps, rise=500)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.03))
