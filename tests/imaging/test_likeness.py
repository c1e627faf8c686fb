"""How alike pictures are: check values, independent oracles, and gradients that never break."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity

from velatura.base.errors import InputError
from velatura.imaging.likeness import (
    BETAS,
    ciede2000,
    ms_ssim,
    pyramid_difference,
    redmean,
    scales_that_fit,
    sensitivity,
    ssim,
    uiqi,
)

MEASURES = (redmean, ciede2000, ssim, ms_ssim, uiqi, pyramid_difference)
DISTANCES = (redmean, ciede2000, pyramid_difference)  # the others are likenesses, 1 at best
SIDE = 48


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    one = rng.uniform(size=(200, 180, 3)).astype(np.float32)
    return one, np.clip(one + 0.2 * rng.standard_normal(one.shape), 0, 1).astype(np.float32)


def reference_moments(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, ...]:
    """Means, variances and covariance as torchmetrics takes them: pad by reflection, filter, crop; float64."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()

    def mean(values):
        blurred = correlate1d(correlate1d(values, taps, axis=0, mode="mirror"), taps, axis=1, mode="mirror")
        return blurred[5:-5, 5:-5]

    one, other = one.astype(np.float64), other.astype(np.float64)
    m1, m2 = mean(one), mean(other)
    return m1, m2, mean(one**2) - m1**2, mean(other**2) - m2**2, mean(one * other) - m1 * m2


def reference_ms_ssim(one: np.ndarray, other: np.ndarray) -> float:
    value = 1.0
    for scale, beta in enumerate(BETAS):
        m1, m2, v1, v2, both = reference_moments(one, other)
        terms = (2 * both + 0.03**2) / (v1 + v2 + 0.03**2)
        if scale == 4:
            terms *= (2 * m1 * m2 + 0.01**2) / (m1**2 + m2**2 + 0.01**2)
        value *= max(terms.mean(), 0) ** beta
        rows, columns = one.shape[0] // 2 * 2, one.shape[1] // 2 * 2
        one, other = (sum(image[y:rows:2, x:columns:2] for y in (0, 1) for x in (0, 1)) / 4 for image in (one, other))
    return value


def test_redmean_of_white_and_black_is_three() -> None:
    white, black = jnp.ones((2, 2, 3)), jnp.zeros((2, 2, 3))
    np.testing.assert_allclose(redmean(white, black), 3.0, rtol=1e-6)


def test_redmean_is_that_of_eight_bits(rng: np.random.Generator) -> None:
    """The published formula on 0 to 255; its r / 256 is our r / 255, hence 0.2 %."""
    one, other = rng.integers(256, size=(2, 30, 30, 3)).astype(np.float64)
    red = (one[..., 0] + other[..., 0]) / 2
    d2 = (one - other) ** 2
    whole = np.sqrt((2 + red / 256) * d2[..., 0] + 4 * d2[..., 1] + (2 + (255 - red) / 256) * d2[..., 2])
    np.testing.assert_allclose(redmean(jnp.asarray(one / 255), jnp.asarray(other / 255)), whole / 255, rtol=2e-3)


def test_documented_value_of_ms_ssim(rng: np.random.Generator) -> None:
    """torchmetrics documents about .963 for uniform noise against three quarters of it."""
    noise = rng.uniform(size=(256, 256, 3)).astype(np.float32)
    assert float(jax.jit(ms_ssim)(noise, 0.75 * noise)) == pytest.approx(0.963, abs=1e-3)


def test_ms_ssim_is_the_plain_formula(pair) -> None:
    assert float(jax.jit(ms_ssim)(*pair)) == pytest.approx(reference_ms_ssim(*pair), abs=2e-6)


def test_torchmetrics_agrees(pair) -> None:
    torch = pytest.importorskip("torch")
    image = pytest.importorskip("torchmetrics.functional.image")
    one, other = (torch.from_numpy(picture).permute(2, 0, 1)[None] for picture in pair)
    whole = image.multiscale_structural_similarity_index_measure(one, other, data_range=1.0)
    assert float(jax.jit(ms_ssim)(*pair)) == pytest.approx(float(whole), abs=1e-5)
    assert float(jax.jit(uiqi)(*pair)) == pytest.approx(
        float(image.universal_image_quality_index(one, other)), abs=1e-5
    )


def test_ssim_is_that_of_scikit_image(pair) -> None:
    one, other = (picture.astype(np.float64) for picture in pair)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = structural_similarity(one, other, data_range=1, channel_axis=-1, **settings)
    assert float(jax.jit(ssim)(*pair)) == pytest.approx(expected, abs=2e-6)


def test_uiqi_of_three_quarters(rng: np.random.Generator) -> None:
    """Only the factor differs: (2 x .75 / (1 + .75^2))^2."""
    noise = rng.uniform(size=(64, 64, 3)).astype(np.float32)
    assert float(jax.jit(uiqi)(noise, 0.75 * noise)) == pytest.approx(0.9216, abs=1e-5)


def test_uiqi_is_the_plain_formula(pair) -> None:
    m1, m2, v1, v2, both = reference_moments(*pair)
    expected = np.mean(4 * both * m1 * m2 / ((v1 + v2) * (m1**2 + m2**2) + np.finfo(np.float32).eps))
    assert float(jax.jit(uiqi)(*pair)) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("side", "scales"), [(11, 1), (21, 1), (22, 2), (44, 3), (128, 4), (175, 4), (176, 5), (4000, 5)]
)
def test_scales_that_fit(side: int, scales: int) -> None:
    assert scales_that_fit(side) == scales


@pytest.mark.parametrize("measure", [ssim, ms_ssim, uiqi])
def test_pictures_smaller_than_a_window_are_refused(measure) -> None:
    with pytest.raises(InputError, match="windows of 11 pixels; found a side of 10"):
        measure(jnp.zeros((10, 30, 3)), jnp.zeros((10, 30, 3)))


@cache
def scored(measure):
    """Compiled once for all tests: mean value and gradient of seven pairs of pictures."""
    return jax.jit(jax.vmap(jax.value_and_grad(lambda one, other: jnp.mean(measure(one, other)))))


@pytest.mark.parametrize("measure", MEASURES)
def test_laws(measure, rng: np.random.Generator) -> None:
    """Symmetric; unchanged by a mirror; best at equality; within its bounds; worse for more noise."""
    one, other = rng.uniform(0.2, 0.8, size=(2, SIDE, SIDE, 3)).astype(np.float32)
    noise = rng.uniform(-0.2, 0.2, size=one.shape).astype(np.float32)
    noisy = [(one, one + share * noise) for share in (0.1, 0.4, 1.0)]
    pairs = [(one, other), (other, one), (one[:, ::-1], other[:, ::-1]), (one, one), *noisy]
    found, mirrored, reflected, equal, *worse = scored(measure)(*map(np.array, zip(*pairs, strict=True)))[0].tolist()
    distance = measure in DISTANCES
    assert mirrored == pytest.approx(found, rel=1e-5)
    assert reflected == pytest.approx(found, rel=0.01)  # the pyramid keeps every second place, counted from one side
    assert equal == pytest.approx(0 if distance else 1, abs=1e-4)
    assert found > 0 if distance else abs(found) < 1
    assert worse == sorted(worse, reverse=not distance)


@pytest.mark.parametrize("measure", MEASURES)
def test_gradients_are_finite(measure, rng: np.random.Generator) -> None:
    """At equal pictures, black, white, negatives, and outside the screen."""
    noise = rng.uniform(size=(SIDE, SIDE, 3)).astype(np.float32)
    black, white = np.zeros_like(noise), np.ones_like(noise)
    pairs = [(noise, noise), (black, black), (white, white), (white, black), (black, noise), (1 - noise, noise)]
    pairs += [(3 * noise - 1, noise)]
    scores, slopes = scored(measure)(*map(np.array, zip(*pairs, strict=True)))
    assert np.all(np.isfinite(scores))
    assert np.all(np.isfinite(slopes))


def test_gradient_of_ms_ssim_is_its_slope(rng: np.random.Generator) -> None:
    one, other, way = rng.uniform(size=(3, SIDE, SIDE, 3)).astype(np.float32)
    other, way = 0.5 * one + 0.5 * other, way - 0.5
    along = jax.jit(jax.value_and_grad(lambda step: ms_ssim(one + step * way, other)))
    (above, _), (_, slope), (below, _) = (along(step) for step in (0.01, 0.0, -0.01))
    assert float(slope) == pytest.approx(float(above - below) / 0.02, rel=0.02)


def test_training_finds_its_way_out_of_a_negative(rng: np.random.Generator) -> None:
    """Where the contrast is negative MS-SSIM lies on a plateau of 0; its slope still points to the picture."""
    truth, noise = rng.uniform(size=(2, 21, 21, 3)).astype(np.float32)
    wrong = 0.5 * (1 - truth) + 0.5 * noise
    value, slope = jax.jit(jax.value_and_grad(ms_ssim))(wrong, truth)
    assert float(value) == 0
    assert float(jnp.sum(slope * (truth - wrong))) > 0.1


def test_a_uniform_difference_counts_once() -> None:
    """Without structure the pyramid holds nothing but its coarse rest: the plain distance in CIELAB / 100."""
    white, black = np.ones((64, 40, 3), np.float32), np.zeros((64, 40, 3), np.float32)
    assert float(jax.jit(pyramid_difference)(white, black)) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("shape", [(1, 7), (16, 33), (50, 41)])
def test_any_size_has_a_pyramid(shape) -> None:
    one = np.full((*shape, 3), 0.5, np.float32)
    grey = float(jax.jit(pyramid_difference)(one, np.zeros_like(one)))
    assert grey == pytest.approx(0.53389 - 1e-3, abs=2e-4)  # lightness of sRGB 0.5 is 53.39


def test_fine_blue_and_yellow_count_less_than_fine_grey() -> None:
    """What the eye resolves: the curves fall with frequency, and that of blue and yellow soonest."""
    frequencies = np.array([sensitivity(f) for f in (0.0, 1.0, 3.0, 6.0)])
    np.testing.assert_allclose(frequencies[0], 1)
    assert np.all(np.diff(frequencies, axis=0) < 0)
    assert np.all(frequencies[1:, 2] < frequencies[1:, 1])
    assert np.all(frequencies[1:, 1] < frequencies[1:, 0])


def test_blur_shows_in_the_pyramid_more_than_in_redmean(rng: np.random.Generator) -> None:
    """A grey of the right mean against a fine pattern and against a coarse one: structure adds up over its octaves."""
    pattern = np.zeros((64, 64, 3), np.float32)
    pattern[:, ::2] = 1.0
    stripes = np.zeros_like(pattern)
    stripes[:, (np.arange(64) // 16) % 2 == 0] = 1.0
    grey = np.full_like(pattern, 0.5)
    assert float(jax.jit(pyramid_difference)(stripes, grey)) > 1.1 * float(jax.jit(pyramid_difference)(pattern, grey))
    np.testing.assert_allclose(jnp.mean(redmean(stripes, grey)), jnp.mean(redmean(pattern, grey)), rtol=1e-6)
