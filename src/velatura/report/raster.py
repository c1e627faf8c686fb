"""Maps become pixels: grey values on a stated scale, block means of large maps, PNG bytes, scale bars."""

import base64
import io
import math
import warnings
from dataclasses import dataclass

import numpy as np

LEFT_OUT = (214, 205, 189)
"""Colour of pixels without a value: sand, which no grey map holds."""


@dataclass(frozen=True)
class ScaleBar:
    """A bar of a round length below a map."""

    length: float
    """In `unit`."""
    unit: str
    """"mm" where the pitch is known, else "px"."""
    pixels: float
    """The same length in pixels of the scan."""

    @property
    def label(self) -> str:
        """The length in words, e.g. "50 mm", "200 µm"."""
        if self.unit == "mm" and self.length < 1:
            return f"{1000 * self.length:g} µm"
        return f"{self.length:g} {self.unit}"


def scale_bar(width: int, pitch: float | None = None) -> ScaleBar:
    """Return the longest bar of 1, 2 or 5 times a power of ten that fits in 30 % of a map `width` pixels wide.

    pitch: [mm]; None where it is not known. A bar of L mm is L / pitch pixels long.

    >>> scale_bar(400, 0.25)
    ScaleBar(length=20.0, unit='mm', pixels=80.0)
    """
    known = known_pitch(pitch)
    step = known or 1.0
    room = 0.3 * width * step
    power = 10.0 ** math.floor(math.log10(room) + 1e-9)
    length = max(factor * power for factor in (1, 2, 5) if factor * power <= room * (1 + 1e-9))
    if not known:
        length = max(1.0, length)
    return ScaleBar(length, "mm" if known else "px", length / step)


def known_pitch(pitch: float | None) -> float | None:
    """Return the pitch [mm] where it is a length above 0, else None."""
    return float(pitch) if pitch is not None and math.isfinite(pitch) and pitch > 0 else None


def block_factor(shape: tuple[int, ...], longest: int) -> int:
    """Return how many pixels each way become one so that the longer side is about `longest`, at most half more."""
    return max(1, math.ceil(max(shape[:2]) / longest - 0.5))


def block_mean(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean of blocks of `factor` x `factor` pixels [y, x], float32; blocks at the edge may be smaller; NaN is left out.

    A block without any value is NaN. The mean of a map is kept where `factor` divides its sides.
    """
    image = np.asarray(image, np.float32)
    if factor == 1:
        return image
    height, width = image.shape
    padding = ((0, -height % factor), (0, -width % factor))
    blocks = np.pad(image, padding, constant_values=np.nan)
    blocks = blocks.reshape(blocks.shape[0] // factor, factor, -1, factor)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(blocks, axis=(1, 3), dtype=np.float64), np.float32)


def to_rgb(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return uint8 [y, x, 3]: black at `low`, white at `high`, sand where there is no finite value."""
    present = np.isfinite(image)
    span = high - low if high > low else 1.0
    grey = np.clip((np.where(present, image, low) - low) / span, 0, 1)
    rgb = np.repeat(np.rint(255 * grey).astype(np.uint8)[..., None], 3, axis=-1)
    rgb[~present] = LEFT_OUT
    return rgb


def png_bytes(rgb: np.ndarray) -> bytes:
    """Encode uint8 [y, x, 3] as PNG; pictures without colour are stored as grey."""
    from PIL import Image

    grey = np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2])
    target = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb[..., 0] if grey else rgb)).save(target, "PNG", compress_level=6)
    return target.getvalue()


def data_uri(png: bytes) -> str:
    """Return PNG bytes as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
