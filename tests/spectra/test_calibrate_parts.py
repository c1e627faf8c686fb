"""Parts of the automatic calibration: widths in channels, the filter in closed form, its derivatives, the axis."""

import numpy as np
import pytest

from velatura.spectra.calibration_candidates import candidates, plausibility
from velatura.spectra.calibration_lines import line_knowledge
from velatura.spectra.calibration_match import Axis, filter_spectrum
from velatura.spectra.calibration_peaks import ChannelPeaks, WidthLaw, find_channel_peaks

LAW = WidthLaw(12.0, 0.04)
PLACES = np.array([200.0, 330.0, 420.0, 640.0, 705.0, 1100.0, 1600.0])


def gaussians(channels: int, places: np.ndarray, areas: np.ndarray) -> np.ndarray:
    x, sigma = np.arange(channels)[:, None], LAW.sigma(places)
    return np.exp(-(((x - places) / sigma) ** 2) / 2) @ (areas / (sigma * np.sqrt(2 * np.pi)))


def test_peaks_and_their_width_law_are_found_in_channels(rng: np.random.Generator) -> None:
    areas = np.array([3e4, 2e5, 3e4, 1e5, 1e4, 5e4, 8e3])
    peaks = find_channel_peaks(rng.poisson(gaussians(2048, PLACES, areas) + 50.0))
    assert peaks is not None
    np.testing.assert_allclose(peaks.channel, PLACES, atol=0.5)
    np.testing.assert_allclose(peaks.area, areas, rtol=0.06)
    assert not peaks.broad.any()
    assert peaks.law.sigma(1000.0) == pytest.approx(float(LAW.sigma(1000.0)), rel=0.02)
    assert peaks.law.slope == pytest.approx(LAW.slope, rel=0.15)


def test_a_hump_is_broad(rng: np.random.Generator) -> None:
    hump = 3e5 * np.exp(-(((np.arange(2048) - 1350) / 22) ** 2) / 2) / 55
    peaks = find_channel_peaks(rng.poisson(gaussians(2048, PLACES, np.full(7, 3e4)) + hump + 20))
    assert peaks is not None
    near = np.abs(peaks.channel - 1350) < 30
    assert peaks.broad[near].all()
    assert not peaks.broad[~near].any()


def test_too_little_gives_no_peaks() -> None:
    assert find_channel_peaks(np.zeros(1024)) is None
    assert find_channel_peaks(gaussians(1024, PLACES[:1], np.array([1e5]))) is None


def made_peaks() -> ChannelPeaks:
    areas = np.full(len(PLACES), 1e4)
    return ChannelPeaks(PLACES, areas, LAW.sigma(PLACES), areas / 100, np.zeros(len(PLACES), bool), LAW)


def test_the_filter_is_the_one_in_closed_form() -> None:
    areas = np.array([3e4, 2e5, 3e4, 1e5, 1e4, 5e4, 8e3])
    view = filter_spectrum(gaussians(2048, PLACES, areas), made_peaks())
    drawn = view.draw(PLACES, LAW.sigma(PLACES), counts=areas, owner=np.zeros(7, int))[0]
    np.testing.assert_allclose(drawn, view.signal, atol=2e-3 * view.signal.max())
    flat = filter_spectrum(np.full(2048, 1e4), made_peaks())
    assert np.abs(flat.signal).max() < 1e-6


def test_slopes_are_derivatives() -> None:
    view = filter_spectrum(gaussians(2048, PLACES, np.ones(7)), made_peaks())
    sigma, owner, counts = LAW.sigma(PLACES), np.array([0, 0, 1, 1, 1, 2, 2]), np.arange(1.0, 8.0)
    slopes = view.slopes(PLACES, sigma, counts=counts, owner=owner)
    step = 1e-3

    def difference(growth: np.ndarray, variance: np.ndarray) -> np.ndarray:
        up, down = (
            view.draw(
                PLACES + sign * step * growth,
                np.sqrt(sigma**2 + sign * step * variance),
                counts=counts,
                owner=owner,
            )
            for sign in (1, -1)
        )
        return (up - down) / (2 * step)

    still = np.zeros(7)
    expected = [
        difference(still + 1, still),
        difference(PLACES / 1000, still) * 1000,
        difference(still, still + 1),
        difference(still, PLACES / 1000) * 1000,
    ]
    for slope, wanted in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(slope, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("axis", [Axis(-0.95, 0.01), Axis(0.1, 0.02, 3e-8), Axis(0.0, 0.0123, -2e-8)])
def test_channels_and_energies_are_inverse(axis: Axis) -> None:
    channel = np.linspace(0, 4095, 50)
    np.testing.assert_allclose(axis.channel(axis.energy(channel)), channel, atol=1e-6)


def test_known_lines_depend_on_the_tube() -> None:
    names = {family.name for family in line_knowledge("Rh", 20.0).families}
    assert "Fe-K" in names
    assert "Rh-L" in names
    assert "Rh-K" not in names  # its edge is at 23.2 keV
    plain = {family.name: family.prior for family in line_knowledge(None, None).families}
    told = {family.name: family.prior for family in line_knowledge("Rh", None).families}
    assert told["Rh-K"] > plain["Rh-K"]
    assert told["Fe-K"] == plain["Fe-K"]


def test_density_of_peaks_is_normalised_and_peaks_at_lines() -> None:
    known = line_knowledge()
    energy = np.arange(-2.0, 60.0, 0.002)
    for strong in (True, False):
        log, _ = known.look_up(energy, np.array(strong))
        assert np.exp(log).sum() * 0.002 == pytest.approx(1, abs=0.15)
        at, line = known.look_up(np.array([6.40]), np.array(strong))
        assert at[0] > np.median(log) + 2
        assert line[0] == pytest.approx(6.40, abs=0.01)


def test_the_true_axis_is_among_the_candidates() -> None:
    zero, gain = -0.3, 0.01
    lines = np.array([2.957, 3.690, 4.013, 6.400, 7.058, 8.041, 8.905, 10.541])
    channel = (lines - zero) / gain
    law = WidthLaw(10.0, 8 * np.log(2) * 0.118 * 3.66e-3 / (5.545 * gain))
    areas = np.array([1e3, 5e5, 6e4, 3e5, 4e4, 1e5, 1.5e4, 2e5])
    peaks = ChannelPeaks(channel, areas, law.sigma(channel), np.sqrt(areas), np.zeros(8, bool), law)
    axes = candidates(peaks, 4096, line_knowledge())
    off = np.abs(axes[:, :1] + axes[:, 1:] * channel - lines).max(1)
    assert off[:5].min() < 0.02
    assert len(axes) <= 130
    assert plausibility(zero, gain, peaks, channels=4096) > -2
    assert plausibility(zero, 3 * gain, peaks, channels=4096) < plausibility(zero, gain, peaks, channels=4096) - 5
