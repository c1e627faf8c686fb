"""Names of lines above a spectrum, moved aside just enough that none covers another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from velatura.report.drawing import INK, POINT, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTER_WIDTH = 10.5  # points that an upright line of text takes sideways
STRIP = 16  # points between the spectrum and its labels, for the leaders


@dataclass(frozen=True)
class LineLabel:
    """A line to be named on a spectrum."""

    name: str
    energy: float
    """[keV]"""
    weight: float = 1.0
    """The lightest labels give way where there is no room."""


def spread(wanted: np.ndarray, *, gap: float, low: float, high: float) -> np.ndarray:
    """Return positions at least `gap` apart within low..high, as near to the rising positions `wanted` as can be.

    Least squares under the order (isotonic regression of `wanted - i gap`; Barlow et al., 1972).

    >>> spread(np.array([4.0, 4.5, 9.0]), gap=1.0, low=0.0, high=10.0).tolist()
    [3.75, 4.75, 9.0]
    """
    from scipy.optimize import isotonic_regression

    steps = gap * np.arange(len(wanted))
    return np.clip(isotonic_regression(wanted - steps).x, low, high - (len(wanted) - 1) * gap) + steps


def choose(labels: Sequence[LineLabel], *, axes_width: float, within: tuple[float, float]) -> list[LineLabel]:
    """Return the heaviest labels that fit side by side above axes of `axes_width` points, in order of energy."""
    inside = [label for label in labels if within[0] <= label.energy <= within[1]]
    room = max(1, int(axes_width // LETTER_WIDTH))
    heaviest = sorted(inside, key=lambda label: -label.weight)[:room]
    return sorted(heaviest, key=lambda label: label.energy)


def draw_labels(axes: "Axes", labels: Sequence[LineLabel], *, size: float = 8.5) -> int:
    """Write upright labels above the axes with a leader down to each energy; returns how many found no room."""
    box = axes.get_window_extent()
    width, height = (side * POINT / axes.figure.dpi for side in (box.width, box.height))
    low, high = axes.get_xlim()
    shown = choose(labels, axes_width=width, within=(low, high))
    if not shown:
        return len(labels)
    wanted = np.array([(label.energy - low) / (high - low) for label in shown])
    placed = spread(wanted, gap=LETTER_WIDTH / width, low=0.0, high=1.0)
    top, bend = 1 + STRIP / height, 1 + 4 / height
    for label, at, beside in zip(shown, wanted, placed, strict=True):
        leader = {"transform": axes.transAxes, "color": SOFT, "linewidth": 0.5, "clip_on": False}
        axes.plot([at, at], [0, 1], **{**leader, "alpha": 0.28}, zorder=0)
        axes.plot([at, at, beside, beside], [1, bend, top - 5 / height, top - 2 / height], **leader)
        axes.text(
            beside,
            top,
            label.name,
            transform=axes.transAxes,
            rotation=90,
            ha="center",
            va="bottom",
            size=size,
            color=INK,
        )
    return len(labels) - len(shown)
