"""Scores of probabilities against a known truth, where labels that nobody could know are masked out. numpy only.

Arrays are [spectrum, class] unless a function says otherwise; `mask` is True where a label counts.
"""

import numpy as np
from jaxtyping import Bool, Float

Labels = Bool[np.ndarray, "spectrum label"]
Scores = Float[np.ndarray, "spectrum label"]
PerClass = Float[np.ndarray, " label"]


def f1_scores(truth: Labels, probability: Scores, *, mask: Labels, threshold: float | PerClass = 0.5) -> PerClass:
    """Return F1 = 2 TP / (2 TP + FP + FN) of each class, present being probability >= threshold.

    NaN for a class that is nowhere present among the labels that count.
    """
    found = probability >= np.broadcast_to(threshold, probability.shape)
    hits = (truth & found & mask).sum(axis=0)
    wrong = ((truth != found) & mask).sum(axis=0)
    return _where_present(truth & mask, 2 * hits / np.maximum(2 * hits + wrong, 1))


def average_precisions(truth: Labels, probability: Scores, *, mask: Labels) -> PerClass:
    """Return the average precision of each class, sum of precision x gain in recall; ties are one step.

    NaN for a class that is nowhere present among the labels that count.
    """
    columns = zip(truth.T, probability.T, mask.T, strict=True)
    return np.array([_average_precision(t[m], p[m]) for t, p, m in columns])


def mean_over_classes(scores: PerClass) -> float:
    """Return the macro average: the mean over the classes that have a score; NaN where none has one."""
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if len(known) else float("nan")


def macro_f1(truth: Labels, probability: Scores, *, mask: Labels, threshold: float | PerClass = 0.5) -> float:
    """Return the mean of `f1_scores` over the classes that are present somewhere."""
    return mean_over_classes(f1_scores(truth, probability, mask=mask, threshold=threshold))


def best_thresholds(truth: Labels, probability: Scores, *, mask: Labels) -> PerClass:
    """Return for each class the probability at which its F1 is largest; choose them on other data than you score.

    The middle between two neighbouring probabilities; NaN for a class that is nowhere present.
    """
    columns = zip(truth.T, probability.T, mask.T, strict=True)
    return np.array([_best_threshold(t[m], p[m]) for t, p, m in columns])


def expected_calibration_error(truth: Labels, probability: Scores, *, mask: Labels, bins: int = 15) -> float:
    """Return the mean distance between probability and share of present labels, over equal bins of probability.

    Weighted by the labels in each bin (Naeini, Cooper and Hauskrecht, AAAI 2015); NaN where no label counts.
    """
    said, was = probability[mask].astype(np.float64), truth[mask]
    if not len(said):
        return float("nan")
    into = np.minimum((said * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(into, said - was, minlength=bins)).sum() / len(said))


def auroc(inside: Float[np.ndarray, " n"], outside: Float[np.ndarray, " m"]) -> float:
    """Return the probability that a score from `outside` is larger than one from `inside`; ties count half.

    Mann and Whitney, Ann. Math. Stat. 18 (1947) 50. NaN where either is empty.
    """
    if not len(inside) or not len(outside):
        return float("nan")
    ordered = np.sort(inside)
    below = np.searchsorted(ordered, outside, side="left") + np.searchsorted(ordered, outside, side="right")
    return float(below.sum() / (2 * len(inside) * len(outside)))


def _steps(truth: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct probabilities, falling, and true and all labels at or above each."""
    order = np.argsort(-probability, kind="stable")
    values = probability[order].astype(np.float64)
    ends = np.flatnonzero(np.append(np.diff(values) != 0, True))
    return values[ends], np.cumsum(truth[order])[ends], ends + 1


def _average_precision(truth: np.ndarray, probability: np.ndarray) -> float:
    if not truth.any():
        return float("nan")
    _, hits, taken = _steps(truth, probability)
    return float(np.sum(hits / taken * np.diff(hits, prepend=0)) / hits[-1])


def _best_threshold(truth: np.ndarray, probability: np.ndarray) -> float:
    if not truth.any():
        return float("nan")
    values, hits, taken = _steps(truth, probability)
    best = int(np.argmax(2 * hits / (taken + hits[-1])))
    return float((values[best] + (values[best + 1] if best + 1 < len(values) else 0.0)) / 2)


def _where_present(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.where(labels.any(axis=0), scores, np.nan)
