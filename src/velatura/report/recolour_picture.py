"""Colours as pictures that carry their stamp: drawn in a strip below, and written into the file.

Whoever meets such a picture without its page must see that it is a hypothesis. So the stamp is part of the pixels,
large enough to be read, and of the file's own metadata.
"""

import io
import textwrap
from collections.abc import Mapping

import numpy as np

from velatura.report.raster import LEFT_OUT

SHORT = "A hypothesis, not evidence"
"""Where the whole sentence stands beside the picture."""
NARROWEST = 480  # pixels of a stamped picture; smaller ones are enlarged by a whole number
TALLEST = 16_384  # pixels beyond which none is enlarged
STRIP, INK = (29, 27, 24), (250, 248, 244)
FILLED, LETTER = 0.9, 0.5  # of the width that a line fills; of its height that a letter is wide, about
SMALLEST, LARGEST = 28, 18  # letters are at least and at most the width divided by this


def as_picture(rgb: np.ndarray) -> np.ndarray:
    """Return colours (sRGB, 0 to 1) as uint8 [y, x, 3]; pixels without a colour are sand."""
    picture = np.rint(255 * np.clip(np.nan_to_num(rgb), 0, 1)).astype(np.uint8)
    picture[~np.isfinite(rgb).all(axis=-1)] = LEFT_OUT
    return picture


def transparent(rgb: np.ndarray) -> np.ndarray:
    """Return colours (sRGB, 0 to 1) as uint8 [y, x, 4]; pixels without a colour are transparent."""
    return np.dstack([as_picture(rgb), 255 * np.isfinite(rgb).all(axis=-1).astype(np.uint8)])


def enlargement(shape: tuple[int, ...]) -> int:
    """Return by which whole number a picture [y, x, ...] is enlarged so that its stamp can be read.

    >>> enlargement((64, 96)), enlargement((64, 1000)), enlargement((5000, 1))
    (5, 1, 3)
    """
    return max(1, min(-(-NARROWEST // shape[1]), TALLEST // shape[0]))


def stamped(picture: np.ndarray, words: str = SHORT) -> np.ndarray:
    """Return a picture uint8 [y, x, 3 or 4] with the stamp in a strip below; small ones are enlarged first.

    The picture itself fills the rows above the strip from the left, each pixel a square of `enlargement(shape)` pixels;
    one that is too tall to be enlarged to the stamp's width has a dark field beside it.
    """
    from PIL import Image, ImageDraw, ImageFont

    factor = enlargement(picture.shape)
    large = np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)
    height, width, bands = large.shape
    if width < NARROWEST:
        dark = np.array([*STRIP, 255][:bands], np.uint8)
        large = np.concatenate([large, np.tile(dark, (height, NARROWEST - width, 1))], axis=1)
        width = NARROWEST
    size = min(max(FILLED * width / (LETTER * len(words)), width / SMALLEST), width / LARGEST)
    font = ImageFont.load_default(size)
    letters = int(FILLED * width / font.getlength(words) * len(words))
    lines = textwrap.wrap(words, letters)
    strip = Image.new("RGB", (width, int(size * (1.3 * len(lines) + 0.8))), STRIP)
    middle = (width / 2, strip.height / 2)
    ImageDraw.Draw(strip).multiline_text(middle, "\n".join(lines), INK, font, anchor="mm", align="center")
    below = np.full((strip.height, width, bands), 255, np.uint8)
    below[..., :3] = np.asarray(strip)
    return np.concatenate([large, below])


def stamped_png(picture: np.ndarray, words: str = SHORT, *, told: Mapping[str, str] | None = None) -> bytes:
    """Encode a picture uint8 [y, x, 3 or 4] as PNG, its stamp in the pixels and in the text of the file.

    told: further texts of the file, by keyword.
    """
    return with_texts(stamped(picture, words), words, told=told)


def with_texts(image: np.ndarray, words: str = SHORT, *, told: Mapping[str, str] | None = None) -> bytes:
    """Encode what `stamped` returns as PNG, with the stamp's words and further texts by keyword in the file."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info, target = PngInfo(), io.BytesIO()
    for name, text in {"Disclaimer": words, "Software": "Velatura", **(told or {})}.items():
        info.add_text(name, text.encode("latin-1", "replace"))
    Image.fromarray(image).save(target, "PNG", pnginfo=info, compress_level=6)
    return target.getvalue()
