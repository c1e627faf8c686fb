from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pytest

from velatura.atomic.lines import lines_of
from velatura.base.errors import InputError
from velatura.physics.instrument import Instrument
from velatura.scene.classes import xrf_classes
from velatura.scene.evidence_bank import Labels
from velatura.scene.sources import SourceGroup
from velatura.scene.training import draw, grid
from velatura.tasks.embedding_alignment import aligned
from velatura.tasks.pigment_adaptation import (
    Adaptation,
    Memory,
    ScannerLessons,
    SpotLessons,
    adapted,
    answers_for,
    left_out_answers,
    mixed,
    remembered,
    spectra_through,
    spot_scores,
    varied,
)
from velatura.tasks.pigment_model import raw_outputs, untrained
from velatura.tasks.pigment_spots import Spots
from velatura.tasks.pigment_training import Lessons
from velatura.tasks.scanner_effects import Effects, with_effects

CLASSES = xrf_classes()
NAMES = [row.name for row in CLASSES]
ELEMENTS = {"Pb": "Pb", "Hg": "Hg", "Cu": "Cu", "Fe": "Fe", "Zn": "Zn", "Ti": "Ti"}
UNKNOWN = np.zeros(8, np.float32)
QUICK = Adaptation(steps=60, rate=1e-3, batches=4, layers="last", general=32, scanner=32, spots=32)


@pytest.fixture(scope="module")
def group():
    """Stacks of one or two classes, each known by the lines of one element; no physics behind them."""
    rng = np.random.default_rng(4)
    rows = [lines_of(name, ("K", "L"), window=(2.0, 30.0)) for name in ELEMENTS.values()]
    energy = np.array([line.energy for row in rows for line in row])
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    weight = np.array([line.weight for row in rows for line in row])
    continuum = np.arange(1.0, 30.0, 0.03)
    amounts = (rng.random((96, len(rows))) < 0.3) * rng.uniform(0.3, 1, (96, len(rows)))
    amounts[np.arange(96), rng.integers(0, len(rows), 96)] += 0.3
    photons = np.concatenate([amounts[:, owner] * weight, np.tile(3e-4 * np.exp(-continuum / 12), (96, 1))], axis=1)
    photons = (photons * 2.0**14 / photons.max(axis=1, keepdims=True)).astype(np.float16)
    share = np.zeros((96, 2, len(CLASSES) + 1), np.float32)
    share[:, 0, [NAMES.index(name) for name in ELEMENTS]] = amounts / amounts.sum(axis=1, keepdims=True)
    labels = Labels(
        share * 1.0, np.zeros(96, np.float32), share, share * 1e-3, np.full_like(share, np.inf), share * 1.0
    )
    return SourceGroup(photons, np.concatenate([energy, continuum]), len(energy), labels, 80, Instrument(gain=0.021))


@pytest.fixture(scope="module")
def model(group):
    """Heads that learned this group upon a trunk of random weights."""
    start = untrained("fast", key=jax.random.key(0))
    config = Adaptation(steps=200, rate=3e-3, batches=8, layers="last")
    usual = remembered(start.net, Lessons([group], CLASSES, key=jax.random.key(1), size=128), config)
    net = adapted(start.net, [usual], config, key=jax.random.key(2))
    return start._replace(net=net)


@pytest.fixture(scope="module")
def spots(group):
    """Kept-back stacks seen by a scanner whose gain is 2 % off."""
    seen = with_effects(group, Instrument(), Effects(gain=1.02))
    drawn = draw(group, CLASSES, 24, key=jax.random.key(3), counts=(3e4, 5e4), stacks=np.arange(80, 96), seen=seen)
    return Spots(tuple(f"spot {n}" for n in range(24)), drawn.features, drawn.labels, drawn.mask)


def likelihood(model, spots: Spots) -> float:
    return spot_scores(answers_for(model, spots, UNKNOWN), spots, model.thresholds).log_likelihood


def general(model, group, *, key) -> float:
    known = spectra_through(
        [(group, with_effects(group, Instrument(), Effects()))], CLASSES, 128, key=key, counts=(1e4, 1e4)
    )
    drawn = known.drawn
    return likelihood(model, Spots(("",) * 128, drawn.features, drawn.labels, drawn.mask))


def taught(model, group, spots: Spots, *, config: Adaptation = QUICK):
    lessons = SpotLessons(spots, config.spots, condition=UNKNOWN, key=jax.random.key(5))
    usual = Lessons([group], CLASSES, key=jax.random.key(6), size=config.general)
    memories = [remembered(model.net, part, config) for part in (usual, lessons)]
    return model._replace(net=adapted(model.net, memories, config, key=jax.random.key(7)))


@pytest.mark.parametrize(("layers", "rate"), [("last", 1e-3), ("all", 3e-4)])
def test_spots_teach_their_scanner_and_the_rest_stays(model, group, spots, layers: str, rate: float) -> None:
    learned, others = spots.chosen(range(12)), spots.chosen(range(12, 24))
    new = taught(model, group, learned, config=replace(QUICK, layers=layers, rate=rate))
    assert likelihood(new, learned) > likelihood(model, learned)
    assert likelihood(new, others) > likelihood(model, others)
    key = jax.random.key(9)
    assert general(new, group, key=key) > general(model, group, key=key) - 0.02


def test_if_asked_only_the_last_layers_change(model, group, spots) -> None:
    new = taught(model, group, spots)
    before, after = (
        eqx.tree_at(lambda net: (net.trunk.last, net.heads), one.net, (None, None)) for one in (model, new)
    )
    assert eqx.tree_equal(before, after)
    assert not np.array_equal(new.net.heads.layer.weight, model.net.heads.layer.weight)
    assert not np.array_equal(new.net.trunk.last.weight, model.net.trunk.last.weight)


def test_the_same_seed_gives_the_same_bits(model, group, spots) -> None:
    one, again = (taught(model, group, spots, config=replace(QUICK, steps=5)) for _ in range(2))
    assert eqx.tree_equal(one.net, again.net)


def test_the_batch_of_a_step_depends_on_nothing_before(group, spots) -> None:
    seen = [(group, with_effects(group, Instrument(), Effects()))]
    made = [
        lambda: SpotLessons(spots, 8, condition=UNKNOWN, key=jax.random.key(1)),
        lambda: ScannerLessons(seen, CLASSES, 8, key=jax.random.key(2)),
    ]
    for lessons in made:
        fresh, used = lessons(), lessons()
        used(0)
        for one, other in zip(fresh(3), used(3), strict=True):
            np.testing.assert_array_equal(one, other)
        assert not np.array_equal(fresh(3).features, fresh(4).features)
    both = mixed([part() for part in made])(3)
    assert {len(values) for values in both} == {16}


def test_what_is_remembered_is_what_the_network_says(model, group) -> None:
    lessons = Lessons([group], CLASSES, key=jax.random.key(1), size=16)
    kept = Memory(lessons, 2, net=model.net)
    batch = lessons(1)
    embedding = kept(1).features @ np.asarray(model.net.trunk.last.weight).T + np.asarray(model.net.trunk.last.bias)
    np.testing.assert_allclose(embedding, raw_outputs(model.net, batch.features, batch.condition).embedding, atol=2e-4)
    np.testing.assert_array_equal(kept(3).features, kept(1).features)


def test_varied_spots_are_thinned_and_shifted_a_little(rng) -> None:
    features = np.zeros((200, len(grid())), np.float32)
    features[:, 300] = 20_000
    found = varied(features, rng=rng)
    assert np.all(found.sum(axis=1) <= 20_000)
    assert found.sum(axis=1).min() < 4000
    assert found.sum(axis=1).max() > 15_000
    assert found[:, 297:304].sum() == found.sum()
    bright = varied(features * 100, rng=rng)
    assert bright.sum(axis=1).max() < 1.01e5
    np.testing.assert_array_equal(bright, np.rint(bright))


def test_thinned_poisson_counts_stay_poisson(rng) -> None:
    counts = rng.poisson(400.0, (4000, len(grid()))).astype(np.float32)[:, :16]
    features = np.zeros((4000, len(grid())), np.float32)
    features[:, 500:516] = counts
    found = varied(features, rng=rng)[:, 504:512]
    share = found.sum(axis=1, keepdims=True) / 8
    bands = share[:, 0] > 50
    fano = found[bands].var(axis=1, ddof=1) / found[bands].mean(axis=1)
    assert fano.mean() == pytest.approx(1.0, abs=0.05)


def test_alignment_brings_mean_and_covariance_over_exactly(model, rng) -> None:
    counts = rng.poisson(rng.uniform(0, 40, (900, 1)) * rng.random((900, 1024))).astype(np.float32)
    other = rng.poisson(rng.uniform(0, 40, (900, 1)) * rng.random((900, 1024)) ** 2).astype(np.float32)
    told = np.zeros((900, 8), np.float32)
    measured, simulated = (raw_outputs(model.net, some, told).embedding for some in (counts, other))
    moved = raw_outputs(aligned(model.net, measured, simulated, shrink=0.0), counts, told).embedding
    spread = np.sqrt(np.diag(np.cov(simulated, rowvar=False)).max())
    np.testing.assert_allclose(moved.mean(axis=0), simulated.mean(axis=0), atol=2e-3 * spread)
    wanted = np.cov(simulated, rowvar=False)
    np.testing.assert_allclose(np.cov(moved, rowvar=False), wanted, atol=0.01 * np.abs(wanted).max())


def test_alignment_to_itself_changes_nothing(model, rng) -> None:
    counts = rng.poisson(rng.uniform(0, 40, (400, 1)) * rng.random((400, 1024))).astype(np.float32)
    own = raw_outputs(model.net, counts, np.zeros((400, 8), np.float32)).embedding
    same = aligned(model.net, own, own, shrink=0.1)
    np.testing.assert_allclose(same.trunk.last.weight, model.net.trunk.last.weight, atol=1e-4)
    np.testing.assert_allclose(same.trunk.last.bias, model.net.trunk.last.bias, atol=1e-3)


def test_left_out_spots_are_answered_by_networks_that_never_saw_them(model, spots) -> None:
    shown: list[set[str]] = []

    def learn(some: Spots):
        shown.append({*some.names})
        return model

    answers, thresholds = left_out_answers(spots, learn, condition=UNKNOWN, key=jax.random.key(0))
    np.testing.assert_allclose(answers.probability, answers_for(model, spots, UNKNOWN).probability, atol=1e-6)
    assert thresholds.shape == (24, 2, len(CLASSES))
    assert len(shown) == 5
    assert all(sum(name in some for some in shown) == 4 for name in spots.names)
    with pytest.raises(InputError, match="one spot alone"):
        left_out_answers(spots.chosen([0]), learn, condition=UNKNOWN, key=jax.random.key(0))


def test_scores_of_spots(model, spots) -> None:
    answers = answers_for(model, spots, UNKNOWN)
    known = spots.labels[..., : len(CLASSES)].astype(np.float32)
    perfect = spot_scores(answers._replace(probability=known), spots, np.full((2, len(CLASSES)), 0.5))
    assert perfect.f1 == 1.0
    assert perfect.right == 1.0
    assert perfect.log_likelihood == pytest.approx(0.0, abs=1e-5)
    wrong = spot_scores(answers._replace(probability=1 - known), spots, np.full((2, len(CLASSES)), 0.5))
    assert wrong.f1 == 0.0
    assert wrong.right == 0.0


def test_impossible_adaptations_are_refused() -> None:
    with pytest.raises(InputError, match="multiple of 8"):
        Adaptation(general=12)
    with pytest.raises(InputError, match="needs steps, batches and spectra"):
        Adaptation(steps=0)
    with pytest.raises(InputError, match="all or last; found 'first'"):
        Adaptation(layers="first")
