"""Control points and photographs from files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from velatura.base.errors import FileFormatError, InputError
from velatura.io.control_points import read_control_points
from velatura.io.photograph import read_photograph

HEAD = "x_scan,y_scan,x_photo,y_photo\n"


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text("name;x_photo;y_photo;y_scan;x_scan\n# eye\nleft;30,5;40;2;1\n\nright;70;80;6;5\n")
    scan, photo = read_control_points(table)
    np.testing.assert_array_equal(scan, [[1, 2], [5, 6]])
    np.testing.assert_array_equal(photo, [[30.5, 40], [70, 80]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found no rows in points.csv"),
        (HEAD, "found no rows"),
        ("x_scan,y_scan,x,y\n1,2,3,4\n", "found no x_photo, y_photo"),
        (HEAD + "1,2,3,4\n1,2,three,4\n", "found 'three' in row 2"),
        (HEAD + "1,2,3\n", "found None in row 1"),
        (HEAD + "1,2,3,nan\n", "found 'nan' in row 1"),
    ],
)
def test_tables_that_tell_no_points_are_refused(text: str, words: str, tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text(text)
    with pytest.raises(FileFormatError, match=words):
        read_control_points(table)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"points\.csv; found no such file"):
        read_control_points(tmp_path / "points.csv")
    with pytest.raises(InputError, match=r"photo\.png; found no such file"):
        read_photograph(tmp_path / "photo.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16"])
def test_photographs_of_any_mode_become_srgb(mode: str, tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 20
    image = Image.fromarray(grey * 256) if mode == "I;16" else Image.fromarray(grey.astype(np.uint8)).convert(mode)
    image.save(tmp_path / "photo.png")
    rgb = read_photograph(tmp_path / "photo.png")
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, np.repeat(grey[..., None], 3, axis=-1))


def test_floating_point_photographs_are_scaled_from_their_range(tmp_path: Path) -> None:
    grey = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "photo.tif")
    rgb = read_photograph(tmp_path / "photo.tif")
    np.testing.assert_array_equal(rgb, np.rint(255 * grey)[..., None].repeat(3, axis=-1))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[0, 70000]], np.int32), "from 0 to 70000"),
        (np.array([[0, 255]], np.float32), "from 0 to 255"),
        (np.array([[0, np.nan]], np.float32), "from nan to nan"),
    ],
)
def test_photographs_whose_white_is_not_known_are_refused(values: np.ndarray, words: str, tmp_path: Path) -> None:
    Image.fromarray(values).save(tmp_path / "photo.tif")
    with pytest.raises(FileFormatError, match=rf"photograph photo\.tif; found values {words}, .*Save it as PNG"):
        read_photograph(tmp_path / "photo.tif")


def test_photographs_stand_upright(tmp_path: Path) -> None:
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[0, 0] = 255
    notes = Image.Exif()
    notes[0x0112] = 6  # the first row is on the right-hand side
    Image.fromarray(rgb).save(tmp_path / "photo.png", exif=notes)
    upright = read_photograph(tmp_path / "photo.png")
    np.testing.assert_array_equal(upright, np.rot90(rgb, -1))


def test_a_colour_profile_is_applied(tmp_path: Path) -> None:
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[..., 0] = 200
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")  # red is blue
    for name, embedded, expected in (("same", profile, rgb), ("swapped", swapped, rgb[..., ::-1]), ("no", b"?", rgb)):
        Image.fromarray(rgb).save(tmp_path / f"{name}.png", icc_profile=embedded)
        np.testing.assert_allclose(read_photograph(tmp_path / f"{name}.png").astype(int), expected, atol=2)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("a letter")
    with pytest.raises(FileFormatError, match=r"photograph photo\.jpg; found cannot identify"):
        read_photograph(tmp_path / "photo.jpg")
