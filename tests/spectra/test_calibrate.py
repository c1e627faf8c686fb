"""The energy axis: points, checks of a given axis, and the automatic search, on spectra whose truth is known."""

import numpy as np
import pytest

from velatura.atomic.lines import lines_of
from velatura.base.errors import CalibrationError
from velatura.spectra.calibrate import Calibration, calibrate, calibrate_two_points, check_calibration
from velatura.spectra.response import Detector, line_matrix

PAINTING = {"Ca": 1.0, "Fe": 0.6, "Pb": 0.8, "Cu": 0.1, "K": 0.1, "Ti": 0.02, "Sr": 0.05, "Ar": 0.02}
DETECTOR = Detector(noise=0.075, fano=0.118)


def spectrum(
    rng: np.random.Generator,
    *,
    elements: dict[str, float] = PAINTING,
    anode: str = "Rh",
    zero: float = -0.95,
    gain: float = 0.01,
    channels: int = 4096,
    total: float = 1e7,
    moved: dict[str, float] | None = None,
) -> np.ndarray:
    """Counts [channel] of a painting under a 45 kV tube: lines, Rayleigh and Compton scatter, bremsstrahlung.

    moved: elements whose lines are drawn off their place [keV].
    """
    axis = zero + gain * np.arange(channels)
    rows = [
        (line.energy + (moved or {}).get(element, 0.0), amount * line.weight, 0.0)
        for element, amount in elements.items()
        for line in lines_of(element, window=(1.5, 40.0))
        if line.edge_energy < 45
    ]
    for line in lines_of(anode, ("K", "L"), window=(1.5, 40.0)):
        rows.append((line.energy, 0.05 * line.weight, 0.0))
        rows.append((line.energy / (1 + line.energy / 511 * 1.7), 0.15 * line.weight, 0.02 * line.energy))
    energy, area, width = np.array(rows).T
    owner = np.zeros(len(area), int)
    made = line_matrix(energy, area, owner, axis=axis, detector=DETECTOR, broadening=width)[0]
    smooth = np.where(axis > 0.2, np.exp(-((2.5 / np.clip(axis, 0.2, None)) ** 2)) * np.clip(45 - axis, 0, None), 0)
    made = made / made.sum() + 0.5 * smooth / smooth.sum()
    return rng.poisson(made / made.sum() * total)


def worst(found: Calibration, *, zero: float, gain: float) -> float:
    """Largest error from 2 to 15 keV [eV]."""
    channel = (np.array([2.0, 15.0]) - zero) / gain
    return float(1e3 * np.abs(found.energy(channel) - [2.0, 15.0]).max())


def test_two_points_are_met_exactly() -> None:
    found = calibrate_two_points([(640, 6.404), (1055, 10.551)])
    assert found.method == "two points"
    np.testing.assert_allclose(found.energy(np.array([640, 1055])), [6.404, 10.551], rtol=1e-12)
    assert [row.residual for row in found.residuals] == pytest.approx([0, 0], abs=1e-9)


def test_more_points_are_met_in_the_mean() -> None:
    channel = np.array([300.0, 640.0, 1055.0, 2000.0])
    off = np.array([0.004, -0.006, 0.003, -0.001])
    found = calibrate_two_points(list(zip(channel, 0.01 * channel - 0.1 + off, strict=True)))
    residual = np.array([row.residual for row in found.residuals])
    assert residual.sum() == pytest.approx(0, abs=1e-9)
    assert residual @ channel == pytest.approx(0, abs=1e-6)
    assert found.gain == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("points", [[(640, 6.4)], [(640, 6.4), (640, 7.0)], [(640, 6.4), (900, float("nan"))], []])
def test_points_must_be_two(points: list[tuple[float, float]]) -> None:
    with pytest.raises(CalibrationError, match=r"needs two points with different channels.*CHANNEL=KEV"):
        calibrate_two_points(points)


def test_points_must_rise() -> None:
    with pytest.raises(CalibrationError, match=r"must rise with the channel.*swapped"):
        calibrate_two_points([(640, 10.5), (1055, 6.4)])


def test_width_is_noise_and_fano() -> None:
    found = Calibration(0.0, 0.01, noise=0.08, fano=0.115)
    assert found.fwhm(5.895) == pytest.approx(0.1420, abs=1e-4)
    assert found.fwhm(0.0) == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("anode", "zero", "gain", "channels"),
    [
        ("Rh", -0.95, 0.010, 4096),
        ("Mo", 0.03, 0.020, 2048),
        ("W", -0.40, 0.037, 1024),
        ("Ag", 0.0, 0.0075, 4096),
        ("Cr", -0.2, 0.0125, 2048),
    ],
)
def test_any_axis_and_anode_is_found(anode: str, zero: float, gain: float, channels: int) -> None:
    counts = spectrum(np.random.default_rng(5), anode=anode, zero=zero, gain=gain, channels=channels)
    found = calibrate(counts)
    assert worst(found, zero=zero, gain=gain) < 6
    assert found.close_lines >= 4
    assert found.confidence > 0.95
    assert found.method == "automatic"
    assert found.anode == (anode if anode in ("Rh", "Mo", "Ag") else None)
    np.testing.assert_allclose(found.fwhm(3.0), DETECTOR.fwhm(3.0), rtol=0.1)  # tails and M lines there
    np.testing.assert_allclose(found.fwhm(np.array([6.4, 12.0])), DETECTOR.fwhm([6.4, 12.0]), rtol=0.04)


def test_moved_and_rebinned_spectra_move_and_rebin_the_axis() -> None:
    counts = spectrum(np.random.default_rng(7), zero=-0.5)
    plain, again = calibrate(counts), calibrate(counts)
    assert plain == again
    moved = calibrate(np.concatenate([np.zeros(40), counts[:-40]]))
    assert worst(moved, zero=plain.zero - 40 * plain.gain, gain=plain.gain) < 3
    rebinned = calibrate(counts.reshape(-1, 2).sum(1))
    assert worst(rebinned, zero=plain.zero + plain.gain / 2, gain=2 * plain.gain) < 5


def test_what_is_told_may_help_and_does_not_harm() -> None:
    counts = spectrum(np.random.default_rng(8), total=3e5)
    for anode, tube_voltage in ((None, None), ("Rh", 45.0)):
        assert worst(calibrate(counts, anode=anode, tube_voltage=tube_voltage), zero=-0.95, gain=0.01) < 10


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("empty", np.zeros(2048)),
        ("flat", np.full(2048, 1000)),
        ("noise", np.random.default_rng(1).poisson(20, 4096)),
        ("slope", np.random.default_rng(2).poisson(np.geomspace(1e4, 1, 2048))),
        ("two spikes", np.bincount([500, 1500], [1e6, 1e5], 2048)),
        ("wandering", np.abs(np.cumsum(np.random.default_rng(4).normal(0, 100, 2048)))),
        ("one line", spectrum(np.random.default_rng(3), elements={"Ar": 1.0}, anode="Cr", total=2e3)),
    ],
)
def test_where_it_cannot_be_sure_it_refuses(name: str, counts: np.ndarray) -> None:
    with pytest.raises(CalibrationError, match=r"Give two points"):
        calibrate(counts)


@pytest.mark.parametrize("counts", [np.ones((3, 2048)), np.ones(500), np.full(2048, np.nan)])
def test_only_a_spectrum_is_taken(counts: np.ndarray) -> None:
    with pytest.raises(CalibrationError, match="needs one spectrum of at least 512 channels"):
        calibrate(counts)


def test_a_right_axis_passes_its_check() -> None:
    checked = check_calibration(spectrum(np.random.default_rng(9)), zero=-0.95, gain=0.01)
    assert (checked.zero, checked.gain, checked.method) == (-0.95, 0.01, "file")
    names = {row.line for row in checked.residuals}
    assert {"Ca-Ka", "Fe-Ka", "Fe-Kb", "Pb-La", "Pb-Lb", "Sr-Ka"} <= names
    assert checked.close_lines >= 8
    for row in checked.residuals:
        assert abs(row.residual) < 4 + 4 * row.uncertainty
        assert row.found - row.expected == pytest.approx(row.residual / 1e3)


@pytest.mark.parametrize("off", [-0.025, 0.018])
def test_a_shifted_axis_shows_in_all_residuals(off: float) -> None:
    checked = check_calibration(spectrum(np.random.default_rng(9)), zero=-0.95 + off, gain=0.01)
    strong = [row.residual for row in checked.residuals if row.line in ("Ca-Ka", "Fe-Ka", "Pb-La", "Pb-Lb")]
    assert len(strong) == 4
    np.testing.assert_allclose(strong, 1e3 * off, atol=4)
    assert checked.confidence < 0.3


def test_one_line_off_its_place_is_found_there() -> None:
    checked = check_calibration(spectrum(np.random.default_rng(10), moved={"Cu": 0.016}), zero=-0.95, gain=0.01)
    rows = {row.line: row for row in checked.residuals}
    assert rows["Cu-Ka"].residual == pytest.approx(16, abs=2)
    assert rows["Fe-Ka"].residual == pytest.approx(0, abs=2)


def test_a_quadratic_axis_is_checked_as_such() -> None:
    channel = np.arange(4096)
    straight = spectrum(np.random.default_rng(11), zero=0.0)
    quadratic = 4e-9
    bent = np.interp(0.01 * channel + quadratic * channel**2, 0.01 * channel, straight)
    flat = check_calibration(bent, zero=0.0, gain=0.01)
    right = check_calibration(bent, zero=0.0, gain=0.01, quadratic=quadratic)
    assert right.close_lines > flat.close_lines
    strong = {row.line: row.residual for row in right.residuals}
    assert max(abs(strong[line]) for line in ("Ca-Ka", "Fe-Ka", "Fe-Kb", "Pb-La", "Pb-Lb")) < 5


def test_without_peaks_the_check_says_nothing() -> None:
    checked = check_calibration(np.zeros(1024), zero=0.0, gain=0.02)
    assert checked.residuals == ()
    assert np.isnan(checked.confidence)
