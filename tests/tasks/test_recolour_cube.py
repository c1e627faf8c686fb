"""A scan recoloured: every pixel from its own spectrum, upright, the same however it is cut; none where none can be."""

import json
from dataclasses import replace

import dask.array as da
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.tasks.embedding_model import (
    Embedder,
    embed_and_judge,
    load_embedder,
    save_embedder,
    untrained_embedder,
)
from velatura.tasks.identify import on_grid
from velatura.tasks.recolour_cube import (
    STAMP,
    Recolouring,
    coloured_maps,
    embed_cube,
    load_pair,
    recolour_embedded,
)
from velatura.tasks.recolour_model import (
    Recoloured,
    Recolourer,
    architecture,
    fingerprint,
    save_recolourer,
    uncalibrated,
    untrained,
)
from velatura.train.weights import ModelCard

HEIGHT, WIDTH, CHANNELS, GAIN, SIDE = 11, 8, 600, 0.07, 16


class OwnFeatures(eqx.Module):
    """Shows three features as colours: any tiling must give them back."""

    def __call__(self, image: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        return jnp.concatenate([0.5 + 0.1 * image, jnp.full((*image.shape[:2], 1), jnp.log(6.0))], axis=-1)


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return untrained_embedder("pca3", key=jax.random.key(1))


@pytest.fixture(scope="module")
def recolourer() -> Recolourer:
    build = architecture("pixels", inputs=3, outputs=4, side=SIDE, embedder="pca3")
    return Recolourer(OwnFeatures(), "pca3", SIDE, uncalibrated(), ModelCard(build, {}, 0, {}))


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """Left half with a line at 8 keV, right half with one at 10.5; the last pixel has hardly any counts."""
    rng = np.random.default_rng(1)
    axis = GAIN * np.arange(CHANNELS)
    lines = [60 * np.exp(-(((axis - at) / 0.1) ** 2)) for at in (8.04, 10.55)]
    expected = np.where(np.arange(WIDTH)[:, None] < WIDTH // 2, *lines) + 1.0
    counts = rng.poisson(np.broadcast_to(expected, (HEIGHT, WIDTH, CHANNELS))).astype(np.uint16)
    counts[-1, -1] = 0
    return counts


def cube_of(counts) -> xr.Dataset:
    return make_cube(counts, gain=GAIN, anode="Rh", tube_voltage=40.0)


def test_a_pixel_is_embedded_from_its_own_counts(embedder, counts) -> None:
    embedded = embed_cube(cube_of(counts), embedder, seed=3)
    y, x = 4, 6
    own = on_grid(counts[y, x][None], GAIN * np.arange(CHANNELS), embedder.energies, seed=3, first=y * WIDTH + x)
    assert own.sum() > 500
    features, strange = embed_and_judge(embedder, own)
    np.testing.assert_allclose(embedded.features[y, x], features[0], atol=1e-5)
    assert embedded.strangeness[y, x] == pytest.approx(strange[0], abs=1e-6)


def test_the_embedders_own_grid_is_used(embedder, counts) -> None:
    """Counts above 38.5 keV are on the scan's axis and not on this embedder's."""
    high = counts.copy()
    high[..., GAIN * np.arange(CHANNELS) > 39] += 50
    plain, more = (embed_cube(cube_of(one), embedder).features for one in (counts, high))
    np.testing.assert_array_equal(plain[:-1], more[:-1])


def test_streaming_is_the_same_as_at_once(embedder, counts) -> None:
    whole = embed_cube(cube_of(counts), embedder)
    cut = embed_cube(cube_of(da.from_array(counts, chunks=(3, WIDTH, CHANNELS))), embedder)
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_pixels_without_counts_or_data_have_no_colour(embedder, recolourer, counts) -> None:
    cube = cube_of(counts)
    cube.valid.values[0, 0] = False
    embedded = embed_cube(cube, embedder)
    maps = recolour_embedded(embedded, recolourer)
    there = np.ones((HEIGHT, WIDTH), bool)
    there[0, 0] = there[-1, -1] = False
    np.testing.assert_array_equal(embedded.answered, there)
    np.testing.assert_array_equal(np.isfinite(maps.rgb.values).all(axis=-1), there)
    np.testing.assert_array_equal(np.isfinite(maps.error.values), there)
    assert not maps.trust.values[~there].any()
    assert np.isfinite(maps.trust.values).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 5), (17, 33)])
def test_scans_smaller_and_wider_than_a_tile_keep_every_pixel_in_its_place(embedder, recolourer, shape) -> None:
    counts = np.random.default_rng(2).poisson(2.0, (*shape, CHANNELS)).astype(np.uint16)
    embedded = embed_cube(cube_of(counts), embedder)
    maps = recolour_embedded(embedded, recolourer)
    np.testing.assert_allclose(maps.rgb.values, np.clip(0.5 + 0.1 * embedded.features, 0, 1), atol=1e-5)
    np.testing.assert_allclose(maps.error.values, 6.0, rtol=0.05)
    assert maps.rgb.dims == ("y", "x", "colour")
    assert all(image.dtype == np.float32 for image in maps.data_vars.values())


def test_strange_spectra_are_not_trusted(embedder, recolourer, counts) -> None:
    embedded = embed_cube(cube_of(counts), embedder)
    usual, strange = (
        recolour_embedded(embedded._replace(strangeness=np.full((HEIGHT, WIDTH), value, np.float32)), recolourer)
        for value in (0.5, 1.0)
    )
    assert usual.trust.values[1:-1].min() > 0.5
    assert not strange.trust.values.any()
    assert any("do not take the colours" in note for note in json.loads(strange.attrs["notes"]))
    assert not any("mean trust" in note for note in json.loads(usual.attrs["notes"]))


def test_every_result_is_stamped_a_hypothesis() -> None:
    image = np.zeros((2, 3), np.float32)
    maps = coloured_maps(Recoloured(np.zeros((2, 3, 3), np.float32), image, image), np.ones((2, 3), bool))
    assert maps.attrs["stamp"] == STAMP
    assert STAMP.startswith("A hypothesis, not evidence")
    assert "hidden_rgb" not in maps
    assert any("no pigments were identified" in note for note in json.loads(maps.attrs["notes"]))


def test_a_model_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match="train recolour"):
        load_pair(Recolouring(model="absent.safetensors"))
    with pytest.raises(InputError, match="least counts must be 1 or more"):
        Recolouring(least_counts=0)


def test_a_model_takes_only_the_embedder_it_was_taught_with(embedder, tmp_path) -> None:
    files = {name: str(tmp_path / f"{name}.safetensors") for name in ("own", "other", "model")}
    save_embedder(files["own"], embedder)
    save_embedder(files["other"], untrained_embedder("pca3", key=jax.random.key(2)))
    own = load_embedder(files["own"])
    made = untrained("pixels", inputs=3, side=32, embedder=files["own"], key=jax.random.key(0))
    taught = replace(made.card, details={"embedding": fingerprint(own)})
    save_recolourer(files["model"], made._replace(card=taught))
    assert fingerprint(load_pair(Recolouring(model=files["model"]))[1]) == fingerprint(own)
    with pytest.raises(InputError, match=r"taught with the embedder .*own\.safetensors' \w{8}; found \w{8}"):
        load_pair(Recolouring(model=files["model"], embedding=files["other"]))
