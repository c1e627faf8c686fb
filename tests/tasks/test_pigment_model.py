from pathlib import Path

import jax
import numpy as np
import pytest

from velatura.base.errors import FileFormatError, InputError
from velatura.scene.classes import xrf_classes
from velatura.scene.sampler import Sampling
from velatura.scene.sources import SourcePlan, source_group
from velatura.scene.training import DETECTABLE, Drawn, draw
from velatura.tasks.pigment_model import (
    Raw,
    calibrated,
    load_pigments,
    predict,
    save_pigments,
    sigmoid,
    untrained,
)
from velatura.tasks.pigment_scores import Spectra, calibrate, held_out_spectra, scores
from velatura.tasks.pigment_training import Lessons, Pupil, batch_of, loss
from velatura.train.ahead import Ahead
from velatura.train.metrics import expected_calibration_error

CLASSES = xrf_classes()
PALETTE = ("lead_white", "vermilion", "azurite", "carbon_black", "yellow_ochre")
PLAN = SourcePlan(groups=3, stacks=48, held_out=0.5, strange_every=1, drawn=Sampling(palette=PALETTE))


@pytest.fixture(scope="module")
def group():
    return source_group(PLAN, 1)


@pytest.fixture(scope="module")
def model():
    return untrained(key=jax.random.key(0))


def test_answers_do_not_depend_on_their_neighbours(model, rng) -> None:
    counts = rng.poisson(5, (600, 1024)).astype(np.float32)
    told = rng.random((600, 8)).astype(np.float32)
    whole, part = predict(model, counts, told), predict(model, counts[590:], told[590:])
    for one, other in zip(whole, part, strict=True):
        np.testing.assert_allclose(one[590:], other, rtol=1e-4, atol=1e-5)
    assert predict(model, counts[:0], told[:0]).probability.shape == (0, 2, len(CLASSES))


def test_weights_on_disk_answer_the_same(model, tmp_path: Path, rng) -> None:
    save_pigments(tmp_path / "w.safetensors", model)
    counts, told = rng.poisson(5, (20, 1024)).astype(np.float32), np.zeros((20, 8), np.float32)
    there = predict(load_pigments(tmp_path / "w.safetensors"), counts, told)
    for one, other in zip(predict(model, counts, told), there, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3, rtol=2e-3)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="velatura train pigments"):
        load_pigments("bset")
    (tmp_path / "w.safetensors").write_bytes(b"no")
    with pytest.raises(FileFormatError, match="no whole safetensors"):
        load_pigments(tmp_path / "w.safetensors")


def test_calibration_finds_scale_and_offset(rng) -> None:
    number, classes = 20_000, len(CLASSES)
    logits = rng.normal(0, 3, (number, 2, classes + 1)).astype(np.float32)
    truth = rng.random(logits.shape) < sigmoid(0.5 * logits - 1.0)
    embedding = rng.normal(2, 3, (number, 256)).astype(np.float32)
    raw = Raw(logits, logits, logits[:, 0, 0], logits[:, :, 0], embedding)
    drawn = Drawn(*[logits] * 10)._replace(labels=truth, mask=np.ones_like(truth), seen=np.ones_like(truth))
    spectra = Spectra(drawn, truth[..., -1].any(axis=1), ~truth[..., -1].any(axis=1))
    found = calibrate(raw, spectra, usual=embedding)
    np.testing.assert_allclose(found.scale, 0.5, atol=0.03)
    np.testing.assert_allclose(found.offset, -1.0, atol=0.15)
    np.testing.assert_array_equal(found.sure, found.thresholds)
    answers, labels = calibrated(raw, found), truth[..., :classes]
    assert expected_calibration_error(labels, answers.probability, mask=np.ones_like(labels)) < 0.01
    np.testing.assert_allclose(
        np.quantile(answers.strangeness[spectra.pure], [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.02
    )


def test_a_perfect_answer_scores_one(group) -> None:
    spectra = held_out_spectra([group], CLASSES, 200, key=jax.random.key(1), counts=(1e5, 1e5))
    truth = spectra.drawn.labels.astype(np.float32)
    number = len(truth)
    sure = Raw(40 * truth - 20, truth, truth[:, 0, 0], truth[:, :, 0], np.zeros((number, 256), np.float32))
    answers = calibrated(sure, untrained(key=jax.random.key(0)).calibration)
    found = scores(answers, spectra, np.full((2, len(CLASSES)), 0.5))
    assert found["f1_visible"] == found["auroc_unknown"] == 1.0
    assert found["calibration_error"] < 1e-6
    blind = scores(
        calibrated(sure._replace(presence=0 * sure.presence), untrained(key=jax.random.key(0)).calibration),
        spectra,
        np.full((2, len(CLASSES)), 0.4),
    )
    assert blind["f1_visible"] < 0.5
    assert blind["auroc_unknown"] == 0.5


def test_a_batch_tells_what_counts(group) -> None:
    drawn = draw(group, CLASSES, 64, key=jax.random.key(0), counts=(1e4, 1e4))
    batch = batch_of([drawn], CLASSES)
    whole = batch.shares.sum(axis=2)
    np.testing.assert_allclose(whole[whole > 0], 1.0, rtol=1e-5)
    assert not batch.shares[:, :, [not row.visible for row in CLASSES] + [False]].any()
    for paint in range(2):
        assert not (whole[:, paint] > 0)[~(drawn.labels & drawn.mask)[:, paint].any(axis=1)].any() or paint == 1
    beneath = drawn.labels[:, 1].any(axis=1)
    np.testing.assert_array_equal(batch.hidden == 0, ~beneath)
    evident = drawn.dose * group.labels.order[drawn.stack] >= DETECTABLE
    np.testing.assert_array_equal(batch.hidden == 1, evident & beneath)


def test_what_does_not_count_changes_no_loss(group, model) -> None:
    batch = batch_of([draw(group, CLASSES, 32, key=jax.random.key(0))], CLASSES)
    other = batch._replace(labels=np.where(batch.mask > 0, batch.labels, 1 - batch.labels))
    one, same = (float(loss(model.net, b, key=jax.random.key(1))) for b in (batch, other))
    assert one == same
    assert float(loss(model.net, batch._replace(labels=1 - batch.labels), key=jax.random.key(1))) != one


def test_left_out_classes_are_never_shown(group) -> None:
    lessons = Lessons([group], CLASSES, key=jax.random.key(0), size=64, left_out=("Hg",))
    usual = Lessons([group], CLASSES, key=jax.random.key(0), size=64)
    column = [row.name for row in CLASSES].index("Hg")
    assert usual(0).labels[..., column].any()
    assert not any(lessons(step).labels[..., column].any() for step in range(4))
    with pytest.raises(InputError, match="leave out"):
        Lessons([group], CLASSES, key=jax.random.key(0), left_out=("Hgg",))
    with pytest.raises(InputError, match="multiple"):
        Lessons([group], CLASSES, key=jax.random.key(0), size=60)


def test_batches_made_ahead_are_those_of_their_step(group, model) -> None:
    lessons = Lessons([group], CLASSES, key=jax.random.key(0), size=16)
    ahead = Ahead(lessons)
    for step in (0, 1, 2, 7, 8):
        for one, other in zip(ahead(step), lessons(step), strict=True):
            np.testing.assert_array_equal(one, other)
    ahead.close()
    soft = Pupil(lessons, model)(3)
    assert np.all((soft.labels >= 0) & (soft.labels <= 1))
    assert soft.mask.min() == 0
    np.testing.assert_array_equal(soft.features, lessons(3).features)
