"""Paint laid on by brush: a plan of passages becomes strokes with edges, bristle marks and relief.

A plan says for each point which passage it belongs to, how light it is and which way the brush goes. Places and sizes
are fractions of the picture's height, so that one `rng` paints the same picture at any shape.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import map_coordinates

LATTICE = 24  # knots of a noise field each way; it repeats beyond
BRISTLES = 9  # marks across a brush
BATCH = 250  # strokes at once


class Plan(NamedTuple):
    """What is to be painted where; each [y, x]."""

    labels: np.ndarray
    """int8, number of the passage."""
    light: np.ndarray
    """Share of the passage's light paint in its mixture with the dark one, 0 to 1."""
    angle: np.ndarray
    """Way of the brush [rad], 0 to the right, positive downward."""


class Brushwork(NamedTuple):
    """What the brush left; each [y, x]."""

    labels: np.ndarray
    """int8, number of the passage."""
    light: np.ndarray
    """float32, share of the passage's light paint by volume, 0 to 1."""
    relief: np.ndarray
    """float32, thickness over the mean thickness of its passage, about 0.6 to 1.5."""


class Brush(NamedTuple):
    """Strokes of one passage: `length` and `width` as fractions of the picture's height."""

    length: float
    width: float
    cover: float = 3.0
    """How often the strokes cover the passage."""
    wander: float = 0.25
    """Standard deviation of the angle [rad]."""
    vary: float = 0.05
    """Standard deviation of the light from stroke to stroke."""


def grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return `v`, 0 at the top to 1 at the bottom, and `u`, 0 at the left to 1 at the right: float64 [y, x]."""
    v, u = np.mgrid[: shape[0], : shape[1]]
    return (v + 0.5) / shape[0], (u + 0.5) / shape[1]


def noise(v: np.ndarray, u: np.ndarray, *, rng: np.random.Generator, octaves: int = 1) -> np.ndarray:
    """Smooth noise at points (v, u) in units of its lattice, mean near 0, deviation near 1; octaves add finer ones."""
    field = np.zeros(np.broadcast(v, u).shape)
    for octave in range(octaves):
        lattice = rng.normal(size=(LATTICE, LATTICE))
        points = np.broadcast_arrays(v * 2**octave, u * 2**octave)
        field += 0.5**octave * map_coordinates(lattice, points, order=3, mode="grid-wrap")
    return field / 0.7


def rise(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at `low` to 1 at `high` (3 t^2 - 2 t^3)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def put(plan: Plan, where: np.ndarray, label: int, *, light: np.ndarray | float, angle: np.ndarray | float) -> None:
    """Write a passage into the arrays of a plan `where` (bool [y, x]); `light` is kept between 0 and 1."""
    plan.labels[where] = label
    plan.light[where] = np.broadcast_to(np.clip(light, 0, 1), where.shape)[where]
    plan.angle[where] = np.broadcast_to(angle, where.shape)[where]


def paint(plan: Plan, brushes: dict[int, Brush], *, rng: np.random.Generator) -> Brushwork:
    """Paint a plan stroke by stroke, passage after passage in the order of `brushes` (number of passage: brush)."""
    height, width = plan.labels.shape
    done = Brushwork(plan.labels.copy(), plan.light.astype(np.float32), np.ones(plan.labels.shape, np.float32))
    for label, brush in brushes.items():
        count = int(brush.cover * (width / height) / (brush.length * brush.width))
        places, dice = rng.random((count, 2)), rng.normal(size=(count, 4))
        bristles = rng.normal(size=(count, BRISTLES))
        rows, columns = (places * (height, width)).astype(int).T
        used = np.flatnonzero(plan.labels[rows, columns] == label)
        light = plan.light[rows, columns] + brush.vary * dice[:, 0]
        angle = plan.angle[rows, columns] + brush.wander * dice[:, 1]
        length = np.maximum(height * brush.length * np.exp(0.25 * np.clip(dice[:, 2], -2, 2)), 1.2)
        broad = np.maximum(height * brush.width * np.exp(0.2 * np.clip(dice[:, 3], -2, 2)), 1.0)
        strokes = np.column_stack([places * (height, width), light, angle, length, broad, bristles])[used]
        for start in range(0, len(strokes), BATCH):
            _lay(done, label, strokes[start : start + BATCH])
    return Brushwork(done.labels, np.clip(done.light, 0, 1), np.clip(done.relief, 0.55, 1.6))


def _lay(done: Brushwork, label: int, strokes: np.ndarray) -> None:
    """Lay strokes, the last on top, into the arrays of `done`: ovals with marks along them, thicker at their borders.

    strokes: [stroke, (y, x, light, angle, length, width, marks...)], lengths in pixels.
    """
    y, x, _, angle, length, width = (column[:, None, None] for column in strokes[:, :6].T)
    reach = np.arange(-(half := int(length.max() / 2 + 1)), half + 1)
    row, column = np.broadcast_arrays(y.astype(int) + reach[:, None], x.astype(int) + reach)
    dy, dx = row + 0.5 - y, column + 0.5 - x
    along = (dx * np.cos(angle) + dy * np.sin(angle)) * 2 / length
    across = (dy * np.cos(angle) - dx * np.sin(angle)) * 2 / width
    inside = (np.abs(along) ** 3 + np.abs(across) ** 3 < 1) & (row >= 0) & (column >= 0)
    inside &= (row < done.labels.shape[0]) & (column < done.labels.shape[1])
    stroke = np.nonzero(inside)[0]
    row, column, along, across = (part[inside] for part in (row, column, along, across))
    place = (across + 1) / 2 * (BRISTLES - 1)
    left = np.minimum(place.astype(int), BRISTLES - 2)
    marks = strokes[:, 6:]
    mark = marks[stroke, left] + (place - left) * (marks[stroke, left + 1] - marks[stroke, left])
    done.labels[row, column] = label
    done.light[row, column] = strokes[stroke, 2] + 0.03 * mark
    done.relief[row, column] = 0.94 + 0.11 * mark + 0.15 * across**2 - 0.12 * along
