"""Counts of canvases: conserved between grids, Poisson, and the same law however they are drawn."""

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.instrument import Instrument
from velatura.scene.canvas_counts import embedded_image, embedded_table, fresh_cube, fresh_rows, rebinned
from velatura.scene.canvas_draws import FEW, draw_counts, draw_from, spectra_of
from velatura.scene.colour_canvas import Canvas
from velatura.scene.training import CHANNELS, HIGH, LOW


@pytest.fixture(scope="module")
def canvas():
    rng = np.random.default_rng(3)
    rates = rng.gamma(0.3, size=(3, CHANNELS)) * np.exp(-np.linspace(0, 3, CHANNELS))
    rates[2, :100] += 40.0
    rates = (rates / rates.sum(axis=1, keepdims=True)).astype(np.float32)
    entry = np.repeat([[0, 1, 2, 1]], 24, axis=0).repeat(5, axis=1).astype(np.int32)
    shares = np.eye(3, 46, dtype=np.float32)
    return Canvas(
        np.zeros((*entry.shape, 3), np.uint8), entry, rates, np.array([0.5, 1.0, 1.5], np.float32), shares,
        np.zeros_like(shares), np.zeros(3, np.float32), np.zeros((3, 3), np.uint8), Instrument(), "layers",
    )  # fmt: skip


def test_rebinning_keeps_what_lies_inside(canvas):
    width = (HIGH - LOW) / CHANNELS
    half = rebinned(canvas.rates, LOW, HIGH, CHANNELS // 2)
    np.testing.assert_allclose(half, canvas.rates.reshape(3, -1, 2).sum(axis=2), atol=1e-7)
    part = rebinned(canvas.rates, LOW + 10 * width, LOW + 310 * width, 77)
    np.testing.assert_allclose(part.sum(axis=1), canvas.rates[:, 10:310].sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(rebinned(canvas.rates, LOW, HIGH, CHANNELS), canvas.rates)
    wide = rebinned(canvas.rates, 0.0, 60.0, 500)
    np.testing.assert_allclose(wide.sum(axis=1), 1, rtol=1e-5)
    assert not wide[:, :4].any()
    with pytest.raises(InputError, match="must rise"):
        rebinned(canvas.rates, 20.0, 10.0, 100)


@pytest.mark.parametrize("dose", [200.0, 2 * FEW])
def test_counts_are_poisson_with_the_right_mean(canvas, dose):
    entry = np.repeat([0, 2], 3000)
    drawn = draw_from(spectra_of(canvas.rates), entry, dose, rng=np.random.default_rng(1)).astype(float)
    for number in (0, 2):
        counts, expected = drawn[entry == number], canvas.rates[number] * dose
        away = (counts.mean(axis=0) - expected) / np.sqrt(np.maximum(expected, 1e-3) / 3000)
        assert np.abs(away).max() < 6
        assert (away**2)[expected > 0.01].mean() == pytest.approx(1, abs=0.2)
        many = expected > 1
        assert np.mean(counts.var(axis=0)[many] / expected[many]) == pytest.approx(1, abs=0.03)
        assert counts.sum(axis=1).var() == pytest.approx(dose, rel=0.12)


def test_few_counts_and_many_are_drawn_by_one_law(canvas):
    entry = np.full(4000, 1)
    tables = draw_from(spectra_of(canvas.rates), entry, 300.0, rng=np.random.default_rng(1))
    direct = draw_counts(canvas.rates[entry], 300.0, rng=np.random.default_rng(2))
    apart = tables.mean(axis=0) - direct.mean(axis=0)
    assert np.abs(apart / np.sqrt(np.maximum(canvas.rates[1] * 600, 1e-3) / 4000)).max() < 6


def test_empty_spectra_give_no_counts_and_too_many_are_refused(canvas):
    rates = canvas.rates.copy()
    rates[1] = 0
    drawn = draw_from(spectra_of(rates), np.array([0, 1, 2, 1]), 500.0, rng=np.random.default_rng(0))
    assert drawn[[1, 3]].sum() == 0
    assert drawn[[0, 2]].sum(axis=1).min() > 300
    with pytest.raises(InputError, match="Lower the dose"):
        draw_counts(np.ones((1, 1)), 1e6, rng=np.random.default_rng(0))


def test_a_fresh_cube_has_the_expected_mean_and_the_brightness_of_its_entries(canvas):
    cube = fresh_cube(canvas, 800.0, rng=np.random.default_rng(7))
    assert cube.shape == (*canvas.entry.shape, CHANNELS)
    assert cube.dtype == np.uint16
    for number, brightness in enumerate(canvas.brightness):
        counts = cube[canvas.entry == number].sum(axis=1)
        expected = 800 * float(brightness)
        assert counts.mean() == pytest.approx(expected, abs=5 * np.sqrt(expected / len(counts)))
    np.testing.assert_array_equal(cube, fresh_cube(canvas, 800.0, rng=np.random.default_rng(7)))
    rows = [(band.start, counts) for band, counts in fresh_rows(canvas, 800.0, rng=np.random.default_rng(7))]
    assert [start for start, _ in rows] == [0, 8, 16]
    np.testing.assert_array_equal(np.concatenate([counts for _, counts in rows]), cube)


def test_a_fresh_cube_on_another_grid_loses_only_what_lies_outside(canvas):
    cube = fresh_cube(canvas, 2000.0, rng=np.random.default_rng(7), low=1.0, high=20.0, channels=200)
    inside = float((rebinned(canvas.rates, 1.0, 20.0, 200).sum(axis=1) * canvas.brightness)[canvas.entry].sum()) * 2000
    assert cube.sum() == pytest.approx(inside, abs=5 * np.sqrt(inside))


def test_a_table_holds_draws_of_each_entry_and_an_image_picks_among_them(canvas):
    def embed(counts):
        assert counts.dtype == np.float32
        return np.stack([counts.sum(axis=1), counts[:, :100].sum(axis=1)], axis=1)

    table = embedded_table(canvas, embed, rng=np.random.default_rng(2), draws=16, counts=500.0)
    assert (table.shape, table.dtype) == ((3, 16, 2), np.float16)
    expected = 500 * canvas.brightness
    np.testing.assert_allclose(table[:, :, 0].astype(float).mean(axis=1), expected, atol=5 * np.sqrt(750 / 16))
    image = embedded_image(table, canvas.entry, rng=np.random.default_rng(3))
    assert (image.shape, image.dtype) == ((*canvas.entry.shape, 2), np.float32)
    for number in range(3):
        seen = {tuple(row) for row in image[canvas.entry == number].tolist()}
        assert seen <= {tuple(row) for row in table[number].astype(np.float32).tolist()}
        assert len(seen) > 10


def test_a_range_of_doses_gives_each_table_one(canvas):
    def embed(counts):
        return counts.sum(axis=1, keepdims=True)

    tables = [
        embedded_table(canvas, embed, rng=np.random.default_rng(seed), draws=8, counts=(100.0, 5000.0))[1].mean()
        for seed in range(6)
    ]
    assert min(tables) >= 80
    assert max(tables) <= 5200
    assert max(tables) / min(tables) > 3
