"""LISPIX .rpl/.raw: whatever the layout, the counts come back; whatever is broken is told in one message."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.base.blocks import bands
from velatura.base.errors import FileFormatError, InputError
from velatura.io.formats import open_scan
from velatura.io.options import ReadOptions

SHAPE = (3, 4, 6)
DTYPES = [f"{order}{kind}" for order in "<>" for kind in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8")]
KINDS = {"u": "unsigned", "i": "signed", "f": "float"}
M6 = """key value
Width      {width}
Height     {height}
Depth      {depth}
Offset     0
data-Length 2
data-type  unsigned
byte-order little-endian
record-by  vector
depthbinsize 1
depth1 0
depth2 4095
depthscaleorigin -0,956
depthscaleincrement 0.010002
depthscaleunits keV
"""


def keys_of(counts: np.ndarray, *, offset: int = 0, record_by: str = "vector") -> dict[str, object]:
    dtype = counts.dtype
    return {
        "width": counts.shape[1],
        "height": counts.shape[0],
        "depth": counts.shape[2],
        "offset": offset,
        "data-length": dtype.itemsize,
        "data-type": KINDS[dtype.kind],
        "byte-order": "big-endian" if dtype.str[0] == ">" else "little-endian",
        "record-by": record_by,
    }


def write(folder: Path, counts: np.ndarray, **changes: object) -> Path:
    """Write scan.rpl and scan.raw, with keys changed (None takes one out)."""
    keys = {key: value for key, value in (keys_of(counts) | changes).items() if value is not None}
    stored = np.moveaxis(counts, 2, 0) if keys["record-by"] == "image" else counts
    (folder / "scan.raw").write_bytes(b"\7" * int(keys.get("offset", 0)) + stored.tobytes())
    lines = "".join(f"{key}\t{value}\n" for key, value in keys.items())
    (folder / "scan.rpl").write_text("key\tvalue\n" + lines, encoding="utf-8")
    return folder / "scan.rpl"


def some_counts(dtype: str = "<u2") -> np.ndarray:
    return np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)


@settings(deadline=None, max_examples=80)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    record_by=st.sampled_from(["vector", "image", "Vector", "IMAGE"]),
    offset=st.integers(0, 9),
    separator=st.sampled_from(["\t", " ", "   ", "\t "]),
    comment=st.sampled_from(["", " ; measured on a Tuesday", "\r"]),
    case=st.sampled_from([str.upper, str.lower, str.title]),
    seed=st.integers(0, 99),
)
def test_every_layout_gives_the_counts_back(dtype, shape, record_by, offset, separator, comment, case, seed) -> None:
    counts = np.random.default_rng(seed).integers(0, 128, shape).astype(dtype)
    stored = np.moveaxis(counts, 2, 0) if record_by.lower() == "image" else counts
    keys = keys_of(counts, offset=offset, record_by=record_by)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "scan.raw")
        raw.write_bytes(bytes(offset) + stored.tobytes())
        lines = [f"{case(key)}{separator}{value}{comment}\n" for key, value in keys.items()]
        Path(folder, "scan.rpl").write_text("; a comment\n\nkey\tvalue\n" + "".join(lines))
        cube = open_scan(raw)
        read = cube.counts.values.copy()
        del cube
    assert np.array_equal(read, counts.astype(np.int64))
    assert read.dtype == (f"u{counts.itemsize}" if counts.dtype.kind != "f" and counts.itemsize < 4 else np.uint32)


def test_dialect_of_esprit_with_spaces_and_decimal_commas(tmp_path: Path) -> None:
    counts = some_counts()
    write(tmp_path, counts)
    (tmp_path / "scan.rpl").write_text(M6.format(height=SHAPE[0], width=SHAPE[1], depth=SHAPE[2]))
    cube = open_scan(tmp_path / "scan.rpl")
    assert np.array_equal(cube.counts, counts)
    assert (cube.counts.attrs["zero"], cube.counts.attrs["gain"]) == (-0.956, 0.010002)
    assert cube.counts.attrs["calibration"] == "file: depthscaleincrement"


@pytest.mark.parametrize(
    ("keys", "zero", "gain", "calibration"),
    [
        ({}, 0.0, 0.01, "assumed: 10 eV a channel from 0 keV"),
        ({"ev-per-chan": 20}, 0.0, 0.02, "file: ev-per-chan"),
        ({"ev-per-chan": "dont-know"}, 0.0, 0.01, "assumed: 10 eV a channel from 0 keV"),
        ({"depth-origin": -100, "depth-scale": 5, "depth-units": "eV"}, -0.1, 0.005, "file: depth-scale"),
        ({"depth-origin": -0.1, "depth-scale": 0.005, "depth-units": "keV"}, -0.1, 0.005, "file: depth-scale"),
        ({"depthscaleincrement": 10, "depthscaleunits": "eV"}, 0.0, 0.01, "file: depthscaleincrement"),
    ],
)
def test_calibration_in_all_its_spellings(tmp_path: Path, keys, zero, gain, calibration) -> None:
    attributes = open_scan(write(tmp_path, some_counts(), **keys)).counts.attrs
    assert attributes["zero"] == pytest.approx(zero, abs=1e-15)
    assert attributes["gain"] == pytest.approx(gain, rel=1e-12)
    assert attributes["calibration"] == calibration


def test_text_in_utf_8_or_older(tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-8", "latin-1"):
        scan = write(tmp_path, some_counts(), **{"width-scale": 70, "width-units": "\xb5m"})
        scan.write_text("width 4\n" + scan.read_text(encoding="utf-8").replace("width\t4\n", ""), encoding=encoding)
        assert open_scan(scan).counts.attrs["pitch"] == pytest.approx(0.07)


def test_options_without_meaning_are_refused(tmp_path: Path) -> None:
    scan = write(tmp_path, some_counts())
    for option in ({"detector": "1"}, {"dataset": "a"}, {"axes": "yxe"}, {"width": 3}):
        with pytest.raises(InputError, match=f"--{next(iter(option))} has no meaning for an .rpl file"):
            open_scan(scan, ReadOptions(**option))


def test_pitch_is_kept_in_millimetres(tmp_path: Path) -> None:
    scan = write(tmp_path, some_counts(), **{"width-scale": 500, "width-units": "um"})
    assert open_scan(scan).counts.attrs["pitch"] == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": None}, "is it damaged|missing: width"),
        ({"data-type": None}, "missing: data-type"),
        ({"record-by": "dont-care"}, "record-by must be one of vector, image"),
        ({"byte-order": "middle-endian"}, "byte-order must be one of"),
        ({"data-type": "complex"}, "data-type must be one of"),
        ({"data-length": 3}, "data-length of unsigned must be in"),
        ({"width": "wide"}, 'width must be a number; found "wide"'),
        ({"width": "inf"}, "width must be a number"),
        ({"width": 2.5}, "width must be a whole number"),
        ({"height": 0}, "height must be a whole number of at least 1"),
        ({"offset": -4}, "offset must be a whole number of at least 0"),
        ({"width": 10**9}, "breaks off"),
        ({"width": 10**9, "height": 10**9, "depth": 10**9}, "breaks off"),
        ({"width": "1e300"}, "breaks off"),
        ({"data-length": 1}, "Correct sizes or data-length"),
        ({"depthscaleincrement": "much"}, "depthscaleincrement must be a number"),
        ({"depthscaleincrement": -0.01}, "energy must rise with the channel"),
    ],
)
def test_unclear_text_is_refused(tmp_path: Path, changes, message) -> None:
    counts = some_counts()
    scan = write(tmp_path, counts, **changes | {"record-by": "vector"})
    if "record-by" in changes:
        scan = write(tmp_path, counts)
        scan.write_text(scan.read_text().replace("vector", changes["record-by"]))
    if "offset" in changes:
        scan = write(tmp_path, counts)
        scan.write_text(scan.read_text().replace("offset\t0", "offset\t-4"))
    with pytest.raises(InputError, match=message):
        open_scan(scan)


@pytest.mark.parametrize("record_by", ["vector", "image"])
@pytest.mark.parametrize("missing", [1, 40, 143])
def test_truncated_counts_are_refused_with_numbers(tmp_path: Path, record_by: str, missing: int) -> None:
    scan = write(tmp_path, some_counts(), **{"record-by": record_by})
    raw = tmp_path / "scan.raw"
    raw.write_bytes(raw.read_bytes()[:-missing])
    with pytest.raises(
        FileFormatError, match=f"scan.raw breaks off: 3 x 4 x 6 .* need 144 bytes, found {144 - missing}"
    ):
        open_scan(scan)


def test_whole_rows_of_a_truncated_scan_on_request(tmp_path: Path) -> None:
    counts = some_counts()
    scan = write(tmp_path, counts)
    (tmp_path / "scan.raw").write_bytes(counts.tobytes()[:-1])
    cube = open_scan(scan, ReadOptions(allow_truncated=True))
    assert np.array_equal(cube.counts[:2], counts[:2])
    assert not cube.counts[2].any()
    assert cube.valid.all("x").values.tolist() == [True, True, False]


def test_no_row_is_left_of_a_truncated_scan(tmp_path: Path) -> None:
    scan = write(tmp_path, some_counts())
    (tmp_path / "scan.raw").write_bytes(b"few bytes")
    with pytest.raises(FileFormatError, match="breaks off"):
        open_scan(scan, ReadOptions(allow_truncated=True))


def test_padding_of_less_than_a_row_is_left_alone(tmp_path: Path) -> None:
    counts = some_counts()
    scan = write(tmp_path, counts)
    (tmp_path / "scan.raw").write_bytes(counts.tobytes() + b"pad")
    assert np.array_equal(open_scan(scan).counts, counts)


def test_both_files_are_needed_and_found_in_any_case(tmp_path: Path) -> None:
    counts = some_counts()
    write(tmp_path, counts)
    (tmp_path / "scan.rpl").rename(tmp_path / "scan.RPL")
    assert np.array_equal(open_scan(tmp_path / "scan.raw").counts, counts)
    (tmp_path / "scan.raw").rename(tmp_path / "other.raw")
    with pytest.raises(FileFormatError, match=r"scan\.RPL needs its counts in scan\.raw"):
        open_scan(tmp_path / "scan.RPL")
    with pytest.raises(FileFormatError, match=r"other\.raw needs other\.rpl beside it.*width 100"):
        open_scan(tmp_path / "other.raw")


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (-1, "<i2", "not be negative; found -1"),
        (0.5, "<f4", "whole numbers; found 0.5.*--scale"),
        (np.nan, ">f8", "finite"),
    ],
)
def test_what_cannot_be_counts_is_refused_when_it_is_read(tmp_path: Path, value, dtype, message) -> None:
    counts = some_counts(dtype)
    counts[2, 3, 4] = value
    cube = open_scan(write(tmp_path, counts))
    assert np.array_equal(cube.counts[0], counts[0])
    with pytest.raises(InputError, match=message):
        list(bands(cube.counts.data))


def test_scale_turns_rates_into_counts(tmp_path: Path) -> None:
    rates = some_counts("<f4") / 4
    cube = open_scan(write(tmp_path, rates), ReadOptions(scale=4.0))
    assert np.array_equal(cube.counts, rates * 4)


def test_original_is_left_as_it_is(tmp_path: Path) -> None:
    scan = write(tmp_path, some_counts())
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for _, band in bands(open_scan(scan).counts.data):
        band[...] = 7
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@settings(deadline=None, max_examples=150)
@given(place=st.integers(0, 130), noise=st.binary(min_size=1, max_size=8))
def test_damaged_text_never_ends_in_another_error(place: int, noise: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scan = write(Path(folder), some_counts())
        text = scan.read_bytes()
        scan.write_bytes(text[:place] + noise + text[place + len(noise) :])
        try:
            read = open_scan(scan).counts.values.copy()
        except InputError:
            return
        assert read.size == np.prod(SHAPE)


STREAM = """
import os, sys, threading
from pathlib import Path
from velatura.base.blocks import bands
from velatura.io.formats import open_scan

def private():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("RssAnon")).split()[1])

def stream(scan):
    peaks, done = [private()], threading.Event()
    def watch():
        while not done.wait(0.002):
            peaks.append(private())
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _, band in bands(open_scan(Path(scan)).counts.data):
        band[:, :, :8].sum()
    done.set()
    watcher.join()
    print(max(peaks), flush=True)

for scan in sys.argv[1:]:
    child = os.fork()
    if not child:
        stream(scan)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_scan(tmp_path: Path) -> None:
    """Peak private memory of streaming 200 MB and 400 MB, each in a process of its own, mapped or turned round."""
    scans = []
    for record_by, byte_order in (("vector", "little-endian"), ("image", "big-endian")):
        for height in (200, 400):
            folder = tmp_path / f"{record_by}{height}"
            folder.mkdir()
            keys = {"height": height, "width": 244, "depth": 2048, "record-by": record_by, "byte-order": byte_order}
            scans.append(write(folder, np.zeros((1, 1, 1), "<u2"), **keys))
            with (folder / "scan.raw").open("wb") as raw:
                raw.truncate(height * 244 * 2048 * 2)
    told = subprocess.run([sys.executable, "-c", STREAM, *map(str, scans)], check=True, capture_output=True, text=True)
    mapped_200, mapped_400, turned_200, turned_400 = map(int, told.stdout.split())
    assert mapped_400 == pytest.approx(mapped_200, rel=0.1)
    assert turned_400 == pytest.approx(turned_200, rel=0.1)
    assert max(mapped_400, turned_400) < 2**20
