"""A photograph as teacher: what it teaches, what is held out, and what stays the photograph's."""

import equinox as eqx
import jax
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from velatura.base.errors import InputError
from velatura.imaging.colour import colour_difference, lab_to_srgb, srgb_to_lab
from velatura.tasks.photo_colours import (
    corrected_colours,
    linear_colours,
    nearby_colours,
    neighbour_colours,
    pixel_features,
)
from velatura.tasks.recolour_cube import EmbeddedCube
from velatura.tasks.recolour_finetune import Finetuned, FineTuning, PhotoTiles, finetuned
from velatura.tasks.recolour_model import Recoloured, Recolourer, architecture, uncalibrated
from velatura.tasks.recolour_photo import (
    SPECTRAL,
    WAYS,
    PhotoTeaching,
    Taught,
    Trial,
    as_record,
    in_words,
    photo_blocks,
    recolour_by_photo,
)
from velatura.train.weights import ModelCard

SHAPE, FEATURES = (48, 56), 5
SHORT = FineTuning(steps=4, tiles=1, every=2, rate=1e-3)


class Tiny(eqx.Module):
    """Each pixel by itself, one hidden layer."""

    layers: eqx.nn.MLP

    def __init__(self, key: jax.Array) -> None:
        self.layers = eqx.nn.MLP(FEATURES, 4, 16, 1, key=key)

    def __call__(self, image: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        return jax.vmap(jax.vmap(self.layers))(image)


@pytest.fixture(scope="module")
def recolourer() -> Recolourer:
    """Return a recolourer of the smallest network, untrained."""
    build = architecture("pixels", inputs=FEATURES, outputs=4, side=32, embedder="none")
    return Recolourer(Tiny(jax.random.key(1)), "none", 32, uncalibrated(), ModelCard(build, {}, 0, {}))


def smooth(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    field = gaussian_filter(rng.normal(size=shape), (3, 3, 0))
    return (field / field.std(axis=(0, 1))).astype(np.float32)


def painting(rng: np.random.Generator, *, noise: float = 0.3) -> tuple[EmbeddedCube, np.ndarray]:
    """Features of each pixel, noisy, and the colours that they tell, by a bent function."""
    truth = smooth((*SHAPE, FEATURES), rng)
    lab = np.stack([55 + 12 * truth[..., 0], 9 * truth[..., 1] * truth[..., 0], 12 * truth[..., 2]], axis=-1)
    features = (truth + noise * rng.normal(size=truth.shape)).astype(np.float32)
    cube = EmbeddedCube(features, np.zeros(SHAPE, np.float32), np.ones(SHAPE, bool))
    return cube, lab_to_srgb(lab).astype(np.float32)


def apart(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    return float(colour_difference(srgb_to_lab(one[where]), srgb_to_lab(other[where])).mean())


def left_half() -> np.ndarray:
    half = np.zeros(SHAPE, bool)
    half[:, : SHAPE[1] // 2] = True
    return half


def test_blocks_share_the_pixels_and_nothing_else(rng: np.random.Generator) -> None:
    taught = gaussian_filter(rng.normal(size=(100, 80)), 5) > 0
    parts = photo_blocks(taught, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(sum(part.astype(int) for part in parts), taught)
    shares = np.array([part.sum() for part in parts]) / taught.sum()
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.06)
    inner = taught[:, 1:] & taught[:, :-1]
    cut = (parts[0][:, 1:] != parts[0][:, :-1]) & inner
    assert cut.sum() / inner.sum() < 0.12  # blocks, not scattered pixels


def test_few_pixels_do_not_teach(rng: np.random.Generator) -> None:
    few = np.zeros((40, 40), bool)
    few[:10, :20] = True
    with pytest.raises(InputError, match="from 300 pixels of the scan on; found 200"):
        photo_blocks(few, rng=rng)


@pytest.mark.parametrize("way", [linear_colours, nearby_colours, neighbour_colours])
def test_spectra_tell_the_colours_of_the_other_half(way, rng: np.random.Generator) -> None:
    cube, photo = painting(rng)
    half = left_half()
    found = way(pixel_features(cube.features, cube.answered), np.where(half[..., None], photo, 0), half)
    assert found.dtype == np.float32
    nothing = np.broadcast_to(photo[half].mean(axis=0), photo.shape)
    assert apart(found, photo, ~half) < 0.6 * apart(nothing, photo, ~half)


def test_spectra_that_never_differ_tell_the_mean_colour() -> None:
    cube = EmbeddedCube(np.zeros((*SHAPE, FEATURES), np.float32), np.zeros(SHAPE, np.float32), np.ones(SHAPE, bool))
    photo = np.full((*SHAPE, 3), 0.5, np.float32)
    for way in SPECTRAL:
        options = {"taught": left_half(), "config": PhotoTeaching(ways=(way,)), "key": jax.random.key(2)}
        found = recolour_by_photo(cube, None, photo, **options)
        np.testing.assert_allclose(found.colours.rgb, photo, atol=1e-3)
        assert (found.colours.trust == 1).all()


def test_what_no_spectrum_shows_is_taken_from_near_by(rng: np.random.Generator) -> None:
    cube, photo = painting(rng, noise=0.05)
    lake = np.clip(photo - 0.25 * np.array([0, 1, 1]) * (np.indices(SHAPE)[0] > 24)[..., None], 0, 1)
    lost = np.zeros(SHAPE, bool)
    lost[30:36, 10:16] = lost[30:36, 40:46] = True
    features = pixel_features(cube.features, cube.answered)
    seen = [way(features, np.where(lost[..., None], 0, lake), ~lost) for way in (linear_colours, nearby_colours)]
    assert apart(seen[1], lake, lost) < 0.8 * apart(seen[0], lake, lost)
    far = np.zeros(SHAPE, bool)
    far[:, 50:] = True
    only = np.zeros(SHAPE, bool)
    only[:, :12] = True
    alone = [way(features, lake, only) for way in (linear_colours, nearby_colours)]
    np.testing.assert_allclose(alone[1][far], alone[0][far], atol=0.02)


def test_an_affine_error_of_lab_is_undone(rng: np.random.Generator) -> None:
    _, photo = painting(rng)
    mixed = srgb_to_lab(photo) @ np.array([[0.8, 0.1, 0], [0, 0.7, 0.1], [0.1, 0, 0.9]]) + [4, 3, -2]
    found = corrected_colours(lab_to_srgb(mixed), photo, left_half())
    assert apart(found, photo, ~left_half()) < 0.5


def test_features_leave_out_what_has_no_answer(rng: np.random.Generator) -> None:
    cube, _ = painting(rng)
    answered = rng.random(SHAPE) < 0.7
    one = pixel_features(cube.features, answered)
    other = pixel_features(np.where(answered[..., None], cube.features, np.nan), answered)
    np.testing.assert_array_equal(one, other)
    flat = pixel_features(np.ones_like(cube.features), answered)[answered]
    np.testing.assert_allclose(flat, 1, atol=1e-4)


def test_tiles_hold_pixels_to_learn_from_and_repeat(rng: np.random.Generator) -> None:
    cube, photo = painting(rng)
    learn = np.zeros(SHAPE, bool)
    learn[40:, 50:] = True
    options = {"learn": learn, "side": 32, "tiles": 3}
    tiles = PhotoTiles(cube.features, photo, key=jax.random.key(3), **options)
    lesson = tiles(7)
    assert lesson.embedded.shape == (3, 32, 32, FEATURES)
    assert (lesson.counts.sum(axis=(1, 2)) > 0).all()
    np.testing.assert_array_equal(lesson.embedded, tiles(7).embedded)
    assert not np.array_equal(lesson.embedded, tiles(8).embedded)
    counted = {tuple(colour) for colour in lesson.rgb[lesson.counts > 0]}
    assert counted <= {tuple(colour) for colour in photo[learn]}
    wide = PhotoTiles(cube.features, photo, learn=learn, side=64, tiles=2, key=jax.random.key(3))(0)
    assert (wide.counts.sum(axis=(1, 2)) == learn.sum()).all()  # continued by its mirror image, which does not count


def test_teaching_helps_ends_where_it_was_best_and_repeats(recolourer: Recolourer, rng: np.random.Generator) -> None:
    cube, photo = painting(rng)
    learn, held_out, _ = photo_blocks(left_half(), rng=np.random.default_rng(0))
    options = {"learn": learn, "held_out": held_out, "key": jax.random.key(4)}
    config = FineTuning(steps=12, tiles=2, every=4, rate=5e-2)
    one, two = (finetuned(recolourer, cube.features, photo, config=config, **options) for _ in range(2))
    assert one.difference[0] > 1.3 * min(one.difference)
    assert one.steps == 4 * int(np.argmin(one.difference))
    for a, b in zip(*(jax.tree.leaves(eqx.filter(f.recolourer.net, eqx.is_array)) for f in (one, two)), strict=True):
        np.testing.assert_array_equal(a, b)
    spoilt = finetuned(recolourer, cube.features, photo, config=FineTuning(steps=9, every=1, rate=50.0), **options)
    assert spoilt.difference[spoilt.steps] == min(spoilt.difference)
    assert len(spoilt.difference) <= spoilt.steps + 1 + 3


def test_teaching_that_stops_early_repeats_the_steps_of_all(recolourer: Recolourer, rng: np.random.Generator) -> None:
    """Same schedule of learning rates: the best step found with held-out pixels is the same one without them."""
    cube, photo = painting(rng)
    learn, held_out, _ = photo_blocks(left_half(), rng=np.random.default_rng(0))
    config = FineTuning(steps=30, tiles=2, every=4, patience=1, rate=5e-2)
    options = {"learn": learn, "config": config, "key": jax.random.key(4)}
    best = finetuned(recolourer, cube.features, photo, held_out=held_out, **options)
    assert 0 < best.steps < config.steps
    again = finetuned(recolourer, cube.features, photo, held_out=None, stop=best.steps, **options)
    assert again.steps == best.steps
    nets = (jax.tree.leaves(eqx.filter(found.recolourer.net, eqx.is_array)) for found in (best, again))
    for a, b in zip(*nets, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_whole_photograph_teaches_at_the_rates_that_were_tried(
    recolourer: Recolourer, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def finetuned_by(recolourer: Recolourer, *_: np.ndarray, **options) -> Finetuned:
        calls.append(options)
        return Finetuned(recolourer, 2, ())

    monkeypatch.setattr("velatura.tasks.recolour_photo.finetuned", finetuned_by)
    cube, photo = painting(rng)
    config = PhotoTeaching(ways=("finetuned",), tuning=SHORT)
    recolour_by_photo(cube, recolourer, photo, taught=left_half(), config=config, key=jax.random.key(2))
    assert [(call["config"], call["stop"], call["held_out"] is None) for call in calls] == [
        (SHORT, None, False), (SHORT, 2, True)
    ]  # fmt: skip


def test_pixels_that_do_not_count_teach_nothing(recolourer: Recolourer, rng: np.random.Generator) -> None:
    cube, photo = painting(rng)
    learn = left_half()
    spoilt = np.where(learn[..., None], photo, np.float32(0.5))
    options = {"learn": learn, "held_out": None, "config": SHORT, "key": jax.random.key(4)}
    one, two = (finetuned(recolourer, cube.features, image, **options) for image in (photo, spoilt))
    assert one.steps == 4
    assert one.difference == ()
    for a, b in zip(*(jax.tree.leaves(eqx.filter(f.recolourer.net, eqx.is_array)) for f in (one, two)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_best_way_is_chosen_and_reported_on_other_blocks(recolourer: Recolourer, rng: np.random.Generator) -> None:
    cube, photo = painting(rng)
    taught = left_half()
    blind = np.where(taught[..., None], photo, np.float32(0))
    config = PhotoTeaching(tuning=SHORT)
    found = recolour_by_photo(cube, recolourer, blind, taught=taught, config=config, key=jax.random.key(2))
    assert [trial.way for trial in found.trials] == list(WAYS)
    assert min(found.trials, key=lambda trial: trial.chosen_by).way == found.way
    assert found.way in SPECTRAL  # the network is untrained
    assert sum(found.pixels) == taught.sum()
    truly = apart(found.colours.rgb, photo, ~taught)
    assert found.reported(found.way) == pytest.approx(truly, rel=0.5)
    assert truly < 0.5 * found.reported("plain")
    assert not found.shown.any()
    assert as_record(found)["way"] == found.way
    assert f"{found.reported(found.way):.1f} instead of {found.reported('plain'):.1f}" in in_words(found)[0]


@pytest.mark.parametrize("way", WAYS)
def test_words_say_what_the_photograph_did(way: str) -> None:
    nothing = np.zeros((2, 2), np.float32)
    trials = tuple(Trial(name, 5.0 + 4 * (name != way), 6.0 + 4 * (name != way)) for name in WAYS)
    taught = Taught(Recoloured(nothing, nothing, nothing), nothing > 0, way, trials, (600, 200, 200))
    first, *rest = in_words(taught)
    assert first.startswith(WAYS[way])
    assert "mean CIEDE2000 6.0" in first
    if way == "plain":
        assert "did better than the recolourer as it is" in first
        assert "instead of" not in first
        assert not rest  # its colours are not those of the photograph's time
        assert not taught.by_photo
        assert taught._replace(shown=nothing == 0).by_photo
    else:
        assert "instead of 10.0" in first
        assert "recoloured as faded" in rest[0]
        assert taught.by_photo


def test_a_network_is_taught_by_numbers_where_the_photograph_shows_nothing(
    recolourer: Recolourer, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN times nothing is NaN: one pixel would spoil the loss of its tile."""
    cube, photo = painting(rng)
    taught, shown = left_half(), []

    def finetuned_by(recolourer: Recolourer, _: np.ndarray, photo: np.ndarray, **options) -> Finetuned:
        shown.append(photo)
        return Finetuned(recolourer, 0, ())

    monkeypatch.setattr("velatura.tasks.recolour_photo.finetuned", finetuned_by)
    bare, config = np.where(taught[..., None], photo, np.float32(np.nan)), PhotoTeaching(ways=("finetuned",))
    recolour_by_photo(cube, recolourer, bare, taught=taught, config=config, key=jax.random.key(2))
    assert np.isfinite(shown[0]).all()
    np.testing.assert_array_equal(shown[0][taught], photo[taught])


def test_filling_keeps_the_photograph(rng: np.random.Generator) -> None:
    cube, photo = painting(rng)
    answered = np.ones(SHAPE, bool)
    answered[:4] = False
    lost = np.zeros(SHAPE, bool)
    lost[20:30, 20:30] = True
    cube = cube._replace(answered=answered)
    bare = np.where(lost[..., None], np.float32(0.9), photo)
    found = recolour_by_photo(cube, None, bare, taught=~lost, fill=True, key=jax.random.key(2))
    np.testing.assert_array_equal(found.shown, ~lost)
    np.testing.assert_array_equal(found.colours.rgb[~lost], photo[~lost])
    assert apart(found.colours.rgb, photo, lost) < 0.7 * apart(bare, photo, lost)
    assert (found.colours.trust[~lost] == 1).all()
    assert (found.colours.error[lost] > 0).all()
    assert np.isnan(found.reported("plain"))
    whole = recolour_by_photo(cube, None, bare, taught=~lost, key=jax.random.key(2))
    assert np.isnan(whole.colours.rgb[:4]).all()
    assert np.isnan(whole.colours.error[:4]).all()
    np.testing.assert_array_equal(whole.colours.rgb[lost], found.colours.rgb[lost])


def test_spectra_that_the_photograph_never_showed_are_not_trusted(rng: np.random.Generator) -> None:
    cube, photo = painting(rng, noise=0.1)
    features = cube.features.copy()
    features[20:40, 40:] += 12
    found = recolour_by_photo(cube._replace(features=features), None, photo, taught=left_half(), key=jax.random.key(2))
    assert found.colours.trust[24:36, 44:].max() < 0.05
    assert found.colours.trust[left_half()].mean() > 0.5


def test_what_does_not_fit_is_refused(rng: np.random.Generator, recolourer: Recolourer) -> None:
    cube, photo = painting(rng)
    with pytest.raises(InputError, match="48 x 56 pixels of the scan"):
        recolour_by_photo(cube, recolourer, photo[:-1], taught=left_half(), key=jax.random.key(0))
    config = PhotoTeaching(ways=("plain",))
    with pytest.raises(InputError, match="without weights only linear, nearby, neighbours"):
        recolour_by_photo(cube, None, photo, taught=left_half(), config=config, key=jax.random.key(0))
    with pytest.raises(InputError, match="found magic"):
        PhotoTeaching(ways=("magic",))
    with pytest.raises(InputError, match="a rate above zero"):
        FineTuning(rate=0)
