"""A laboratory's palette: text in the forms that instruments write, HDF5, and what is refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from velatura.base.errors import FileFormatError, InputError
from velatura.io.library import read_library, read_spectrum

ENERGY = np.array([0.01, 0.02, 0.03, 0.04])
COUNTS = np.array([0.0, 12, 3, 1])


def rows(separator: str, *, comma: bool = False, scale: float = 1.0) -> str:
    lines = [f"{energy * scale:g}{separator}{count:g}" for energy, count in zip(ENERGY, COUNTS, strict=True)]
    return "\n".join(line.replace(".", ",") if comma else line for line in lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        rows(","),
        rows(", "),
        rows("\t"),
        rows("   "),
        "\ufeffEnergy [keV],Counts\n" + rows(","),
        "# INFRA-ART 0130\n\nx;y\n" + rows(";", comma=True),
        rows(" ", comma=True),
        rows(";").replace("\n", ";\r\n"),
        rows(",").replace("\n", ",17\n"),
    ],
    ids=["comma", "comma blank", "tab", "blanks", "header", "decimal comma", "blank comma", "trailing", "third column"],
)
def test_text_of_two_columns(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.txt").write_text(text, encoding="utf-8", newline="")
    energy, counts = read_spectrum(tmp_path / "one.txt")
    np.testing.assert_allclose(energy, ENERGY)
    np.testing.assert_array_equal(counts, COUNTS)


def test_energies_in_ev(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(rows(",", scale=1e6))
    np.testing.assert_allclose(read_spectrum(tmp_path / "one.csv")[0], ENERGY * 1e3)


def write_hdf5(path: Path, **columns: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            file[name] = column


def test_hdf5_with_x_and_y(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "one.h5", x=ENERGY, y=COUNTS[:, None].astype(np.uint32))
    energy, counts = read_spectrum(tmp_path / "one.h5")
    np.testing.assert_array_equal(energy, ENERGY)
    np.testing.assert_array_equal(counts, COUNTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"two equal columns; found \(0,\)"),
        ("only words\nand more words\n", "two equal columns"),
        (rows(",") + "the end\n", "line 5: no pair of energy and counts: 'the end'"),
        ("1,2\n1,3\n", "energies .* must rise"),
        ("1,2\n2,-3\n", "found -3 to 2. Was a background subtracted"),
        ("1,2\n2,nan\n", "must be zero or more"),
        ("1,0\n2,0\n", "not all zero"),
        ("1 2\n3\n", "line 2: no pair"),
    ],
)
def test_text_that_is_no_spectrum(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "one.txt").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_spectrum(tmp_path / "one.txt")


def test_hdf5_that_is_no_spectrum(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "one.h5", x=ENERGY)
    with pytest.raises(FileFormatError, match=r"it lacks \['y'\]"):
        read_spectrum(tmp_path / "one.h5")
    (tmp_path / "one.h5").write_text("no")
    with pytest.raises(FileFormatError, match="is no HDF5 spectrum"):
        read_spectrum(tmp_path / "one.h5")
    with pytest.raises(InputError, match="there is no spectrum"):
        read_spectrum(tmp_path / "two.h5")


PALETTES = {
    "palette.toml": '[[pigment]]\nname = "red"\nspectrum = "one.txt"\nrgb = [186, 51, 40]\n'
    '[[pigment]]\nname = "blue"\nspectrum = "one.txt"\nrgb = "#1020fF"\n',
    "palette.csv": "# ours\nname,spectrum,rgb\nred,one.txt,#ba3328\nblue,one.txt,1020ff\n",
    "parts.csv": "name,spectrum,red,green,blue\nred,one.txt,186,51,40\nblue,one.txt,16,32,255\n",
    "palette.json": '{"red": {"xrf": "one.txt", "RGB": [186, 51, 40]},'
    '"blue": {"xrf": "one.txt", "RGB": [16, 32, 255]}}',
}


@pytest.mark.parametrize("name", PALETTES)
def test_palette_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "one.txt").write_text(rows(","))
    (tmp_path / name).write_text(PALETTES[name])
    red, blue = read_library(tmp_path if name.startswith("palette") else tmp_path / name)
    assert (red.name, red.rgb) == ("red", (186, 51, 40))
    assert (blue.name, blue.rgb) == ("blue", (16, 32, 255))
    np.testing.assert_allclose(blue.energy, ENERGY)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.toml", "[[pigment]\n", "cannot be read"),
        ("p.toml", "pigment = 3\n", r"under its own \[\[pigment\]\]"),
        ("p.toml", "", "names no pigment"),
        ("p.toml", '[[pigment]]\nname = "red"\nspectrum = "one.txt"\n', "'red' lacks its rgb"),
        ("p.toml", '[[pigment]]\nspectrum = "one.txt"\nrgb = "#000000"\n', "None lacks its name"),
        ("p.csv", "name,spectrum,rgb\nred,one.txt,dark\n", "colour of 'red' must be .* found 'dark'"),
        ("p.csv", "name,spectrum,red,green,blue\nred,one.txt,1,2,300\n", "must be .* of 0 to 255"),
        ("p.csv", "name,spectrum,red,green,blue\nred,one.txt,1,2,x\n", "cannot be read"),
        ("p.csv", "name,spectrum,rgb\nred,two.txt,#000000\n", "there is no spectrum"),
        ("p.csv", "name,spectrum,rgb\nred,one.txt,#000000\nred,one.txt,#000001\n", "names 'red' more than once"),
        ("p.json", "[1]", "must map names"),
        ("p.json", '{"red": {"xrf": "one.txt", "RGB": [0.7, 0.2, 0.1]}}', "of 0 to 255"),
        ("p.json", "{", "cannot be read"),
    ],
)
def test_palettes_that_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / "one.txt").write_text(rows(","))
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_library(tmp_path / name)


def test_spectra_without_a_palette(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="spectra alone have no colour"):
        read_library(tmp_path)
    with pytest.raises(InputError, match="there is no palette"):
        read_library(tmp_path / "palette.toml")
