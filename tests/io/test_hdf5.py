"""HDF5 scans: the layouts of the programs in use, and what happens to all others."""

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.base.errors import FileFormatError, InputError
from velatura.io.hdf5 import open_scan, sniff
from velatura.io.options import ReadOptions

CHANNELS = 150
ENERGY = 0.02 + 0.01 * np.arange(CHANNELS)


@pytest.fixture
def counts(rng: np.random.Generator) -> np.ndarray:
    return rng.poisson(2.0, (9, 10, CHANNELS)).astype(np.uint16)


def write(path: Path, sets: dict[str, np.ndarray], attributes: dict[str, dict] | None = None, **options) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in sets.items():
            file.create_dataset(name, data=values, **(options if np.ndim(values) > 2 else {}))
        for name, values in (attributes or {}).items():
            file.require_group(name) if name not in file else file[name]
            file[name].attrs.update(values)
    return path


NEXUS = {
    "/": {"default": "entry"},
    "entry": {"NX_class": "NXentry", "default": "map"},
    "entry/map": {"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x", "energy"]},
}


def layouts(counts: np.ndarray) -> dict[str, tuple[dict, dict]]:
    """Sets and attributes of one scan as each program writes it; two detectors where it has several."""
    first = counts // 3
    halves = {"1": first, "2": counts - first}
    times = np.full(counts.shape[:2], 0.25)
    first_axis = np.moveaxis(counts, 2, 0)
    index = np.random.default_rng(1).permutation(90).reshape(9, 10, 1)
    spectra = np.empty((90, CHANNELS), np.uint16)
    spectra[index.ravel()] = counts.reshape(90, -1)
    slope = {"cal_offset": 0.02, "cal_slope": 0.01, "cal_quad": 0.0}
    return {
        "NeXus": ({"entry/map/counts": counts, "entry/map/energy": ENERGY, "entry/fit": counts * 2}, NEXUS),
        "NeXus in eV, x first": (
            {
                "entry/map/counts": counts.transpose(1, 0, 2),
                "entry/map/energy": ENERGY * 1e3,
                "entry/map/live_time": times,
            },
            NEXUS | {"entry/map": NEXUS["entry/map"] | {"axes": ["x", "y", "energy"]}},
        ),
        "PyMca": (
            {
                "entry/instrument/mca/data": counts,
                "entry/instrument/mca/calibration": [0.02, 0.01, 0.0],
                "entry/instrument/mca/live_time": times.ravel(),
            },
            {},
        ),
        "PyXRF": (
            {"xrfmap/detsum/counts": counts} | {f"xrfmap/det{n}/counts": part for n, part in halves.items()},
            {"xrfmap": {"e_offset": 0.02, "e_linear": 0.01, "e_quadratic": 0.0}},
        ),
        "PyXRF without sum": ({f"xrfmap/det{n}/counts": part for n, part in halves.items()}, {}),
        "Larch": (
            {"xrmmap/mcasum/counts": counts, "xrmmap/mcasum/energy": ENERGY, "xrmmap/mcasum/livetime": times * 1e6}
            | {f"xrmmap/mca{n}/counts": part for n, part in halves.items()},
            {"xrmmap/mcasum/energy": slope},
        ),
        "XRF-Maps": (
            {
                "MAPS/Spectra/mca_arr": first_axis.astype(np.float32),
                "MAPS/Spectra/Energy": ENERGY,
                "MAPS/Spectra/Energy_Calibration": [0.02, 0.01, 0.0],
                "MAPS/XRF_Analyzed/NNLS/Counts_Per_Sec": np.ones((20, 9, 10)),
            },
            {},
        ),
        "APS fly scan": (
            {f"MAPS_RAW/data_{'_ab'[int(n)]}": np.moveaxis(part, 2, 0).astype(np.int16) for n, part in halves.items()}
            | {"MAPS_RAW/livetime": np.stack([times, times])},
            {},
        ),
        "Crono": (
            {
                "XRF/Spectra": spectra,
                "XRF/EnergyVector": ENERGY.astype(np.float32),
                "XRF/SpectraSelectedIndex": index.astype(np.uint64),
                "XRF/LiveTimes": np.full(90, 0.25),
            },
            {},
        ),
        "ganX": ({"img": counts.astype(np.float64), "rgb": np.zeros((9, 10, 3))}, {}),
        "detectors on an axis": ({"scan/raw": np.stack(list(halves.values()), axis=2)}, {}),
        "sets in groups": ({f"run/detector{n}/spectra": part for n, part in halves.items()}, {}),
    }


@pytest.mark.parametrize("program", layouts(np.zeros((9, 10, CHANNELS), np.uint16)))
def test_layouts(tmp_path: Path, counts: np.ndarray, program: str) -> None:
    sets, attributes = layouts(counts)[program]
    path = write(tmp_path / "scan.h5", sets, attributes, chunks=True, compression="gzip")
    assert sniff(path, path.read_bytes()[:1024])
    cube = open_scan(path, ReadOptions())
    np.testing.assert_array_equal(cube.counts.values, counts)
    lazy = cube.counts.data
    np.testing.assert_array_equal(np.concatenate([lazy[y : y + 4].compute() for y in (0, 4, 8)]), counts)
    assert cube.valid.values.all()
    told = any("nergy" in name or "calib" in name for name in sets) or "xrfmap" in attributes
    assert cube.counts.attrs["calibration"].startswith("file" if told else "assumed")
    if told:
        np.testing.assert_allclose(cube.energy, ENERGY, rtol=1e-5)
    if any("ime" in name for name in sets):
        np.testing.assert_allclose(cube.live_time, 0.25, rtol=1e-6)


@pytest.mark.parametrize(
    ("program", "detector"),
    [("PyXRF", "det1"), ("PyXRF", "0"), ("Larch", "mca1"), ("APS fly scan", "data_a"), ("detectors on an axis", "0")],
)
def test_one_detector_is_picked(tmp_path: Path, counts: np.ndarray, program: str, detector: str) -> None:
    path = write(tmp_path / "scan.h5", *layouts(counts)[program])
    np.testing.assert_array_equal(open_scan(path, ReadOptions(detector=detector)).counts.values, counts // 3)
    with pytest.raises(InputError, match='no detector "none"; found'):
        open_scan(path, ReadOptions(detector="none"))


def test_pixels_without_a_spectrum_are_not_valid(tmp_path: Path, counts: np.ndarray) -> None:
    sets, _ = layouts(counts)["Crono"]
    sets["XRF/SpectraSelectedIndex"][2, 3] = 2**40
    cube = open_scan(write(tmp_path / "scan.h5", sets), ReadOptions())
    assert not cube.valid.values[2, 3]
    assert cube.valid.values.sum() == 89
    counts[2, 3] = 0
    np.testing.assert_array_equal(cube.counts.values, counts)


@pytest.mark.parametrize("shape", [(9, 10, CHANNELS), (CHANNELS, 9, 10), (9, CHANNELS, 10)])
def test_any_set_with_one_long_axis(tmp_path: Path, counts: np.ndarray, shape: tuple[int, ...]) -> None:
    axis = shape.index(CHANNELS)
    small = np.zeros((3, 3, 200))
    path = write(
        tmp_path / "scan.nxs", {"deep/in/it": np.moveaxis(counts, 2, axis), "map": np.zeros((9, 10)), "less": small}
    )
    np.testing.assert_array_equal(open_scan(path, ReadOptions()).counts.values, counts)


def test_a_list_needs_a_width(tmp_path: Path, counts: np.ndarray) -> None:
    path = write(tmp_path / "scan.h5", {"spectra": counts.reshape(90, -1)})
    np.testing.assert_array_equal(open_scan(path, ReadOptions(width=10)).counts.values, counts)
    with pytest.raises(InputError, match=r"no data set \[y, x, energy\].*found /spectra \(90, 150\).*--width"):
        open_scan(path, ReadOptions())
    with pytest.raises(InputError, match="row width that divides"):
        open_scan(path, ReadOptions(width=7))


def test_several_candidates_are_listed(tmp_path: Path, counts: np.ndarray) -> None:
    path = write(tmp_path / "scan.h5", {"a/counts": counts, "a/model": counts})
    with pytest.raises(InputError, match=r"could be the scan: /a/counts \(9, 10, 150\), /a/model .* --dataset"):
        open_scan(path, ReadOptions())
    for name in ("a/model", "/a/model", "model"):
        np.testing.assert_array_equal(open_scan(path, ReadOptions(dataset=name)).counts.values, counts)
    with pytest.raises(InputError, match=r'--dataset "modell" fits 0 data sets; found .*did you mean "/a/model"'):
        open_scan(path, ReadOptions(dataset="/a/modell".lstrip("/a")))


def test_axes_and_scale_are_the_user_s(tmp_path: Path, counts: np.ndarray) -> None:
    path = write(tmp_path / "scan.h5", {"x": counts / 10})
    with pytest.raises(InputError, match="whole numbers"):
        open_scan(path, ReadOptions()).counts.values  # noqa: B018  reads
    np.testing.assert_array_equal(open_scan(path, ReadOptions(scale=10)).counts.values, counts)
    turned = open_scan(path, ReadOptions(scale=10, axes="xye")).counts.values
    np.testing.assert_array_equal(turned, counts.transpose(1, 0, 2))


def test_detectors_with_axes_of_their_own_are_moved(tmp_path: Path) -> None:
    counts = np.zeros((2, 3, CHANNELS), np.uint16)
    counts[..., 70] = 1000
    sets = {
        "run/det1/spectra": counts,
        "run/det1/energy": ENERGY,
        "run/det2/spectra": counts,
        "run/det2/energy": ENERGY + 0.1,
    }
    cube = open_scan(write(tmp_path / "scan.h5", sets), ReadOptions())
    assert cube.counts.values.sum() == 2 * counts.sum()
    mean = (cube.counts.values @ cube.energy.values) / 2000
    np.testing.assert_allclose(mean, ENERGY[70] + 0.05, atol=1e-3)


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    order=st.permutations(range(3)),
    dtype=st.sampled_from(["u1", "<u2", ">i2", "<i4", "<f4", ">f8"]),
    rows=st.integers(1, 9),
)
@settings(max_examples=30, deadline=None)
def test_any_order_type_and_band(shape, order, dtype, rows) -> None:
    rng = np.random.default_rng(shape[0])
    counts = rng.integers(0, 100, (*shape, 128))
    with tempfile.TemporaryDirectory() as place:
        path = write(Path(place, "scan.h5"), {"counts": counts.transpose(order).astype(dtype)}, chunks=True)
        letters = "".join("yxe"[axis] for axis in order)
        lazy = open_scan(path, ReadOptions(axes=letters)).counts.data
        banded = [lazy[y : y + rows].compute() for y in range(0, shape[0], rows)]
        np.testing.assert_array_equal(np.concatenate(banded), counts)


@given(seed=st.integers(0, 2**32 - 1), keep=st.floats(0, 1), noise=st.booleans())
@settings(max_examples=60, deadline=None)
def test_broken_files_give_only_our_errors(seed: int, keep: float, noise: bool) -> None:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        path = write(
            Path(place, "scan.h5"), {"a/counts": np.ones((3, 4, CHANNELS), np.uint8)}, compression="gzip", chunks=True
        )
        data = path.read_bytes()
        data = data[:8] + rng.bytes(len(data)) if noise else data
        path.write_bytes(data[: int(8 + keep * (len(data) - 8))])
        try:
            cube = open_scan(path, ReadOptions())
            np.testing.assert_array_equal(cube.counts.values, 1)
        except InputError as error:
            assert "scan.h5" in str(error)  # noqa: PT017  either outcome is right; a third one is not


def test_a_file_without_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="holds no data set of numbers"):
        open_scan(write(tmp_path / "scan.h5", {}, {"entry": {"NX_class": "NXentry"}}), ReadOptions())
    (tmp_path / "text.h5").write_text("not HDF5 at all")
    assert not sniff(tmp_path / "text.h5", b"not HDF5 at all")
    with pytest.raises(FileFormatError, match=r"text.h5 cannot be read as HDF5"):
        open_scan(tmp_path / "text.h5", ReadOptions())
