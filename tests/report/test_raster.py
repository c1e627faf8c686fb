"""Laws of the raster: block means keep the mean, grey is linear between its ends, bars have the stated length."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from velatura.report.raster import LEFT_OUT, block_factor, block_mean, png_bytes, scale_bar, to_rgb


@given(width=st.integers(1, 5000), pitch=st.floats(1e-3, 1e2))
def test_bar_is_length_over_pitch_and_fits(width: int, pitch: float) -> None:
    bar = scale_bar(width, pitch)
    assert bar.pixels * pitch == pytest.approx(bar.length)
    assert 0.1 * width <= bar.pixels <= 0.3 * width * (1 + 1e-6)
    mantissa = bar.length / 10 ** np.floor(np.log10(bar.length) + 1e-9)
    assert min(abs(mantissa - round_length) for round_length in (1, 2, 5)) < 1e-6


def test_ten_millimetres() -> None:
    assert scale_bar(100, 0.5).pixels == 10 / 0.5
    assert scale_bar(100, 0.5).label == "10 mm"
    assert scale_bar(100, 0.01).label == "200 µm"


@pytest.mark.parametrize("pitch", [None, 0.0, float("nan"), -1.0])
def test_bar_in_pixels_where_the_pitch_is_not_known(pitch: float | None) -> None:
    assert scale_bar(400, pitch).label == "100 px"
    assert scale_bar(2, pitch).pixels == 1


def test_block_mean_keeps_the_mean_and_leaves_nan_out(rng: np.random.Generator) -> None:
    image = rng.uniform(0, 5, (12, 18)).astype(np.float32)
    assert block_mean(image, 3).mean(dtype=np.float64) == pytest.approx(image.mean(dtype=np.float64), rel=1e-6)
    image[:3, :3] = np.nan
    image[3, 3] = np.nan
    small = block_mean(image, 3)
    assert np.isnan(small[0, 0])
    assert small[1, 1] == pytest.approx(np.nanmean(image[3:6, 3:6]), rel=1e-6)


def test_blocks_at_the_edge_may_be_smaller(rng: np.random.Generator) -> None:
    image = rng.uniform(0, 5, (7, 5)).astype(np.float32)
    small = block_mean(image, 3)
    assert small.shape == (3, 2)
    assert small[2, 1] == pytest.approx(image[6:, 3:].mean(), rel=1e-6)


@given(height=st.integers(1, 9000), width=st.integers(1, 9000), longest=st.integers(1, 2000))
def test_reduced_maps_are_at_most_half_longer_than_asked(height: int, width: int, longest: int) -> None:
    factor = block_factor((height, width), longest)
    assert max(height, width) / factor <= 1.5 * longest
    assert factor == 1 or max(height, width) / (factor - 1) > longest


def test_grey_is_linear_and_nothing_is_sand() -> None:
    rgb = to_rgb(np.array([[-1, 0, 0.5, 1, 2, np.nan, np.inf]]), 0, 1)
    assert rgb[0, :5, 0].tolist() == [0, 0, 128, 255, 255]
    assert tuple(rgb[0, 5]) == tuple(rgb[0, 6]) == LEFT_OUT


@pytest.mark.parametrize("colour", [(7, 7, 7), (10, 200, 30)])
def test_png_holds_the_pixels(colour: tuple[int, int, int]) -> None:
    rgb = np.zeros((3, 5, 3), np.uint8)
    rgb[0, 0] = colour
    back = Image.open(io.BytesIO(png_bytes(rgb)))
    assert back.mode == ("L" if len(set(colour)) == 1 else "RGB")
    assert np.array_equal(np.asarray(back.convert("RGB")), rgb)
