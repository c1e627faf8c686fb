"""Tiles: a network that looks at single pixels gives the same image however it is cut, and every pixel is covered."""

import jax.numpy as jnp
import numpy as np
import pytest

from velatura.tasks.recolour_tiles import MOST_LOG, starts, tiled


def as_they_are(image, *, key=None):
    """Colours are the first three features, the logarithm of the error the fourth."""
    return image[..., :4]


def by_place(image, *, key=None):
    """A network that knows left from right: the same everywhere but for a slope along x."""
    slope = jnp.linspace(0, 1, image.shape[1])[None, :, None]
    return jnp.broadcast_to(slope, (*image.shape[:2], 3))


@pytest.mark.parametrize(
    ("size", "overlap"), [((32, 32), 8), ((7, 3), 8), ((33, 90), 8), ((64, 61), 0), ((40, 200), 31)]
)
def test_a_network_of_single_pixels_does_not_see_the_tiles(size, overlap, rng) -> None:
    image = rng.uniform(-1, 1, (*size, 5)).astype(np.float32)
    found = tiled(as_they_are, image, side=32, overlap=overlap)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., :3], image[..., :3], atol=2e-6)
    np.testing.assert_allclose(found[..., 3], np.exp(image[..., 3]), rtol=5e-6)


def test_tiles_cover_each_axis_and_share_what_was_asked() -> None:
    for size in range(32, 300):
        begun = starts(size, 32, 8)
        assert begun[0] == 0
        assert begun[-1] == size - 32
        assert np.diff(begun).max(initial=0) <= 24
        assert np.diff(begun).min(initial=1) > 0


def test_orientations_take_away_what_a_network_makes_of_places(rng) -> None:
    image = np.zeros((32, 32, 4), np.float32)
    one, four = (tiled(by_place, image, side=32, overlap=0, flips=flips) for flips in (1, 4))
    np.testing.assert_allclose(one[0, :, 0], np.linspace(0, 1, 32), atol=1e-6)
    np.testing.assert_allclose(four[..., :3], 0.5, atol=1e-6)
    np.testing.assert_allclose(four[5, :, 3], np.abs(np.linspace(-0.5, 0.5, 32)), atol=1e-3)
    np.testing.assert_allclose(one[..., 3], np.exp(-MOST_LOG), rtol=1e-3)


def test_seams_are_faded_over() -> None:
    """Between tiles that disagree by 1, no two neighbours differ by more than the slope of the fading."""
    image = np.zeros((32, 104, 4), np.float32)
    line = tiled(by_place, image, side=32, overlap=8)[0, :, 0]
    assert np.abs(np.diff(line)).max() < 0.25


def test_progress_reaches_its_end() -> None:
    told = []
    tiled(as_they_are, np.zeros((70, 70, 4), np.float32), side=32, overlap=8, progress=lambda *now: told.append(now))
    assert told == [("recolouring", 0, 9), ("recolouring", 8, 9), ("recolouring", 9, 9)]
