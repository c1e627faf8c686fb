import numpy as np
import pytest

from velatura.scene.brush import Brush, Plan, grid, noise, paint, put, rise
from velatura.scene.composition import BRUSHES, FLOWERS, RETOUCH, VISIBLE, landscape
from velatura.scene.portrait import FLESH, HIDDEN, bust


def plan(shape: tuple[int, int], *, angle: float = 0.0) -> Plan:
    v, u = grid(shape)
    drawn = Plan(np.zeros(shape, np.int8), np.full(shape, 0.5), np.full(shape, angle))
    put(drawn, u > 0.5, 1, light=2 * v, angle=angle)
    return drawn


def test_grid_is_of_pixel_centres() -> None:
    v, u = grid((2, 4))
    assert v[:, 0].tolist() == [0.25, 0.75]
    assert u[0].tolist() == [0.125, 0.375, 0.625, 0.875]


def test_rise_is_a_smooth_step() -> None:
    assert rise(1.0, 3.0, np.array([0.0, 1.0, 2.0, 3.0, 9.0])).tolist() == [0, 0, 0.5, 1, 1]
    assert rise(3.0, 1.0, np.array([1.0, 3.0])).tolist() == [1, 0]


def test_noise_keeps_its_places_at_any_shape() -> None:
    coarse, fine = (noise(*(5 * c for c in grid(s)), rng=np.random.default_rng(4)) for s in ((21, 21), (63, 63)))
    assert fine[1::3, 1::3] == pytest.approx(coarse, abs=1e-9)
    many = noise(*(24 * c for c in grid((200, 200))), rng=np.random.default_rng(4))
    assert abs(many.mean()) < 0.15
    assert 0.75 < many.std() < 1.25


def test_strokes_stay_near_their_passage(rng: np.random.Generator) -> None:
    drawn = plan((60, 60))
    work = paint(drawn, {0: Brush(0.08, 0.03), 1: Brush(0.08, 0.03)}, rng=rng)
    assert work.labels.dtype == np.int8
    assert np.mean(work.labels == drawn.labels) > 0.93
    assert np.any(work.labels != drawn.labels)  # a brush leaves no straight edge
    assert np.all(work.labels[:, :20] == 0)
    assert np.all(work.labels[:, 40:] == 1)


def test_light_and_relief_are_bounded_and_keep_their_mean(rng: np.random.Generator) -> None:
    drawn = plan((80, 80))
    work = paint(drawn, {0: Brush(0.08, 0.03), 1: Brush(0.08, 0.03)}, rng=rng)
    assert work.light.min() >= 0
    assert work.light.max() <= 1
    assert work.light[:, 50:].mean() == pytest.approx(drawn.light[:, 50:].mean(), abs=0.03)
    assert work.relief.mean() == pytest.approx(1, abs=0.05)
    assert 0.05 < work.relief.std() < 0.3


def test_relief_runs_along_the_brush(rng: np.random.Generator) -> None:
    across, along = (
        paint(plan((90, 90), angle=a), {0: Brush(0.2, 0.06, wander=0.0)}, rng=rng) for a in (0.0, np.pi / 2)
    )
    rough = [[np.abs(np.diff(work.relief[:, :40], axis=k)).mean() for k in (0, 1)] for work in (across, along)]
    assert rough[0][0] > 1.5 * rough[0][1]
    assert rough[1][1] > 1.5 * rough[1][0]


@pytest.mark.parametrize(("draw", "names"), [(landscape, VISIBLE), (bust, HIDDEN)])
def test_pictures_are_the_same_at_any_shape(draw, names) -> None:
    small, large = (draw(shape, rng=np.random.default_rng(5)) for shape in ((80, 64), (240, 192)))
    assert np.mean(large.labels[1::3, 1::3] == small.labels) > 0.9
    shares = [np.bincount(work.labels.ravel(), minlength=len(names)) / work.labels.size for work in (small, large)]
    assert shares[0] == pytest.approx(shares[1], abs=0.02)
    assert len(BRUSHES) == len(VISIBLE)


def test_flowers_and_retouch_are_small() -> None:
    labels = landscape((120, 96), rng=np.random.default_rng(0)).labels
    for label in (FLOWERS, RETOUCH):
        assert 0.001 < np.mean(labels == label) < 0.02


def test_face_is_lit_from_the_left() -> None:
    work = bust((120, 96), rng=np.random.default_rng(2))
    face = work.labels == FLESH
    middle = np.nonzero(face)[1].mean()
    column = np.arange(96)[None, :]
    assert work.light[face & (column < middle - 2)].mean() > work.light[face & (column > middle + 2)].mean() + 0.1
