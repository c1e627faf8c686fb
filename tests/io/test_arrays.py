"""NumPy files: axes worked out or refused, detectors summed on one axis, nothing unpickled or believed blindly."""

import io
import tempfile
import zipfile
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.base.blocks import bands
from velatura.base.errors import FileFormatError, InputError
from velatura.io.axes import rows_of_list, work_out_axes
from velatura.io.formats import open_scan
from velatura.io.options import ReadOptions

SAVE = {"npy": lambda path, counts: np.save(path, counts), "npz": lambda path, counts: np.savez(path, counts=counts)}
SAVE["npz compressed"] = lambda path, counts: np.savez_compressed(path, counts=counts)


def poisson(shape: tuple[int, ...], dtype: str = "u2", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(3, shape).astype(dtype)


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(sorted(SAVE)),
    dtype=st.sampled_from(["<u1", ">u2", "<u4", ">u8", "i1", ">i4", "<f4", ">f8", "<f2"]),
    sides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    axes=st.sampled_from(sorted("".join(order) for order in permutations("yxe"))),
    fortran=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_order_and_type_comes_back(kind, dtype, sides, axes, fortran, seed) -> None:
    counts = poisson((*sides, 130), dtype, seed)
    stored = counts.transpose(["yxe".index(letter) for letter in axes])
    stored = np.asfortranarray(stored) if fortran else np.ascontiguousarray(stored)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"scan.{kind.split()[0]}")
        SAVE[kind](path, stored)
        read = open_scan(path, ReadOptions(axes=axes)).counts.values.copy()
    assert np.array_equal(read, counts.astype(np.int64))
    assert np.issubdtype(read.dtype, np.unsignedinteger)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((25, 25, 4096), "yxe"),
        ((2048, 11, 9), "eyx"),
        ((11, 2000, 12), "yex"),
        ((1273, 1662, 2048), "yxe"),
        ((500, 500, 512), "yxe"),
        ((512, 512, 512), "yxe"),
        ((2048, 300, 400), "eyx"),
        ((10, 20, 2, 4096), "yxde"),
        ((4, 11, 11, 2000), "dyxe"),
        ((2048, 8, 12, 13), "edyx"),
        ((2, 300, 400, 4096), "dyxe"),
    ],
)
def test_axes_worked_out(shape: tuple[int, ...], axes: str) -> None:
    assert work_out_axes(shape) == axes


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1500, 1000, 1024), r"energy \(128 or more\); found 3 .* --axes yxe"),
        ((600, 200, 512), "found 3 that could be"),
        ((100, 100, 100), "energy .* found 0"),
        ((5, 20, 2, 4096), "detector .* found 2 .* --axes yxde"),
        ((10, 20, 30, 4096), "detector .* found 0"),
        ((4096,), "has 3 axes"),
        ((1, 2, 3, 4, 4096), "has 3 axes"),
    ],
)
def test_ambiguous_axes_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        work_out_axes(shape)


def test_what_the_user_says_about_axes_decides_and_is_checked() -> None:
    assert work_out_axes((1500, 1000, 1024), "YXE") == "yxe"
    for wrong in ("yx", "yyx", "yxde", "abc", ""):
        with pytest.raises(InputError, match="--axes needs one letter for each of the 3 axes"):
            work_out_axes((30, 40, 512), wrong)


def test_list_of_spectra_needs_a_width(tmp_path: Path) -> None:
    counts = poisson((6, 5, 200))
    np.save(tmp_path / "list.npy", counts.reshape(30, 200))
    assert np.array_equal(open_scan(tmp_path / "list.npy", ReadOptions(width=5)).counts, counts)
    for width in (None, 7, 0):
        with pytest.raises(InputError, match="list of 30 spectra needs a row width"):
            rows_of_list((30, 200), width)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_equal_arrays_are_detectors(tmp_path: Path, save) -> None:
    a, b = poisson((4, 5, 200)), poisson((4, 5, 200), seed=1)
    save(tmp_path / "two.npz", A=a, B=b, xyz=np.zeros((4, 5, 3)), photo=np.zeros((300, 400, 3), np.uint8))
    cube = open_scan(tmp_path / "two.npz")
    assert np.array_equal(cube.counts, a.astype(int) + b)
    assert cube.counts.attrs["detectors"] == "A + B"
    for wanted in ("B", "1"):
        assert np.array_equal(open_scan(tmp_path / "two.npz", ReadOptions(detector=wanted)).counts, b)
    with pytest.raises(InputError, match=r'no detector "a"; found A, B \(or 0 to 1\)'):
        open_scan(tmp_path / "two.npz", ReadOptions(detector="a"))


def test_sum_of_detectors_is_wide_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "full.npy", np.full((30, 40, 2, 200), 255, np.uint8))
    assert (open_scan(tmp_path / "full.npy").counts == 510).all()
    np.save(tmp_path / "over.npy", np.full((30, 40, 2, 200), 2**32 - 1, np.uint32))
    with pytest.raises(InputError, match="sum of detectors must fit 32 bits; found 8589934590"):
        list(bands(open_scan(tmp_path / "over.npy").counts.data))


def test_whole_numbers_come_before_equal_arrays_of_fractions(tmp_path: Path) -> None:
    counts = poisson((4, 5, 200))
    np.savez(tmp_path / "scan.npz", mean=counts + 0.3, counts=counts)
    assert np.array_equal(open_scan(tmp_path / "scan.npz").counts, counts)


def test_which_array_is_asked_when_several_fit(tmp_path: Path) -> None:
    first, second = poisson((4, 5, 200)), poisson((6, 7, 200))
    np.savez(tmp_path / "scan.npz", first=first, second=second)
    with pytest.raises(InputError, match=r"found first \(4, 5, 200\), second \(6, 7, 200\). Choose with --dataset"):
        open_scan(tmp_path / "scan.npz")
    assert np.array_equal(open_scan(tmp_path / "scan.npz", ReadOptions(dataset="second")).counts, second)
    with pytest.raises(InputError, match=r'no array "secnd".*did you mean "second"'):
        open_scan(tmp_path / "scan.npz", ReadOptions(dataset="secnd"))
    np.savez(tmp_path / "none.npz", image=np.zeros((5, 5)))
    with pytest.raises(InputError, match=r"one array of spectra .* found image \(5, 5\)"):
        open_scan(tmp_path / "none.npz")


def test_detectors_with_axes_of_their_own_are_brought_together(tmp_path: Path) -> None:
    """A line at 3.2 keV lies in channel 320 of one detector and 300 of the other; the sum has it at 3.2 keV."""
    a, b = np.zeros((2, 40, 40, 400), np.uint16)
    a[..., 320], b[..., 300] = 50, 70
    hints = {"zero_A": 0.0, "gain_A": 0.01, "zero_B": -0.1, "gain_B": 0.011}
    np.savez(tmp_path / "two.npz", A=a, B=b, **hints)
    cube = open_scan(tmp_path / "two.npz")
    counts = cube.counts.values
    assert (counts.sum(axis=-1) == 120).all()
    spectrum = counts.sum(axis=(0, 1))
    near = np.abs(cube.energy.values - 3.2) < 0.013
    assert spectrum[near].sum() == 120 * 1600
    assert np.average(cube.energy, weights=spectrum) == pytest.approx(3.2, abs=2e-4)
    assert "seed" in cube.counts.attrs["resampled"]
    assert np.array_equal(counts, open_scan(tmp_path / "two.npz").counts)


@pytest.mark.parametrize(
    ("hints", "zero", "gain", "quadratic"),
    [
        ({"ev_offset_A": np.full(20, -950.0), "ev_per_ch_A": np.full(20, 10.0)}, -0.95, 0.01, 0),
        ({"zero": 0.1, "gain": 0.02}, 0.1, 0.02, 0),
        ({"energy": 0.1 + 0.02 * np.arange(200)}, 0.1, 0.02, 0),
        ({"energy": 100 + 20.0 * np.arange(200)}, 0.1, 0.02, 0),
        ({"energy": 0.1 + 0.02 * np.arange(200) + 1e-6 * np.arange(200) ** 2}, 0.1, 0.02, 1e-6),
    ],
)
def test_calibration_beside_the_counts(tmp_path: Path, hints, zero: float, gain: float, quadratic: float) -> None:
    np.savez(tmp_path / "scan.npz", A=poisson((4, 5, 200)), **hints)
    attributes = open_scan(tmp_path / "scan.npz").counts.attrs
    assert attributes["zero"] == pytest.approx(zero, abs=1e-9)
    assert attributes["gain"] == pytest.approx(gain, rel=1e-9)
    assert attributes["quadratic"] == pytest.approx(quadratic, rel=1e-6, abs=1e-12)
    assert attributes["calibration"].startswith("file: ")


def test_calibration_that_differs_between_pixels_is_noted(tmp_path: Path) -> None:
    np.savez(tmp_path / "scan.npz", A=poisson((4, 5, 200)), ev_per_ch_A=np.linspace(9, 11, 20), livetime_A=np.ones(20))
    cube = open_scan(tmp_path / "scan.npz")
    assert cube.counts.attrs["gain"] == pytest.approx(0.01)
    assert cube.counts.attrs["calibration"] == "file: ev_per_ch (median of pixels that differ)"
    assert (cube.live_time == 1).all()


def test_serpentine_rows_are_turned_round_in_every_band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("velatura.base.cube.BAND_BYTES", 3 * 5 * 200 * 2)
    counts = poisson((8, 5, 200))
    np.save(tmp_path / "snake.npy", counts)
    cube = open_scan(tmp_path / "snake.npy", ReadOptions(serpentine=True))
    counts[1::2] = counts[1::2, ::-1].copy()
    assert len(cube.counts.data.chunks[0]) == 3
    assert np.array_equal(cube.counts, counts)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_pickles_are_never_opened(tmp_path: Path, save) -> None:
    trap = np.array([[{"a": 1}]], object)
    np.save(tmp_path / "trap.npy", trap, allow_pickle=True)
    save(tmp_path / "trap.npz", trap)
    for name in ("trap.npy", "trap.npz"):
        with pytest.raises(FileFormatError, match="pickled Python objects"):
            open_scan(tmp_path / name)


def header_of(shape: tuple[int, ...], dtype: str = "<u2") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(10**9, 10**9, 4096), (10**6, 10**6, 10**6), (3, 4, 201), (3, 4, 199)])
@pytest.mark.parametrize("method", [None, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_header_that_lies_about_the_size(tmp_path: Path, shape: tuple[int, ...], method: int | None) -> None:
    content = header_of(shape) + poisson((3, 4, 200)).tobytes()
    path = tmp_path / ("lie.npy" if method is None else "lie.npz")
    if method is None:
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("counts.npy", content)
    with pytest.raises(FileFormatError, match=r"declares .* found 4800"):
        open_scan(path)


def test_directory_that_lies_about_the_size(tmp_path: Path) -> None:
    """A zip directory may claim any size: what deflate could never yield is refused before memory is asked for."""
    path = tmp_path / "bomb.npz"
    content = header_of((10**6, 10**3, 2)) + bytes(100)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("counts.npy", content)
    promised = len(header_of((10**6, 10**3, 2))) + 4 * 10**9
    raw = path.read_bytes()
    path.write_bytes(raw.replace(len(content).to_bytes(4, "little"), promised.to_bytes(4, "little")))
    with pytest.raises(FileFormatError, match="more bytes than it can hold"):
        open_scan(path)


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(sorted(SAVE)),
    cut=st.integers(0, 2000),
    place=st.integers(0, 2000),
    noise=st.binary(max_size=6),
)
def test_damaged_files_never_end_in_another_error(kind: str, cut: int, place: int, noise: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"scan.{kind.split()[0]}")
        SAVE[kind](path, poisson((3, 4, 130), "u1"))
        content = path.read_bytes()
        content = content[:place] + noise + content[place + len(noise) :]
        path.write_bytes(content[: len(content) - cut])
        try:
            cube = open_scan(path)
            _ = [band.sum() for _, band in bands(cube.counts.data)]
        except InputError:
            return
        assert cube.counts.size > 0


@pytest.mark.real
def test_real_scans_with_detectors(data: Path) -> None:
    stored = np.load(data / "scans/pixlise-core/laguna_salinas_25x25.npz")
    cube = open_scan(data / "scans/pixlise-core/laguna_salinas_25x25.npz")
    assert np.array_equal(cube.counts, stored["A"].astype(int) + stored["B"])
    assert cube.counts.attrs["gain"] == pytest.approx(0.01)
    assert cube.live_time.shape == (25, 25)
    stored = np.load(data / "scans/xrf-maps-aps/axo_std.npz")["spectra"]
    assert np.array_equal(open_scan(data / "scans/xrf-maps-aps/axo_std.npz").counts, stored.sum(axis=2))
    stored = np.load(data / "scans/colourspec-xfm/ts2_01_sub_export_10x20.npy")
    one = open_scan(data / "scans/colourspec-xfm/ts2_01_sub_export_10x20.npy", ReadOptions(detector="1"))
    assert np.array_equal(one.counts, stored[:, :, 1])
