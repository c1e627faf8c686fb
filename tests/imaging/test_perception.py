"""CIELAB and CIEDE2000 in JAX: published pairs, scikit-image as oracle, gradients that never break."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.imaging.perception import cielab, lab_difference, root

PAIRS = (  # Sharma, Wu and Dalal (2005), Color Research & Application 30, 21, table 1; mean hues on every branch
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
    ((50, -0.001, 2.49), (50, 0.0011, -2.49), 4.7461),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (61, -5, 29), 22.8977),
    ((50, 2.5, 0), (56, -27, -3), 31.9030),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ((100, 0, 0), (0, 0, 0), 100.0),
)


def difference(one, other):
    return lab_difference(cielab(one), cielab(other))


def test_differences_are_the_published_ones() -> None:
    one, other, expected = (np.array(column, np.float32) for column in zip(*PAIRS, strict=True))
    compared = jax.jit(lab_difference)
    np.testing.assert_allclose(compared(one, other), expected, atol=1e-4)
    np.testing.assert_allclose(compared(other, one), expected, atol=1e-4)


def test_lab_and_differences_are_those_of_scikit_image(rng: np.random.Generator) -> None:
    one, other = rng.uniform(size=(2, 20_000, 3)).astype(np.float32)
    one[:1000] *= 0.03  # both branches of both curves
    np.testing.assert_allclose(jax.jit(cielab)(one), srgb_to_lab(one), atol=2e-4)
    expected = colour_difference(srgb_to_lab(one), srgb_to_lab(other))
    np.testing.assert_allclose(jax.jit(difference)(one, other), expected, atol=5e-4)


def test_greys_differ_in_lightness_alone() -> None:
    grey = np.linspace(0, 1, 11, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    lab = cielab(grey)
    np.testing.assert_allclose(lab[:, 1:], 0, atol=0.01)
    assert np.all(np.diff(lab[:, 0]) > 0)


def test_gradients_are_finite_everywhere() -> None:
    corners = [(0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (1, 0, 0), (0, 1, 1), (-0.2, 1.3, 0.04045), (0, 0, 1e-7)]
    one, other = (np.array(side, np.float32) for side in zip(*product(corners, corners), strict=True))
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(difference)))(one, other)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(slope))


def test_gradient_is_the_slope() -> None:
    one, other = np.array([0.3, 0.6, 0.2], np.float32), np.array([0.5, 0.4, 0.3], np.float32)
    steps = 1e-2 * np.eye(3, dtype=np.float32)
    places = np.concatenate([one[None], one + steps, one - steps])
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(difference), (0, None)))(places, other)
    np.testing.assert_allclose(slopes[0], (values[1:4] - values[4:]) / 2e-2, rtol=0.02, atol=0.1)


def test_root_of_nothing_is_flat() -> None:
    assert float(root(jnp.float32(0))) == 0
    assert float(jax.grad(root)(jnp.float32(0))) == 0
    assert float(root(jnp.float32(9))) == pytest.approx(3)
