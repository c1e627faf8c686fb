"""The whole story in one picture: what the eye sees, what is proposed as hidden, the materials, the spectrum."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from velatura.report.drawing import INK, PRUSSIAN, SMALL_PRINT, new_figure, place, styled
from velatura.report.findings import hidden_proposals
from velatura.report.line_labels import draw_labels
from velatura.report.line_names import proposal_lines
from velatura.report.map_figures import draw_bar, show
from velatura.report.panels import MapPanel, along, label_panel, rgb_of
from velatura.report.raster import scale_bar
from velatura.report.spectrum_figures import BOTTOM, energy_window, spectrum_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 1000.0  # points
OVERVIEW_DPI = 115.2  # makes the picture 1600 pixels wide
SPECTRUM = 330.0  # points, width of the spectrum's part
MARGIN, GAP, HEAD, FOOT = 14.0, 14.0, 24.0, 44.0
COLOURS = ("#ffffff", "#e8793a", "#3f8fd0", "#e3b62f")
"""Announced maps are added in these colours, the best first."""
ON_WHITE = (INK, "#c8591d", PRUSSIAN, "#b98a1c")
"""The same on a white page."""


def blend(images: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """Add maps [n, y, x] of 0 to 1, each in its colour, on black: uint8 [y, x, 3]."""
    paints = np.array([rgb_of(colour) for colour in colours[: len(images)]], np.float64)
    return np.rint(np.clip(np.einsum("kyx,kc->yxc", np.nan_to_num(images), paints), 0, 255)).astype(np.uint8)


@styled
def overview(
    segment: xr.Dataset, visible: np.ndarray, *, elements: xr.Dataset | None = None, pitch: float | None = None
) -> "Figure":
    """Draw visible surface, announced composite maps, label map and defining spectra side by side.

    visible: rgb float [y, x, 3], 0 to 1, of the maps' shape; pitch: [mm]. Where nothing is announced as hidden the
    second picture is the best proposal, in grey.
    """
    hidden = hidden_proposals(segment)
    announced = (hidden or [0])[: len(COLOURS)]
    title = "What is proposed as hidden" if hidden else "Best proposal, not announced as hidden"
    names, signatures = along(segment, "proposal", "proposal"), along(segment, "signature", "proposal")
    found = blend(segment.composite.values[announced], COLOURS)
    panels = [
        MapPanel("What the eye sees", np.rint(255 * np.clip(visible, 0, 1)).astype(np.uint8), ends=None),
        MapPanel(title, found, ends=None),
        MapPanel("Materials told apart", label_panel(segment).image, ends=None),
    ]
    height, width = segment.labels.shape
    across = (WIDTH - SPECTRUM - 2 * MARGIN - 3 * GAP) / len(panels)
    up = across * height / width
    figure = new_figure(WIDTH, up + HEAD + FOOT)
    for index, panel in enumerate(panels):
        left = MARGIN + index * (across + GAP)
        axes = place(figure, (left, FOOT, across, up))
        show(axes, panel)
        axes.set_title(panel.name, loc="left", size=10.5, weight="bold", pad=6)
        draw_bar(axes, scale_bar(width, pitch))
    words = [f"{names[index]}: {signatures[index]}" for index in announced]
    draw_words(figure.axes[1], words, [*COLOURS])
    box = (WIDTH - SPECTRUM - MARGIN, FOOT - BOTTOM, SPECTRUM, up + HEAD + BOTTOM)
    axes = spectrum_axes(figure, box, ylabel="counts per pixel, inside − outside", labels=True)
    draw_differences(axes, segment, announced, elements=elements)
    return figure


def draw_words(axes: "Axes", words: Sequence[str], colours: Sequence[str]) -> None:
    """Write the names of the announced maps inside their picture, each in its colour, from the upper left down."""
    for row, (word, colour) in enumerate(zip(words, colours, strict=False)):
        at = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
        axes.annotate(word, (0, 1), (6, -6 - 12 * row), color=colour, size=8.5, weight="bold", **at)


def draw_differences(
    axes: "Axes", segment: xr.Dataset, chosen: Sequence[int], *, elements: xr.Dataset | None = None
) -> None:
    """Draw the defining spectra of some proposals over one another, each in its colour."""
    energy = segment.energy.values
    low, high = energy_window(energy, segment.mean_spectrum.values)
    shown = (energy >= low) & (energy <= high)
    axes.axhline(0, color=SMALL_PRINT, linewidth=0.6)
    for index, colour in reversed(list(zip(chosen, ON_WHITE, strict=False))):
        axes.plot(energy[shown], segment.composite_spectrum.values[index][shown], color=colour, linewidth=1.2)
    axes.set_xlim(low, high)
    labels = {label.name: label for index in chosen for label in proposal_lines(segment, index, elements)}
    draw_labels(axes, list(labels.values()))
