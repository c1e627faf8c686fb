"""Composite maps: a hidden disc under four stripes of paint, and all that must not be taken for one."""

from collections.abc import Sequence
from dataclasses import astuple, replace

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.cluster.composite import Composite, propose
from velatura.cluster.evidence import core, morans_i, outline_step
from velatura.cluster.passages import deeper_parts, hellinger, surface_passages
from velatura.cluster.signals import Signals, measure_signals
from velatura.scene.composition import smooth_field
from velatura.scene.phantom import phantom
from velatura.tasks.composites import measure_lines

SHAPE = (64, 80)
STRIPES = 4
LINES = ("Hg-La", "Fe-Ka", "Pb-La")
SOFT = np.array([[9, 1, 4, 1, 1], [1, 9, 1, 4, 1], [1, 1, 9, 1, 4], [4, 1, 1, 9, 1]]) * 12.0
IRON = np.array([5.0, 60.0, 150.0, 20.0])


def where() -> tuple[np.ndarray, np.ndarray]:
    """(number of the stripe [y, x], inside the disc bool [y, x])."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return x * STRIPES // SHAPE[1], np.hypot((y - 32) / 24, (x - 40) / 34) < 1


def scene(rng: np.random.Generator, *, disc: bool = True, slope: float = 0.0) -> tuple[np.ndarray, Signals]:
    """Memberships [cluster, y, x], one cluster for each stripe inside and outside the disc, and the counts.

    slope: lead follows exp(slope * smooth field), as uneven thickness makes it, and the second cluster of each stripe
    holds the upper half of the field instead of the disc.
    """
    stripe, inside = where()
    field = smooth_field(SHAPE, scale=6, rng=rng)
    second = inside if disc else field > 0
    clusters = np.stack([(stripe == k) & (second == half) for k in range(STRIPES) for half in (False, True)])
    memberships = 0.9 * clusters + 0.1 / len(clusters)
    background = np.full(SHAPE, 3.0)
    mercury = 3.0 + 40.0 * (inside & disc)
    expected = np.stack([mercury, IRON[stripe] + 3, 80 * np.exp(slope * field) + 3])
    beside = np.broadcast_to(background, (len(LINES), *SHAPE))
    surface = np.moveaxis(SOFT[stripe], -1, 0)
    window, beside, surface = (rng.poisson(values).astype(np.float32) for values in (expected, beside, surface))
    return memberships.astype(np.float32), Signals(LINES, window, window - beside, window + beside, surface)


def shuffled(image: np.ndarray, order: np.ndarray) -> np.ndarray:
    return image.reshape(*image.shape[:-2], -1)[..., order].reshape(image.shape)


def test_hidden_disc_is_proposed_first_and_announced(rng: np.random.Generator) -> None:
    memberships, signals = scene(rng)
    first, *others = propose(memberships, signals, rng=rng).composites
    _, inside = where()
    assert first.signature == "Hg-La"
    assert first.hidden
    assert first.passages == STRIPES
    assert np.corrcoef(first.image.ravel(), inside.ravel())[0, 1] > 0.97
    assert first.members == (1, 3, 5, 7)
    assert first.outline == pytest.approx(1, abs=0.1)
    assert not any(other.hidden for other in others)


def test_stacks_number_paint_over_and_under(rng: np.random.Generator) -> None:
    memberships, signals = scene(rng)
    used = np.ones(SHAPE, bool)
    used[:, :3] = False
    stacks = propose(memberships * used, signals, used=used, rng=rng).stacks()
    stripe, inside = where()
    assert np.all((stacks == -1) == ~used)
    assert stacks.max() + 1 == 2 * STRIPES
    for stack in range(2 * STRIPES):
        both = (2 * stripe + inside)[stacks == stack]
        assert np.bincount(both).max() > 0.95 * len(both)


def test_reference_is_the_same_paint_without_the_signature(rng: np.random.Generator) -> None:
    memberships, signals = scene(rng)
    first = propose(memberships, signals, rng=rng).composites[0]
    stripe, inside = where()
    for number in range(STRIPES):
        here = stripe == number
        assert first.reference[here].sum() == pytest.approx(first.image[here].sum(), rel=0.03)
    assert first.reference[inside].mean() < 0.08


@pytest.mark.parametrize("slope", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_visible_paint_and_uneven_thickness_announce_nothing(slope: float, seed: int) -> None:
    memberships, signals = scene(np.random.default_rng(seed), disc=False, slope=slope)
    found = propose(memberships, signals, rng=np.random.default_rng(seed)).composites
    assert not any(composite.hidden for composite in found)


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_pixels_announce_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    memberships, signals = scene(rng)
    order = rng.permutation(memberships[0].size)
    mixed = Signals(LINES, *(shuffled(values, order) for values in astuple(signals)[1:]))
    found = propose(shuffled(memberships, order), mixed, rng=rng).composites
    assert found  # the split is there, its shape is not
    assert not any(composite.hidden for composite in found)


def test_without_soft_counts_nothing_is_announced(rng: np.random.Generator) -> None:
    memberships, signals = scene(rng)
    blind = replace(signals, surface=np.zeros((0, *SHAPE), np.float32))
    found = propose(memberships, blind, rng=rng).composites
    _, inside = where()
    assert max(np.corrcoef(one.image.ravel(), inside.ravel())[0, 1] for one in found) > 0.97
    assert not any(composite.hidden for composite in found)


def test_masked_pixels_stay_out(rng: np.random.Generator) -> None:
    memberships, signals = scene(rng)
    used = np.ones(SHAPE, bool)
    used[:12] = used[:, -9:] = False
    first = propose(memberships * used, signals, used=used, rng=rng).composites[0]
    assert first.hidden
    assert not first.image[~used].any()
    assert not first.reference[~used].any()


def test_proposals_are_few_different_and_repeatable(rng: np.random.Generator) -> None:
    memberships, signals = scene(rng, slope=0.5)
    found = propose(memberships, signals, proposals=3, rng=np.random.default_rng(1)).composites
    again = propose(memberships, signals, proposals=3, rng=np.random.default_rng(1)).composites
    assert 1 < len(found) <= 3
    assert all(np.array_equal(one.image, other.image) for one, other in zip(found, again, strict=True))
    between = np.corrcoef([one.image.ravel() for one in found])
    assert np.all(np.abs(between[np.triu_indices(len(found), 1)]) <= 0.9)
    assert all(one.image.min() >= 0 and one.image.max() <= 1 for one in found)


@pytest.mark.parametrize("hidden", [True, False])
def test_painted_panel(hidden: bool) -> None:
    """With memberships as coarse as one cluster: the parts within passages find the robe and the face."""
    cube, truth = phantom(counts=5000, hidden=hidden, rng=np.random.default_rng(7))
    signals = measure_lines(cube)
    assert signals is not None
    found = propose(np.ones((1, 120, 96), np.float32), signals, rng=np.random.default_rng(0)).composites
    announced = [composite.image for composite in found if composite.hidden]
    if not hidden:
        assert not announced
        return
    best = {
        name: max(np.corrcoef(image.ravel(), truth.hidden.values.ravel() == k)[0, 1] for image in images)
        for k, name, images in ((1, "flesh", [one.image for one in found]), (2, "robe", announced))
    }
    assert best["robe"] > 0.9
    assert best["flesh"] > 0.8
    elements = {composite.signature.partition("-")[0] for composite in found}
    assert elements <= {"Ca", "Ti", "Cr", "Mn", "Fe", "Co", "Cu", "Zn", "As", "Sr", "Cd", "Sn", "Sb", "Hg", "Pb"}
    assert_names_make_sense(found)


def assert_names_make_sense(found: Sequence[Composite]) -> None:
    """A name is a line, and what was announced before and shares pixels with it; never the line itself."""
    announced: dict[str, np.ndarray] = {}
    for composite in found:
        line, _, aside = composite.signature.partition(" without ")
        others = aside.split(", ") if aside else []
        assert line not in others
        assert set(others) <= set(announced)
        if composite.hidden:
            assert line not in announced
            announced[line] = composite.image


def test_names_say_only_what_was_set_aside(rng: np.random.Generator) -> None:
    memberships, signals = scene(rng)
    _, inside = where()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    apart, half = (np.hypot((y - 32) / 24, (x - 40) / 34) > 1.3) & (y < 32), inside & (y < 32)
    for line, place in ((1, apart), (2, half)):  # iron beside the disc, lead in its upper half
        more = rng.poisson(60.0 * place).astype(np.float32)
        for values in (signals.counts, signals.net, signals.variance):
            values[line] += more
    found = propose(memberships, signals, rng=rng).composites
    assert_names_make_sense(found)
    names = [composite.signature for composite in found]
    assert len(names) == len(set(names))
    assert "Hg-La" in names
    assert not any(name.startswith("Fe-Ka without") for name in names)


def test_signals_are_plain_sums(rng: np.random.Generator) -> None:
    energy = 0.02 * np.arange(1024)
    counts = rng.poisson(2.0, (5, 4, 1024)).astype(np.uint16)
    signals = measure_signals(counts, energy, {"Fe-Ka": (6.29, 6.51), "X": (20.2, 20.44)})
    here = (energy > 6.299) & (energy < 6.501)
    np.testing.assert_array_equal(signals.counts[0], counts[..., here].sum(-1))
    soft = (energy >= 1.0) & (energy < 3.4)
    np.testing.assert_allclose(signals.surface.sum(0), counts[..., soft].sum(-1))
    sides = counts[..., (energy > 5.916) & (energy < 6.136)] + counts[..., (energy > 6.664) & (energy < 6.884)]
    np.testing.assert_allclose(signals.net[0], signals.counts[0] - sides.sum(-1) / 2, atol=1e-3)
    np.testing.assert_allclose(signals.variance[0], signals.counts[0] + sides.sum(-1) / 4)
    assert abs(signals.net[1].mean()) < 10  # above, the axis has ended


def test_net_counts_by_an_estimator(rng: np.random.Generator) -> None:
    energy = 0.02 * np.arange(512)
    counts, estimator = rng.poisson(2.0, (3, 4, 512)).astype(np.uint16), rng.normal(size=(512, 1))
    signals = measure_signals(counts, energy, {"Fe-Ka": (6.3, 6.5)}, estimator=estimator)
    np.testing.assert_allclose(signals.net[0], (counts @ estimator)[..., 0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(signals.variance[0], (counts @ estimator**2)[..., 0], rtol=1e-4)


def test_windows_without_channels_are_refused() -> None:
    counts, energy = np.ones((2, 2, 64), np.uint16), 0.1 * np.arange(64)
    with pytest.raises(InputError, match=r"the window of Sn-Ka, 25\.20 to 25\.40 keV, holds no channel"):
        measure_signals(counts, energy, {"Sn-Ka": (25.2, 25.4)})
    with pytest.raises(InputError, match="at least one line"):
        measure_signals(counts, energy, {})


def test_passages_and_parts(rng: np.random.Generator) -> None:
    _, signals = scene(rng)
    stripe, inside = where()
    used = np.ones(SHAPE, bool)
    used[0] = False
    passages = surface_passages(signals.surface, used, rng=rng)
    assert np.all(passages[0] == -1)
    pairs = np.unique(np.stack([passages[used], stripe[used]]), axis=1)
    assert pairs.shape[1] == passages.max() + 1  # no passage holds two stripes
    parts = deeper_parts(signals.net, signals.variance, passages, rng=rng)
    purity = [np.mean(inside[parts == part]) for part in range(parts.max() + 1)]
    assert np.mean([max(share, 1 - share) for share in purity]) > 0.97


def test_hellinger(rng: np.random.Generator) -> None:
    shape = np.array([1000.0, 500, 200])
    assert hellinger(shape, 3 * shape) == 0
    assert hellinger(np.array([1e4, 0]), np.array([0, 1e4])) == pytest.approx(1, abs=1e-3)
    assert hellinger(np.zeros(3), shape) == 1
    noisy = [hellinger(rng.poisson(shape).astype(float), rng.poisson(shape).astype(float)) for _ in range(50)]
    assert np.median(noisy) < 0.015
    p, q = np.array([0.2, 0.8]) * 1e8, np.array([0.5, 0.5]) * 1e8
    assert hellinger(p, q) == pytest.approx(np.sqrt(1 - np.sqrt(0.1) - np.sqrt(0.4)), abs=1e-6)


def test_morans_i(rng: np.random.Generator) -> None:
    every = np.ones((40, 40), bool)
    half = np.repeat([0.0, 1.0], 20)[:, None] * np.ones(40)
    assert morans_i(half, every) > 0.95
    assert morans_i(np.indices((40, 40)).sum(0) % 2.0, every) == pytest.approx(-1)
    assert abs(morans_i(rng.normal(size=(40, 40)), every)) < 0.05
    assert morans_i(np.ones((40, 40)), every) == 0


def test_core_drops_rims() -> None:
    shape = np.zeros((12, 12), bool)
    shape[2:8, 2:8] = shape[10, :] = True
    assert core(shape).sum() == 16
    assert core(np.ones((5, 5), bool)).all()


def test_outline_step_tells_edges_from_slopes(rng: np.random.Generator) -> None:
    x = np.arange(80) * np.ones((30, 1))
    inside, passages = x >= 40, np.zeros((30, 80), int)
    edge = 10.0 + 50 * inside + rng.normal(size=inside.shape)
    assert outline_step(edge, inside, passages, which=[0]) == pytest.approx(1, abs=0.03)
    assert outline_step(x, inside, passages, which=[0]) == pytest.approx(4 / 40, abs=0.01)
    assert outline_step(edge, inside, passages, which=[]) == 0
