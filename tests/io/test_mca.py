"""Folders of .mca and .txt spectra."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.base.errors import FileFormatError, InputError
from velatura.io.mca import open_scan, sniff
from velatura.io.options import ReadOptions

AMPTEK = """<<PMCA SPECTRUM>>
TAG - live_data
GAIN - 2
LIVE_TIME - {live}
REAL_TIME - 3.1
<<CALIBRATION>>
LABEL - Channel
{points}
<<DATA>>
{counts}
<<END>>
<<DPP STATUS>>
Device Type: DP5
<<DPP STATUS END>>
"""


def save(path: Path, spectrum: np.ndarray, *, points: str = "100 1.0\n600 6.0", live: str = "2.5") -> None:
    text = AMPTEK.format(live=live, points=points, counts="\n".join(map(str, spectrum)))
    path.write_bytes(text.replace("\n", "\r\n").encode("latin-1"))


def fill(folder: Path, counts: np.ndarray, name: str = "scan_{n}.mca", **head: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    height, width, _ = counts.shape
    for y in range(height):
        for x in range(width):
            save(folder / name.format(y=y, x=x, n=y * width + x + 1), counts[y, x], **head)
    return folder


@pytest.fixture
def counts(rng: np.random.Generator) -> np.ndarray:
    return rng.poisson(2.0, (3, 4, 200))


@pytest.mark.parametrize(
    ("name", "grid", "width"),
    [
        ("scan_{n}.mca", "righe  3\r\ncolonne  4\r\ndwell-time 3,000000\r\n", None),
        ("scan_{n}.mca", None, 4),
        ("run7_{y:02d}_{x:03d}.mca", None, None),
        ("{y}-{x}.mca", "RIGHE 3\nCOLONNE 4", None),
        ("{n:05d}.MCA", None, 4),
    ],
)
def test_pixels_find_their_place(tmp_path: Path, counts: np.ndarray, name: str, grid: str | None, width) -> None:
    folder = fill(tmp_path / "scan", counts, name)
    if grid:
        (folder / "colonneXrighe.txt").write_text(grid)
    assert sniff(folder, b"")
    cube = open_scan(folder, ReadOptions(width=width))
    np.testing.assert_array_equal(cube.counts.values, counts)
    np.testing.assert_allclose(cube.live_time.values, 2.5)
    assert cube.valid.values.all()
    assert cube.counts.attrs["zero"] == pytest.approx(0, abs=1e-12)
    assert cube.counts.attrs["gain"] == pytest.approx(0.01)
    assert cube.counts.attrs.get("dwell_time") == (3.0 if grid and "dwell" in grid else None)


@given(shape=st.tuples(st.integers(1, 5), st.integers(1, 5)), seed=st.integers(0, 99), first=st.sampled_from([0, 1]))
@settings(max_examples=20, deadline=None)
def test_every_band_reads_its_own_files(shape: tuple[int, int], seed: int, first: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 2**20, (*shape, 5))
    with tempfile.TemporaryDirectory() as place:
        for number, spectrum in enumerate(counts.reshape(-1, 5)):
            save(Path(place, f"p{number + first}.mca"), spectrum, points="")
        lazy = open_scan(Path(place), ReadOptions(width=shape[1])).counts.data
        np.testing.assert_array_equal(np.concatenate([lazy[y : y + 1].compute() for y in range(shape[0])]), counts)


def test_missing_files_are_not_valid(tmp_path: Path, counts: np.ndarray) -> None:
    folder = fill(tmp_path / "scan", counts)
    (folder / "colonneXrighe.txt").write_text("righe  3\ncolonne  4")
    for number in (1, 6, 12):
        (folder / f"scan_{number}.mca").unlink()
    cube = open_scan(folder, ReadOptions())
    expected = np.ones(12, bool)
    expected[[0, 5, 11]] = False
    np.testing.assert_array_equal(cube.valid.values.ravel(), expected)
    np.testing.assert_array_equal(cube.counts.values, np.where(expected.reshape(3, 4, 1), counts, 0))
    np.testing.assert_allclose(cube.live_time.values.ravel(), 2.5 * expected)
    assert cube.counts.attrs["missing"] == "3 of 12 pixels have no file"


@pytest.mark.parametrize(
    ("grid", "width", "message"),
    [
        (None, None, "holds 12 spectra and nothing says.*--width"),
        (None, 5, r"holds 12 spectra up to number 12, not whole rows of 5\. Give the right --width"),
        ("righe 2\ncolonne 4", None, r"holds 12 spectra up to number 12, not 2 rows of 4"),
    ],
)
def test_files_that_do_not_fit_the_grid(tmp_path: Path, counts: np.ndarray, grid, width, message: str) -> None:
    folder = fill(tmp_path / "scan", counts)
    if grid:
        (folder / "colonneXrighe.txt").write_text(grid)
    with pytest.raises(InputError, match=message):
        open_scan(folder, ReadOptions(width=width))


def test_detectors_in_sub_folders(tmp_path: Path, counts: np.ndarray) -> None:
    fill(tmp_path / "scan" / "left", counts)
    fill(tmp_path / "scan" / "right", counts[::-1], live="3,5")
    (tmp_path / "scan" / "colonneXrighe.txt").write_text("righe 3\ncolonne 4\n")
    cube = open_scan(tmp_path / "scan", ReadOptions())
    np.testing.assert_array_equal(cube.counts.values, counts + counts[::-1])
    np.testing.assert_allclose(cube.live_time.values, 3.0)
    right = open_scan(tmp_path / "scan", ReadOptions(detector="right"))
    np.testing.assert_array_equal(right.counts.values, counts[::-1])
    np.testing.assert_array_equal(open_scan(tmp_path / "scan", ReadOptions(detector="0")).counts.values, counts)
    with pytest.raises(InputError, match='no detector "rigth"; found left, right; did you mean "right"'):
        open_scan(tmp_path / "scan", ReadOptions(detector="rigth"))


def test_files_with_calibrations_of_their_own(tmp_path: Path) -> None:
    counts = np.zeros((2, 3, 200), np.int64)
    counts[..., 120] = 10_000
    folder = fill(tmp_path / "scan", counts, "{y}_{x}.mca")
    save(folder / "1_2.mca", np.roll(counts[1, 2], -20), points="80 1.0\n580 6.0")  # 0.2 keV higher
    cube = open_scan(folder, ReadOptions())
    found = cube.counts.values
    np.testing.assert_array_equal(found.sum(axis=2), counts.sum(axis=2))
    np.testing.assert_allclose(found @ cube.energy.values / 10_000, 1.2, atol=1e-3)
    assert "seed" in cube.counts.attrs["resampled"]
    np.testing.assert_array_equal(found[1:], open_scan(folder, ReadOptions()).counts.data[1:].compute())


def test_lists_of_counts_in_txt(tmp_path: Path, counts: np.ndarray) -> None:
    for number, spectrum in enumerate(counts.reshape(-1, 200)):
        lines = [f"{channel}\t{value}" if number % 2 else f"{value}" for channel, value in enumerate(spectrum)]
        (tmp_path / f"spectrum{number:03d}.txt").write_text("\n".join(lines))
    (tmp_path / "colonneXrighe.txt").write_text("righe  3\ncolonne  4")
    assert sniff(tmp_path, b"")
    cube = open_scan(tmp_path, ReadOptions())
    np.testing.assert_array_equal(cube.counts.values, counts)
    assert cube.counts.attrs["calibration"].startswith("assumed")


def test_calibration_points(tmp_path: Path) -> None:
    for points, zero, gain in (
        ("640 6400", 0, 0.01),
        ("100 0,5\n200 1,5\n300 2,5", -0.5, 0.01),
        ("100 1.0\n100 1.0", None, None),
        ("200 1.0\n100 2.0", None, None),
    ):
        save(tmp_path / "1.mca", np.arange(8), points=points)
        found = open_scan(tmp_path, ReadOptions()).counts.attrs
        assert found["zero"] == pytest.approx(zero or 0.0, abs=1e-9)
        assert found["gain"] == pytest.approx(gain or 0.01)
        assert found["calibration"].startswith("assumed" if gain is None else "file")


def test_what_is_no_folder_of_spectra(tmp_path: Path, counts: np.ndarray) -> None:
    (tmp_path / "readme.txt").write_text("Dear colleague,\nthe scan is on the other disk.\n" * 20)
    assert not sniff(tmp_path, b"")
    assert not sniff(tmp_path / "nowhere", b"")
    save(tmp_path / "1.mca", counts[0, 0])
    assert sniff(tmp_path / "1.mca", b"<<PMCA SPECTRUM>>")
    with pytest.raises(InputError, match="one spectrum; a scan is a folder"):
        open_scan(tmp_path / "1.mca", ReadOptions())


@given(seed=st.integers(0, 2**32 - 1), keep=st.floats(0, 1), hits=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_damaged_files_give_only_our_errors(seed: int, keep: float, hits: int) -> None:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = fill(Path(place), rng.poisson(1.0, (1, 2, 30)))
        data = bytearray((folder / "scan_2.mca").read_bytes())
        for at in rng.integers(0, len(data), hits):
            data[at] = rng.integers(0, 256)
        (folder / "scan_2.mca").write_bytes(data[: int(len(data) * keep)])
        try:
            cube = open_scan(folder, ReadOptions(width=2))
            assert cube.counts.values.shape == (1, 2, cube.sizes["energy"])
        except InputError as error:
            assert "scan_2" in str(error) or "axis" in str(error) or "energy" in str(error)  # noqa: PT017


def test_a_short_file_is_named(tmp_path: Path, counts: np.ndarray) -> None:
    folder = fill(tmp_path / "scan", counts)
    save(folder / "scan_7.mca", counts[0, 0, :150])
    cube = open_scan(folder, ReadOptions(width=4))
    with pytest.raises(FileFormatError, match=r"scan_7.mca has 150 channels, but scan_1.mca has 200"):
        cube.counts.values  # noqa: B018  reads
