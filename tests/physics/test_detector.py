"""Line shape against plain numerical convolution; photons are kept; continua show no ripple."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from velatura.atomic.attenuation import mass_attenuation, photoabsorption
from velatura.atomic.scattering import differential_coherent
from velatura.base.errors import InputError
from velatura.physics.detector import (
    Detector,
    box_response,
    efficiency,
    escape_ratio,
    line_response,
    profile_response,
    recoils,
    spread_lines,
)

AXIS = -0.96 + np.arange(4096) * 0.01
SDD = Detector()
PLAIN = Detector(tail=0.0, shelf=0.0, escape=False, recoil=False)
BINS = np.arange(6, 60) * 0.5


def one_line(energy: float, detector: Detector, axis: np.ndarray = AXIS) -> np.ndarray:
    """A line of unit area, escape on top."""
    return spread_lines(np.array([energy]), np.ones(1), np.zeros(1, int), axis=axis, detector=detector)[0]


def test_the_width_is_that_of_the_handbook() -> None:
    assert SDD.fwhm(5.895) == pytest.approx(0.142, abs=5e-4)
    assert Detector(noise=0.1).fwhm([-1.0, 0.0]) == pytest.approx(0.1)


def test_escape_ratios_equal_those_of_fisx() -> None:
    """fisx 1.3.2 with the data of PyMca, `Detector("Si1", 2.33, 0.045).getEscape`, sum over the K lines of silicon."""
    theirs = {1.9: 1.6781, 2.31: 1.5078, 3.0: 1.1982, 3.69: 0.9241, 5.0: 0.5525, 6.4: 0.3234, 8.0: 0.1862, 10.5: 0.0888}
    assert escape_ratio([*theirs]) * 100 == pytest.approx([*theirs.values()], rel=0.02)
    assert escape_ratio(1.8) == 0


def test_escape_ratios_equal_a_monte_carlo() -> None:
    """The formula is that of a thick crystal: a real one stops, and counts in the line, only a part of the photons."""
    cases = json.loads((Path(__file__).parents[1] / "oracles" / "escape.json").read_text())["cases"]
    energy = np.array([case["energy"] for case in cases])
    stopped = -np.expm1(-photoabsorption("Si", energy) * 2.329 * 450e-4)
    assert escape_ratio(energy) / stopped == pytest.approx([case["front"][0] for case in cases], rel=0.04)


def test_efficiency_is_window_dead_layer_and_crystal() -> None:
    energy = np.array([1.0, 1.83, 1.85, 6.4, 20.0])
    through = np.exp(-mass_attenuation("Be", energy) * 1.848 * 25e-4 - mass_attenuation("Si", energy) * 2.329 * 0.2e-4)
    stopped = 1 - np.exp(-photoabsorption("Si", energy) * 2.329 * 500e-4)
    given = efficiency(Detector(window=25.0, dead_layer=0.2, thickness=500.0), energy)
    assert given == pytest.approx(through * stopped, rel=1e-6)
    assert efficiency(SDD, [0.1, 80.0]) == pytest.approx(efficiency(SDD, [0.5, 60.0]))
    assert efficiency(SDD, 6.4) > 0.95 > 0.4 > efficiency(SDD, 20.0)


@pytest.mark.parametrize(
    "detector", [SDD, PLAIN, Detector(shelf=0.005, escape=False), Detector(tail=0.03, tail_width=0.3)]
)
def test_rows_sum_to_the_efficiency_and_the_recoils(detector: Detector) -> None:
    energy = np.linspace(2.0, 38.0, 200)
    for axis in (AXIS, -0.5 + np.arange(1024) * 0.04):
        rows = line_response(energy, axis, detector=detector)
        assert rows.dtype == np.float32
        expected = efficiency(detector, energy) + recoils(detector, energy)
        np.testing.assert_allclose(rows.sum(axis=1), expected, rtol=1e-3)
        assert rows.min() >= -1e-9


@pytest.mark.parametrize("energy", [2.0, 9.0])
def test_shape_equals_a_numerical_convolution(energy: float) -> None:
    """Gaussian blur of a spike, an exponential below it and a box down to zero energy."""
    detector = Detector(tail=0.02, tail_width=0.2, shelf=0.01, escape=False)
    fine = np.arange(-8000, 16000) * 1e-3
    below = energy - fine
    density = 0.02 * np.where(below >= 0, np.exp(-np.maximum(below, 0) / 0.2) / 0.2, 0.0)
    density += 0.01 / energy * ((below >= 0) & (fine >= 0))
    density[np.argmin(np.abs(below))] += 0.97 / 1e-3
    sigma = detector.fwhm(energy) / np.sqrt(8 * np.log(2))
    gauss = np.exp(-0.5 * (np.arange(-700, 701) * 1e-3 / sigma) ** 2)
    blurred = np.convolve(density * 1e-3, gauss / gauss.sum(), "same")
    axis = 0.3 + np.arange(1200) * 0.01
    whole = np.concatenate([[0.0], np.cumsum(blurred)])
    expected = np.diff(
        np.interp(np.append(axis - 0.005, axis[-1] + 0.005), np.append(fine, fine[-1] + 1e-3) - 5e-4, whole)
    )
    # the tail is drawn over five of its widths: what is left beyond is 7e-3 of it, 1e-4 of the line
    np.testing.assert_allclose(one_line(energy, detector, axis), expected, atol=1.5e-5)


def test_a_line_has_its_mean_and_width() -> None:
    row = one_line(6.4, PLAIN)
    mean = row @ AXIS
    assert mean == pytest.approx(6.4, abs=1e-4)
    variance = row @ (AXIS - mean) ** 2 - 0.01**2 / 12  # Sheppard's correction for the channel's width
    assert np.sqrt(variance * 8 * np.log(2)) == pytest.approx(PLAIN.fwhm(6.4), rel=1e-4)
    tailed = one_line(6.4, replace(PLAIN, tail=0.02))
    assert tailed @ AXIS == pytest.approx(6.4 - 0.02 * 0.15, abs=2e-4)


def test_broadening_adds_in_quadrature() -> None:
    row = line_response(np.array([20.0]), AXIS, detector=PLAIN, broadening=0.5)[0].astype(float)
    mean = row @ AXIS / row.sum()
    spread = np.sqrt(row @ (AXIS - mean) ** 2 / row.sum() * 8 * np.log(2))
    assert spread == pytest.approx(np.hypot(PLAIN.fwhm(20.0), 0.5), rel=1e-3)


def test_an_escaping_photon_is_moved_not_added() -> None:
    energy = np.array([6.4])
    whole, bare = (line_response(energy, AXIS, detector=d)[0] for d in (replace(PLAIN, escape=True), PLAIN))
    ours = np.abs(AXIS - 4.66) < 0.4
    assert whole.sum() == pytest.approx(bare.sum(), rel=1e-4)
    assert whole[ours].sum() / whole[~ours].sum() == pytest.approx(escape_ratio(6.4), rel=1e-3)
    assert whole[ours] @ AXIS[ours] / whole[ours].sum() == pytest.approx(6.4 - 1.740, abs=2e-3)


def test_the_shelf_is_flat_from_zero_to_the_line() -> None:
    shelf = one_line(8.0, replace(PLAIN, shelf=0.004)) - one_line(8.0, PLAIN) * 0.996
    inside = (AXIS > 0.01) & (AXIS < 7.5)
    np.testing.assert_allclose(shelf[inside], 0.004 * 0.01 / 8.0, rtol=1e-6)
    assert np.abs(shelf[(AXIS < -0.01) | (AXIS > 8.5)]).max() < 1e-12
    assert np.interp(8.0, AXIS, shelf) == pytest.approx(0.5 * 0.004 * 0.01 / 8.0, rel=0.02)


def test_recoil_of_a_thin_crystal_is_the_ratio_of_cross_sections() -> None:
    """Compton over photoelectric, with Compton as what absorption and Rayleigh scatter leave of the attenuation."""
    thin, energy = Detector(thickness=0.1, window=0.0, dead_layer=0.0), np.array([20.0, 30.0, 40.0])
    cosines, weights = np.polynomial.legendre.leggauss(200)
    angles = np.degrees(np.arccos(cosines))[:, None]
    rayleigh = 2 * np.pi * weights @ differential_coherent("Si", energy, angles)
    compton = mass_attenuation("Si", energy) - photoabsorption("Si", energy) - rayleigh
    found = recoils(thin, energy) / efficiency(thin, energy)
    assert found == pytest.approx(compton / photoabsorption("Si", energy), rel=0.02)
    assert recoils(SDD, energy) / efficiency(SDD, energy) == pytest.approx([0.0195, 0.101, 0.284], rel=0.02)


def test_recoil_escapes_as_a_random_walk_says() -> None:
    """Photons that enter straight, scatter once at random and evenly in all directions, and fly on."""
    rng, depth = np.random.default_rng(7), 450 * 2.329e-4
    for energy in (20.0, 40.0):
        total = float(mass_attenuation("Si", energy))
        flown, cosine = rng.exponential(1 / total, 200_000), rng.uniform(-1, 1, 200_000)
        left = np.where(cosine > 0, depth - flown, flown) / np.maximum(np.abs(cosine), 1e-9)
        escaping = np.mean(np.where(flown < depth, np.exp(-total * np.maximum(left, 0)), 0.0))
        compton = recoils(Detector(thickness=0.01, window=0, dead_layer=0), energy) / (0.01 * 2.329e-4)
        found = recoils(Detector(window=0, dead_layer=0), energy)
        assert found == pytest.approx(escaping * compton / total, rel=0.02)


def test_recoil_ends_near_the_largest_loss_of_a_free_electron() -> None:
    """2 E2 / (511 + 2 E) keV, 1.45 at 20 keV; the motion of the electrons carries some counts further."""
    row = line_response(np.array([20.0]), AXIS, detector=replace(PLAIN, recoil=True))[0].astype(float)
    low = AXIS < 8.0
    assert row[low].sum() == pytest.approx(recoils(SDD, 20.0), rel=2e-3)
    assert row[(AXIS > 1.45) & low].sum() / row[low].sum() == pytest.approx(0.17, abs=0.03)
    assert row[(AXIS > 4.0) & low].sum() / row[low].sum() < 0.01
    assert not line_response(np.array([20.0]), AXIS, detector=PLAIN)[0][low].any()


def test_photons_beyond_the_axis_are_lost() -> None:
    short = 1.0 + np.arange(500) * 0.01
    rows = line_response(np.array([0.6, 3.0, 9.0]), short, detector=PLAIN)
    assert rows.sum(axis=1) == pytest.approx([0, efficiency(PLAIN, 3.0), 0], abs=1e-3)
    shelf = line_response(np.array([9.0]), short, detector=replace(PLAIN, shelf=0.01))
    assert shelf.sum() / efficiency(SDD, 9.0) == pytest.approx(0.01 * 5.0 / 9.0, rel=1e-3)


def test_a_flat_continuum_shows_no_ripple() -> None:
    rows = box_response(BINS[:-1], BINS[1:], AXIS, detector=PLAIN)
    inner = (AXIS > 5) & (AXIS < 27)
    flat = (rows / efficiency(PLAIN, (BINS[:-1] + BINS[1:]) / 2)[:, None]).sum(axis=0)[inner]
    assert np.abs(flat / 0.02 - 1).max() < 5e-3  # the efficiency bends within a bin
    assert np.abs(np.diff(flat, 2)).max() / 0.02 < 2e-4


def test_a_sloping_continuum_shows_no_steps() -> None:
    """Bins of a continuum that rises in a straight line, against the same continuum as a fine profile."""
    middle = (BINS[:-1] + BINS[1:]) / 2
    fine = np.arange(3.01, 29.5, 0.02)
    binned = (middle * 0.5) @ box_response(BINS[:-1], BINS[1:], AXIS, detector=SDD)
    exact = profile_response(fine, fine[None], AXIS, detector=SDD)[0]
    inner = (AXIS > 4.0) & (AXIS < 28.5)
    np.testing.assert_allclose(binned[inner], exact[inner], rtol=2e-3)


def test_a_bin_alone_is_a_box_of_one_photon() -> None:
    row = box_response(np.array([10.0]), np.array([10.5]), AXIS, detector=PLAIN)[0]
    assert row.sum() == pytest.approx(efficiency(PLAIN, 10.25), rel=1e-3)
    assert row @ AXIS / row.sum() == pytest.approx(10.25, abs=2e-3)
    assert row[np.abs(AXIS - 10.25) < 0.05] == pytest.approx(efficiency(PLAIN, 10.25) * 0.02, rel=0.01)
    pair = box_response(np.array([10.0, 20.0]), np.array([10.5, 20.5]), AXIS, detector=PLAIN)
    assert box_response(np.zeros(0), np.zeros(0), AXIS, detector=PLAIN).shape == (0, len(AXIS))
    np.testing.assert_allclose(pair[0], row, atol=1e-6)  # cut at five standard deviations


def test_profile_of_a_delta_is_a_line() -> None:
    grid = np.arange(5.0, 8.0, 0.02)
    density = np.zeros((2, len(grid)))
    density[0, 70], density[1, 40:60] = 1 / 0.02, 1.0
    rows = profile_response(grid, density, AXIS, detector=SDD)
    np.testing.assert_allclose(rows[0], line_response(grid[[70]], AXIS, detector=SDD)[0], rtol=1e-5, atol=1e-6)
    assert rows[1].sum() == pytest.approx(efficiency(SDD, grid[40:60]).sum() * 0.02, rel=1e-3)


def test_wrong_numbers_get_one_clear_message() -> None:
    with pytest.raises(InputError, match=r"found tail = 0\.7\. The default is 0\.01"):
        Detector(tail=0.7)
    with pytest.raises(InputError, match="found noise = 0"):
        Detector(noise=0.0)
    with pytest.raises(InputError, match=r"at most .* found steps of 0\.5"):
        profile_response(np.arange(5.0, 8.0, 0.5), np.ones((1, 6)), AXIS, detector=SDD)
    with pytest.raises(InputError, match="must rise"):
        box_response(np.array([5.0, 5.2]), np.array([5.5, 5.7]), AXIS, detector=SDD)
