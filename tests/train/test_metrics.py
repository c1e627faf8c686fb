"""Scores against scikit-learn on the labels that count."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from velatura.train.metrics import (
    auroc,
    average_precisions,
    best_thresholds,
    expected_calibration_error,
    f1_scores,
    macro_f1,
    mean_over_classes,
)


@pytest.fixture
def scored(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities with ties, and a mask; the last class is nowhere present."""
    truth = rng.random((400, 6)) < [0.5, 0.3, 0.1, 0.03, 0.7, 0.0]
    probability = np.clip(0.35 * truth + rng.random(truth.shape) * 0.7, 0, 1).round(2).astype(np.float32)
    return truth, probability, rng.random(truth.shape) < 0.7


def columns(truth, probability, mask):
    return [(truth[m, k], probability[m, k]) for k, m in enumerate(mask.T)]


def test_f1(scored) -> None:
    truth, probability, mask = scored
    expected = [f1_score(t, p >= 0.5) for t, p in columns(*scored)[:-1]]
    np.testing.assert_allclose(f1_scores(truth, probability, mask=mask)[:-1], expected, rtol=1e-12)
    assert macro_f1(truth, probability, mask=mask) == pytest.approx(np.mean(expected))
    per_class = np.linspace(0.2, 0.7, 6)
    expected = [f1_score(t, p >= limit) for (t, p), limit in zip(columns(*scored)[:-1], per_class, strict=False)]
    np.testing.assert_allclose(f1_scores(truth, probability, mask=mask, threshold=per_class)[:-1], expected)


def test_average_precision(scored) -> None:
    truth, probability, mask = scored
    expected = [average_precision_score(t, p) for t, p in columns(*scored)[:-1]]
    np.testing.assert_allclose(average_precisions(truth, probability, mask=mask)[:-1], expected, rtol=1e-12)


def test_a_class_that_is_nowhere_present_has_no_score(scored) -> None:
    truth, probability, mask = scored
    for score in (f1_scores, average_precisions, best_thresholds):
        assert np.flatnonzero(np.isnan(score(truth, probability, mask=mask))).tolist() == [5]
    assert np.isnan(mean_over_classes(np.full(3, np.nan)))


def test_masked_labels_change_nothing(scored) -> None:
    truth, probability, mask = scored
    other = np.where(mask, truth, ~truth)
    for score in (f1_scores, average_precisions, best_thresholds, expected_calibration_error):
        np.testing.assert_array_equal(score(truth, probability, mask=mask), score(other, probability, mask=mask))


def test_best_thresholds_are_best(scored) -> None:
    truth, probability, mask = scored
    limits = best_thresholds(truth, probability, mask=mask)
    best = f1_scores(truth, probability, mask=mask, threshold=limits)[:-1]
    tried = [f1_scores(truth, probability, mask=mask, threshold=limit)[:-1] for limit in np.linspace(0, 1, 203)]
    np.testing.assert_allclose(best, np.max(tried, axis=0), rtol=1e-12)


def test_auroc(rng) -> None:
    inside, outside = rng.normal(size=300).round(1), rng.normal(1, 1, 200).round(1)
    labels = np.repeat([0, 1], [300, 200])
    expected = roc_auc_score(labels, np.concatenate([inside, outside]))
    assert auroc(inside, outside) == pytest.approx(expected, rel=1e-12)
    assert np.isnan(auroc(inside, outside[:0]))


def test_calibration_error(rng) -> None:
    """Bin by bin, and: honest probabilities come near 0, overconfident ones give their distance."""
    said = rng.random((30_000, 2))
    truth, mask = rng.random(said.shape) < said, np.ones(said.shape, bool)
    assert expected_calibration_error(truth, said, mask=mask) < 0.015
    edges = np.linspace(0, 1, 11)
    inside = [(said >= low) & (said < high) for low, high in pairwise(edges)]
    expected = sum(abs(said[b].mean() - truth[b].mean()) * b.mean() for b in inside)
    assert expected_calibration_error(truth, said, mask=mask, bins=10) == pytest.approx(expected, rel=1e-6)
    coin = rng.random(said.shape) < 0.5
    assert expected_calibration_error(coin, np.full(said.shape, 0.9), mask=mask) == pytest.approx(0.4, abs=0.01)
    assert expected_calibration_error(coin, np.ones(said.shape), mask=mask) == pytest.approx(0.5, abs=0.01)
    assert np.isnan(expected_calibration_error(truth, said, mask=~mask))
