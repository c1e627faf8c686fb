"""Bruker .bcf: what is written is read, in any bands, and damage gives one clear error."""

import base64
import runpy
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.base.errors import FileFormatError, InputError
from velatura.io.bcf import open_scan, sniff
from velatura.io.options import ReadOptions

BCF = runpy.run_path(str(Path(__file__).with_name("bcf_file.py")))
KINDS = ("list16", "list12", "runs", "runs with base", "runs and pulses")


def encode(spectrum: np.ndarray, kind: str) -> tuple[int, int, int, bytes]:
    if kind.startswith("list"):
        return BCF["pulses"](spectrum, int(kind[4:]))
    if kind != "runs and pulses":
        return BCF["runs"](spectrum, gain=3 if kind == "runs with base" else 0, run=7)
    extra = np.flatnonzero(spectrum)[::2]
    left = spectrum.copy()
    left[extra] -= 1
    return BCF["runs"](left, flag=2, extra=extra)


def stream(counts: np.ndarray, valid: np.ndarray, kinds: np.ndarray) -> bytes:
    height, width, channels = counts.shape
    rows = [
        BCF["row_bytes"]((x, channels, encode(counts[y, x], KINDS[kinds[y, x]])) for x in range(width) if valid[y, x])
        for y in range(height)
    ]
    return BCF["stream_head"](height, width) + b"".join(rows)


def save(path: Path, streams: list[bytes], *, compressed: bool = False, chunk_size: int = 1024, **header) -> Path:
    files = {"HeaderData": BCF["header_xml"](len(streams), **header)}
    files |= {f"SpectrumData{n}": one for n, one in enumerate(streams)}
    if compressed:
        files = {name: BCF["compress"](data, block=700) for name, data in files.items()}
    BCF["write_bcf"](path, {name: (len(data), [data]) for name, data in files.items()}, chunk_size=chunk_size)
    return path


@pytest.fixture
def scan(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of five widths, which pixels are stored, and how."""
    counts = rng.poisson(0.3, (7, 5, 64)).astype(np.int64)
    counts[2] *= 30
    kinds = rng.integers(0, len(KINDS), (7, 5))
    valid = rng.random((7, 5)) > 0.3
    return np.where(valid[..., None], counts, 0), valid, kinds


@given(seed=st.integers(0, 2**32 - 1), compressed=st.booleans(), scale=st.sampled_from([1, 9, 300, 70_000]))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(seed: int, compressed: bool, scale: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 7, 2))
    valid, kinds = rng.random(shape) > 0.2, rng.integers(0, len(KINDS), shape)
    kinds[...] = np.where(scale > 300, 2 + kinds % 3, kinds)  # long lists of pulses only where they stay short
    counts = rng.poisson(rng.random(70), (*shape, 70)) * rng.integers(1, scale + 1, (*shape, 1)) * valid[..., None]
    with tempfile.TemporaryDirectory() as folder:
        cube = open_scan(
            save(Path(folder, "scan.bcf"), [stream(counts, valid, kinds)], compressed=compressed, channels=70),
            ReadOptions(),
        )
        np.testing.assert_array_equal(cube.counts.values, counts)
        np.testing.assert_array_equal(cube.valid.values, valid)


def test_every_band_gives_the_same_counts(tmp_path: Path, scan) -> None:
    counts, valid, kinds = scan
    lazy = open_scan(
        save(tmp_path / "scan.bcf", [stream(counts, valid, kinds)], compressed=True), ReadOptions()
    ).counts.data
    for size in (1, 2, 3, 7):
        banded = np.concatenate([lazy[y : y + size].compute() for y in range(0, 7, size)])
        np.testing.assert_array_equal(banded, counts)
    np.testing.assert_array_equal(lazy[5, 1:3].compute(), counts[5, 1:3])
    np.testing.assert_array_equal(lazy[::-2, :, 10].compute(), counts[::-2, :, 10])
    np.testing.assert_array_equal(lazy[[4, 1]][:, 2].compute(), counts[[4, 1], 2])


def test_counts_take_the_narrowest_type(tmp_path: Path) -> None:
    for most, dtype in ((255, np.uint8), (256, np.uint16), (65_535, np.uint16), (65_536, np.uint32)):
        counts = np.zeros((1, 2, 64), np.int64)
        counts[0, 1, 7] = most
        kind = np.full((1, 2), KINDS.index("runs with base"))
        path = save(tmp_path / f"{most}.bcf", [stream(counts, counts.any(axis=2), kind)])
        cube = open_scan(path, ReadOptions())
        assert cube.counts.dtype == dtype
        assert cube.counts.values.max() == most
    many = np.zeros((1, 1, 64), np.int64)
    many[0, 0, :5] = 100  # 500 pulses, no channel above 255
    path = save(tmp_path / "many.bcf", [stream(many, np.ones((1, 1), bool), np.zeros((1, 1), int))])
    assert open_scan(path, ReadOptions()).counts.dtype == np.uint8


def test_header_is_read_in_spite_of_its_xml(tmp_path: Path, scan) -> None:
    times = np.arange(35, dtype="<u4") * 1000
    extra = (
        '<ClassInstance Type="TRTImageData" Name="PixelTimes"><Plane0><Data>'
        + base64.b64encode(times.tobytes()).decode()
        + "</Data></Plane0></ClassInstance>"
    )
    cube = open_scan(save(tmp_path / "scan.bcf", [stream(*scan)], extra=extra), ReadOptions())
    found = cube.counts.attrs
    assert found["zero"] == -0.95
    assert found["gain"] == 0.01
    assert (found["anode"], found["tube_voltage"]) == ("Rh", 50)
    assert (found["incidence_angle"], found["take_off_angle"], found["pitch"]) == (50, 51, 0.5)
    np.testing.assert_allclose(cube.live_time.values.ravel(), times / 1e6, rtol=1e-6)


def test_streams_are_summed_or_picked(tmp_path: Path, scan) -> None:
    counts, valid, kinds = scan
    path = save(tmp_path / "scan.bcf", [stream(counts, valid, kinds)] * 2)
    np.testing.assert_array_equal(open_scan(path, ReadOptions()).counts.values, 2 * counts)
    np.testing.assert_array_equal(open_scan(path, ReadOptions(detector="1")).counts.values, counts)
    with pytest.raises(InputError, match=r"no detector '7'; found 0, 1"):
        open_scan(path, ReadOptions(detector="7"))


def test_a_scan_that_was_stopped_has_rows_that_are_not_valid(tmp_path: Path, scan) -> None:
    counts, valid, kinds = scan
    whole, part = stream(counts, valid, kinds), stream(counts[:4], valid[:4], kinds[:4])
    cube = open_scan(save(tmp_path / "scan.bcf", [whole[:8] + part[8:]]), ReadOptions())
    assert cube.sizes["y"] == 7
    np.testing.assert_array_equal(cube.counts.values[:4], counts[:4])
    assert not cube.valid.values[4:].any()


@pytest.mark.parametrize("compressed", [False, True])
def test_whole_rows_of_a_broken_copy_are_read_on_demand(tmp_path: Path, scan, compressed: bool) -> None:
    counts, valid, kinds = scan
    path = save(tmp_path / "scan.bcf", [stream(counts, valid, kinds)], compressed=compressed)
    path.write_bytes(path.read_bytes()[: -700 if compressed else -1500])
    with pytest.raises(FileFormatError, match=r"cut short.*--allow-truncated"):
        open_scan(path, ReadOptions())
    cube = open_scan(path, ReadOptions(allow_truncated=True))
    rows = int(np.flatnonzero(cube.valid.values.any(axis=1))[-1]) + 1
    assert 1 <= rows < 7
    np.testing.assert_array_equal(cube.counts.values[:rows], counts[:rows])
    assert not cube.counts.values[rows:].any()


def test_long_lists_of_chunks_are_followed(tmp_path: Path, scan) -> None:
    data = stream(*scan)
    head, padding = BCF["header_xml"](), bytes(2**20)
    files = {f"Other{n}": (len(padding), [padding]) for n in range(8)}  # several chunks of names, chains of tables
    files |= {"HeaderData": (len(head), [head]), "SpectrumData0": (len(data), [data])}
    BCF["write_bcf"](tmp_path / "scan.bcf", files, chunk_size=1024)
    np.testing.assert_array_equal(open_scan(tmp_path / "scan.bcf", ReadOptions()).counts.values, scan[0])


def test_sniff() -> None:
    assert sniff(Path("scan.bcf"), b"AAMVHFSS\xfe")
    assert not sniff(Path("scan.bcf"), b"")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "no Bruker"),
        (lambda data: data[:0x200], "damaged head"),
        (lambda data: data[: len(data) // 2], "cut short|no spectra"),
        (
            lambda data: data.replace(b"SpectrumData0", b"SomethingElse"),
            "holds no spectra .found HeaderData, SomethingElse",
        ),
        (lambda data: data.replace(b"CalibLin", b"CalibLag"), "lacks ChannelCount, CalibAbs or CalibLin"),
        (
            lambda data: data.replace(struct.pack("<iii", 7, 5, 4096), struct.pack("<iii", 7, 2**31 - 1, 4096)),
            "not plausible",
        ),
        (lambda data: data.replace(struct.pack("<iii", 7, 5, 4096), struct.pack("<iii", 7, 1, 4096)), "wide|beside"),
    ],
)
def test_damage_is_named(tmp_path: Path, scan, damage, message: str) -> None:
    path = save(tmp_path / "scan.bcf", [stream(*scan)], chunk_size=4096)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FileFormatError, match=message):
        open_scan(path, ReadOptions())


@given(seed=st.integers(0, 2**32 - 1), compressed=st.booleans(), hits=st.integers(0, 40), cut=st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_garbled_files_give_only_our_errors(seed: int, compressed: bool, hits: int, cut: float) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.5, (3, 4, 40))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.bcf")
        save(
            path,
            [stream(counts, np.ones((3, 4), bool), rng.integers(0, 5, (3, 4)))],
            compressed=compressed,
            channels=40,
        )
        data = bytearray(path.read_bytes())
        for at in rng.integers(8, len(data), hits):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data[: len(data) if cut > 0.7 else int(len(data) * cut)])
        try:
            cube = open_scan(path, ReadOptions())
            if cube.counts.size < 10**8:
                cube.counts.values  # noqa: B018  reads
        except InputError as error:
            assert str(error).count("\n") < 2  # noqa: PT017  either outcome is right; a third one is not


PEAK = """
import sys, threading, time
from pathlib import Path
from velatura.base.blocks import bands
from velatura.io.bcf import open_scan
from velatura.io.options import ReadOptions

peak = 0
def watch():
    global peak
    while True:
        text = Path("/proc/self/status").read_text()
        peak = max(peak, int(text.split("RssAnon:")[1].split()[0]))
        time.sleep(0.002)
threading.Thread(target=watch, daemon=True).start()
total = sum(int(band.sum(dtype="u8")) for _, band in bands(open_scan(Path(sys.argv[1]), ReadOptions()).counts.data))
print(peak // 1024, total)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="private memory is read from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    spectrum = np.arange(4096) + 70_000  # 32-bit items: many bytes, few values
    row = BCF["row_bytes"]((x, 4096, BCF["runs"](spectrum)) for x in range(64))
    peaks = []
    for megabytes in (200, 400):
        height = megabytes * 2**20 // len(row)
        head, xml = BCF["stream_head"](height, 64), BCF["header_xml"](channels=4096)
        pieces = (piece for repeat, piece in ((1, head), (height, row)) for _ in range(repeat))
        files = {"HeaderData": (len(xml), [xml]), "SpectrumData0": (len(head) + height * len(row), pieces)}
        BCF["write_bcf"](tmp_path / "scan.bcf", files)
        run = subprocess.run(
            [sys.executable, "-c", PEAK, str(tmp_path / "scan.bcf")], capture_output=True, text=True, check=True
        )
        peak, total = map(int, run.stdout.split())
        assert total == height * 64 * int(spectrum.sum())
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 60, f"peak private memory {peaks} MiB for 200 and 400 MB"
    assert peaks[1] < 700
