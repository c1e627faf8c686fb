"""A laboratory's palette in its three forms, its spectra, and what is refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from velatura.base.errors import FileFormatError, InputError
from velatura.io.library import read_library, read_measured

ENERGY = np.array([0.01, 0.02, 0.03, 0.04])
COUNTS = np.array([0.0, 12, 3, 1])


TEXT = "Energy [keV];Counts\n" + "".join(f"{energy};{count}\n" for energy, count in zip(ENERGY, COUNTS, strict=True))


def test_text_of_two_columns(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text(TEXT.replace(".", ","))
    energy, counts = read_measured(tmp_path / "one.txt")
    np.testing.assert_allclose(energy, ENERGY)
    np.testing.assert_array_equal(counts, COUNTS)


def test_small_negative_corrections_become_zero(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("1.0,-1\n1.1,500\n1.2,3\n")
    assert read_measured(tmp_path / "one.txt")[1].tolist() == [0, 500, 3]


def test_text_that_cannot_serve(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("12\n13\n14\n")
    with pytest.raises(InputError, match=r"one\.txt has no energy axis"):
        read_measured(tmp_path / "one.txt")
    (tmp_path / "one.txt").write_text("only words\n")
    with pytest.raises(FileFormatError, match="holds no spectrum"):
        read_measured(tmp_path / "one.txt")
    with pytest.raises(InputError, match="there is no spectrum"):
        read_measured(tmp_path / "two.h5")


def write_hdf5(path: Path, **columns: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            file[name] = column


def test_hdf5_with_x_and_y(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "one.h5", x=ENERGY, y=COUNTS[:, None].astype(np.uint32))
    energy, counts = read_measured(tmp_path / "one.h5")
    np.testing.assert_array_equal(energy, ENERGY)
    np.testing.assert_array_equal(counts, COUNTS)


def test_hdf5_in_ev(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "one.hdf5", x=ENERGY * 1e6, y=COUNTS)
    np.testing.assert_allclose(read_measured(tmp_path / "one.hdf5")[0], ENERGY * 1e3)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": ENERGY}, r"it lacks \['y'\]"),
        ({"x": ENERGY, "y": COUNTS[:3]}, r"found \(4,\) and \(3,\)"),
        ({"x": ENERGY[::-1], "y": COUNTS}, "must rise"),
        ({"x": ENERGY, "y": COUNTS - 2}, "found -2 to 10. Was a background"),
        ({"x": ENERGY, "y": 0 * COUNTS}, "not all 0"),
        ({"x": ENERGY, "y": COUNTS * np.nan}, "must be 0 or more"),
    ],
)
def test_hdf5_that_is_no_spectrum(tmp_path: Path, columns: dict, message: str) -> None:
    write_hdf5(tmp_path / "one.h5", **columns)
    with pytest.raises(FileFormatError, match=message):
        read_measured(tmp_path / "one.h5")


def test_what_is_not_hdf5(tmp_path: Path) -> None:
    (tmp_path / "one.h5").write_text("no")
    with pytest.raises(FileFormatError, match="is no HDF5 spectrum"):
        read_measured(tmp_path / "one.h5")


PALETTES = {
    "palette.toml": '[[pigment]]\nname = "red"\nspectrum = "one.txt"\nrgb = [186, 51, 40]\n'
    '[[pigment]]\nname = "blue"\nspectrum = "one.txt"\nrgb = "#1020fF"\n',
    "palette.csv": "# ours\nname,spectrum,rgb\nred,one.txt,#ba3328\nblue,one.txt,1020ff\n",
    "semicolons.csv": "name;spectrum;rgb\nred;one.txt;#ba3328\nblue;one.txt;1020ff\n",
    "parts.csv": "name,spectrum,red,green,blue\nred,one.txt,186,51,40\nblue,one.txt,16,32,255\n",
    "palette.json": '{"red": {"xrf": "one.txt", "RGB": [186, 51, 40]},'
    '"blue": {"xrf": "one.txt", "RGB": [16, 32, 255]}}',
}


@pytest.mark.parametrize("name", PALETTES)
def test_palette_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "one.txt").write_text(TEXT)
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
    (tmp_path / "one.txt").write_text(TEXT)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_library(tmp_path / name)


def test_spectra_without_a_palette(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="spectra alone have no colour"):
        read_library(tmp_path)
    with pytest.raises(InputError, match="there is no palette"):
        read_library(tmp_path / "palette.toml")
