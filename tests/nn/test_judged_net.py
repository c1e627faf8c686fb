"""A judge beside a network: means over squares, colours as they were, and what it learns of another's errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.ndimage import uniform_filter

from velatura.nn.judged_net import Judge, JudgedNet, box_mean, question
from velatura.nn.pixel_net import PixelNet
from velatura.tasks.recolour_judging import Answers, judging_loss
from velatura.tasks.recolour_losses import Batch
from velatura.train.loop import fit, start

KEY = jax.random.key(3)


@pytest.mark.parametrize("window", [1, 3, 5, 17])
def test_means_over_squares_are_those_of_scipy(window: int) -> None:
    image = np.random.default_rng(0).normal(size=(21, 34, 2)).astype(np.float32)
    inside = uniform_filter(np.ones_like(image), (window, window, 0), mode="constant")
    expected = uniform_filter(image, (window, window, 0), mode="constant") / inside
    np.testing.assert_allclose(box_mean(jnp.asarray(image), window), expected, atol=1e-5)


@pytest.mark.parametrize("outputs", [3, 4])
def test_a_judge_leaves_the_colours_as_they_are(outputs: int) -> None:
    net = PixelNet(inputs=5, outputs=outputs, key=KEY)
    image = jax.random.normal(KEY, (32, 40, 5))
    found = JudgedNet(net, Judge(inputs=5 + outputs, key=KEY))(image)
    assert found.shape == (32, 40, 4)
    np.testing.assert_array_equal(found[..., :3], net(image)[..., :3])


def test_a_judge_teaches_the_network_nothing() -> None:
    both = JudgedNet(PixelNet(inputs=2, outputs=3, key=KEY), Judge(inputs=5, key=KEY))
    image = jax.random.normal(KEY, (32, 32, 2))
    gradient = eqx.filter_grad(lambda judged: jnp.sum(judged(image)[..., 3]))(both)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradient.net))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient.judge))


def test_a_judge_finds_where_a_network_is_wrong() -> None:
    """Colours right where the feature is steady and at random where it flickers: both squares' deviations tell."""
    rng = np.random.default_rng(1)

    def draw(step: int) -> Batch:
        flickers = rng.random((2, 32, 32, 1)) * (np.arange(32) >= 16)[None, None, :, None]
        embedded = (0.5 + 0.4 * (flickers - 0.5 * (flickers > 0))).astype(np.float16)
        truth = np.where(flickers > 0, rng.integers(0, 256, (2, 32, 32, 3)), 137).astype(np.uint8)
        return Batch(embedded, truth)

    def grey(image: jax.Array, *, key: None = None) -> jax.Array:
        return jnp.full((*image.shape[:2], 3), 127 / 255)

    rule, answers = optax.adam(1e-2), Answers(grey, draw)
    states = fit(start(Judge(inputs=4, key=KEY), rule), judging_loss(3), answers, optimiser=rule, key=KEY)
    judge = next(state.model for state in states if state.step == 150)
    asked = answers(0).embedded[0]
    told = np.exp(judge(jnp.asarray(asked)))[..., 0]
    assert told[:, :12].mean() < 0.3 * told[:, 20:].mean()
    assert 10 < told[:, 20:].mean() < 60
    np.testing.assert_array_equal(question(asked[..., :1], asked[..., 1:]), asked)
