"""What held-out spectra say of a network: its calibration from some of them, its scores from others."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from velatura.scene.classes import XrfClass
from velatura.scene.sources import SourceGroup
from velatura.scene.training import Drawn, draw, joined
from velatura.tasks.pigment_model import (
    RANKS,
    Answers,
    Calibration,
    PigmentModel,
    Raw,
    distances,
    predict,
    raw_outputs,
    sigmoid,
    uncalibrated,
    unknown_evidence,
)
from velatura.train.metrics import (
    auroc,
    average_precisions,
    best_thresholds,
    expected_calibration_error,
    macro_f1,
    mean_over_classes,
)

LOW = 0.05  # volume share of a pigment in its paint up to which its concentration is low
SAID = 0.05  # probability from which an answer is more than "surely not"
SHRINK = 10.0  # weight that keeps the offsets of rare classes small
ENOUGH = 15  # labels of a class that may set a threshold of their own
LEAST = 0.1  # of a threshold: nobody calls found what is less likely, whatever F1 gains by it
SAME = 1e-4  # of the largest variance: directions in which embeddings do not vary


class Spectra(NamedTuple):
    """Spectra of several held-out groups with what is in them, as `scene.training.Drawn`."""

    drawn: Drawn
    stranger: np.ndarray
    """Whether a material that is no pigment is there and shows, bool [n]."""
    pure: np.ndarray
    """Whether there is none, bool [n]."""


def held_out_spectra(
    groups: Sequence[SourceGroup],
    classes: tuple[XrfClass, ...],
    number: int,
    *,
    key: PRNGKeyArray,
    counts: tuple[float, float],
    kept_back: bool = False,
) -> Spectra:
    """Draw `number` spectra of each group, 256 through each new detector."""
    parts = []
    for place, group in enumerate(groups):
        for start in range(0, number, 256):
            own = jax.random.fold_in(jax.random.fold_in(key, place), start)
            size = min(256, number - start)
            parts.append(draw(group, classes, size, key=own, counts=counts, kept_back=kept_back))
    return spectra_of(parts)


def spectra_of(parts: Sequence[Drawn]) -> Spectra:
    """Return batches of spectra as one set."""
    drawn = joined(parts)
    there, seen = drawn.labels[..., -1], drawn.mask[..., -1]
    return Spectra(drawn, np.any(there & seen, axis=1), ~np.any(there, axis=1))


def calibrate(raw: Raw, spectra: Spectra, *, usual: np.ndarray) -> Calibration:
    """Return the calibration of a network from its outputs for held-out spectra.

    usual: its embeddings of spectra of pigments [n, 256], from which strangeness is counted. Each paint's logits get
    one scale (Guo et al., ICML 2017) and each class an offset, by maximum likelihood, then the threshold of the best
    F1, all from what can be seen, and a second threshold from what can be decided.
    """
    classes = raw.presence.shape[2] - 1
    labels, mask, seen = (
        part[..., :classes] for part in (spectra.drawn.labels, spectra.drawn.mask, spectra.drawn.seen)
    )
    found = uncalibrated(classes)
    centre, whiten = _whitening(usual)
    parts = found.scale, found.offset, found.thresholds, found.sure
    scale, offset, thresholds, sure = (part.copy() for part in parts)
    for paint in range(2):
        logits, own = raw.presence[:, paint, :classes], labels[:, paint]
        scale[paint], offset[paint] = _platt(logits, own, seen[:, paint])
        said = sigmoid(logits * scale[paint] + offset[paint])
        thresholds[paint], sure[paint] = (_thresholds(own, said, counts[:, paint]) for counts in (seen, mask))
    found = found._replace(scale=scale, offset=offset, thresholds=thresholds, sure=sure, centre=centre, whiten=whiten)
    far = distances(raw.embedding, found)
    found = found._replace(distances=np.quantile(far[spectra.pure], np.linspace(0, 1, RANKS)))
    return Calibration(*(np.asarray(values, np.float32) for values in _with_unknown(found, raw, spectra)))


def calibrated_by(model: PigmentModel, apart: Spectra, *, usual: Spectra) -> PigmentModel:
    """Return a model with the calibration that its answers to some held-out spectra ask for; usual: of training."""
    raw = raw_outputs(model.net, apart.drawn.features, apart.drawn.condition)
    common = raw_outputs(model.net, usual.drawn.features[usual.pure], usual.drawn.condition[usual.pure]).embedding
    return model._replace(calibration=calibrate(raw, apart, usual=common))


def tested(model: PigmentModel, spectra: Spectra) -> dict[str, float]:
    """Return the `scores` of a model on some spectra, to four decimals."""
    answers = predict(model, spectra.drawn.features, spectra.drawn.condition)
    return {name: round(value, 4) for name, value in scores(answers, spectra, model.sure).items()}


def scores(answers: Answers, spectra: Spectra, thresholds: np.ndarray) -> dict[str, float]:
    """Return macro F1, average precision, calibration error and AUROC; thresholds: [paint, class].

    visible, hidden: over all spectra; beneath: hidden classes where there is a hidden paint; low: over spectra with a
    pigment of 5 % or less that shows, whether such pigments are found and absent ones are not. All these count what can
    be decided; the calibration errors count what can be seen, for which probabilities are made. Nearly all labels are
    absent and easily so: calibration_error_said leaves out those given less than 5 %.
    """
    drawn, classes = spectra.drawn, answers.probability.shape[2]
    labels, mask = drawn.labels[..., :classes], drawn.mask[..., :classes]
    low = mask[:, 0] & ((drawn.share[:, 0, :classes] <= LOW) | ~labels[:, 0])
    low &= (low & labels[:, 0]).any(axis=1, keepdims=True)
    beneath = mask[:, 1] & drawn.labels[:, 1].any(axis=1, keepdims=True)
    cases = {"visible": (0, mask[:, 0]), "hidden": (1, mask[:, 1]), "beneath": (1, beneath), "low": (0, low)}
    found = {}
    for name, (paint, counts) in cases.items():
        truth, said = labels[:, paint], answers.probability[:, paint]
        found[f"f1_{name}"] = macro_f1(truth, said, mask=counts, threshold=thresholds[paint])
        found[f"precision_{name}"] = mean_over_classes(average_precisions(truth, said, mask=counts))
    seen = drawn.seen[..., :classes]
    found["calibration_error"] = expected_calibration_error(labels, answers.probability, mask=seen)
    said = seen & (answers.probability > SAID)
    found["calibration_error_said"] = expected_calibration_error(labels, answers.probability, mask=said)
    for name, values in (("unknown", answers.unknown), ("strangeness", answers.strangeness)):
        found[f"auroc_{name}"] = auroc(values[spectra.pure], values[spectra.stranger])
    return found


def _platt(logits: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
    """Scale and offsets [class] of logits [n, class] by Newton's method on the cross entropy."""
    classes = logits.shape[1]
    scale, offset = 1.0, np.zeros(classes)
    for _ in range(20):
        said = sigmoid(logits * scale + offset).astype(np.float64)
        wrong, weight = (said - labels) * mask, said * (1 - said) * mask + 1e-12
        slope = np.concatenate([[(wrong * logits).sum()], wrong.sum(axis=0) + SHRINK * offset])
        bend = np.diag(np.concatenate([[(weight * logits**2).sum()], weight.sum(axis=0) + SHRINK]))
        bend[0, 1:] = bend[1:, 0] = (weight * logits).sum(axis=0)
        step = np.linalg.solve(bend, slope)
        scale, offset = scale - np.clip(step[0], -0.5, 0.5), offset - np.clip(step[1:], -1, 1)
    return float(scale), offset


def _thresholds(labels: np.ndarray, said: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Threshold of each class, and a common one for classes that hardly occur."""
    own = best_thresholds(labels, said, mask=mask)
    pooled = best_thresholds(labels.reshape(-1, 1), said.reshape(-1, 1), mask=mask.reshape(-1, 1))[0]
    common = 0.5 if np.isnan(pooled) else pooled
    return np.maximum(np.where((labels & mask).sum(axis=0) >= ENOUGH, own, common), LEAST)


def _whitening(embedding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and whitening matrix of embeddings [n, 256]."""
    centre = embedding.mean(axis=0)
    sizes, axes = np.linalg.eigh(np.cov((embedding - centre).astype(np.float64), rowvar=False))
    kept = sizes > SAME * sizes[-1]
    return centre, axes * np.where(kept, 1 / np.sqrt(np.where(kept, sizes, 1.0)), 0.0)


def _with_unknown(calibration: Calibration, raw: Raw, spectra: Spectra) -> Calibration:
    """Add the weights and the threshold of `unknown`; without strangers to learn from, as it was."""
    used = spectra.pure | spectra.stranger
    if not spectra.stranger.any():
        return calibration
    evidence = unknown_evidence(raw, distances(raw.embedding, calibration))[used].astype(np.float64)
    truth, weights = spectra.stranger[used], np.array([1.0, 0.0, 0.0])
    for _ in range(30):
        said = sigmoid(evidence @ weights).astype(np.float64)
        slope = evidence.T @ (said - truth) + 0.1 * weights
        bend = (evidence.T * (said * (1 - said))) @ evidence + 0.1 * np.eye(3)
        weights -= np.clip(np.linalg.solve(bend, slope), -1, 1)
    said = sigmoid(evidence @ weights)
    threshold = best_thresholds(truth[:, None], said[:, None], mask=np.ones((len(said), 1), bool))[0]
    return calibration._replace(unknown=weights, unknown_threshold=np.asarray(threshold))
