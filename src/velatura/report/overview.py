"""The whole story in one picture: what the eye sees, what is proposed as hidden, the materials, the spectrum."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from velatura.report.drawing import INK, POINT, PRUSSIAN, SMALL_PRINT, new_figure, place, styled
from velatura.report.line_labels import draw_labels
from velatura.report.line_names import proposal_lines
from velatura.report.map_figures import draw_bar, draw_box, show
from velatura.report.panels import MapPanel, hidden_flags, hidden_panel, label_panel, proposal_panels
from velatura.report.raster import scale_bar
from velatura.report.spectrum_figures import BOTTOM, energy_window, spectrum_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 1000.0  # points
PIXELS = 1600  # width of the picture
SPECTRUM = 330.0  # points, width of the spectrum's part
MARGIN, GAP, HEAD, FOOT = 14.0, 14.0, 24.0, 42.0
ON_WHITE = (INK, "#c8591d", PRUSSIAN, "#b98a1c")
"""The colours of the hidden maps (`HIDDEN_COLOURS`) as they are drawn on white."""


@styled
def overview(
    segment: xr.Dataset, visible: np.ndarray, *, elements: xr.Dataset | None = None, pitch: float | None = None
) -> "Figure":
    """Draw visible surface, announced composite maps, label map and defining spectra side by side.

    visible: rgb float [y, x, 3], 0 to 1, of the maps' shape; pitch: [mm]. Where nothing is announced as hidden the
    second picture is the best proposal, in grey.
    """
    hidden = hidden_panel(segment)
    flags = hidden_flags(segment)
    chosen = [index for index, flag in enumerate(flags) if flag][: len(ON_WHITE)] or [0]
    best = proposal_panels(segment)[0]
    panels = [
        MapPanel("What the eye sees", np.rint(255 * np.clip(visible, 0, 1)).astype(np.uint8), ends=None),
        replace(hidden, name="What may lie beneath") if hidden else replace(best, name="Best proposal, not hidden"),
        replace(label_panel(segment), name="Materials told apart"),
    ]
    height, width = segment.labels.shape
    across = (WIDTH - SPECTRUM - 2 * MARGIN - 3 * GAP) / len(panels)
    up = across * height / width
    figure = new_figure(WIDTH, up + HEAD + FOOT)
    figure.set_dpi(PIXELS / WIDTH * POINT)
    for index, panel in enumerate(panels):
        left = MARGIN + index * (across + GAP)
        axes = place(figure, (left, FOOT, across, up))
        show(axes, panel)
        axes.set_title(panel.name, loc="left", size=10.5, weight="bold", pad=6)
        draw_bar(axes, scale_bar(width, pitch))
        if index == 1:
            draw_legend(figure, panel, at=(left, 13.0))
    box = (WIDTH - SPECTRUM - MARGIN, FOOT - BOTTOM, SPECTRUM, up + HEAD + BOTTOM)
    axes = spectrum_axes(figure, box, ylabel="counts per pixel, inside − outside", labels=True)
    draw_differences(axes, segment, chosen, elements=elements)
    return figure


def draw_legend(figure: "Figure", panel: MapPanel, *, at: tuple[float, float]) -> None:
    """Write what the colours of a picture stand for in one row that begins at (left, base) [points]."""
    across, up = figure.get_size_inches() * POINT
    left, base = at
    for colour, words in panel.legend:
        draw_box(figure, (left, base - 1, 8, 8), colour, edge=0.5)
        written = figure.text((left + 11) / across, base / up, words, size=8)
        left = written.get_window_extent().x1 * POINT / figure.dpi + 10


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
