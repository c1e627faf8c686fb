from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.detector import line_response
from velatura.physics.simulate import photons_of, prepare
from velatura.scene.classes import xrf_classes
from velatura.scene.sampler import Sampling, sample_elements, sample_stacks
from velatura.scene.sources import (
    SourcePlan,
    read_group,
    source_group,
    sources_of,
    split,
    write_group,
)
from velatura.scene.training import DETECTABLE, described, draw, grid, new_detector

CLASSES = xrf_classes()
PLAN = SourcePlan(
    groups=4, stacks=32, held_out=0.5, drawn=Sampling(palette=("lead_white", "vermilion", "azurite", "carbon_black"))
)


@pytest.fixture(scope="module")
def group():
    return source_group(PLAN, split(PLAN).training[0])


def test_no_group_is_on_both_sides() -> None:
    for plan in (PLAN, SourcePlan(groups=3, held_out=0.5), SourcePlan(groups=50, held_out=0.2, seed=3)):
        training, calibration, held_out = split(plan)
        assert training
        assert calibration
        assert held_out
        assert sorted((*training, *calibration, *held_out)) == list(range(plan.groups))
    assert len(calibration) == len(held_out) == 5
    assert set(held_out) < set(split(SourcePlan(groups=60, held_out=0.2)).held_out)


def test_stacks_that_are_kept_back_are_never_drawn_for_training(group) -> None:
    assert group.training == 29
    training, kept = (draw(group, CLASSES, 200, key=jax.random.key(0), kept_back=back).stack for back in (False, True))
    assert set(training) == set(range(29))
    assert set(kept) == {29, 30, 31}
    with pytest.raises(InputError, match="held out as a whole"):
        draw(group._replace(training=32), CLASSES, key=jax.random.key(0), kept_back=True)


def test_what_can_be_decided_can_be_seen(group) -> None:
    drawn = draw(group, CLASSES, 400, key=jax.random.key(2), counts=(1e5, 1e5))
    assert not (drawn.mask & ~drawn.seen).any()
    assert (drawn.labels & drawn.seen & ~drawn.mask).any()
    evidence = group.labels.unrivalled[drawn.stack] * drawn.dose[:, None, None]
    np.testing.assert_array_equal((drawn.labels & drawn.seen)[..., :-1], (evidence >= 25)[..., :-1])
    mixed = drawn.dose * group.labels.order[drawn.stack] < 25
    assert (drawn.labels & drawn.mask)[~mixed, 1].any()
    assert not (drawn.labels & drawn.mask)[mixed, 1].any()


def test_the_same_key_gives_the_same_batch(group) -> None:
    one, again, other = (draw(group, CLASSES, 16, key=jax.random.key(seed)) for seed in (5, 5, 6))
    for same, equal in zip(one, again, strict=True):
        np.testing.assert_array_equal(same, equal)
    assert not np.array_equal(one.features, other.features)


def test_features_are_whole_counts_of_the_dose(group) -> None:
    batch = draw(group, CLASSES, 64, key=jax.random.key(1), counts=(1e3, 1e5))
    assert batch.features.shape == (64, len(grid()))
    np.testing.assert_array_equal(batch.features, np.rint(batch.features))
    assert 1e3 <= batch.dose.min() < 3e3 < 3e4 < batch.dose.max() <= 1e5
    deviation = (batch.features.sum(axis=1) - batch.dose) / np.sqrt(batch.dose)
    assert np.abs(deviation).max() < 4.5
    assert 0.7 < deviation.std() < 1.3


def test_what_is_there_but_cannot_be_seen_is_not_learned(group) -> None:
    faint, bright = (draw(group, CLASSES, 64, key=jax.random.key(2), counts=(dose, dose)) for dose in (30.0, 1e6))
    np.testing.assert_array_equal(faint.stack, bright.stack)
    invisible = [*(not row.visible for row in CLASSES), False]
    for batch in (faint, bright):
        evidence = batch.dose[:, None, None] * group.labels.delta_chi2[batch.stack]
        np.testing.assert_array_equal(batch.mask & batch.labels, batch.labels & (evidence >= DETECTABLE))
        assert not batch.mask[..., invisible].any()
        assert not batch.seen[..., invisible].any()
        assert batch.seen[..., ~np.array(invisible)][~batch.labels[..., ~np.array(invisible)]].all()
    assert (faint.mask & faint.labels).sum() < (bright.mask & bright.labels).sum()
    assert not (faint.order & ~bright.order).any()


def test_the_instrument_is_told_or_not(group) -> None:
    batch = draw(group, CLASSES, 64, key=jax.random.key(3))
    told = batch.condition.any(axis=1)
    assert 0.2 < told.mean() < 0.8
    np.testing.assert_array_equal(batch.condition[told], np.tile(described(group.instrument), (told.sum(), 1)))


def test_a_new_detector_keeps_the_tube(group, rng) -> None:
    drawn = new_detector(group, rng=rng)
    assert drawn.tube == group.instrument.tube
    assert replace(drawn.geometry, path_out=0.0) == replace(group.instrument.geometry, path_out=0.0)
    assert drawn.detector != group.instrument.detector


def test_sources_seen_through_a_detector_are_the_spectra_of_the_physics(group, rng) -> None:
    axis = grid()
    instrument = replace(
        group.instrument, zero=axis[0], gain=axis[1] - axis[0], scatter=1.0, background=0.0, parasites=(),
        geometry=replace(group.instrument.geometry, atmosphere="vacuum"),
        detector=replace(group.instrument.detector, pile_up=0.0),
    )  # fmt: skip
    scanner = prepare(instrument, sample_elements(PLAN.drawn))
    packed = sample_stacks(16, scanner.elements, options=PLAN.drawn, rng=rng).packed
    exact = np.concatenate(list(photons_of(*packed, scanner, cells=2))) @ np.asarray(scanner.bench.response)
    photons, energy, _ = sources_of(packed, scanner, cells=2)
    found = photons.astype(np.float64) @ line_response(energy, axis, detector=instrument.detector)
    exact, found = (spectra / spectra.sum(axis=1, keepdims=True) for spectra in (exact, found))
    chi2 = ((found - exact) ** 2 / np.maximum(exact, 1e-8)).sum(axis=1)
    assert chi2.max() < 1e-4  # at 10,000 counts: chi2 of 1 in a thousand channels


def test_a_group_on_disk_is_the_same(group, tmp_path: Path) -> None:
    write_group(tmp_path / "0.npz", group)
    back = read_group(tmp_path / "0.npz")
    assert back.instrument == group.instrument
    assert (back.lines, back.training) == (group.lines, group.training)
    for same, equal in zip(back.labels, group.labels, strict=True):
        np.testing.assert_array_equal(same, equal)
    one, other = (draw(some, CLASSES, 8, key=jax.random.key(0)) for some in (group, back))
    np.testing.assert_array_equal(one.features, other.features)
    (tmp_path / "1.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="no group of sources"):
        read_group(tmp_path / "1.npz")


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(InputError, match="a bank needs 11 groups"):
        SourcePlan(groups=1)
    with pytest.raises(InputError, match="held_out is a share"):
        SourcePlan(groups=3, held_out=1.0)
    with pytest.raises(InputError, match="asked for 4"):
        source_group(PLAN, 4)
