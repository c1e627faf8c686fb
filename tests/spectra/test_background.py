import numpy as np
import pytest

from velatura.spectra.background import estimate_background
from velatura.spectra.response import Detector, line_matrix

AXIS = np.arange(2048) * 0.01
SMOOTH = 400 * np.exp(-AXIS / 5) + 40
LINES = line_matrix(
    np.array([3.69, 6.4, 7.06]), np.array([2e4, 5e4, 7e3]), np.zeros(3, int), axis=AXIS, detector=Detector()
)[0]
INSIDE = slice(100, 1950)


def test_a_smooth_spectrum_is_its_own_background():
    assert estimate_background(SMOOTH, AXIS)[INSIDE] == pytest.approx(SMOOTH[INSIDE], rel=0.01)


def test_peaks_are_taken_off():
    found = estimate_background(SMOOTH + LINES, AXIS)
    clear = INSIDE, np.abs(AXIS - 6.2)[INSIDE] > 0.4  # the low tail of the strong line stays in the background
    assert found[clear[0]][clear[1]] == pytest.approx(SMOOTH[INSIDE][clear[1]], rel=0.08)
    assert found.sum() < 1.05 * SMOOTH.sum()


def test_noise_lowers_the_background_little(rng):
    found = estimate_background(rng.poisson(SMOOTH + LINES, (20, len(AXIS))), AXIS).mean(axis=0)
    assert found[200:1900].sum() == pytest.approx(SMOOTH[200:1900].sum(), rel=0.05)


def test_a_block_gives_what_its_spectra_give(rng):
    block = rng.poisson(SMOOTH + LINES, (2, 3, len(AXIS))).astype(np.uint16)
    together = estimate_background(block, AXIS)
    alone = [[estimate_background(one, AXIS) for one in row] for row in block]
    assert together.shape == block.shape
    np.testing.assert_array_equal(together, alone)


def test_the_window_follows_the_width_of_the_detector():
    wide, narrow = Detector(noise=1.0, tail=0), Detector(noise=0.03)
    peak = line_matrix(np.array([8.0]), np.array([1e5]), np.zeros(1, int), axis=AXIS, detector=wide)[0]
    top = np.abs(AXIS - 8) < 0.1
    under = {detector: estimate_background(SMOOTH + peak, AXIS, detector=detector)[top] for detector in (wide, narrow)}
    assert under[wide].mean() < 1.2 * SMOOTH[top].mean()
    assert under[narrow].mean() > 2 * SMOOTH[top].mean()


@pytest.mark.parametrize("counts", [np.zeros(64), np.full(64, -3.0), np.ones(64)])
def test_empty_and_flat_spectra_stay_finite(counts):
    found = estimate_background(counts, np.arange(64) * 0.1)
    assert found == pytest.approx(np.maximum(counts, 0), abs=1e-9)
