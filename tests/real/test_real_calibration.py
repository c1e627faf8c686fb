"""Measured spectra with their calibration withheld: the automatic axis is right, or it is refused; never wrong."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from rsciio.bruker import file_reader as read_bcf

from velatura.base.errors import CalibrationError
from velatura.spectra.calibrate import Calibration, calibrate, check_calibration

pytestmark = pytest.mark.real

BCF_AXES = {
    "P45_12bit_packed_8bit": (-0.4724, 0.010001),
    "P45_the_default_job": (-0.4724, 0.010001),
    "P45_job_hyperspy": (-0.4724, 0.010001),
    "P45_8bit_compressed_80keV_range": (-1.900, 0.019994),
}


def scan(data: Path, name: str) -> np.ndarray:
    """Sum spectrum of one scan; detectors summed."""
    scans = data / "scans"
    if name.startswith("laguna"):
        with np.load(scans / "pixlise-core/laguna_salinas_25x25.npz") as stored:
            return stored[name[-1]].sum((0, 1), dtype=np.int64)
    if name == "colourspec":
        return np.load(scans / "colourspec-xfm/ts2_01_sub_export_10x20.npy").sum((0, 1, 2), dtype=np.int64)
    if name == "2xfm_0011_fly":
        with h5py.File(scans / "xrf-maps-aps/2xfm_0011_fly.h5") as stored:
            return sum(stored[f"MAPS_RAW/data_{one}"][()].sum((1, 2), dtype=np.int64) for one in "abcd")
    with np.load(scans / f"xrf-maps-aps/{name}.npz") as stored:
        return stored["spectra"].sum((0, 1, 2), dtype=np.int64)


def emsa(path: Path) -> tuple[np.ndarray, float, float]:
    """(counts, zero, gain [keV]) of an EMSA/MAS text, data type Y or XY."""
    head, rows = {}, []
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            head[key.strip().upper()] = value.strip()
        elif line.strip():
            numbers = line.replace(",", " ").split()
            rows += numbers[1:2] if head["DATATYPE"].startswith("XY") else numbers
    scale = 1e-3 if float(head["XPERCHAN"]) > 1 else 1.0
    return np.maximum(np.array(rows, float), 0), scale * float(head["OFFSET"]), scale * float(head["XPERCHAN"])


def apart(found: Calibration, *, zero: float, gain: float) -> float:
    """Largest difference of two axes from 2 to 15 keV [eV]."""
    channel = (np.array([2.0, 15.0]) - zero) / gain
    return float(1e3 * np.abs(found.energy(channel) - [2.0, 15.0]).max())


@pytest.mark.parametrize("name", ["laguna_A", "colourspec", "axo_std", "2xfm_0010", "2xfm_0011_fly"])
def test_scans_are_calibrated_from_their_lines(data: Path, name: str) -> None:
    found = calibrate(scan(data, name))
    assert found.close_lines >= 4
    nominal = 0.0095216 if "xfm" in name or "axo" in name else 0.010
    assert found.gain == pytest.approx(nominal, rel=0.015)  # the nominal gain of the files, good to 1 %
    assert found.zero == pytest.approx(0, abs=0.03)
    rows = {row.line: row for row in found.residuals}
    assert {"Ca-Ka", "Fe-Ka"} <= set(rows)
    assert abs(rows["Fe-Ka"].residual) < 10


@pytest.mark.parametrize("name", BCF_AXES)
def test_bcf_scans_give_back_the_axis_of_their_header(data: Path, name: str) -> None:
    stored = read_bcf(str(data / "scans/sem-geologist-bcf" / f"{name}.bcf"))[-1]["data"]
    counts = stored.sum((0, 1), dtype=np.int64)
    found = calibrate(counts)
    zero, gain = BCF_AXES[name]
    channel = (np.array([0.5, 7.0]) - zero) / gain
    np.testing.assert_allclose(found.energy(channel), [0.5, 7.0], atol=0.06 if gain > 0.015 else 0.02)
    assert found.close_lines >= 4
    if gain > 0.015:  # this header puts Fe Ka at 6.44 keV, as its own peak shows
        stated = {row.line: row.residual for row in check_calibration(counts, zero=zero, gain=gain).residuals}
        assert stated["Fe-Ka"] == pytest.approx(38, abs=8)


@pytest.mark.parametrize("metal", ["Cr", "Cu", "Fe", "Ni", "Zr", "Si", "Steel"])
def test_metals_under_a_rhodium_tube(data: Path, metal: str) -> None:
    path = next((data / "standards/nexlspectrum/XRF Stainless").glob(f"{metal}_*.msa"))
    counts, zero, gain = emsa(path)
    try:
        found = calibrate(counts)
    except CalibrationError:
        assert metal == "Si"  # one line and scatter: a refusal is right
        return
    assert apart(found, zero=zero, gain=gain) < 10


def test_certified_soils_and_pure_elements(data: Path) -> None:
    folder, right = data / "standards/xrflab-standards", 0
    for name in ("NIST 2586", "LKSD standard", "stainless steel", "Fe", "Cu"):
        counts, zero, gain = emsa(folder / f"{name}.txt")
        try:
            found = calibrate(counts)
        except CalibrationError:
            assert name in ("Cu", "Fe")
            continue
        right += 1
        assert apart(found, zero=zero, gain=gain) < 30  # their nominal axis is off by 20 eV at 15 keV
    assert right >= 3


def test_the_steel_agrees_with_the_fit_of_pymca(data: Path) -> None:
    text = (data / "standards/pymca/Steel.spe").read_text().split("$DATA:")[1].split("$")[0]
    counts = np.array(text.split()[2:], float)
    found = calibrate(counts)
    assert apart(found, zero=-0.0061245, gain=0.01192816) < 10  # Steel.cfg: zero, gain of the fit
    assert found.fwhm(6.4) == pytest.approx(
        np.sqrt(0.1274**2 + 5.545 * 0.1012 * 3.85e-3 * 6.4), rel=0.04
    )  # its noise, fano


def test_a_measured_axis_passes_its_check(data: Path) -> None:
    counts, zero, gain = emsa(next((data / "standards/nexlspectrum/XRF Stainless").glob("Steel_*.msa")))
    checked = check_calibration(counts, zero=zero, gain=gain)
    rows = {row.line: row.residual for row in checked.residuals}
    assert max(abs(rows[line]) for line in ("Cr-Ka", "Fe-Ka", "Fe-Kb", "Ni-Ka", "Mo-Ka")) < 10
    assert checked.confidence > 0.8
