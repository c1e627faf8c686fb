"""Shapes on a painting as masks: rectangles, ellipses, polygons, smooth curves and pictures, joined and cut by others.

Coordinates are fractions: x from 0 at the left to 1 at the right, y from 0 at the top to 1 at the bottom.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import distance_transform_edt, gaussian_filter

from velatura.base.errors import InputError, did_you_mean

SHAPES = ("rectangle", "ellipse", "polygon", "curve", "image")
CHANGES = ("plus", "minus", "rough")
EVERYTHING, REST = "everything", "rest"
CURVE = 16  # straight pieces between two points of a curve
RAGGED = 0.03  # of the height: correlation length of a rough outline


class Areas:
    """Areas of one painting by name, drawn when they are asked for."""

    def __init__(
        self, shape: tuple[int, int], named: Mapping[str, Any], *, folder: Path, rng: np.random.Generator
    ) -> None:
        """shape: (height, width); named: tables by name; folder: where pictures lie; rng: for rough outlines."""
        self.shape, self.named, self.folder = shape, named, folder
        self.shifts = _shifts(shape, rng)
        self.drawing: list[str] = []
        for name in named:
            if name in (EVERYTHING, REST):
                raise InputError(f"{name!r} has its own meaning as an area. Choose another name")

    def mask(self, area: Any) -> np.ndarray:
        """Draw an area, bool [y, x]: a name, a table of one shape with its changes, or a list of areas to be joined.

        Raises InputError for unknown names and keys, shapes that are no shapes, and areas that name themselves.
        """
        if area == EVERYTHING:
            return np.ones(self.shape, bool)
        if isinstance(area, str):
            return self._named(area)
        if isinstance(area, list) and area:
            return np.any([self.mask(part) for part in area], axis=0)
        if not isinstance(area, Mapping):
            raise InputError(f"an area is a name, a list or a table {{ ellipse = [x, y, rx, ry] }}; found {area!r}")
        known = (*SHAPES, *CHANGES)
        for key in area:
            if key not in known:
                raise InputError(f"no key {key!r} in an area; known are {', '.join(known)}{did_you_mean(key, known)}")
        shapes = [key for key in SHAPES if key in area]
        if len(shapes) != 1:
            raise InputError(f"an area has one of {', '.join(SHAPES)}; found {' and '.join(shapes) or 'none'}")
        mask = self._drawn(shapes[0], area[shapes[0]], self._rough(area.get("rough", 0.0)))
        if "plus" in area:
            mask = mask | self.mask(area["plus"])
        if "minus" in area:
            mask = mask & ~self.mask(area["minus"])
        return mask

    def _named(self, name: str) -> np.ndarray:
        if name not in self.named:
            raise InputError(f"no area {name!r} under [areas]{did_you_mean(name, (*self.named, EVERYTHING, REST))}")
        if name in self.drawing:
            raise InputError(f"area {name!r} is made from itself ({' > '.join([*self.drawing, name])})")
        self.drawing.append(name)
        try:
            return self.mask(self.named[name])
        finally:
            self.drawing.pop()

    def _rough(self, rough: Any) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates x, y [y, x] of the pixels' centres, shifted for a hand-drawn outline."""
        if isinstance(rough, bool) or not isinstance(rough, int | float) or not 0 <= rough <= 0.5:
            raise InputError(f"rough is a share of the picture's height, 0 to 0.5; found {rough!r}")
        height, width = self.shape
        y, x = np.mgrid[:height, :width]
        return (x + 0.5) / width + rough * self.shifts[0] * height / width, (y + 0.5) / height + rough * self.shifts[1]

    def _drawn(self, shape: str, given: Any, at: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        x, y = at
        if shape == "image":
            return _picture(self.folder / str(given), self.shape)
        if shape == "rectangle":
            left, top, right, bottom = _numbers(given, 4, "rectangle = [left, top, right, bottom]")
            return (x >= left) & (x < right) & (y >= top) & (y < bottom)
        if shape == "ellipse":
            centre_x, centre_y, half_width, half_height = _numbers(given, 4, "ellipse = [x, y, rx, ry]")
            if min(half_width, half_height) <= 0:
                raise InputError(f"an ellipse has positive half axes; found {half_width:g} and {half_height:g}")
            return ((x - centre_x) / half_width) ** 2 + ((y - centre_y) / half_height) ** 2 < 1
        if not isinstance(given, list) or len(given) < 3:
            raise InputError(f"{shape} needs three points [x, y] or more; found {given!r}")
        points = np.array([_numbers(point, 2, f"{shape} = [[x, y], ...]") for point in given])
        return _inside(_curved(points) if shape == "curve" else points, x, y)


def softened(thickness: np.ndarray, mask: np.ndarray, width: float) -> np.ndarray:
    """Let a thickness [y, x] run out over `width` [pixels] before the outline of a mask."""
    if width <= 0 or mask.all():
        return thickness
    share = np.clip(np.asarray(distance_transform_edt(mask)) / width, 0, 1)
    return thickness * share * share * (3 - 2 * share)


def graded(thickness: tuple[float, float], line: Any, shape: tuple[int, int]) -> np.ndarray:
    """Thickness [y, x] that goes from the first value to the second along a line [[x, y], [x, y]], constant beyond."""
    if not isinstance(line, list) or len(line) != 2:
        raise InputError(f"along = [[x, y], [x, y]] says from where to where the thickness changes; found {line!r}")
    start, end = (np.array(_numbers(point, 2, "along = [[x, y], [x, y]]")) for point in line)
    height, width = shape
    way = (end - start) * (width, height)
    if not way.any():
        raise InputError(f"along needs two different points; found {line!r}")
    y, x = np.mgrid[:height, :width]
    place = ((x + 0.5 - start[0] * width) * way[0] + (y + 0.5 - start[1] * height) * way[1]) / (way @ way)
    return thickness[0] + (thickness[1] - thickness[0]) * np.clip(place, 0, 1)


def _curved(points: np.ndarray) -> np.ndarray:
    """A closed smooth line through points [n, 2]: periodic cubic spline over the length of its chords."""
    closed = np.vstack([points, points[:1]])
    chords = np.sqrt(np.hypot(*np.diff(closed, axis=0).T))
    if chords.min() == 0:
        raise InputError("two neighbouring points of a curve are the same. Leave one out; a curve closes by itself")
    along = np.concatenate([[0.0], np.cumsum(chords)])
    spline = CubicSpline(along, closed, bc_type="periodic")
    return spline(np.interp(np.arange(CURVE * len(points)) / CURVE, np.arange(len(along)), along))


def _inside(points: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd rule for a closed polygon: bool like x (Shimrat, Commun. ACM 5 (1962) 434)."""
    inside = np.zeros(x.shape, bool)
    least, largest = y.min(axis=1), y.max(axis=1)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        near = np.flatnonzero((largest >= min(y0, y1)) & (least < max(y0, y1)))
        if y0 != y1 and len(near):
            rows = slice(near[0], near[-1] + 1)
            crossed = (y0 > y[rows]) != (y1 > y[rows])
            inside[rows] ^= crossed & (x[rows] < x0 + (y[rows] - y0) * (x1 - x0) / (y1 - y0))
    return inside


def _picture(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Mask from a picture: True where it is light; scaled to the painting."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            grey = image.convert("L").resize(shape[::-1], Image.Resampling.BOX)
    except OSError as error:
        raise InputError(f"cannot read the mask {path.name}: {error}. White is inside, black is outside") from error
    return np.asarray(grey) >= 128


def _shifts(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth random shifts of deviation 1, float64 [x or y, y, x]."""
    scale = max(RAGGED * shape[0], 0.5)
    fields = np.stack([gaussian_filter(rng.normal(size=shape), scale, mode="reflect") for _ in range(2)])
    return fields / max(float(fields.std()), 1e-12)


def _numbers(given: Any, count: int, form: str) -> list[float]:
    good = isinstance(given, list) and len(given) == count
    if not good or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in given):
        raise InputError(f"write {form} with numbers; found {given!r}")
    return [float(value) for value in given]
