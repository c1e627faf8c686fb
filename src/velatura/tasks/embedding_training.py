"""Teaching an embedder: noisy spectra of canvases, drawn anew at every step, and what is wrong with the answer.

The batch of a step is a function of its number alone. A pixel of a painting is chosen at random, then the counts of
the spectrum that it draws from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from velatura.base.errors import InputError, did_you_mean
from velatura.imaging.colour import srgb_to_lab
from velatura.nn.embedding_net import DomainHead, VariationalNet
from velatura.physics.counting import jitter, poisson, smooth_background
from velatura.scene.canvas_counts import rebinned
from velatura.scene.classes import xrf_classes
from velatura.scene.training import CHANNELS, GAIN_DRIFT, MOST_BLUR, OFFSET_DRIFT, grid, rng_of
from velatura.tasks.domain_adaptation import ADAPTATIONS, activation_error, reversal_error
from velatura.tasks.embedding_losses import (
    clusters_error,
    colour_error,
    normal_discrepancy,
    pigment_error,
    ramp,
    reconstruction_error,
)
from velatura.tasks.embedding_model import FEATURES, WINDOWS, build_net
from velatura.train.schedule import rise_and_fall

SCALE = 2.0**14  # shares are kept as float16 times this
PIXELS = 256  # remembered of each canvas
TARGETS = 256  # spectra of the scan to adapt to, in a batch
FALLS = (0.6, 0.85)  # of the training, when the rate falls
HEAD_RATE = 1e-2
SMALL_NOISE = -4.0  # log variance that the embedding's noise begins with
FIFTIETH = 50.0  # unit of CIELAB in the losses
MOST_BACKGROUND = 0.3  # of the counts


class Pool(NamedTuple):
    """Spectra of many canvases and pixels that draw from them."""

    rates: np.ndarray
    """Shares of the counts on the grid of a kind of embedder times SCALE, float16 [entry, channel]."""
    visible: np.ndarray
    """Mass shares of the XRF classes, float32 [entry, class]."""
    entry: np.ndarray
    """Of each pixel, int32 [pixel]."""
    colour: np.ndarray
    """Of each pixel, fiftieths of CIELAB, lightness from 50; float32 [pixel, 3]."""


class Batch(NamedTuple):
    """What is shown at a step."""

    counts: Any
    """float32 [n, channel]"""
    colour: Any
    """float32 [n, 3], as in Pool"""
    shares: Any
    """Of the visible XRF classes, float32 [n, class]."""
    target: Any
    """Spectra without labels of the scan to adapt to, float32 [m, channel]; m may be 0."""
    progress: Any
    """Of the training, a scalar, 0 to 1."""


@dataclass(frozen=True)
class Aim:
    """What an embedder is trained for."""

    kind: str = "taught"
    """dve, autoencoder or taught."""
    discrepancy: float = 0.01
    """Weight of the maximum mean discrepancy at the end of its ramp."""
    begin: float = 0.1
    """Progress at which the ramp begins."""
    end: float = 0.3
    """Progress at which it ends."""
    clusters: float = 2e-5
    """Weight of the clusters."""
    adapt: tuple[str, ...] = ()
    """reversal, activations, both, or none."""

    def __post_init__(self) -> None:
        for name in self.adapt:
            if name not in ADAPTATIONS:
                known = ", ".join(ADAPTATIONS)
                raise InputError(f"no adaptation {name!r}; known are {known}{did_you_mean(name, ADAPTATIONS)}")


class Lessons:
    """The batches of a training, each a function of its step alone."""

    def __init__(
        self, pool: Pool, *, size: int, steps: int, counts: tuple[float, float], exact: bool, key: PRNGKeyArray,
        target: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """Prepare batches of `size` spectra for a training of `steps`.

        counts: range of the dose, log-uniform; exact: every spectrum has exactly that many counts (the lower of both)
        and the scanner's axis holds still, as published; else counts are Poisson, the axis drifts and a background
        is added. target: counts of a scan to adapt to [pixel, channel], on the embedder's grid.
        """
        self._pool, self._size, self._steps, self._counts, self._exact = pool, size, steps, counts, exact
        self._key, self._target = key, target

    def __call__(self, step: int) -> Batch:
        """Return the batch of one step."""
        rng = rng_of(step, key=self._key)
        pixel = rng.integers(len(self._pool.entry), size=self._size)
        entry = self._pool.entry[pixel]
        drawn = drawn_counts(self._pool.rates[entry], self._counts, exact=self._exact, rng=rng)
        target = np.zeros((0, CHANNELS), np.float32)
        if self._target is not None:
            target = self._target[rng.integers(len(self._target), size=TARGETS)].astype(np.float32)
        progress = np.asarray(step / self._steps, np.float32)
        return Batch(drawn, self._pool.colour[pixel], self._pool.visible[entry], target, progress)


def pool_of(canvases: Iterable[Any], kind: str, *, rng: np.random.Generator) -> Pool:
    """Gather the spectra of canvases (`scene.colour_canvas.Canvas`) for a kind of embedder, and 256 pixels of each.

    Raises InputError where there are none.
    """
    rates, visible, entries, colours, before = [], [], [], [], 0
    for canvas in canvases:
        pixel = rng.integers(canvas.entry.size, size=PIXELS)
        shares = rebinned(canvas.rates, *WINDOWS[kind], CHANNELS)
        rates.append((shares * (SCALE / shares.sum(axis=1, keepdims=True))).astype(np.float16))
        visible.append(canvas.visible)
        entries.append(before + canvas.entry.ravel()[pixel])
        colours.append(canvas.rgb.reshape(-1, 3)[pixel])
        before += len(canvas.rates)
    if not rates:
        raise InputError("an embedder is trained on canvases; found none. Make some of seed images first")
    lab = (srgb_to_lab(np.concatenate(colours) / 255) - [50.0, 0.0, 0.0]) / FIFTIETH
    seen = np.array([row.visible for row in xrf_classes()], np.float32)
    shares = np.concatenate(visible).astype(np.float32) * seen
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-6)
    return Pool(np.concatenate(rates), shares, np.concatenate(entries).astype(np.int32), lab.astype(np.float32))


def joined_pools(pools: Sequence[Pool]) -> Pool:
    """Return several pools as one."""
    starts = np.cumsum([0, *(len(pool.rates) for pool in pools)])
    moved = [pool._replace(entry=pool.entry + np.int32(start)) for pool, start in zip(pools, starts, strict=False)]
    return Pool(*(np.concatenate(values) for values in zip(*moved, strict=True)))


def drawn_counts(
    shares: np.ndarray, counts: tuple[float, float], *, exact: bool, rng: np.random.Generator
) -> np.ndarray:
    """Draw a noisy spectrum of each row of shares (any scale), float32 [n, channel]; options as in `Lessons`."""
    if exact:
        return exact_counts(shares, int(counts[0]), rng=rng).astype(np.float32)
    dose = np.exp(rng.uniform(np.log(counts[0]), np.log(counts[1]), len(shares)))
    drift = np.stack(
        [
            1 + GAIN_DRIFT * np.clip(rng.standard_normal(len(shares)), -3, 3),
            rng.uniform(-OFFSET_DRIFT, OFFSET_DRIFT, len(shares)),
            rng.uniform(0, MOST_BLUR, len(shares)),
            MOST_BACKGROUND * rng.uniform(0, 1, len(shares)) ** 3,
            np.exp(rng.uniform(np.log(4), np.log(16), len(shares))),
        ]
    )
    key = jax.random.key(int(rng.integers(2**31)))
    return np.asarray(_poisson_counts(shares, dose.astype(np.float32), drift.astype(np.float32), key=key))


def exact_counts(shares: np.ndarray, number: int, *, rng: np.random.Generator) -> np.ndarray:
    """Draw exactly `number` counts of each row of shares [n, channel], multinomial; int [n, channel].

    Sorted uniform numbers come as partial sums of exponential ones; each falls into a channel.
    """
    rows, channels = shares.shape
    upto = np.cumsum(shares, axis=1, dtype=np.float64)
    waits = np.cumsum(rng.standard_exponential((rows, number + 1)), axis=1)
    lift = np.arange(rows)[:, None]
    places = (upto / upto[:, -1:] + lift).ravel()
    channel = np.searchsorted(places, (waits[:, :-1] / waits[:, -1:] + lift).ravel(), side="right")
    return np.bincount(np.minimum(channel, places.size - 1), minlength=places.size).reshape(rows, channels)


@jax.jit
def _poisson_counts(shares: Array, dose: Array, drift: Array, *, key: PRNGKeyArray) -> Array:
    gain, offset, blur, background, decay = drift
    shares = shares.astype(jnp.float32)
    axis = jnp.asarray(grid(), jnp.float32)
    smooth = jax.vmap(lambda length: smooth_background(axis, decay=length))(decay)
    shares += (background * shares.sum(axis=1))[:, None] * smooth
    shares = jax.vmap(lambda row, g, o, b: jitter(row, g, o, blur=b))(shares, gain, offset, blur)
    return poisson(shares * (dose / jnp.sum(shares, axis=1))[:, None], key=key).astype(jnp.float32)


def begun(aim: Aim, *, usual: np.ndarray, key: PRNGKeyArray) -> tuple[PyTree, DomainHead | None]:
    """Return the model of a training: the network, and the head of a domain adaptation where one is asked for.

    usual: some spectra of the training [n, channel], on which autoencoders are settled.
    """
    one, two = jax.random.split(key)
    head = DomainHead(FEATURES[aim.kind], key=two) if "reversal" in aim.adapt else None
    net = build_net(aim.kind, key=one)
    return (net if aim.kind == "taught" else settled(net, usual)), head


def settled(net: VariationalNet, counts: np.ndarray) -> VariationalNet:
    """Return an autoencoder with random weights that suit some spectra [n, channel]: no value is the same for all.

    Rows of the encoder's matrices are made orthogonal to the mean of what enters, and scaled so that what leaves has
    unit variance (after Mishkin and Matas, ICLR 2016); the decoder begins at the mean spectrum, and the noise of the
    embedding small. Without it the mean, twenty times larger than what differs between paints, makes all encodings one.
    """
    seen = values = jax.vmap(net.prepared)(jnp.asarray(counts, jnp.float32))
    for number in range(len(net.hidden.layers)):
        weight = _fitted_weight(net.hidden.layers[number].weight, values)
        net = eqx.tree_at(lambda whole, at=number: whole.hidden.layers[at].weight, net, weight)
        values = jax.nn.selu(values @ weight.T)
    narrow = _fitted_weight(net.narrow.weight, values)
    encoding = jnp.tanh(values @ narrow.T)
    mean = _fitted_weight(net.mean.weight, encoding)
    middle, features = jnp.clip(seen.mean(axis=0), 1e-4, 1 - 1e-4), mean.shape[0]
    return eqx.tree_at(
        lambda whole: (whole.narrow.weight, whole.mean.weight, whole.log_variance.bias, whole.last.bias),
        net,
        (narrow, mean, jnp.full(features, SMALL_NOISE), jnp.log(middle / (1 - middle))),
    )


def _fitted_weight(weight: Array, values: Array) -> Array:
    """A matrix [outputs, inputs] that gives values [n, inputs] zero mean and unit variance."""
    mean = values.mean(axis=0)
    level = weight - jnp.outer(weight @ mean, mean) / jnp.maximum(mean @ mean, 1e-12)
    return level / jnp.maximum(jnp.std(values @ level.T, axis=0), 1e-6)[:, None]


def loss_for(aim: Aim) -> Any:
    """Return the loss of a training, loss(model, batch, key=...), for `train.loop.fit`; model: as of `begun`."""
    return partial(_loss, aim=aim)


def _loss(model: tuple[PyTree, Any], batch: Batch, *, key: PRNGKeyArray, aim: Aim) -> Float[Array, ""]:
    (net, head), keys = model, jax.random.split(key, 4)
    batch = Batch(*map(jnp.asarray, batch))
    hidden = _hidden(net, batch.counts, key=keys[0])
    embedding = jax.vmap(net.project)(hidden)
    work = _taught_error if aim.kind == "taught" else _rebuilt_error
    total = work(net, batch, hidden=hidden, embedding=embedding, key=keys[1], aim=aim)
    if not aim.adapt or not len(batch.target):
        return total
    measured = _hidden(net, batch.target, key=keys[2])
    if "reversal" in aim.adapt:
        total += reversal_error(head, embedding, jax.vmap(net.project)(measured), progress=batch.progress)
    if "activations" in aim.adapt:
        total += activation_error(net, measured, embedding, progress=batch.progress, key=keys[3])
    return total


def _hidden(net: PyTree, counts: Array, *, key: PRNGKeyArray) -> Array:
    keys = jax.random.split(key, len(counts))
    return jax.vmap(lambda row, own: net.penultimate(net.prepared(row), key=own))(counts, keys)


def _taught_error(
    net: PyTree, batch: Batch, *, hidden: Array, embedding: Array, key: PRNGKeyArray, aim: Aim
) -> Float[Array, ""]:
    del hidden, key, aim
    said = jax.vmap(net.read)(embedding)
    seen = jnp.array([row.visible for row in xrf_classes()], jnp.float32)
    return colour_error(said, batch.colour) + pigment_error(said, batch.shares, seen)


def _rebuilt_error(
    net: PyTree, batch: Batch, *, hidden: Array, embedding: Array, key: PRNGKeyArray, aim: Aim
) -> Float[Array, ""]:
    """Reconstruction; for the variational kind with the discrepancy of the sampled embedding, and clusters."""
    one, two, three, four = jax.random.split(key, 4)
    sampled, total = embedding, jnp.zeros(())
    if aim.kind == "dve":
        beta = aim.discrepancy * ramp(batch.progress, aim.begin, aim.end)
        noise = jax.random.normal(one, embedding.shape) * jnp.exp(0.5 * jax.vmap(net.log_variance)(hidden))
        sampled = embedding + jnp.where(beta > 0, noise, 0.0)
        total = beta * normal_discrepancy(sampled, key=two) + aim.clusters * clusters_error(embedding, key=three)
    seen = jax.vmap(net.prepared)(batch.counts)
    keys = jax.random.split(four, len(seen))
    rebuilt = jax.vmap(lambda row, own: net.decode(row, key=own))(sampled, keys)
    return total + reconstruction_error(rebuilt, seen)


def optimiser(aim: Aim, *, rate: float, steps: int) -> optax.GradientTransformation:
    """Return Adam with a tenth of the rate after FALLS of the training; for the taught kind AdamW.

    The published rule, a tenth whenever the loss rests, would take the rising weight of the discrepancy for rest. AdamW
    has a short rise of the rate and a fall by half a cosine. A head of a domain adaptation learns at HEAD_RATE
    throughout, faster than the network that is to confuse it.
    """
    if aim.kind == "taught":
        schedule = rise_and_fall(rate, steps, rise=300)
        rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-4))
    else:
        rule = optax.adam(optax.piecewise_constant_schedule(rate, {int(share * steps): 0.1 for share in FALLS}))
    if "reversal" not in aim.adapt:
        return rule
    return optax.multi_transform({"net": rule, "head": optax.adam(HEAD_RATE)}, ("net", "head"))


def choices(aim: Aim) -> Sequence[str]:
    """Return in words what the published texts leave open and how it was chosen, for the model card."""
    if aim.kind not in {"dve", "autoencoder"}:
        return ()
    return (
        "1024 channels from 0.5 to 38.5 keV (the text names 512 as an example)",
        "encoder 1024-512-256-128-32-3, decoder 3-64-128-256-1024: inferred from the group's published code",
        f"weight of the discrepancy: 0 to {aim.discrepancy:g} from {aim.begin:.0%} to {aim.end:.0%} of the training "
        "(at 1, one of the values seen, two of three features turn to noise)",
        f"weight of the clusters: {aim.clusters:g}; 4 to 12 clusters, k-means++ with squared distances "
        "(at 0.002, one of the values seen, spectra fall together in a few points, now that it has a gradient)",
        "weights begin orthogonal to the mean spectrum and scaled to unit variance, the decoder at the mean spectrum",
        "an epoch is a hundredth of the training; each step draws new spectra instead of passing over stored ones",
        f"the rate falls to a tenth after {FALLS[0]:.0%} and {FALLS[1]:.0%} of the training (published: when it rests)",
        "the gradient of the silhouette is taken (the published code cuts it off)",
    )
