import numpy as np
import pytest
from PIL import Image

from velatura.base.errors import FileFormatError, InputError
from velatura.io.mask import read_mask


@pytest.fixture
def drawn() -> np.ndarray:
    mask = np.zeros((6, 9), np.uint8)
    mask[1:4, 2:8] = 255
    return mask


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_white_is_used(tmp_path, drawn, suffix) -> None:
    path = tmp_path / f"mask{suffix}"
    np.save(path, drawn) if suffix == ".npy" else Image.fromarray(drawn).save(path)
    np.testing.assert_array_equal(read_mask(path, (6, 9)), drawn > 0)


def test_refusals_name_the_remedy(tmp_path, drawn) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(drawn).save(path)
    with pytest.raises(InputError, match="9 x 6"):
        read_mask(path, (9, 6))
    Image.fromarray(np.zeros((6, 9), np.uint8)).save(path)
    with pytest.raises(InputError, match="leaves no pixel"):
        read_mask(path, (6, 9))
    path.write_bytes(b"no image at all")
    with pytest.raises(FileFormatError, match="Save it as PNG"):
        read_mask(path, (6, 9))
    with pytest.raises(InputError, match="no such file"):
        read_mask(tmp_path / "absent.png", (6, 9))


def test_a_mask_from_a_turned_photograph_stands_upright(tmp_path, drawn) -> None:
    notes = Image.Exif()
    notes[0x0112] = 6  # the first row is on the right-hand side
    Image.fromarray(np.rot90(drawn)).save(path := tmp_path / "mask.png", exif=notes)
    np.testing.assert_array_equal(read_mask(path, (6, 9)), drawn > 0)


def test_very_large_masks_are_read_or_refused(tmp_path, drawn, monkeypatch) -> None:
    Image.fromarray(drawn).save(path := tmp_path / "mask.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # a warning, from twice as many on an error
    np.testing.assert_array_equal(read_mask(path, (6, 9)), drawn > 0)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(FileFormatError, match=r"the mask mask\.png; found Image size \(54 pixels\) exceeds limit"):
        read_mask(path, (6, 9))


def test_a_mask_may_have_the_size_of_the_photograph(tmp_path, drawn) -> None:
    Image.fromarray(drawn).save(path := tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(path, (3, 4), photo=(6, 9)), drawn > 0)
    with pytest.raises(InputError, match=r"3 x 4, or the photograph's, 9 x 6 \(height x width\); found 6 x 9"):
        read_mask(path, (3, 4), photo=(9, 6))
