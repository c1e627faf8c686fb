"""ganX: laws of the published algorithm and its mended defects."""

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.io.library import LibrarySpectrum
from velatura.scene.ganx import (
    GanxOptions,
    choose_colours,
    every_colour,
    ganx_cube,
    make_palette,
    mixture,
    resample,
)

AXIS = 0.5 + 38 / 64 * (np.arange(64) + 0.5)
NAMES = ("white", "black", "red", "blue")
RGB = np.array([[255, 255, 255], [0, 0, 0], [186, 51, 40], [38, 60, 150]], np.uint8)
PALETTE = make_palette(NAMES, RGB, np.exp(-((AXIS - np.array([[10.5], [6.0], [8.0], [7.0]])) ** 2)), energy=AXIS)


def stripes(rng: np.random.Generator, *, noise: float = 3.0, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    """A picture of four vertical stripes: black, red, blue, white."""
    image = np.repeat(RGB[[1, 2, 3, 0]].astype(float), shape[1] // 4, axis=0)[None].repeat(shape[0], axis=0)
    return np.clip(image + rng.normal(scale=noise, size=image.shape) * (image > 0), 0, 255).astype(np.uint8)


def test_every_pixel_has_exactly_its_counts(rng: np.random.Generator) -> None:
    scan = ganx_cube(stripes(rng), PALETTE, rng=rng)
    assert scan.cube.counts.dtype == np.uint16
    assert np.all(scan.cube.counts.sum("energy") == 400)


def test_a_black_stripe_gets_the_spectrum_of_black(rng: np.random.Generator) -> None:
    """The published package leaves clusters of pure black empty."""
    options = GanxOptions(colours=4, threshold=0.9)
    scan = ganx_cube(stripes(rng), PALETTE, options, rng=rng)
    cluster = int(scan.truth.labels[5, 3])
    np.testing.assert_allclose(scan.truth.shares[cluster], [0, 1, 0, 0], atol=1e-6)
    mean = scan.cube.counts[:, :15].mean(("y", "x")).values
    assert abs(scan.cube.energy.values[mean.argmax()] - 6.0) < 0.6


def test_counts_follow_shares_and_spectra(rng: np.random.Generator) -> None:
    """The mean of many pixels is the mixture that the truth tells, by chi-squared within four sigma."""
    scan = ganx_cube(stripes(rng, shape=(100, 200)), PALETTE, GanxOptions(threshold=0.5), rng=rng)
    pdf = scan.truth.shares.values @ scan.truth.spectra.values.astype(float)
    labels = scan.truth.labels.values
    for cluster in range(len(pdf)):
        total = scan.cube.counts.values[labels == cluster].sum(axis=0, dtype=float)
        expected = total.sum() * pdf[cluster]
        seen = expected > 5
        surprise = np.sum((total - expected)[seen] ** 2 / expected[seen]) - seen.sum()
        assert surprise < 4 * np.sqrt(2 * seen.sum())


def test_poisson_totals(rng: np.random.Generator) -> None:
    scan = ganx_cube(stripes(rng), PALETTE, GanxOptions(counts=50, poisson=True), rng=rng)
    totals = scan.cube.counts.sum("energy").values
    assert totals.mean() == pytest.approx(50, abs=4 * np.sqrt(50 / totals.size))
    assert totals.var() == pytest.approx(50, rel=0.15)


def test_same_seed_same_bytes_however_it_is_cut(rng: np.random.Generator) -> None:
    image = stripes(rng)
    one, other = (ganx_cube(image, PALETTE, rng=np.random.default_rng(7)) for _ in range(2))
    whole = one.cube.counts.values
    np.testing.assert_array_equal(whole, other.cube.counts.values)
    np.testing.assert_array_equal(whole[11:14, 3:9], one.cube.counts[11:14, 3:9].values)
    assert one.truth.identical(other.truth)
    assert np.any(whole != ganx_cube(image, PALETTE, rng=np.random.default_rng(8)).cube.counts.values)


def test_a_large_picture_is_not_drawn_before_it_is_read(rng: np.random.Generator) -> None:
    image = np.tile(stripes(rng), (40, 30, 1))
    scan = ganx_cube(image, PALETTE, rng=rng)
    assert scan.cube.counts.shape == (1600, 1800, 64)
    assert len(scan.cube.counts.data.chunks[0]) > 4
    assert np.all(scan.cube.counts[1599].sum("energy") == 400)


def test_mixture_is_the_published_formula(rng: np.random.Generator) -> None:
    """alpha = (101 - dE) / 101, below the threshold 0, f = sum(alpha f) / sum(alpha); one colour at a time."""
    colours = rng.uniform(size=(20, 3)).astype(np.float32)
    for colour, shares in zip(colours, mixture(colours, PALETTE, threshold=0.6), strict=True):
        alpha = [(101 - colour_difference(srgb_to_lab(colour), srgb_to_lab(p))) / 101 for p in PALETTE.rgb]
        kept = np.array([a if a >= 0.6 else 0 for a in alpha])
        if not kept.any():
            kept[int(np.argmax(alpha))] = 1
        np.testing.assert_allclose(shares, kept / kept.sum(), atol=1e-6)


def test_black_and_white_by_hand() -> None:
    """White is 100 from black, so alike by 1/101; of two pigments one is itself."""
    two = make_palette(NAMES[:2], RGB[:2], np.ones((2, 64)), energy=AXIS)
    white = np.array([[1.0, 1, 1]])
    np.testing.assert_allclose(mixture(white, two, threshold=0.005), [[101 / 102, 1 / 102]], atol=1e-4)
    np.testing.assert_allclose(mixture(white, two), [[1, 0]])


def test_the_most_alike_pigment_stands_in_where_none_passes() -> None:
    green = np.array([[0.1, 0.7, 0.2]])
    alone = mixture(green, PALETTE, threshold=0.99)
    likeness = -colour_difference(srgb_to_lab(green), srgb_to_lab(PALETTE.rgb))
    assert alone.tolist() == [[float(k == np.argmax(likeness)) for k in range(4)]]


@pytest.mark.parametrize("seed", range(3))
def test_silhouette_finds_the_number_of_colours(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = choose_colours(stripes(rng), start=4, spread=2, rng=rng)
    assert len(found.rgb) == 4
    assert max(found.silhouette, key=lambda number: found.silhouette[number]) == 4
    assert sorted(found.silhouette) == [2, 3, 4, 5]
    assert found.labels.dtype == np.uint8
    distance = np.abs(found.rgb[:, None] - PALETTE.rgb).max(axis=2)
    assert sorted(distance.argmin(axis=1)) == [0, 1, 2, 3]
    assert distance.min(axis=1).max() < 0.02


def test_the_published_numbers_are_tried(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (50, 50, 3), dtype=np.uint8)
    assert sorted(choose_colours(image, rng=rng).silhouette) == [9, 10]


@pytest.mark.parametrize("colours", [1, 2, 3])
def test_pictures_of_few_colours_keep_them(colours: int, rng: np.random.Generator) -> None:
    image = RGB[np.arange(30).reshape(5, 6) % colours]
    found = choose_colours(image, rng=rng)
    assert len(found.rgb) == colours
    np.testing.assert_allclose(found.rgb[found.labels], image / 255, atol=1e-6)
    assert ganx_cube(image, PALETTE, rng=rng).truth.sizes["cluster"] == colours


def test_a_rare_colour_beside_few_does_not_break_the_clustering(rng: np.random.Generator) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[0, :30] = rng.integers(0, 256, (30, 3))
    found = choose_colours(image, rng=rng)
    assert 2 <= len(found.rgb) <= 10
    assert found.labels.max() == len(found.rgb) - 1


def test_each_pixel_can_keep_its_own_colour(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    found = every_colour(image)
    np.testing.assert_array_equal(np.rint(found.rgb[found.labels] * 255), image)
    scan = ganx_cube(image, PALETTE, GanxOptions(colours=0), rng=rng)
    assert scan.truth.labels.dtype == np.uint16
    assert np.all(scan.cube.counts.sum("energy") == 400)


def peak(energy: np.ndarray) -> LibrarySpectrum:
    return LibrarySpectrum("one", (1, 2, 3), energy, 1e5 * np.exp(-(((energy - 6.4) / 0.1) ** 2)))


@pytest.mark.parametrize("step", [0.007, 0.02, 0.03, 0.05])
def test_every_spectrum_comes_to_the_same_axis(step: float) -> None:
    """Counts and the place of a peak are kept, whatever the channels of the file."""
    palette = resample([peak(np.arange(0.0, 41, step))])
    assert palette.spectra.shape == (1, 1024)
    assert palette.energy[0] == pytest.approx(0.5 + 19 / 1024)
    assert palette.energy[-1] == pytest.approx(38.5 - 19 / 1024)
    assert palette.spectra.sum() == pytest.approx(1, abs=1e-6)
    assert palette.spectra[0] @ palette.energy == pytest.approx(6.4, abs=1e-4)
    np.testing.assert_allclose(palette.rgb, [[1 / 255, 2 / 255, 3 / 255]], rtol=1e-6)


def test_resampling_shares_by_overlap() -> None:
    source = LibrarySpectrum("one", (0, 0, 0), np.array([1.0, 2, 3]), np.array([4.0, 8, 4]))
    palette = resample([source], window=(1.5, 4.5), channels=6)
    np.testing.assert_allclose(palette.spectra[0], np.array([4, 4, 2, 2, 0, 0]) / 12, atol=1e-7)
    np.testing.assert_allclose(palette.energy, np.arange(1.75, 4.5, 0.5))


def test_mistakes_are_told() -> None:
    beyond = LibrarySpectrum("far", (0, 0, 0), np.array([50.0, 51]), np.array([1.0, 1]))
    with pytest.raises(InputError, match=r"spectrum of 'far' must .* between 0.5186 and 38.48 keV; found a sum of 0"):
        resample([beyond])
    with pytest.raises(InputError, match="window must rise"):
        resample([beyond], window=(5, 5))
    with pytest.raises(InputError, match="0 pigments"):
        resample([])
    with pytest.raises(InputError, match="even steps"):
        make_palette(["a"], RGB[:1], np.ones((1, 3)), energy=np.array([1.0, 2, 4]))
    with pytest.raises(InputError, match=r"need rgb \(2, 3\) and spectra \(2, 64\)"):
        make_palette(["a", "b"], RGB[:1], np.ones((1, 64)), energy=AXIS)
    with pytest.raises(InputError, match=r"\[y, x, 3\]"):
        ganx_cube(np.zeros((4, 4)), PALETTE, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="Drop alpha first"):
        ganx_cube(np.zeros((4, 4, 4)), PALETTE, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colours": 1}, "colours must be 0"),
        ({"spread": 0}, "spread at least 1"),
        ({"threshold": 0.0}, "threshold must lie"),
        ({"threshold": 1.0}, "threshold must lie"),
        ({"counts": 0}, "counts must be 1 to 50000"),
        ({"counts": 60_000}, "found 60000"),
    ],
)
def test_options_are_checked(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GanxOptions(**options)
