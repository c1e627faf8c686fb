"""Any file is either read or refused with one clear message."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.base.errors import FileFormatError, InputError
from velatura.io import formats
from velatura.io.formats import FORMATS, fingerprint, open_scan, recognise

SUFFIXES = sorted({suffix for form in FORMATS for suffix in form.suffixes} | {"", ".txt"})
HEADS = [
    b"",
    b"\x93NUMPY\x01\x00",
    b"PK\x03\x04",
    b"AAMVHFSS",
    b"\x89HDF\r\n\x1a\n",
    b"<<PMCA SPECTRUM>>\n",
    b"width 3\nheight 3\ndepth 3\n",
]


def test_missing_file_suggests_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "painting.npy").write_bytes(b"x")
    with pytest.raises(InputError, match=r'no file or folder .*paintng\.npy; did you mean "painting\.npy"'):
        open_scan(tmp_path / "paintng.npy")
    with pytest.raises(InputError, match="no file or folder"):
        open_scan(tmp_path / "nowhere" / "painting.npy")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_file_is_told(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"scan{suffix}").touch()
    with pytest.raises(FileFormatError, match=r"is empty \(0 bytes\)"):
        open_scan(tmp_path / f"scan{suffix}")


def test_unknown_content_lists_what_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a scan")
    with pytest.raises(FileFormatError, match=r"none of these.*Velatura reads .*\.bcf.*\.npy.*\.rpl"):
        open_scan(tmp_path / "notes.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileFormatError, match="folder: its content is of none of these"):
        open_scan(tmp_path / "folder")


@pytest.mark.parametrize("suffix", [".bcf", ".npy", ".npz", ".rpl"])
def test_name_that_promises_something_else_is_told(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"scan{suffix}").write_bytes(b"this is a letter")
    with pytest.raises(FileFormatError, match=f"its name says .*{suffix}.* but its content does not"):
        open_scan(tmp_path / f"scan{suffix}")


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.ones((3, 4, 130), np.uint8))
    (tmp_path / "scan.npy").rename(tmp_path / "scan.bcf")
    assert recognise(tmp_path / "scan.bcf").name == "NumPy .npy"
    assert open_scan(tmp_path / "scan.bcf").counts.shape == (3, 4, 130)


def test_suffix_decides_among_formats_that_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.ones((3, 4, 130), np.uint8))
    (tmp_path / "scan.npy").rename(tmp_path / "scan.raw")
    assert recognise(tmp_path / "scan.raw").name.startswith("LISPIX")


@settings(deadline=None, max_examples=200)
@given(
    suffix=st.sampled_from(SUFFIXES), head=st.sampled_from(HEADS), content=st.binary(max_size=600), beside=st.booleans()
)
def test_random_bytes_end_in_one_kind_of_error(suffix: str, head: bytes, content: bytes, beside: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"scan{suffix}")
        path.write_bytes(head + content)
        if beside:
            Path(folder, "scan.rpl").write_bytes(b"width 3\nheight 2\ndepth 5\n" + content)
        with pytest.raises(InputError) as told:
            open_scan(path)
    assert len(str(told.value)) < 800
    assert "Traceback" not in str(told.value)


def test_whatever_a_reader_meets_comes_out_with_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (KeyError("x"), MemoryError(), OSError("gone"), RecursionError(), ValueError("line\none")):

        def fail(path: Path, options: object, error: Exception = error) -> None:
            raise error

        form = formats.Format("broken", (".txt",), lambda path, head: True, fail)
        monkeypatch.setattr(formats, "FORMATS", (form,))
        (tmp_path / "scan.txt").write_text("x")
        with pytest.raises(
            FileFormatError, match=rf"scan\.txt cannot be read: {type(error).__name__}.*damaged"
        ) as told:
            open_scan(tmp_path / "scan.txt")
        assert told.value.__cause__ is error
        assert "\n" not in str(told.value)


def test_source_is_the_name_and_the_hash_of_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.ones((3, 4, 130), np.uint8))
    digest = hashlib.sha256((tmp_path / "scan.npy").read_bytes()).hexdigest()
    assert fingerprint(tmp_path / "scan.npy") == f"sha256:{digest}"
    assert open_scan(tmp_path / "scan.npy").counts.attrs["source"] == f"scan.npy sha256:{digest}"


def test_fingerprint_of_a_large_file_sees_size_and_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "WHOLE_HASH", 1000)
    monkeypatch.setattr(formats, "PIECE", 10)
    path = tmp_path / "large.npy"
    found = set()
    for content in (bytes(5000), bytes(5001), bytes(4999) + b"x", b"x" + bytes(4999), bytes(5000)):
        path.write_bytes(content)
        found.add(fingerprint(path))
    assert len(found) == 4
    assert all(one.startswith("sha256-of-64-MiB:") for one in found)


def test_fingerprint_covers_every_file_of_a_scan(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in range(3):
        (tmp_path / "a" / f"{number}.mca").write_text(f"{number}")
    before = fingerprint(tmp_path / "a")
    (tmp_path / "a" / "2.mca").write_text("3")
    assert fingerprint(tmp_path / "a") != before
    (tmp_path / "s.rpl").write_text("text")
    (tmp_path / "s.raw").write_text("values")
    before = fingerprint(tmp_path / "s.raw")
    assert before == fingerprint(tmp_path / "s.rpl")
    (tmp_path / "s.rpl").write_text("other")
    assert fingerprint(tmp_path / "s.raw") != before


def test_every_format_is_complete() -> None:
    for form in FORMATS:
        assert form.name
        assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in form.suffixes)
        assert form.sniff(Path("nowhere/at.all"), b"") is False
