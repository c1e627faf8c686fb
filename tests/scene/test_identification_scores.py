"""The scores of benchmarks/identification, on sets small enough to count by hand."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "identification"


@pytest.fixture(scope="module")
def modules():
    """The modules that need no drawn spectra."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        names = ("scores", "causes", "line_features", "page")
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(FOLDER))
        for name in {path.stem for path in FOLDER.glob("*.py")} & (set(sys.modules) - before):
            del sys.modules[name]


def _set(truth, *, mask=None, share=None, classes=2):
    """Truth [spectrum][paint][class + 1] as a set; everything detectable unless a mask is given."""
    there = np.array(truth, bool)
    return SimpleNamespace(
        truth=there,
        mask=np.ones_like(there) if mask is None else np.array(mask, bool),
        share=np.where(there, 1.0, 0.0) if share is None else np.array(share, float),
    )


def test_low_concentrations_are_scored_where_there_is_one_and_without_large_shares(modules) -> None:
    truth = [[[1, 0, 0], [0, 0, 0]], [[1, 1, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]], [[1, 1, 0], [1, 0, 0]]]
    spectra = _set(truth)
    spectra.share[[0, 1], 0, 0] = 0.04, 0.009
    spectra.share[3, 0] = 0.5
    tasks = modules.scores.tasks_of(spectra.truth, spectra.mask, spectra.share)
    assert tasks["low"][1].tolist() == [[True, True], [True, False], [False, False], [False, False]]
    assert tasks["trace"][1].tolist() == [[False, False], [True, False], [False, False], [False, False]]
    assert tasks["beneath"][1].tolist() == [[False, False], [True, True], [False, False], [True, True]]
    assert tasks["hidden"][0] == tasks["beneath"][0] == 1


def test_a_perfect_answer_scores_one_and_an_undetectable_label_never_counts(modules) -> None:
    truth = [[[1, 0, 0], [0, 1, 0]], [[0, 1, 0], [0, 0, 0]], [[1, 1, 0], [1, 0, 0]]]
    spectra = _set(truth)
    said = spectra.truth[..., :2].astype(float)
    thresholds = modules.scores.thresholds_of(spectra.truth, spectra.mask, said)
    numbers = modules.scores.presence_scores(spectra, said, thresholds)
    assert numbers["visible F1"] == numbers["hidden F1"] == numbers["visible AP"] == 1.0
    said[2, 1, 0] = 0.0
    assert modules.scores.presence_scores(spectra, said, thresholds)["hidden F1"] == pytest.approx(0.5)
    spectra.mask[2, 1, 0] = False
    assert modules.scores.presence_scores(spectra, said, thresholds)["hidden F1"] == 1.0


def test_a_class_that_no_tuning_spectrum_holds_is_never_said(modules) -> None:
    spectra = _set([[[1, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]])
    thresholds = modules.scores.thresholds_of(spectra.truth, spectra.mask, np.full((2, 2, 2), 0.5))
    assert np.isinf(thresholds[0, 1])
    assert np.isfinite(thresholds[0, 0])


def test_confusions_name_paint_and_class_and_share_a_spectrum_among_its_pairs(modules) -> None:
    spectra = _set([[[1, 0, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 0]]])
    found = np.array([[[0, 1], [1, 0]], [[0, 0], [1, 0]]], bool)
    rows = modules.scores.confusions(spectra, found, ["Pb", "Zn"], most=2)
    assert rows[0] == {"missed": "Pb (visible)", "said": "Pb (hidden)", "number": 1.5, "of missed": 0.75}
    assert rows[1] == {"missed": "Pb (visible)", "said": "Zn (visible)", "number": 0.5, "of missed": 0.25}
    how = modules.scores.missed_alone(spectra, found)
    assert how == {"nothing else said": 0.0, "said in the other paint": 1.0, "another class said": 0.0}


def test_recall_is_counted_in_its_bin(modules) -> None:
    value = np.r_[np.full(20, 0.02), np.full(20, 0.2), np.full(3, 0.5)]
    found = np.r_[np.tile([True, False], 10), np.ones(20, bool), np.ones(3, bool)]
    recall, number = modules.scores.recall_against(value, np.ones(43, bool), found, borders=(0.01, 0.1, 0.3, 1.0))
    assert number.tolist() == [20, 20, 3]
    assert recall[:2].tolist() == [0.5, 1.0]
    assert np.isnan(recall[2])


def test_unknown_ignores_strangers_that_cannot_be_seen(modules) -> None:
    truth = np.zeros((4, 2, 3))
    truth[0, 0, 2] = truth[1, 1, 2] = 1
    spectra = _set(truth)
    spectra.mask[1, 1, 2] = False
    assert modules.scores.unknown_scores(spectra, np.array([0.9, 0.0, 0.1, 0.2]))["unknown AUROC"] == 1.0


def test_left_out_classes_are_the_positives_and_strangers_on_neither_side(modules) -> None:
    truth = np.zeros((4, 2, 3))
    truth[0, 0, 1] = truth[1, 0, 0] = truth[2, 0, 2] = 1
    found = modules.scores.left_out_scores(_set(truth), np.array([0.5, 0.1, 0.9, 0.7]), [1])
    assert found == {"left-out AUROC": 0.5, "left-out spectra": 1}


def test_wrong_answers_are_sorted_by_where_their_class_lies(modules) -> None:
    truth = np.zeros((2, 2, 4))
    truth[0, 1, 0] = truth[1, 0, 2] = 1
    said = np.zeros((2, 2, 3), bool)
    said[0, 0, 0] = said[0, 0, 1] = said[1, 0, 2] = said[1, 1, 2] = True
    found = modules.causes.blame(_set(truth), said, np.zeros((2, 3), bool))
    assert found["wrongly visible: in the hidden paint"] == found["wrongly visible: nowhere"] == 0.5
    assert found["wrongly visible: in the ground"] == 0
    assert found["wrongly hidden: in the visible paint"] == 1


def test_lines_of_known_areas_are_found_again(modules) -> None:
    lines = modules.line_features
    shapes = lines.shared_rows()
    areas = np.zeros(len(shapes), np.float32)
    wanted = [n for n, f in enumerate(lines.library_families()) if (f.element, f.kind) in {("Fe", "K"), ("Hg", "L")}]
    areas[wanted] = 4000.0, 1500.0
    smooth = 30 * np.exp(-np.linspace(0, 3, shapes.shape[1]))
    counts = np.random.default_rng(0).poisson(areas @ shapes + smooth, (8, shapes.shape[1]))
    fit = lines.fitted(counts.astype(np.float32), shapes, lines.further_rows())
    assert fit.areas[:, wanted].mean(axis=0) == pytest.approx([4000, 1500], rel=0.05)
    assert (fit.areas[:, wanted] / fit.errors[:, wanted]).min() > 10
    assert 0.8 < fit.misfit.mean() < 1.2


def test_the_page_shows_every_method_and_no_number_where_there_is_none(modules) -> None:
    numbers = {"visible F1": 0.5, "hidden F1": float("nan"), "confusions": []}
    numbers["recall by evidence"] = {"visible": {"25 to 50": 0.25}}
    text = modules.page.page_of({"ours": {"1e4": numbers}}, ["a.png"])
    assert "| ours | 0.500 |  |" in text
    assert "| ours, visible | 0.250 |" in text
    assert "![a.png](a.png)" in text
