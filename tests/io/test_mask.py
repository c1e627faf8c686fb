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
