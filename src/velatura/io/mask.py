"""A mask drawn by the user: an image of the scan's size in which bright pixels are used and black ones are left out."""

from pathlib import Path

import numpy as np

from velatura.base.errors import FileFormatError, InputError
from velatura.io.photograph import upright_image


def read_mask(path: Path, shape: tuple[int, int], *, photo: tuple[int, int] | None = None) -> np.ndarray:
    """Return bool [y, x], True where the image (PNG, TIFF, JPEG or .npy) is brighter than half its range.

    shape: (height, width) of the scan; photo: of a photograph, which the mask may have instead. The camera's note of
    which side is up is followed. Raises FileFormatError when the file is no image and InputError when its size differs
    or when it leaves no pixel.
    """
    image = _read(path)
    if image.shape not in (shape, photo):
        asked = f"{shape[0]} x {shape[1]}" + (f", or the photograph's, {photo[0]} x {photo[1]}" if photo else "")
        raise InputError(
            f"the mask must have the scan's size, {asked} (height x width); "
            f"found {' x '.join(map(str, image.shape))} in {path.name}"
        )
    used = image if image.dtype == bool else image > (int(image.max()) + int(image.min())) / 2
    if not used.any():
        raise InputError(f"the mask {path.name} leaves no pixel; paint the part to use white, the rest black")
    return used


def _read(path: Path) -> np.ndarray:
    if path.suffix.lower() != ".npy":
        with upright_image(path, "mask") as image:
            return np.asarray(image.convert("L"))
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"asked for the mask {path}; found no such file") from error
    except (OSError, ValueError) as error:
        raise FileFormatError(f"asked for the mask {path.name}; found no readable image. Save it as PNG") from error
