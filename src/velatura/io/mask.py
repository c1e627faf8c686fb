"""A mask drawn by the user: an image of the scan's size in which bright pixels are used and black ones are left out."""

from pathlib import Path

import numpy as np

from velatura.base.errors import FileFormatError, InputError


def read_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return bool [y, x], True where the image (PNG, TIFF, JPEG or .npy) is brighter than half its range.

    shape: (height, width) of the scan. Raises FileFormatError when the file is no image and InputError when its size
    differs or when it leaves no pixel.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        if path.suffix.lower() == ".npy":
            image = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as opened:
                image = np.asarray(opened.convert("L"))
    except FileNotFoundError as error:
        raise InputError(f"asked for the mask {path}; found no such file") from error
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise FileFormatError(f"asked for the mask {path.name}; found no readable image. Save it as PNG") from error
    if image.shape != shape:
        raise InputError(
            f"the mask must have the scan's size, {shape[0]} x {shape[1]} (height x width); "
            f"found {' x '.join(map(str, image.shape))} in {path.name}"
        )
    used = image if image.dtype == bool else image > (int(image.max()) + int(image.min())) / 2
    if not used.any():
        raise InputError(f"the mask {path.name} leaves no pixel; paint the part to use white, the rest black")
    return used
