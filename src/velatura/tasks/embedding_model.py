"""An embedder ready for use: spectra on its grid in, a few standardised numbers for each out, and how strange each is.

Features have about zero mean and unit deviation on training spectra. Strangeness is the share of training spectra of
the same dose that lie less far from what was trained on: by the embedding's Mahalanobis distance, or by what the usual
shapes of spectra cannot rebuild, whichever is worse.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from velatura.base.errors import FileFormatError, InputError, did_you_mean
from velatura.nn.embedding_net import AnswersNet, ComponentNet, TaughtNet, VariationalNet, embedding_of
from velatura.nn.spectrum_net import build
from velatura.scene.classes import xrf_classes
from velatura.scene.training import CHANNELS, HIGH, LOW
from velatura.tasks.pigment_model import shapes_for
from velatura.train.weights import ModelCard, load_weights, read_card, save_weights, shipped_file

SHIPPED: Mapping[str, str] = MappingProxyType(
    {
        "velatura": "embedding.safetensors",
        "paper": "embedding-paper.safetensors",
        "pigments": "embedding-pigments.safetensors",
    }
)
FEATURES: Mapping[str, int] = MappingProxyType({"dve": 3, "autoencoder": 3, "pca3": 3, "taught": 16, "pigments": 16})
"""Kinds of embedders, and how many numbers each gives."""
PAPER_HIGH = 38.5  # keV, upper end of the published window
WINDOWS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {kind: (LOW, PAPER_HIGH if kind in {"dve", "autoencoder", "pca3"} else HIGH) for kind in FEATURES}
)
"""Outer edges of the energy grid of each kind [keV]."""
BATCH = 1024  # spectra embedded at once: the program is compiled for this number alone
KNOTS = np.arange(2.0, 5.01, 0.5)  # decades of counts at which strangeness was learned
RANKS = 201  # quantiles
BINS, SHAPES = 256, 32  # in which shapes of spectra are compared, and how many there are
LEAST = 1e-6


class Calibration(NamedTuple):
    """What spectra of training say of the features; float32 arrays."""

    mean: np.ndarray
    """Of the raw features [f]."""
    deviation: np.ndarray
    """Of the raw features [f]."""
    whiten: np.ndarray
    """Standardised features times this have unit covariance [f, f]."""
    usual: np.ndarray
    """Mean of the square roots of the shares of 256 wide bins [bin]."""
    shapes: np.ndarray
    """Their principal directions [bin, shape]."""
    far: np.ndarray
    """Quantiles of the logarithm of distance and of what is left over, at the doses of KNOTS [2, knot, 201]."""
    worst: np.ndarray
    """Quantiles of the larger of the two ranks [201]."""


class Embedder(NamedTuple):
    """A network, the energy grid it reads, and its calibration."""

    name: str
    kind: str
    """dve, autoencoder, pca3, taught or pigments."""
    low: float
    """Lower edge of the grid [keV]."""
    high: float
    """Upper edge of the grid [keV]."""
    channels: int
    features: int
    net: PyTree
    calibration: Calibration
    card: ModelCard

    @property
    def energies(self) -> np.ndarray:
        """Centres of the channels of the spectra it reads [keV], float64 [channel]."""
        return self.low + (np.arange(self.channels) + 0.5) * (self.high - self.low) / self.channels


def shipped_embedder(name: str = "velatura") -> Path | None:
    """Return the file of an embedder that comes with the package; None for one that does not."""
    return shipped_file(SHIPPED.get(name))


def load_embedder(name: str | Path = "velatura") -> Embedder:
    """Load a shipped embedder, "velatura", "paper" or "pigments", or that of a file.

    Raises InputError where there is none, FileFormatError for a file of something else.
    """
    path = shipped_embedder(str(name)) or Path(name)
    if not path.is_file():
        raise InputError(
            f"no embedder {str(name)!r}: neither shipped ({', '.join(SHIPPED)}) nor a file. "
            "Train one: velatura train embedding"
        )
    card = read_card(path)
    found = dict(card.architecture)
    kind = found.get("embedder", "")
    if kind not in FEATURES:
        raise FileFormatError(f"{path} holds no embedder{did_you_mean(kind, FEATURES)}. Choose a file of one")
    like = eqx.filter_eval_shape(lambda: _arrays(untrained_embedder(kind, key=jax.random.key(0))))
    net, calibration = load_weights(path, like, architecture=architecture(kind))
    made = uncalibrated_embedder(kind, net, name=str(name) if str(name) in SHIPPED else path.stem)
    return made._replace(calibration=Calibration(*map(np.asarray, calibration)), card=card)


def save_embedder(path: Path, embedder: Embedder) -> None:
    """Write an embedder as float16; the card tells its kind, recipe and scores."""
    save_weights(path, _arrays(embedder), embedder.card, half=True)


def architecture(kind: str) -> dict[str, Any]:
    """Return what a model card says of an embedder's build."""
    return {"embedder": kind, "channels": CHANNELS, "features": FEATURES[kind], "grid": list(WINDOWS[kind])}


def untrained_embedder(kind: str, *, key: PRNGKeyArray) -> Embedder:
    """Return an embedder of random weights: a start of training, and for tests. Raises InputError for another kind."""
    if kind not in FEATURES:
        raise InputError(
            f"no embedder of the kind {kind!r}; known are {', '.join(FEATURES)}{did_you_mean(kind, FEATURES)}"
        )
    return uncalibrated_embedder(kind, build_net(kind, key=key))


def uncalibrated_embedder(kind: str, net: PyTree, *, name: str | None = None) -> Embedder:
    """Return a network of one of the kinds of FEATURES as an embedder that is calibrated to nothing."""
    features, card = FEATURES[kind], ModelCard(architecture(kind), {}, 0, {})
    return Embedder(name or kind, kind, *WINDOWS[kind], CHANNELS, features, net, uncalibrated(features), card)


def build_net(kind: str, *, key: PRNGKeyArray) -> PyTree:
    """Return the network of a kind of embedder with random weights."""
    features, classes = FEATURES[kind], xrf_classes()
    if kind in {"dve", "autoencoder"}:
        return VariationalNet(CHANNELS, features, key=key)
    if kind == "taught":
        return TaughtNet(CHANNELS, features, classes=len(classes), key=key)
    if kind == "pca3":
        return ComponentNet(jnp.zeros(CHANNELS), jax.random.normal(key, (CHANNELS, features)) / CHANNELS**0.5)
    shapes = shapes_for(classes)
    answers = 4 * shapes.classes  # presence and shares of both paints
    axes = jax.random.normal(key, (answers, features)) / answers**0.5
    return AnswersNet(build("fast", shapes, key=key), jnp.zeros(answers), axes)


def uncalibrated(features: int) -> Calibration:
    """Return the calibration that changes nothing."""
    far = np.broadcast_to(np.linspace(-5, 5, RANKS), (2, len(KNOTS), RANKS))
    arrays = (
        np.zeros(features), np.ones(features), np.eye(features), np.zeros(BINS), np.zeros((BINS, SHAPES)), far,
        np.linspace(0, 1, RANKS),
    )  # fmt: skip
    return Calibration(*(np.array(values, np.float32) for values in arrays))


def embed(embedder: Embedder, counts: np.ndarray) -> np.ndarray:
    """Return the standardised features of spectra, float32 [n, feature].

    counts: on the embedder's grid, whole numbers of any type [n, channel]. A spectrum's features do not depend on its
    company. Raises InputError for another number of channels.
    """
    return np.concatenate([found for found, *_ in _batches(embedder, counts)])


def embed_and_judge(embedder: Embedder, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `embed` and `strangeness` of spectra in one go."""
    found, far, decades = (np.concatenate(values) for values in zip(*_batches(embedder, counts), strict=True))
    larger = ranks_by_dose(far.T, decades, embedder.calibration.far)
    return found, np.interp(larger, embedder.calibration.worst, np.linspace(0, 1, RANKS)).astype(np.float32)


def strangeness(embedder: Embedder, counts: np.ndarray) -> np.ndarray:
    """Return the share of training spectra that are less strange than each of some spectra, float32 [n], 0 to 1."""
    return embed_and_judge(embedder, counts)[1]


def evidence_of_strangeness(embedder: Embedder, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what strangeness rests on: logarithms of distance and left-over shape [2, n], decades of counts [n]."""
    _, far, decades = (np.concatenate(values) for values in zip(*_batches(embedder, counts), strict=True))
    return far.T, decades


def ranks_by_dose(far: np.ndarray, decades: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return the larger of the ranks [n] of both kinds of evidence [2, n] among spectra of the same dose.

    decades: of counts [n]; quantiles: [2, knot, rank]; between two knots the ranks are interpolated.
    """
    place = np.interp(decades, KNOTS, np.arange(len(KNOTS)))
    ranks, shares = np.zeros((2, len(decades))), np.linspace(0, 1, RANKS)
    for knot in range(len(KNOTS)):
        weight = np.maximum(1 - np.abs(place - knot), 0)
        near = np.flatnonzero(weight)
        for kind in range(2):
            ranks[kind, near] += weight[near] * np.interp(far[kind, near], quantiles[kind, knot], shares)
    return ranks.max(axis=0)


def bin_shape(counts: Array) -> Array:
    """Return square roots of the shares of 256 wide bins, [..., bin]; the root makes the noise even."""
    sums = counts.reshape(*counts.shape[:-1], BINS, -1).sum(axis=-1)
    return jnp.sqrt((sums + 0.375) / (sums.sum(axis=-1, keepdims=True) + 0.375 * BINS))


def _batches(embedder: Embedder, counts: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Outputs of `_forward` for one batch after the other, the last one cut to size; at least one, perhaps empty."""
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[1] != embedder.channels:
        raise InputError(
            f"the embedder {embedder.name!r} reads spectra [n, {embedder.channels}]; found {list(counts.shape)}. "
            "Bring them onto its grid first"
        )
    calibration = tuple(jnp.asarray(values) for values in embedder.calibration[:5])
    for start in range(0, max(len(counts), 1), BATCH):
        rows = counts[start : start + BATCH]
        batch = np.zeros((BATCH, embedder.channels), np.float32)
        batch[: len(rows)] = rows
        yield tuple(
            np.asarray(values)[: len(rows)] for values in _forward(embedder.net, calibration, jnp.asarray(batch))
        )


@eqx.filter_jit
def _forward(net: PyTree, calibration: tuple[Array, ...], counts: Array) -> tuple[Array, Array, Array]:
    """Features [n, f], logarithms of distance and of what is left over [n, 2], and decades of counts [n]."""
    mean, deviation, whiten, usual, shapes = calibration
    found = (jax.vmap(lambda row: embedding_of(net, row))(counts) - mean) / deviation
    shape = bin_shape(counts) - usual
    left = shape - (shape @ shapes) @ shapes.T
    far = jnp.stack([jnp.sum((found @ whiten) ** 2, axis=1), jnp.sum(left**2, axis=1)], axis=1)
    return found, 0.5 * jnp.log(far + LEAST**2), jnp.log10(jnp.sum(counts, axis=1) + 1)


def _arrays(embedder: Embedder) -> PyTree:
    return embedder.net, tuple(jnp.asarray(values, jnp.float32) for values in embedder.calibration)
