"""What a painter of some year has on the palette, which paints can be mixed from it, and which one looks right."""

import csv
from functools import cache
from importlib.resources import files
from itertools import combinations
from typing import NamedTuple

import numpy as np

from velatura.base.errors import InputError
from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.physics.material import material
from velatura.scene.render import appearance, below_surface, coat, display, linear

NUMBERS = {"white": (1, 1), "black": (1, 1), "brown": (1, 2), "yellow": (2, 3), "red": (2, 3), "blue": (2, 2),
           "green": (1, 2), "violet": (0, 1)}  # fewest and most pigments of a family  # fmt: skip
MIXED = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)  # volume shares in a mixture of two
TINTED = (0.3, 0.6, 0.8, 0.9, 0.96)  # volume shares of white over two others
BETWEEN = (0.2, 0.5, 0.8)  # shares of these
EACH_MORE = 0.5  # CIEDE2000 that a further pigment in a mixture must be worth
NEAR = 24  # mixtures by distance in CIELAB, among which CIEDE2000 decides
STEPS, TRIALS = (0.4, 0.12), 40  # standard deviation of the shares' logarithm in a round, and trials in it


class Mixtures(NamedTuple):
    """Paints of one palette, and how they look on one ground."""

    pigments: tuple[str, ...]
    volume: np.ndarray
    """Share of each pigment among the pigments, float64 [mixture, pigment]; rows sum to 1."""
    lab: np.ndarray
    """CIELAB of the dry paint on its ground [mixture, 3]."""
    loading: float
    """Volume share of pigment in the film."""
    thickness: float
    """Of the paint [um]."""
    ground: tuple[float, float, float]
    """Colour of what it lies on (sRGB)."""


def painters_palette(year: float, *, rng: np.random.Generator) -> tuple[str, ...]:
    """Draw a palette of 10 to 14 pigments in use that year: a white first, then one to three of each family of hues.

    Raises InputError for a year before our table of pigments begins.
    """
    chosen: list[str] = []
    for family, (fewest, most) in NUMBERS.items():
        names, odds = _in_use(family, year)
        number = min(int(rng.integers(fewest, most + 1)), len(names))
        if number < fewest:
            raise InputError(f"no {family} pigment is known for the year {year:g}; ask for a later one")
        chosen += rng.choice(names, number, replace=False, p=odds / odds.sum()).tolist() if number else []
    return tuple(chosen)


def mixtures(
    pigments: tuple[str, ...], *, loading: float, thickness: float, ground: tuple[float, float, float]
) -> Mixtures:
    """Return every single pigment, mixtures of two, and of two with the first (a white), with their colours."""
    volume = _volumes(len(pigments))
    bare = Mixtures(pigments, volume, np.zeros((0, 3)), loading, thickness, ground)
    return bare._replace(lab=_look(volume, bare))


def matched(lab: np.ndarray, mixed: Mixtures, *, rng: np.random.Generator) -> Mixtures:
    """Return for each colour CIELAB [n, 3] the mixture that looks most like it; simple ones win a near tie.

    The nearest of `mixed` is found first (CIEDE2000); then its shares are changed at random, in two rounds of ever
    smaller steps, and the best are kept.
    """
    far = ((lab[:, None] - mixed.lab) ** 2).sum(axis=-1)
    near = np.argpartition(far, min(NEAR, len(mixed.lab) - 1), axis=1)[:, :NEAR]
    held = (mixed.volume > 0).sum(axis=1)
    cost = colour_difference(lab[:, None], mixed.lab[near]) + EACH_MORE * held[near]
    rows = np.arange(len(lab))
    volume = mixed.volume[near[rows, np.argmin(cost, axis=1)]]
    for step in STEPS:
        factor = np.exp(step * rng.standard_normal((len(lab), TRIALS, len(mixed.pigments))))
        factor[:, 0] = 1.0
        trial = volume[:, None] * factor
        trial /= trial.sum(axis=-1, keepdims=True)
        volume = trial[rows, np.argmin(colour_difference(lab[:, None], _look(trial, mixed)), axis=1)]
    return mixed._replace(volume=volume, lab=_look(volume, mixed))


def _look(volume: np.ndarray, mixed: Mixtures) -> np.ndarray:
    """CIELAB [..., 3] of paints of these volume shares [..., pigment]."""
    shares = dict(zip(mixed.pigments, np.moveaxis(volume, -1, 0), strict=True))
    paint = coat(shares, thickness=mixed.thickness, loading=mixed.loading)
    return srgb_to_lab(display(appearance([paint], support=below_surface(linear(np.array(mixed.ground))))))


@cache
def _volumes(number: int) -> np.ndarray:
    """Volume shares [mixture, pigment] of all mixtures of so many pigments, the first of which is white."""
    eye = np.eye(number)
    rows = [*eye]
    rows += [s * eye[a] + (1 - s) * eye[b] for a, b in combinations(range(number), 2) for s in MIXED]
    rows += [
        w * eye[0] + (1 - w) * (s * eye[a] + (1 - s) * eye[b])
        for a, b in combinations(range(1, number), 2)
        for w in TINTED
        for s in BETWEEN
    ]
    found = np.array(rows)
    found.flags.writeable = False
    return found


def _in_use(family: str, year: float) -> tuple[list[str], np.ndarray]:
    rows = [row for row in _painters() if row[1] == family]
    rows = [row for row in rows if material(row[0]).period[0] <= year <= material(row[0]).period[1]]
    return [name for name, _, _ in rows], np.array([odds for _, _, odds in rows])


@cache
def _painters() -> tuple[tuple[str, str, float], ...]:
    text = (files("velatura.scene") / "tables" / "painters.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple((material(row["pigment"]).name, row["family"], float(row["odds"])) for row in csv.DictReader(lines))
