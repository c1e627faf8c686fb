"""Laws of the repairs: what is turned twice is unturned, what is moved is conserved, what is thinned keeps its rate."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.spectra.repair import (
    correct_live_time,
    correct_stripes,
    crop,
    detect_serpentine,
    flip,
    rotate,
    shift_rows,
    stripe_gains,
    thin,
    turn_serpentine,
)

HEIGHT, WIDTH, CHANNELS = 24, 31, 48


def painting(rng: np.random.Generator, *, mean: float = 4.0) -> np.ndarray:
    """Expected counts [y, x, channel]: three materials in smooth patches."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    spectra = rng.gamma(0.4, 1.0, (3, CHANNELS))
    places = np.stack([np.sin(x / 5 + y / 9) + 1.1, np.cos(y / 6) + 1.1, np.exp(-((x - 20) ** 2 + (y - 9) ** 2) / 40)])
    expected = np.einsum("kyx,ke->yxe", places, spectra)
    return expected * mean / expected.mean()


def cube_of(expected: np.ndarray, rng: np.random.Generator, *, lazy: bool = False, live: np.ndarray | None = None):
    counts = rng.poisson(expected).astype(np.uint16)
    valid = rng.random(expected.shape[:2]) > 0.05
    counts = da.from_array(counts, chunks=(5, 7, 16)) if lazy else counts
    return make_cube(counts, zero=-0.1, gain=0.02, valid=valid, live_time=live, pitch=0.5, anode="Rh")


def same(a: xr.Dataset, b: xr.Dataset) -> None:
    xr.testing.assert_identical(a.compute(), b.compute())


@pytest.mark.parametrize("lazy", [False, True])
def test_turning_and_mirroring_twice_gives_the_cube_back(rng: np.random.Generator, *, lazy: bool) -> None:
    cube = cube_of(painting(rng), rng, lazy=lazy, live=rng.uniform(0.1, 0.2, (HEIGHT, WIDTH)))
    for there in (turn_serpentine, flip, lambda one: flip(one, along="y"), lambda one: rotate(one, 180)):
        once = there(cube)
        assert not np.array_equal(once.counts, cube.counts)
        assert not np.array_equal(once.live_time, cube.live_time)
        same(there(once), cube)
    same(rotate(rotate(cube, 90), 270), cube)


@pytest.mark.parametrize("lazy", [False, True])
def test_only_every_second_row_is_turned(rng: np.random.Generator, *, lazy: bool) -> None:
    cube = cube_of(painting(rng), rng, lazy=lazy)
    turned = turn_serpentine(cube)
    np.testing.assert_array_equal(turned.counts[::2], cube.counts[::2])
    np.testing.assert_array_equal(turned.counts[1::2], cube.counts[1::2, ::-1])
    np.testing.assert_array_equal(turned.valid[1::2], cube.valid[1::2, ::-1])
    assert turned.counts.attrs == cube.counts.attrs
    assert isinstance(turned.counts.data, da.Array) == lazy


def test_quarter_turns_are_those_of_an_image(rng: np.random.Generator) -> None:
    cube = cube_of(painting(rng), rng)
    for turns in range(4):
        turned = rotate(cube, 90 * turns)
        np.testing.assert_array_equal(turned.counts, np.rot90(cube.counts, turns))
        np.testing.assert_array_equal(turned.valid, np.rot90(cube.valid, turns))
        assert turned.counts.dims == ("y", "x", "energy")
        assert turned.counts.attrs == cube.counts.attrs
    with pytest.raises(InputError, match="multiple of 90 degrees; found 45"):
        rotate(cube, 45)


def test_crop_keeps_what_it_says(rng: np.random.Generator) -> None:
    cube = cube_of(painting(rng), rng, live=np.ones((HEIGHT, WIDTH)))
    part = crop(cube, rows=(3, 9), columns=(0, WIDTH))
    np.testing.assert_array_equal(part.counts, cube.counts[3:9])
    assert part.live_time.shape == (6, WIDTH)
    with pytest.raises(InputError, match=r"columns must rise within 0 to 31; found 5 to 32"):
        crop(cube, rows=(0, 4), columns=(5, WIDTH + 1))


@pytest.mark.parametrize("shift", [-2, 0, 3])
def test_shifted_rows_lose_only_what_leaves_the_field(rng: np.random.Generator, shift: int) -> None:
    cube = cube_of(painting(rng), rng)
    moved = shift_rows(cube, shift)
    np.testing.assert_array_equal(moved.counts[::2], cube.counts[::2])
    odd, before = moved.counts.values[1::2], cube.counts.values[1::2]
    kept = slice(max(0, shift), WIDTH + min(0, shift))
    np.testing.assert_array_equal(odd[:, kept], np.roll(before, shift, axis=1)[:, kept])
    assert odd.sum() == odd[:, kept].sum()
    outside = np.ones(WIDTH, bool)
    outside[kept] = False
    assert not moved.valid.values[1::2][:, outside].any()
    with pytest.raises(InputError, match="smaller than the 31 pixels"):
        shift_rows(cube, WIDTH)


@pytest.mark.parametrize("snake", [False, True])
@pytest.mark.parametrize("shift", [-3, 0, 2])
def test_snake_rows_and_their_shift_are_recognised(rng: np.random.Generator, shift: int, *, snake: bool) -> None:
    cube = shift_rows(cube_of(painting(rng), rng), shift)
    cube = turn_serpentine(cube) if snake else cube
    score = detect_serpentine(cube)
    assert score.serpentine == snake
    assert score.shift == shift
    repaired = shift_rows(turn_serpentine(cube) if snake else cube, -score.shift)
    after = detect_serpentine(repaired)
    assert not after.serpentine
    assert after.shift == 0


def test_noise_is_no_snake(rng: np.random.Generator) -> None:
    score = detect_serpentine(cube_of(np.full((HEIGHT, WIDTH, CHANNELS), 3.0), rng))
    assert not score.serpentine
    with pytest.raises(InputError, match="at least 4 x 4 pixels"):
        detect_serpentine(crop(cube_of(painting(rng), rng), rows=(0, 3), columns=(0, 9)))


@pytest.mark.parametrize("lazy", [False, True])
def test_live_times_become_one_and_mean_rates_stay(rng: np.random.Generator, *, lazy: bool) -> None:
    live = rng.uniform(0.10, 0.14, (HEIGHT, WIDTH))
    live[:, ::5] = 0.10
    live[2, 3] = 0.01
    rate = 40 * painting(rng)
    cube = cube_of(rate * live[..., None], rng, lazy=lazy, live=live)
    corrected = correct_live_time(cube, rng=np.random.default_rng(1))
    valid = corrected.valid.values
    assert not valid[2, 3]
    np.testing.assert_array_equal(corrected.counts[2, 3], cube.counts[2, 3])
    np.testing.assert_array_equal(valid.sum(), cube.valid.values.sum() - cube.valid.values[2, 3])
    np.testing.assert_allclose(corrected.live_time.values[valid], 0.10, rtol=1e-6)
    counts = corrected.counts.values
    assert counts.dtype == np.uint16
    assert np.all(counts <= cube.counts.values)
    expected = 0.10 * rate[valid]
    z = (counts[valid].sum() - expected.sum()) / np.sqrt(expected.sum())
    assert abs(z) < 4
    chi2 = ((counts[valid] - expected) ** 2 / expected).mean()  # 1 for Poisson counts; scaled ones would give less
    assert chi2 == pytest.approx(1, abs=5 * np.sqrt(2 / expected.size) + 5 / np.sqrt(expected.size * expected.min()))


def test_thinning_does_not_depend_on_blocks(rng: np.random.Generator) -> None:
    counts = rng.poisson(painting(rng)).astype(np.uint16)
    keep = rng.uniform(0, 1, (HEIGHT, WIDTH))
    cubes = [make_cube(data) for data in (counts, da.from_array(counts, chunks=(7, 5, 48)), da.from_array(counts))]
    thinned = [thin(cube, keep, rng=np.random.default_rng(3)).counts.values for cube in cubes]
    np.testing.assert_array_equal(thinned[1], thinned[0])
    np.testing.assert_array_equal(thinned[2], thinned[0])
    assert thin(cubes[0], np.ones((1, 1)), rng=rng).counts.values.sum() == counts.sum()
    assert thin(cubes[0], np.zeros((1, 1)), rng=rng).counts.values.sum() == 0
    with pytest.raises(InputError, match=r"from 0 to 1; found 1\.5 to 1\.5"):
        thin(cubes[0], np.full((1, 1), 1.5), rng=rng)


def test_live_times_must_be_there(rng: np.random.Generator) -> None:
    expected = painting(rng)
    with pytest.raises(InputError, match="has no live times"):
        correct_live_time(cube_of(expected, rng), rng=rng)
    with pytest.raises(InputError, match="must be positive"):
        correct_live_time(cube_of(expected, rng, live=np.zeros((HEIGHT, WIDTH))), rng=rng)


@pytest.mark.parametrize("along", ["y", "x"])
def test_stripes_are_measured_and_evened_out(rng: np.random.Generator, along: str) -> None:
    lines = HEIGHT if along == "y" else WIDTH
    gains = np.ones(lines)
    gains[[4, 11, 17]] = 0.8, 1.3, 0.9
    shape = (-1, 1, 1) if along == "y" else (1, -1, 1)
    y, x = np.mgrid[:HEIGHT, :WIDTH] / 40
    expected = 20 * (1 + 0.4 * np.sin(3 * x + 2 * y))[..., None] * rng.gamma(0.4, 1.0, CHANNELS) * gains.reshape(shape)
    cube = cube_of(expected, rng, live=np.full((HEIGHT, WIDTH), 0.1))
    found = stripe_gains(cube, along=along)
    np.testing.assert_allclose(found, gains, atol=0.05)
    after = correct_stripes(cube, along=along, rng=np.random.default_rng(4))
    np.testing.assert_allclose(stripe_gains(after, along=along), 1, atol=0.05)
    assert after.counts.dtype == cube.counts.dtype
    np.testing.assert_array_equal(after.live_time, cube.live_time)
    np.testing.assert_allclose(after.counts.values.mean() / cube.counts.values.mean(), 0.8 / gains.mean(), rtol=0.05)


def test_edges_and_slopes_of_the_painting_are_no_stripes(rng: np.random.Generator) -> None:
    expected = np.full((HEIGHT, WIDTH, CHANNELS), 8.0)
    expected *= np.linspace(1, 3, HEIGHT)[:, None, None]
    expected[11:] *= 2
    gains = stripe_gains(cube_of(expected, rng))
    np.testing.assert_allclose(gains, 1, atol=0.02)


def test_a_dead_line_is_left_out_and_not_stretched(rng: np.random.Generator) -> None:
    expected = 30 * painting(rng)
    expected[7] *= 0.2
    cube = cube_of(expected, rng)
    after = correct_stripes(cube, rng=rng)
    assert not after.valid[7].any()
    np.testing.assert_array_equal(after.counts[7], cube.counts[7])
    assert after.counts.values[8].sum() > 0.8 * cube.counts.values[8].sum()
    with pytest.raises(InputError, match='stripes run along "y"'):
        stripe_gains(cube, along="z")
