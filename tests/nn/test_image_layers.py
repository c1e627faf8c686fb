"""Pieces of networks for images against NumPy, and the laws they keep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.nn.image_layers import (
    Attention,
    Dropout,
    ImageConvolution,
    LayerNorm,
    Linear,
    doubled,
    from_patches,
    patches,
    shifted,
)
from velatura.nn.uvit import ShiftedPatches


@pytest.fixture(autouse=True)
def _strict_ranks():
    with jax.numpy_rank_promotion("raise"):
        yield


def test_patches_and_back(rng) -> None:
    image = jnp.asarray(rng.normal(size=(32, 48, 3)), jnp.float32)
    grid = patches(image, patch=16)
    assert grid.shape == (2, 3, 16 * 16 * 3)
    np.testing.assert_array_equal(grid[1, 2], image[16:, 32:].ravel())
    np.testing.assert_array_equal(from_patches(grid, patch=16), image)


def test_shifts_bring_zeros_in(rng) -> None:
    image = rng.normal(size=(6, 7, 2)).astype(np.float32)
    found = np.asarray(shifted(jnp.asarray(image), 2, -3))
    np.testing.assert_array_equal(found[2:, :-3], image[:-2, 3:])
    assert not found[:2].any()
    assert not found[:, -3:].any()


def test_shifted_patches_see_half_a_patch_beyond_their_own() -> None:
    """Diagonal shifts: the token of the second patch depends on columns 8 to 39 of 64, and on no others."""
    for shifts, first, last in (("diagonal", 8, 39), ("cardinal", 15, 32)):
        layer = ShiftedPatches(1, width=8, shifts=shifts, key=jax.random.key(0))
        image = jnp.asarray(np.random.default_rng(1).normal(size=(32, 64, 1)), jnp.float32)
        slope = jax.grad(lambda image, layer=layer: jnp.sum(jnp.sin(layer(image)[1])))(image)
        seen = np.flatnonzero(np.asarray(slope).any(axis=(0, 2)))
        assert (seen[0], seen[-1]) == (first, last)


def test_convolution_is_numpys(rng) -> None:
    layer = ImageConvolution(2, 1, key=jax.random.key(1))
    image = rng.normal(size=(9, 8, 2)).astype(np.float32)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    expected = np.einsum("yxcij,ijco->yxo", windows, np.asarray(layer.weight))
    np.testing.assert_allclose(layer(jnp.asarray(image)), expected, rtol=1e-4, atol=1e-5)


def test_norm_and_matrix_are_numpys(rng) -> None:
    values = rng.normal(3, 2, (5, 4, 16)).astype(np.float32)
    found = np.asarray(LayerNorm(16)(jnp.asarray(values)))
    np.testing.assert_allclose(found.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=-1), 1, atol=1e-3)
    layer = Linear(16, 3, key=jax.random.key(2))
    np.testing.assert_allclose(layer(jnp.asarray(values)), values @ np.asarray(layer.weight), rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_mean() -> None:
    drop = Dropout(0.25)
    drawn = np.asarray(drop(jnp.ones((200, 101)), key=jax.random.key(5)))
    assert set(np.unique(drawn)) == {0, np.float32(1 / 0.75)}
    assert drawn.mean() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]) < 0.03  # bytes of one word
    np.testing.assert_array_equal(drop(jnp.ones(2), key=None), 1)


def test_local_attention_does_not_look_at_itself(rng) -> None:
    """Nor does a token's answer depend on its place: attention commutes with any order of the tokens."""
    layer = Attention(8, heads=2, head=4, local=True, key=jax.random.key(3))
    tokens = jnp.asarray(rng.normal(size=(6, 8)), jnp.float32)
    order = np.array([3, 1, 5, 0, 2, 4])
    np.testing.assert_allclose(layer(tokens[order]), layer(tokens)[order], rtol=1e-4, atol=1e-5)
    two = np.asarray(tokens[:2])  # each of two tokens can only repeat the other's value
    values = (two @ np.asarray(layer.gather.weight))[:, -8:]
    np.testing.assert_allclose(layer(two), values[::-1] @ np.asarray(layer.spread.weight), rtol=1e-4, atol=1e-5)


def test_usual_attention_is_the_textbooks(rng) -> None:
    layer = Attention(8, heads=1, head=8, local=False, key=jax.random.key(4))
    tokens = rng.normal(size=(6, 8)).astype(np.float32)
    query, look, value = np.split(tokens @ np.asarray(layer.gather.weight), 3, axis=1)
    scores = np.exp(query @ look.T / np.sqrt(8))
    expected = scores / scores.sum(axis=1, keepdims=True) @ value @ np.asarray(layer.spread.weight)
    np.testing.assert_allclose(layer(jnp.asarray(tokens)), expected, rtol=1e-4, atol=1e-5)


def test_doubling_keeps_planes_and_the_mean(rng) -> None:
    y, x = np.mgrid[:8, :6].astype(np.float32)
    found = np.asarray(doubled(jnp.asarray(2 * y - x)[..., None]))[..., 0]
    np.testing.assert_allclose(np.diff(found[1:-1], axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(np.diff(found[:, 1:-1], axis=1), -0.5, atol=1e-4)
    image = jnp.asarray(rng.normal(size=(8, 6, 2)), jnp.float32)
    np.testing.assert_allclose(doubled(image).mean(axis=(0, 1)), image.mean(axis=(0, 1)), atol=1e-5)
