"""A photograph of a painting as sRGB values: PNG, JPEG or TIFF, turned upright, its colour profile applied."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from velatura.base.errors import FileFormatError, InputError

if TYPE_CHECKING:
    from PIL import Image


def read_photograph(path: Path) -> np.ndarray:
    """Return the colours of a photograph, sRGB uint8 [y, x, 3].

    The camera's note of which side is up is followed; an embedded colour profile is converted to sRGB; grey values
    become three equal ones; transparency is dropped. Raises InputError where there is no file and FileFormatError for
    one that is no image.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the user's own file, often very large
            with Image.open(path) as opened:
                return np.asarray(_srgb(ImageOps.exif_transpose(opened)))
    except FileNotFoundError as error:
        raise InputError(f"asked for the photograph {path}; found no such file") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        found = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise FileFormatError(f"asked for the photograph {path.name}; found {found}. Save it as PNG or JPEG") from error


def _srgb(image: "Image.Image") -> "Image.Image":
    """An image in mode RGB, through its colour profile where it has a usable one."""
    from PIL import Image, ImageCms

    if image.mode.startswith("I;16"):  # grey of 16 bits
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
