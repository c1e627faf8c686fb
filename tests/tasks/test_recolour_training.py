"""What a recolourer is shown and what counts as wrong: each law on its own, with networks of one line."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from velatura.base.errors import InputError
from velatura.tasks import recolour_training
from velatura.tasks.recolour_losses import (
    DIFFERENCES,
    ERROR,
    Batch,
    Pair,
    colour_loss,
    critic_loss,
    error_loss,
    hidden_patches_loss,
)
from velatura.tasks.recolour_scores import differences, each_score, map_scores, scores
from velatura.tasks.recolour_training import Album, Pictures, Shown, likeness, optimiser, transferred, turned

SIDE = 32


class Line(eqx.Module):
    """Each output a matrix times the features of the pixel."""

    weight: jax.Array

    def __call__(self, image, *, key=None):
        return image @ self.weight


class Judge(eqx.Module):
    """A critic that looks at the mean colour."""

    weight: jax.Array

    def __call__(self, image, rgb):
        return jnp.mean(rgb, axis=(0, 1)) @ self.weight[:, None]


@pytest.fixture
def batch(rng) -> Batch:
    rgb = rng.integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    return Batch((rgb / 255).astype(np.float16), rgb)


@pytest.fixture
def pictures(monkeypatch) -> Pictures:
    """Canvases of two doses in which every feature of a pixel is its colour, plus the dose: 0 or 1."""
    rng = np.random.default_rng(8)
    entries = [rng.permutation(40 * 50).reshape(40, 50) for _ in range(3)]
    colours = [rng.integers(0, 256, (2000, 3), np.uint8) for _ in range(3)]

    def table(canvases, file: int, name: str) -> np.ndarray:
        return np.repeat((colours[file] / 255 + float(name)).astype(np.float16)[:, None], 4, axis=1)

    monkeypatch.setattr(recolour_training, "read_table", table)

    def read_pixels(file: int) -> tuple[np.ndarray, np.ndarray]:
        return colours[file][entries[file]], entries[file]

    canvases = SimpleNamespace(size=40, folder="x", read_pixels=read_pixels)
    albums = [Album((0, 1), ("0", "1")), Album((2,), ("1",))]
    return Pictures(canvases, albums, key=jax.random.key(3), size=6, side=SIDE)


def test_every_pixel_is_shown_with_its_own_colour(pictures: Pictures) -> None:
    doses = set()
    for step in range(4):
        batch = pictures(step)
        dose = np.floor(np.asarray(batch.embedded, np.float32).min(axis=(1, 2, 3)) + 1e-3)
        np.testing.assert_allclose(
            np.asarray(batch.embedded, np.float32) - dose[:, None, None, None], np.asarray(batch.rgb) / 255, atol=2e-3
        )
        doses |= set(dose.tolist())
    assert doses == {0.0, 1.0}
    assert batch.embedded.shape == batch.rgb.shape == (6, SIDE, SIDE, 3)
    assert (batch.embedded.dtype, batch.rgb.dtype) == (np.float16, np.uint8)


def test_a_batch_follows_from_its_step_alone(pictures: Pictures) -> None:
    first, other, again = pictures(5), pictures(6), pictures(5)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first.rgb, other.rgb)


def test_canvases_must_be_large_enough(pictures: Pictures) -> None:
    with pytest.raises(InputError, match="canvases of 40 pixels; asked for 48"):
        Pictures(pictures._canvases, pictures._albums, key=jax.random.key(0), size=1, side=48)


def test_the_eight_ways_to_turn_are_all_different_and_keep_neighbours() -> None:
    image = np.arange(9).reshape(3, 3)
    ways = [turned(image, way) for way in range(8)]
    assert len({way.tobytes() for way in map(np.ascontiguousarray, ways)}) == 8
    assert all(way[1, 1] == 4 and way[0, 0] in (0, 2, 6, 8) for way in ways)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_right_colours_cost_nothing_and_wrong_ones_more(name, batch) -> None:
    loss, key = eqx.filter_jit(colour_loss(name)), jax.random.key(0)
    right, wrong, worse = (float(loss(Line(scale * jnp.eye(3)), batch, key=key)) for scale in (1.0, 0.9, 0.5))
    assert abs(right) < 0.01
    assert right < wrong < worse


def test_the_expected_error_is_best_at_the_mean_and_leaves_the_colours_alone(batch) -> None:
    truth = jnp.asarray(batch.rgb[0], jnp.float32) / 255
    apart = float(differences(0.7 * truth[None], truth[None]).mean())

    @jax.jit
    def of(told, scale):
        return error_loss(jnp.concatenate([scale * truth, jnp.full((SIDE, SIDE, 1), told)], axis=-1), truth)

    slopes = jax.jit(jax.grad(of, argnums=(0, 1)))(jnp.log(apart), 0.7)
    assert abs(float(slopes[0])) < 1e-3
    assert float(slopes[1]) == 0
    assert float(of(jnp.log(apart), 0.7)) < min(float(of(jnp.log(apart) + step, 0.7)) for step in (-0.2, 0.2))
    four = jnp.concatenate([0.7 * jnp.eye(3), jnp.zeros((3, 1))], axis=1)
    loss = eqx.filter_jit(colour_loss("redmean"))
    whole, colours = (loss(Line(net), batch, key=jax.random.key(0)) for net in (four, four[:, :3]))
    assert float(whole - colours) > 0.5 * ERROR * apart


def test_network_and_critic_each_get_their_own_gradient(batch) -> None:
    """The network's: of its colours and of being taken for true; the critic's: of telling both apart."""
    pair, key = Pair(Line(0.8 * jnp.eye(3)), Judge(jnp.array([1.0, -2.0, 0.5]))), jax.random.key(0)
    found = jax.grad(lambda both: critic_loss("l1", weight=0.3)(both, batch, key=key))(pair)
    features, truth = jnp.asarray(batch.embedded, jnp.float32), jnp.asarray(batch.rgb, jnp.float32) / 255

    def of_net(net):
        said = jax.vmap(net)(features)
        judged = jax.vmap(pair.critic)(features, said)
        return jnp.mean(jnp.abs(said - truth)) - 0.3 * jnp.mean(jax.nn.log_sigmoid(judged))

    def of_critic(critic):
        said = jax.vmap(pair.net)(features)
        right, wrong = jax.vmap(critic)(features, truth), jax.vmap(critic)(features, said)
        return -(jnp.mean(jax.nn.log_sigmoid(right)) + jnp.mean(jax.nn.log_sigmoid(-wrong))) / 2

    np.testing.assert_allclose(found.net.weight, jax.grad(of_net)(pair.net).weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.critic.weight, jax.grad(of_critic)(pair.critic).weight, rtol=1e-4, atol=1e-6)


def test_hidden_squares_cannot_be_copied(batch) -> None:
    loss, key = hidden_patches_loss, jax.random.key(0)
    copy = float(loss(Line(jnp.eye(3)), batch, key=key))
    zeros = float(loss(Line(jnp.zeros((3, 3))), batch, key=key))
    assert copy == pytest.approx(zeros)  # what is hidden is shown as 0 and comes back as 0
    assert copy == pytest.approx(float(np.mean(0.5 * np.float32(batch.embedded) ** 2)), rel=0.05)


def test_the_critic_has_a_rule_of_its_own(batch) -> None:
    rule = optimiser("cosine", rate=1e-2, steps=100, epoch=10, critic=True)
    pair = Pair(Line(jnp.eye(3)), Judge(jnp.ones(3)))
    state = rule.init(pair)
    updates, _ = rule.update(jax.tree.map(jnp.ones_like, pair), state, pair)
    np.testing.assert_allclose(updates.critic.weight, -2e-4, rtol=1e-4)
    np.testing.assert_array_equal(updates.net.weight, 0)  # the first step of the rise


def test_the_rate_halves_when_the_told_score_stands_still() -> None:
    rule = optax.with_extra_args_support(optimiser("plateau", rate=1e-2, steps=0, epoch=2))
    weights, update = {"w": jnp.ones(3)}, jax.jit(rule.update)
    state, sizes = rule.init(weights), []
    for step in range(20):
        told = 1 - 0.1 * min(step // 2, 2)  # better for three epochs, then no more
        updates, state = update({"w": jnp.ones(3)}, state, weights, value=jnp.float32(told))
        sizes.append(float(-updates["w"][0]))
    assert sizes[14] == pytest.approx(sizes[0], rel=1e-3)
    assert sizes[-1] == pytest.approx(sizes[0] / 2, rel=1e-3)


def test_what_fits_is_taken_over() -> None:
    taught, net = eqx.nn.MLP(4, 4, 8, 2, key=jax.random.key(0)), eqx.nn.MLP(4, 3, 8, 2, key=jax.random.key(1))
    found = transferred(net, taught)
    np.testing.assert_array_equal(found.layers[0].weight, taught.layers[0].weight)
    np.testing.assert_array_equal(found.layers[1].bias, taught.layers[1].bias)
    np.testing.assert_array_equal(found.layers[2].weight, net.layers[2].weight)


def test_scores_of_equal_black_and_faded_pictures(batch, rng) -> None:
    truth = batch.rgb / np.float32(255)
    same = scores(truth, truth)
    assert same["ms_ssim"] == pytest.approx(1, abs=1e-5)
    assert same["uiqi"] == pytest.approx(1, abs=1e-3)
    assert same["redmean"] == same["ciede2000"] == pytest.approx(0, abs=1e-4)
    white, black = np.ones((1, SIDE, SIDE, 3)), np.zeros((1, SIDE, SIDE, 3))
    apart = scores(white, black)
    assert apart["redmean"] == pytest.approx(3, abs=1e-4)
    assert apart["ciede2000"] == pytest.approx(100, abs=0.01)
    each = each_score(np.stack([truth[0], 0.5 * truth[0]]), np.stack([truth[0], truth[0]]))
    assert (np.diff(each["ciede2000"]) > 1).all()
    assert scores(truth + np.where(truth == 1, 3, 0), truth) == same  # beyond white is white
    shown = Shown(truth.astype(np.float16), batch.rgb)
    assert likeness(Line(jnp.eye(3)), shown) == pytest.approx(1, abs=1e-3)


def test_maps_are_scored_by_what_they_promise(rng) -> None:
    expected = rng.uniform(2, 40, 40_000)
    apart = rng.exponential(expected)
    right = map_scores(expected, 1 - np.exp(-15 / expected), apart=apart)
    assert right["trust_ece"] < 0.02
    assert abs(right["error_bias"]) < 0.5
    assert right["error_rank"] > 0.4
    sure = map_scores(expected / 2, np.ones(len(expected)), apart=apart)
    assert sure["trust_ece"] > 0.3
    assert sure["error_bias"] == pytest.approx(-expected.mean() / 2, abs=0.5)
    assert map_scores(np.ones(5), np.ones(5), apart=np.arange(5.0))["error_rank"] == 0
