"""Maps of pigments: upright, the same however the scan is cut, honest about what has no answer."""

import json

import dask.array as da
import jax
import numpy as np
import pytest
import xarray as xr

from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.scene.training import grid
from velatura.tasks.identify import Identification, at_most, axis_notes, identify, names_in, on_grid
from velatura.tasks.pigment_evidence import evidence_table
from velatura.tasks.pigment_model import PigmentModel, predict, untrained
from velatura.tasks.pigment_regions import region_sums, regions_of

HEIGHT, WIDTH, CHANNELS, GAIN = 11, 8, 600, 0.07


@pytest.fixture(scope="module")
def model() -> PigmentModel:
    return untrained(key=jax.random.key(7))


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """Left half with a line at 8 keV, right half with one at 10.5; the last pixel has hardly any counts."""
    rng = np.random.default_rng(1)
    axis = GAIN * np.arange(CHANNELS)
    lines = [60 * np.exp(-(((axis - at) / 0.1) ** 2)) for at in (8.04, 10.55)]
    expected = np.where(np.arange(WIDTH)[:, None] < WIDTH // 2, *lines) + 1.0
    counts = rng.poisson(np.broadcast_to(expected, (HEIGHT, WIDTH, CHANNELS))).astype(np.uint16)
    counts[-1, -1] = counts[-1, -1] > 2
    return counts


def cube_of(counts) -> xr.Dataset:
    return make_cube(counts, gain=GAIN, anode="Rh", tube_voltage=40.0)


def test_maps_hold_what_the_network_says_of_each_pixel(model, counts) -> None:
    maps = identify(cube_of(counts), model, seed=3)
    y, x = 4, 6
    features = on_grid(counts[y, x][None], GAIN * np.arange(CHANNELS), seed=3, first=y * WIDTH + x)
    said = predict(model, features, np.zeros((1, 8), np.float32))
    numbers = [[row.name for row in model.classes].index(name) for name in maps.xrf_class.values]
    np.testing.assert_allclose(maps.probability.values[:, :, y, x], said.probability[0][:, numbers], atol=2e-3)
    np.testing.assert_allclose(maps.amount.values[:, y, x], said.amount[0], rtol=1e-3)
    np.testing.assert_allclose(maps.hidden.values[y, x], said.hidden[0], rtol=1e-3)


@pytest.mark.parametrize("neighbours", [False, True])
def test_streaming_is_the_same_as_at_once(model, counts, neighbours) -> None:
    config = Identification(neighbours=neighbours)
    whole = identify(cube_of(counts), model, config)
    cut = identify(cube_of(da.from_array(counts, chunks=(3, WIDTH, CHANNELS))), model, config)
    np.testing.assert_array_equal(whole.xrf_class.values, cut.xrf_class.values)
    for name in ("probability", "share", "unknown", "hidden", "amount", "strangeness"):
        np.testing.assert_allclose(whole[name].values, cut[name].values, atol=2e-3, err_msg=name)
    np.testing.assert_array_equal(whole.answered.values, cut.answered.values)


def test_a_turned_scan_has_turned_maps(model, counts) -> None:
    """Draws differ between the two, so that only what a region has in common is compared; no class is seldom."""
    config = Identification(palette=tuple(row.name for row in model.classes))
    upright, turned = (identify(cube_of(c), model, config) for c in (counts, np.ascontiguousarray(counts[::-1, ::-1])))
    assert not upright.answered.values[-1, -1]
    assert not turned.answered.values[0, 0]
    name = str(upright.xrf_class.values[np.ptp(upright.probability.values[0, :, :-1].mean(axis=1), axis=1).argmax()])
    first, second = (maps.probability.sel(paint="visible", xrf_class=name).values[1:-1] for maps in (upright, turned))
    first, second = (image.astype(float).mean(axis=0) for image in (first, second))
    assert np.corrcoef(first, second[::-1])[0, 1] > 0.95
    assert np.corrcoef(first, second)[0, 1] < 0


def test_few_counts_and_invalid_pixels_get_no_answer(model, counts) -> None:
    cube = cube_of(counts)
    cube.valid.values[0, 0] = False
    maps = identify(cube, model)
    expected = np.ones((HEIGHT, WIDTH), bool)
    expected[0, 0] = expected[-1, -1] = False
    np.testing.assert_array_equal(maps.answered.values, expected)
    assert not maps.probability.values[..., ~expected].any()
    assert np.isnan(maps.unknown.values[~expected]).all()
    assert "2 pixels" in maps.attrs["notes"]


def test_the_instrument_changes_the_answers_and_is_written_down(model, counts) -> None:
    told = np.linspace(0, 1, 8).astype(np.float32)
    plain, informed = identify(cube_of(counts), model), identify(cube_of(counts), model, condition=told)
    assert np.nanmax(np.abs(plain.hidden.values - informed.hidden.values)) > 1e-3
    assert json.loads(plain.attrs["parameters"])["instrument"] is None
    assert json.loads(informed.attrs["parameters"])["instrument"] == pytest.approx(told.tolist())


def test_an_axis_that_ends_early_is_told(counts) -> None:
    short = make_cube(counts[..., :300], zero=1.0, gain=GAIN)
    assert "covers 1.0 to 22.0 keV" in axis_notes(short)[0]
    assert not axis_notes(cube_of(counts))
    assert not axis_notes(make_cube(counts[..., :300], gain=GAIN, tube_voltage=20.0))


def test_counts_on_the_grid_are_whole_and_inside(counts) -> None:
    axis = GAIN * np.arange(CHANNELS)
    features = on_grid(counts.reshape(-1, CHANNELS), axis, seed=0)
    assert features.dtype == np.float32
    assert np.all(features == np.rint(features))
    inside = (axis - GAIN / 2 >= 0.5) & (axis + GAIN / 2 <= 41)
    assert np.all(features.sum(axis=1) >= counts.reshape(-1, CHANNELS)[:, inside].sum(axis=1))
    assert grid()[features.sum(axis=0)[: len(grid()) // 2].argmax()] == pytest.approx(8.04, abs=0.1)


def test_strong_spectra_are_thinned_and_stay_poisson(rng) -> None:
    weak, strong = rng.poisson(20.0, (1, 1024)), rng.poisson(2000.0, (300, 1024))
    features = np.concatenate([weak, strong]).astype(np.float32)
    seen = at_most(features, seed=2)
    np.testing.assert_array_equal(seen[0], features[0])
    assert np.all(seen == np.rint(seen))
    assert np.all(seen <= features)
    assert seen[1:].sum(axis=1).mean() == pytest.approx(1e5, rel=1e-3)
    assert np.var(seen[1:], axis=0).mean() == pytest.approx(seen[1:].mean(), rel=0.02)
    np.testing.assert_array_equal(at_most(features[5:9], seed=2, first=5), seen[5:9])


def test_the_table_tells_of_each_region(model, counts) -> None:
    cube = cube_of(counts)
    maps = identify(cube, model)
    labels = np.broadcast_to(np.arange(WIDTH) >= WIDTH // 2, (HEIGHT, WIDTH)).astype(int)
    regions = regions_of(maps, labels, ("left", "right"))
    sums = region_sums(cube.counts.data, regions)
    np.testing.assert_array_equal(sums[0], counts[:, : WIDTH // 2].sum(axis=(0, 1)))
    rows = evidence_table(
        maps, regions, sums, model=model, condition=np.zeros(8), energy=cube.energy.values,
        acquisition=cube.counts.attrs,
    )  # fmt: skip
    assert {row.region for row in rows} == {"left", "right"}
    for row in (row for row in rows if row.paint):
        where = (labels == ("left", "right").index(row.region)) & maps.answered.values
        image = maps.probability.sel(paint=row.paint, xrf_class=row.xrf_class).values
        assert row.pixels == where.sum()
        assert row.probability == pytest.approx(image[where].astype(float).mean(), abs=1e-3)
    copper = [row.net_counts for row in rows if row.xrf_class in ("Cu", "Cu-Cl", "Cu-As") and row.region == "left"]
    assert copper
    assert all(text.startswith("Cu-Ka") for text in copper)
    assert not any("perhaps" in row.flags for row in rows)
    rows = evidence_table(
        maps.assign_coords(sure=maps.threshold + 2), regions, sums, model=model, condition=np.zeros(8),
        energy=cube.energy.values, acquisition=cube.counts.attrs,
    )  # fmt: skip
    doubts = {"visible": "perhaps another pigment", "hidden": "perhaps in the visible paint"}
    assert {row.paint for row in rows if row.paint} == set(doubts)
    assert all(doubts[row.paint] in row.flags for row in rows if row.paint)


def test_areas_of_equal_answers_are_regions(model, counts) -> None:
    maps = identify(cube_of(counts), model)
    left = np.broadcast_to(np.arange(WIDTH) < 3, (HEIGHT, WIDTH))
    maps.probability.values[:] = 0
    maps.probability.values[0, 0] = np.where(left, 0.9, 0)
    maps.unexplained.values[:] = False
    regions = regions_of(maps)
    assert regions.names == ("A1", "A2")
    np.testing.assert_array_equal(regions.labels == 1, left)
    assert regions.labels[-1, -1] == -1
    maps.answered.values[:] = False
    assert regions_of(maps).names == ("whole",)


def test_names_with_commas_between() -> None:
    assert names_in(("a, b", "c")) == ("a", "b", "c")
    with pytest.raises(InputError, match="least counts must be 1 or more"):
        Identification(least_counts=0)
