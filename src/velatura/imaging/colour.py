"""Colours as numbers: sRGB and CIELAB (D65, 2 degrees), and how far apart two colours look."""

import warnings

import numpy as np

from velatura.base.errors import InputError


def as_srgb(image: np.ndarray) -> np.ndarray:
    """Return sRGB values 0 to 1, float32 of the same shape [..., 3]. The dtype says the scale, never the values.

    image: whole numbers of 0 to 255, or floating point of 0 to 1, [..., 3].
    Raises InputError for another number of colours and for values outside their scale.
    """
    image = np.asarray(image)
    if image.ndim == 0 or image.shape[-1] != 3:
        raise InputError(
            f"colours must be [..., 3] (red, green, blue); found the shape {image.shape}. Drop alpha first"
        )
    if image.dtype.kind not in "uif":
        raise InputError(f"colours must be numbers; found {image.dtype}")
    most = 1.0 if image.dtype.kind == "f" else 255
    if image.size and not (np.min(image) >= 0 and np.max(image) <= most):
        raise InputError(
            f"colours of type {image.dtype} must lie within 0 to {most}; found {np.min(image)} to {np.max(image)}. "
            "Give 8-bit whole numbers, or floating point of 0 to 1"
        )
    return image.astype(np.float32) / np.float32(most)


def srgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of sRGB, float64 [..., 3]: lightness 0 to 100, a and b (CIE 15:2004; IEC 61966-2-1).

    rgb: 0 to 1 [..., 3].
    """
    from skimage.color import rgb2lab

    return rgb2lab(np.asarray(rgb, np.float64))


def lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """Colours 0 to 1 (sRGB) of CIELAB, float64 [..., 3]: the inverse of `srgb_to_lab`, clipped to the screen."""
    from skimage.color import lab2rgb

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Conversion from CIE-LAB", category=UserWarning)
        return lab2rgb(np.asarray(lab, np.float64))


def colour_difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """CIEDE2000 between CIELAB colours, float64 [...]; black to white is 100 (Sharma, Wu and Dalal, 2005).

    one, other: [..., 3], broadcast against each other; the weights kL, kC, kH are 1.
    """
    from skimage.color import deltaE_ciede2000

    return deltaE_ciede2000(*np.broadcast_arrays(one, other))
