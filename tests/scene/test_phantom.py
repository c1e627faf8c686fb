import numpy as np
import pytest

from velatura.physics.simulate import expected_counts, prepare
from velatura.physics.stack import elements_of, pack
from velatura.scene.composition import VISIBLE, landscape, smooth_field
from velatura.scene.panel import paint_panel
from velatura.scene.phantom import INSTRUMENT, expected_panel, phantom, stack_at
from velatura.scene.portrait import HIDDEN, bust
from velatura.scene.truth import area_under_curve, correlation, score, score_labels, score_maps

SMALL = (60, 48)


def window(cube, energy: float) -> np.ndarray:
    return cube.counts.values[..., abs(cube.energy.values - energy) < 0.08].sum(axis=-1)


def test_cube_and_truth_agree() -> None:
    cube, truth = phantom(counts=500, rng=np.random.default_rng(1), shape=SMALL)
    assert cube.counts.shape == (*SMALL, 1024)
    assert cube.counts.dtype == np.uint16
    assert cube.counts.values.sum(axis=-1).mean() == pytest.approx(500, rel=0.01)
    assert truth.visible.shape == truth.hidden.shape == truth.rgb.shape[:2] == SMALL
    assert 10 <= truth.cover.min() < truth.cover.max() <= 36
    assert np.all((truth.figure > 0) == (truth.hidden > 0))
    mercury = window(cube, 9.99)
    flesh = truth.hidden.values == HIDDEN.index("flesh")
    assert mercury[flesh].mean() > 3 * mercury[~flesh].mean()


def test_same_seed_same_panel_other_seed_another() -> None:
    first, again, other = (phantom(counts=50, rng=np.random.default_rng(s), shape=SMALL).cube.counts for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_without_the_bust_everything_else_stays() -> None:
    with_bust, without = (
        phantom(counts=5e4, hidden=h, rng=np.random.default_rng(3), shape=SMALL) for h in (True, False)
    )
    assert np.all(without.truth.hidden == 0)
    assert with_bust.truth.visible.equals(without.truth.visible)
    assert with_bust.truth.cover.equals(without.truth.cover)
    apart = np.sqrt(window(with_bust.cube, 8.05).astype(float)) - np.sqrt(window(without.cube, 8.05).astype(float))
    robe = with_bust.truth.hidden.values == HIDDEN.index("robe")
    away = with_bust.truth.hidden.values == 0
    assert np.median(apart[robe]) > 5  # standard deviations of copper
    assert abs(np.median(apart[away])) < 2  # both are scaled to the same mean counts


@pytest.mark.parametrize("seed", range(6))
def test_composition_is_what_it_promises(seed: int) -> None:
    rng = np.random.default_rng(seed)
    visible, hidden = landscape((120, 96), rng=rng).labels, bust((120, 96), rng=rng).labels
    assert set(np.unique(visible)) == set(range(len(VISIBLE)))
    shares = np.bincount(hidden.ravel(), minlength=len(HIDDEN)) / hidden.size
    assert 0.01 <= shares[HIDDEN.index("collar")] <= 0.03
    assert np.all(shares[1:4] > 0.05)
    crossed = [name for k, name in enumerate(VISIBLE) if np.mean(visible[hidden > 0] == k) > 0.03]
    assert len(crossed) >= 3


def test_counts_are_poisson(rng: np.random.Generator) -> None:
    """Scattered tube lines feel the paint little: counts of neighbours differ as Poisson counts do, dispersion 1."""
    cube, truth = phantom(counts=1000, hidden=False, rng=rng)
    sky = (truth.visible == 0).values
    pairs = sky[:, :-1] & sky[:, 1:]
    scatter = window(cube, 19.2).astype(float)
    left, right = scatter[:, :-1][pairs], scatter[:, 1:][pairs]
    used = left + right > 0
    left, right = left[used], right[used]
    assert np.mean((left - right) ** 2 / (left + right)) == pytest.approx(1, abs=0.12)


def test_spectra_between_knots_are_those_of_the_physics(rng: np.random.Generator) -> None:
    """Sixty points over the figure, simulated one by one: each line agrees within 1 % of its strongest."""
    panel = paint_panel((40, 32), hidden=True, rng=rng)
    y, x = (side[::7][:60] for side in np.nonzero(panel.figure.labels > 0))
    between = expected_panel(panel)[y, x]
    parts = (panel.visible.labels, panel.figure.labels, panel.visible.light, panel.cover_thickness)
    points = zip(*(part[y, x].tolist() for part in (*parts, panel.figure.light, panel.figure_thickness)), strict=True)
    stacks = [stack_at(VISIBLE[v], HIDDEN[h], cover=(a, b), figure=(c, d)) for v, h, a, b, c, d in points]
    scanner = prepare(INSTRUMENT, elements_of(stacks))
    exact = expected_counts(pack(stacks, scanner.elements), scanner)
    energy = INSTRUMENT.axis()
    for line in (5.9, 6.4, 6.93, 8.05, 8.64, 9.99, 12.61):
        here = np.abs(energy - line) < 0.1
        largest = float(exact[:, here].sum(axis=1).max())
        assert between[:, here].sum(axis=1) == pytest.approx(exact[:, here].sum(axis=1), rel=0.01, abs=0.01 * largest)
    assert between.sum(axis=1) == pytest.approx(exact.sum(axis=1), rel=0.005)


def test_smooth_field_is_standardised(rng: np.random.Generator) -> None:
    field = smooth_field((40, 30), scale=4, rng=rng)
    assert field.mean() == pytest.approx(0, abs=1e-12)
    assert field.std() == pytest.approx(1)
    assert np.abs(np.diff(field, axis=0)).mean() < 0.3


def test_scores_of_known_maps(rng: np.random.Generator) -> None:
    truth = phantom(counts=5, rng=rng, shape=SMALL).truth
    robe = (truth.hidden.values == HIDDEN.index("robe")).astype(float)
    noise = rng.random(SMALL)
    scores = score_maps(np.stack([noise, 1 - robe]), truth)["robe"]
    assert scores == {"correlation": pytest.approx(1), "area_under_curve": pytest.approx(1), "map": 1}
    assert correlation(noise, robe > 0) < 0.1
    assert 0.5 <= area_under_curve(noise, robe > 0) < 0.56
    assert correlation(np.ones(SMALL), robe > 0) == 0
    both = truth.visible.values * 10 + truth.hidden.values
    assert score_labels(both, truth) == 1
    assert abs(score_labels(rng.integers(0, 8, SMALL), truth)) < 0.02


def test_area_under_curve_agrees_with_scikit_learn(rng: np.random.Generator) -> None:
    from sklearn.metrics import roc_auc_score

    mask = rng.random((20, 30)) < 0.3
    image = np.round(mask * 0.6 + rng.normal(size=mask.shape), 1)  # with ties
    assert area_under_curve(image, mask) == pytest.approx(roc_auc_score(mask.ravel(), image.ravel()), abs=1e-12)


def test_score_of_a_result(rng: np.random.Generator) -> None:
    truth = phantom(counts=5, rng=rng, shape=SMALL).truth
    masks = np.stack([(truth.hidden.values == k).astype(np.float32) for k in range(len(HIDDEN))])
    result = truth[[]].assign(membership=(("cluster", "y", "x"), masks), labels=truth.hidden)
    report = score(result, truth)
    assert report["correlation"] == pytest.approx(1)
    assert report["area_under_curve"] == pytest.approx(1)
    assert report["announced"] == 0
    assert set(report["hidden"]) == set(HIDDEN[1:])
