"""A photograph of a painting as sRGB values: PNG, JPEG or TIFF, turned upright, its colour profile applied."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from velatura.base.errors import FileFormatError, InputError

if TYPE_CHECKING:
    from PIL import Image


def read_photograph(path: Path) -> np.ndarray:
    """Return the colours of a photograph, sRGB uint8 [y, x, 3].

    The camera's note of which side is up is followed; an embedded colour profile is converted to sRGB; grey values
    become three equal ones, of 8 or 16 bits or floating-point ones of 0 to 1; transparency is dropped. Raises
    InputError where there is no file and FileFormatError for one that is no image or has other values.
    """
    with upright_image(path, "photograph") as image:
        return np.asarray(_srgb(image))


@contextmanager
def upright_image(path: Path, what: str) -> Iterator["Image.Image"]:
    """Yield an image file turned as the camera noted; `what` it is stands in the messages.

    Raises InputError where there is no file and FileFormatError for one that is no image, or cannot be read on.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the user's own file, often very large
            with Image.open(path) as opened:
                yield ImageOps.exif_transpose(opened)
    except FileNotFoundError as error:
        raise InputError(f"asked for the {what} {path}; found no such file") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        found = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise FileFormatError(f"asked for the {what} {path.name}; found {found}. Save it as PNG or JPEG") from error


def _srgb(image: "Image.Image") -> "Image.Image":
    """An image in mode RGB, through its colour profile where it has a usable one."""
    from PIL import Image, ImageCms

    if image.mode in ("F", "I"):  # grey of 32 bits
        image = Image.fromarray(_scaled(np.asarray(image)))
    elif image.mode.startswith("I;16"):  # of 16
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    rgb = image.convert("RGB")
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA"):
        return rgb
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(rgb, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or rgb
    except (ImageCms.PyCMSError, OSError):  # a broken profile is none
        return rgb


def _scaled(grey: np.ndarray) -> np.ndarray:
    """Floating-point grey of 0 to 1 as uint8; raises ValueError for values whose white nobody tells."""
    low, high = grey.min(), grey.max()
    if grey.dtype.kind != "f" or not 0 <= low <= high <= 1:
        raise ValueError(f"values from {low:g} to {high:g}, neither of 8 or 16 bits nor floating-point ones of 0 to 1")
    return np.rint(255 * grey).astype(np.uint8)
