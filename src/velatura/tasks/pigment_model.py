"""A trained network ready for use: spectra on the grid in, calibrated answers out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from velatura.base.errors import FileFormatError, InputError
from velatura.nn.spectrum_net import EMBEDDING, Shapes, SpectrumNet, build
from velatura.scene.classes import XrfClass, xrf_classes
from velatura.scene.training import CHANNELS, HIGH, LOW
from velatura.train.weights import ModelCard, load_weights, read_card, save_weights, shipped_file

SHIPPED = {"best": "pigments.safetensors", "fast": "pigments-fast.safetensors"}
BATCH = 512
RANKS = 201  # quantiles of the distances


class Calibration(NamedTuple):
    """What held-out instruments taught about the answers of a network; float32 arrays."""

    scale: np.ndarray
    """Of the logits of each paint [2]."""
    offset: np.ndarray
    """Added to them, [2, class]."""
    unknown: np.ndarray
    """Weights of the stranger's logit, of the distance and of one, for the logit of `unknown` [3]."""
    thresholds: np.ndarray
    """Probability from which a class counts as found [2, class]."""
    sure: np.ndarray
    """The same where no other pigment, and no single paint in place of two, explains it as well [2, class]."""
    unknown_threshold: np.ndarray
    """The same for `unknown`, a scalar."""
    centre: np.ndarray
    """Mean embedding [256]."""
    whiten: np.ndarray
    """Embeddings less the mean, times this, have unit covariance [256, 256]."""
    distances: np.ndarray
    """Quantiles of the distances from the mean, of spectra of pigments only [201]."""


class PigmentModel(NamedTuple):
    """A network, the classes that it knows, and its calibration."""

    net: SpectrumNet
    classes: tuple[XrfClass, ...]
    calibration: Calibration
    card: ModelCard

    @property
    def thresholds(self) -> np.ndarray:
        """Probability from which a class counts as found, float32 [paint, class]."""
        return np.asarray(self.calibration.thresholds, np.float32)

    @property
    def sure(self) -> np.ndarray:
        """The same where nothing else explains the spectrum as well, float32 [paint, class]."""
        return np.asarray(self.calibration.sure, np.float32)

    @property
    def unknown_threshold(self) -> float:
        """Probability from which a spectrum counts as holding something unknown."""
        return float(self.calibration.unknown_threshold)


class Answers(NamedTuple):
    """What a network says of n spectra; float32; paints: visible, hidden."""

    probability: np.ndarray
    """That a class is in a paint [n, paint, class]."""
    unknown: np.ndarray
    """That there is a material which is none of the classes [n]."""
    strangeness: np.ndarray
    """Share of spectra of pigments that are less strange than this one [n]."""
    hidden: np.ndarray
    """That a second paint lies beneath and shows [n]."""
    share: np.ndarray
    """Mass of the class among the pigments of the paint that can be seen [n, paint, class]."""
    amount: np.ndarray
    """Mass of these pigments per area [mg/cm2], [n, paint]."""


class Raw(NamedTuple):
    """Outputs before calibration, arrays [n, ...]."""

    presence: np.ndarray
    """Logits [n, paint, class + 1]; the last class are strangers."""
    log_shares: np.ndarray
    hidden: np.ndarray
    log_mass: np.ndarray
    embedding: np.ndarray


def shipped(name: str = "best") -> Path | None:
    """Return the file of weights that come with the package, "best" or "fast"; None where they were left out."""
    return shipped_file(SHIPPED.get(name))


def architecture(design: str, classes: Sequence[XrfClass]) -> dict[str, Any]:
    """Return what a model card says of a network's build."""
    names = [row.name for row in classes]
    return {"design": design, "channels": CHANNELS, "instrument": 8, "classes": names, "grid": [LOW, HIGH]}


def load_pigments(name: str | Path = "best") -> PigmentModel:
    """Load the shipped weights "best" or "fast", or those of a file.

    Raises InputError where there are none, FileFormatError for a file of another network.
    """
    path = shipped(str(name)) or Path(name)
    if not path.is_file():
        raise InputError(
            f"no weights {str(name)!r}: neither shipped ({', '.join(SHIPPED)}) nor a file. "
            "Train some: velatura train pigments"
        )
    card = read_card(path)
    design, known = card.architecture.get("design", ""), card.architecture.get("classes", ())
    classes = xrf_classes()
    if list(known) != [row.name for row in classes]:
        raise FileFormatError(f"{path} knows {len(known)} XRF classes that are not those of this version. Train again")
    like = _like(str(design), classes)
    net, arrays = load_weights(path, like, architecture=architecture(str(design), classes))
    return PigmentModel(net, classes, Calibration(*map(np.asarray, arrays)), card)


def save_pigments(path: Path, model: PigmentModel) -> None:
    """Write a model as float16; the card names classes, recipe and scores."""
    save_weights(path, (model.net, _on_device(model.calibration)), model.card, half=True)


def untrained(design: str = "fast", *, key: PRNGKeyArray) -> PigmentModel:
    """Return a network of random weights that is calibrated to nothing: a start of training, and for tests."""
    classes = xrf_classes()
    net = build(design, shapes_for(classes), key=key)
    return PigmentModel(net, classes, uncalibrated(len(classes)), ModelCard(architecture(design, classes), {}, 0, {}))


def raw_outputs(net: SpectrumNet, features: np.ndarray, condition: np.ndarray) -> Raw:
    """Return the outputs for spectra float32 [n, 1024] of instruments float32 [n, 8], in batches of one size."""
    parts = []
    for start in range(0, len(features), BATCH):
        rows = slice(start, start + BATCH)
        part = _forward(net, *(_filled(values[rows]) for values in (features, condition)))
        parts.append([np.asarray(values)[: len(features) - start] for values in part])
    if not parts:
        parts = [[np.asarray(values)[:0] for values in _forward(net, *map(jnp.asarray, _blank()))]]
    return Raw(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def predict(model: PigmentModel, features: np.ndarray, condition: np.ndarray) -> Answers:
    """Return calibrated answers for spectra.

    features: counts on the grid of `scene.training.grid`, float32 [n, 1024]; condition: instruments as
    `scene.training.described`, or zeros where nothing is known, float32 [n, 8].
    """
    return calibrated(raw_outputs(model.net, features, condition), model.calibration)


def calibrated(raw: Raw, calibration: Calibration) -> Answers:
    """Turn outputs into answers."""
    classes = raw.presence.shape[2] - 1
    logits = raw.presence[..., :classes] * calibration.scale[:, None] + calibration.offset
    distance = distances(raw.embedding, calibration)
    seen = unknown_evidence(raw, distance) @ calibration.unknown
    ranks = np.linspace(0, 1, RANKS)
    shares = np.exp(raw.log_shares[..., :classes])
    return Answers(
        sigmoid(logits), sigmoid(seen), np.interp(distance, calibration.distances, ranks).astype(np.float32),
        sigmoid(raw.hidden), shares, np.exp(raw.log_mass),
    )  # fmt: skip


def unknown_evidence(raw: Raw, distance: np.ndarray) -> np.ndarray:
    """Return what the answer `unknown` rests on, [n, 3]: the stranger's logit in either paint, the distance, one."""
    stranger = raw.presence[..., -1].max(axis=1)
    return np.stack([stranger, np.log(np.maximum(distance, 1e-3)), np.ones_like(distance)], axis=1)


def distances(embedding: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Return how far embeddings [n, 256] lie from their mean, in standard deviations (Mahalanobis) [n]."""
    return np.linalg.norm((embedding - calibration.centre) @ calibration.whiten, axis=1)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return probabilities float32; no overflow."""
    return (0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float32)))).astype(np.float32)


@eqx.filter_jit
def _forward(net: SpectrumNet, features: Array, condition: Array) -> tuple[Array, ...]:
    def one(counts: Array, instrument: Array) -> tuple[Array, ...]:
        embedding = net.embed(counts, instrument, key=None)
        return (*net.heads(embedding), embedding)

    return jax.vmap(one)(features, condition)


def _filled(rows: np.ndarray) -> Array:
    """A batch of the one size; the last one is filled up with zeros."""
    lacking = BATCH - len(rows)
    return jnp.asarray(np.pad(rows, [(0, lacking), (0, 0)]) if lacking else rows, jnp.float32)


def _blank() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((BATCH, CHANNELS), np.float32), np.zeros((BATCH, 8), np.float32)


def shapes_for(classes: Sequence[XrfClass]) -> Shapes:
    """Return the sizes of a network for these classes, with one more for strangers."""
    return Shapes(CHANNELS, 8, len(classes) + 1)


def uncalibrated(classes: int) -> Calibration:
    """Return the calibration that changes nothing."""
    half = np.full((2, classes), 0.5)
    arrays = (
        np.ones(2), np.zeros((2, classes)), [1.0, 0.0, 0.0], half, half, 0.5,
        np.zeros(EMBEDDING), np.eye(EMBEDDING), np.linspace(0, 30, RANKS),
    )  # fmt: skip
    return Calibration(*(np.asarray(values, np.float32) for values in arrays))


def _like(design: str, classes: Sequence[XrfClass]) -> PyTree:
    return eqx.filter_eval_shape(
        lambda: (build(design, shapes_for(classes), key=jax.random.key(0)), _on_device(uncalibrated(len(classes))))
    )


def _on_device(calibration: Calibration) -> tuple[Array, ...]:
    return tuple(jnp.asarray(values, jnp.float32) for values in calibration)
