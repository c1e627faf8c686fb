"""Readers on measured scans, against an independent reader and against what their sources say."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from velatura.io import bcf, hdf5
from velatura.io.options import ReadOptions

pytestmark = pytest.mark.real

MAPS = (
    "P45_8bit_compressed_80keV_range",
    "P45_12bit_packed_8bit",
    "P45_the_default_job",
    "P45_job_hyperspy",
)


@pytest.mark.parametrize("name", MAPS)
def test_bcf_equals_rosettasciio(data: Path, name: str) -> None:
    bruker = pytest.importorskip("rsciio.bruker")
    path = data / "scans" / "sem-geologist-bcf" / f"{name}.bcf"
    reference = bruker.file_reader(path)[-1]
    cube = bcf.open_scan(path, ReadOptions())
    np.testing.assert_array_equal(cube.counts.values, reference["data"])
    assert cube.counts.dtype == reference["data"].dtype
    energy, metadata = reference["axes"][2], reference["metadata"]["Acquisition_instrument"]["SEM"]
    assert cube.counts.attrs["zero"] == energy["offset"]
    assert cube.counts.attrs["gain"] == energy["scale"]
    assert cube.counts.attrs["pitch"] == pytest.approx(reference["axes"][1]["scale"] / 1000)
    assert cube.counts.attrs["tube_voltage"] == metadata["beam_energy"]
    assert cube.counts.attrs["take_off_angle"] == metadata["Detector"]["EDS"]["elevation_angle"]
    assert cube.valid.values.all()
    lazy = cube.counts.data
    for rows in (1, 13):
        banded = np.concatenate([lazy[y : y + rows].compute() for y in range(0, 75, rows)])
        np.testing.assert_array_equal(banded, reference["data"])


@pytest.mark.parametrize("name", MAPS[2:])  # in the others the sum holds up to 0.08 % more than the pixels
def test_bcf_equals_its_own_sum_spectrum(data: Path, name: str) -> None:
    path = data / "scans" / "sem-geologist-bcf" / f"{name}.bcf"
    header = bcf.list_files(path)["HeaderData"]
    text = header.read(0, header.size).decode("cp1252")
    stored = text[text.rindex("<Channels>") + 10 : text.rindex("</Channels>")]
    spectrum = bcf.open_scan(path, ReadOptions()).counts.values.sum(axis=(0, 1), dtype=np.int64)
    np.testing.assert_array_equal(spectrum, np.array(stored.split(","), np.int64))


def test_fly_scan_of_four_detectors(data: Path) -> None:
    path = data / "scans" / "xrf-maps-aps" / "2xfm_0011_fly.h5"
    with h5py.File(path) as file:
        sets = [file[f"MAPS_RAW/data_{letter}"][()].transpose(1, 2, 0) for letter in "abcd"]
        live_time = file["MAPS_RAW/livetime"][()]
    cube = hdf5.open_scan(path, ReadOptions())
    np.testing.assert_array_equal(cube.counts.values, np.sum(sets, axis=0, dtype=np.uint32))
    np.testing.assert_allclose(cube.live_time.values, live_time.mean(axis=0), rtol=1e-5)
    second = hdf5.open_scan(path, ReadOptions(detector="data_b"))
    np.testing.assert_array_equal(second.counts.values, sets[1])
    np.testing.assert_array_equal(second.live_time.values, live_time[1])
