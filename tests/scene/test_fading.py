"""Ageing: nothing outside its mask, more is never less, and each change in its own direction."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.imaging.colour import srgb_to_lab
from velatura.scene.fading import aged, darken, fade, lose, losses, yellow

CHANGES = (fade, darken, yellow)
STRONGEST = {"fade": 6.0, "darken": 5.0, "yellow": 60.0}


@pytest.fixture
def rgb(rng: np.random.Generator) -> np.ndarray:
    picture = rng.random((16, 20, 3)).astype(np.float32)
    picture[0, 0], picture[0, 1] = 0, 1
    return picture


@pytest.mark.parametrize("change", CHANGES)
def test_only_the_mask_changes(change: Callable, rgb: np.ndarray, rng: np.random.Generator) -> None:
    where = rng.random((16, 20)) < 0.5
    after = change(rgb, STRONGEST[change.__name__] * where)
    np.testing.assert_array_equal(after[~where], rgb[~where])
    assert (np.abs(after - rgb)[where].max(axis=-1) > 0.02).mean() > 0.9
    assert after.dtype == np.float32
    assert ((after >= 0) & (after <= 1)).all()


@pytest.mark.parametrize("change", CHANGES)
def test_more_is_never_less(change: Callable, rgb: np.ndarray) -> None:
    steps = [change(rgb, np.full((16, 20), s * STRONGEST[change.__name__])) for s in (1e-9, 0.1, 0.3, 0.6, 1.0)]
    np.testing.assert_allclose(steps[0], rgb, atol=0.025)  # whites are kept a little below 1 by the surface
    direction = 1 if change is fade else -1
    assert all((direction * (b - a) >= -1e-6).all() for a, b in pairwise(steps))
    moved = [np.abs(step - steps[0]).sum() for step in steps]
    assert moved == sorted(set(moved))


def test_lakes_lose_their_colour_towards_the_rest_of_the_paint() -> None:
    madder = np.array([[[0.75, 0.12, 0.2]]])
    lab = [srgb_to_lab(fade(madder, np.full((1, 1), strength)))[0, 0] for strength in (0, 1, 2, 12)]
    chroma = [np.hypot(*colour[1:]) for colour in lab]
    assert chroma == sorted(chroma, reverse=True)
    assert chroma[-1] < 0.5
    np.testing.assert_allclose(fade(madder, np.full((1, 1), 30.0))[0, 0], 0.75, atol=1e-4)


def test_varnish_takes_blue_first() -> None:
    light = yellow(np.ones((1, 1, 3)), np.full((1, 1), 20.0))[0, 0]
    assert light[0] > light[1] > light[2]
    twice = yellow(yellow(np.ones((1, 1, 3)), np.full((1, 1), 10.0)), np.full((1, 1), 10.0))[0, 0]
    np.testing.assert_allclose(light, twice, atol=1e-6)


def test_white_darkens_to_a_known_grey() -> None:
    grey = darken(np.ones((1, 1, 3)), np.ones((1, 1)))
    assert srgb_to_lab(grey)[0, 0, 0] == pytest.approx(42, abs=1)


def test_losses_have_their_share_and_grow() -> None:
    seen = [losses((60, 80), share, rng=np.random.default_rng(3)) for share in (0.0, 0.1, 0.3)]
    assert [lost.mean() for lost in seen] == pytest.approx([0, 0.1, 0.3], abs=1e-3)
    assert (seen[2] >= seen[1]).all()
    edges = (seen[1][:, 1:] != seen[1][:, :-1]).mean()
    assert edges < 0.06  # blotches: of scattered pixels it would be 0.18


def test_lost_paint_shows_the_ground(rgb: np.ndarray, rng: np.random.Generator) -> None:
    lost = rng.random((16, 20)) < 0.3
    after = lose(rgb, lost, ground=(0.5, 0.25, 1.0))
    np.testing.assert_array_equal(after[lost], np.tile(np.float32([0.5, 0.25, 1.0]), (lost.sum(), 1)))
    np.testing.assert_array_equal(after[~lost], rgb[~lost])


def test_ageing_tells_what_it_changed_and_is_seeded(rgb: np.ndarray) -> None:
    options = {"faded": 2.0, "darkened": 1.0, "lost": 0.1}
    one, two = (aged(rgb, rng=np.random.default_rng(5), **options) for _ in range(2))
    np.testing.assert_array_equal(one.rgb, two.rgb)
    assert one.lost.mean() == pytest.approx(0.1, abs=0.01)
    assert 0.3 < one.changed.mean() < 0.7
    kept = ~one.lost & ~one.changed
    np.testing.assert_array_equal(one.rgb[kept], rgb[kept])
    stronger = aged(rgb, rng=np.random.default_rng(5), faded=4.0, darkened=1.0, lost=0.1)
    np.testing.assert_array_equal(stronger.changed, one.changed)
    untouched = aged(rgb, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(untouched.rgb, rgb)


def test_nonsense_is_refused(rgb: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"found shapes \(16, 20, 3\) and \(20, 16\)"):
        fade(rgb, np.zeros((20, 16)))
    with pytest.raises(InputError, match="strengths of 0 and more; found -1 to -1"):
        darken(rgb, np.full((16, 20), -1.0))
    with pytest.raises(InputError, match=r"asked for 0\.95"):
        losses((4, 4), 0.95, rng=np.random.default_rng(0))
