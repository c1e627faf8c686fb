"""Maps as figures: small multiples with captions, one scale bar, upright, square pixels, no smoothing."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from velatura.report.drawing import INK, OCHRE, POINT, SMALL_PRINT, SOFT, new_figure, place, styled
from velatura.report.panels import MapPanel
from velatura.report.raster import ScaleBar, block_factor, block_mean, scale_bar, to_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHEET_WIDTH = 760  # points
MARGIN, GAP = 18, 16
LINE_HEIGHT = 10
KEY_WIDTH, KEY_STEPS, FINE_STEPS = 42, 14, 42  # points, greys and colours of the key
LONGEST_SIDE = 700  # pixels of one panel in a figure; larger maps are averaged in blocks
TALLEST = 2.0  # height of a panel over its width; taller maps are drawn narrower


@dataclass(frozen=True)
class SheetLayout:
    """Where the panels of a sheet lie, in points."""

    columns: int
    rows: int
    cell: float
    """Width of a cell."""
    picture: tuple[float, float]
    """Width and height of each map."""
    caption: float
    """Height below each map."""

    @property
    def height(self) -> float:
        """Height of the whole sheet."""
        return 2 * MARGIN + 20 + self.rows * (self.picture[1] + self.caption + GAP)

    def corner(self, index: int) -> tuple[float, float]:
        """Lower left corner of map number `index`, from the sheet's lower left."""
        row, column = divmod(index, self.columns)
        top = self.height - MARGIN - row * (self.picture[1] + self.caption + GAP)
        return MARGIN + column * (self.cell + GAP), top - self.picture[1]


def lay_out(panels: Sequence[MapPanel], *, most: int = 4) -> SheetLayout:
    """Choose columns, at most `most`, and sizes for panels of one shape."""
    height, width = panels[0].image.shape[:2]
    aspect = width / height
    across = min(most, 1 if aspect > 4 else 2 if aspect > 2 else 3 if aspect > 1.1 else 4)
    cell = (SHEET_WIDTH - 2 * MARGIN - (across - 1) * GAP) / across
    picture = min(cell, TALLEST * cell * aspect)
    lines = max(len(small_print(panel, cell)) + len(panel.legend) for panel in panels)
    columns = min(across, len(panels))
    return SheetLayout(
        columns=columns,
        rows=math.ceil(len(panels) / columns),
        cell=cell,
        picture=(picture, picture / aspect),
        caption=28 + LINE_HEIGHT * lines,
    )


def small_print(panel: MapPanel, width: float) -> list[str]:
    """Wrap the small print of a panel to `width` points."""
    letters = max(12, int(width / 3.9))
    return [part for line in panel.lines for part in textwrap.wrap(line, letters)]


def displayed(panel: MapPanel, longest: int = LONGEST_SIDE) -> np.ndarray:
    """Return the panel as uint8 [y, x, 3] of about `longest` pixels a side: block means, or every n-th colour."""
    factor = block_factor(panel.image.shape, longest)
    if panel.image.ndim == 3:
        return panel.image[::factor, ::factor]
    if panel.scale is not None:
        return panel.scale.rgb(block_mean(panel.image, factor))
    return to_rgb(block_mean(panel.image, factor), panel.low, panel.high)


def averaging_note(shape: tuple[int, ...], longest: int = LONGEST_SIDE) -> str:
    """Say how a map was made smaller for display; empty when it was not."""
    factor = block_factor(shape, longest)
    return f"shown with {factor} × {factor} pixels averaged" if factor > 1 else ""


def show(axes: "Axes", panel: MapPanel) -> None:
    """Draw a panel upright (row 0 on top) with square pixels in the scan's pixel coordinates."""
    from matplotlib.patches import Rectangle

    rgb = displayed(panel)
    factor = block_factor(panel.image.shape, LONGEST_SIDE)
    extent = (0, rgb.shape[1] * factor, rgb.shape[0] * factor, 0)
    axes.imshow(rgb, interpolation="nearest", aspect="equal", origin="upper", extent=extent)
    axes.set_axis_off()
    if panel.legend:
        axes.add_patch(Rectangle((0, 0), *extent[1:3], fill=False, edgecolor=SOFT, linewidth=0.5, clip_on=False))


def draw_bar(axes: "Axes", bar: ScaleBar, *, below: float = 9) -> None:
    """Draw a scale bar `below` points under a map, as long as the map's own pixels say."""
    from matplotlib.transforms import ScaledTranslation

    down = axes.transData + ScaledTranslation(0, -below / POINT, axes.figure.dpi_scale_trans)
    bottom = axes.get_ylim()[0]
    style = {"color": INK, "linewidth": 2, "solid_capstyle": "butt", "clip_on": False}
    axes.plot([0, bar.pixels], [bottom, bottom], transform=down, scalex=False, scaley=False, **style)
    written = {"xycoords": down, "textcoords": "offset points", "va": "center", "size": 7, "annotation_clip": False}
    axes.annotate(bar.label, (bar.pixels, bottom), (5, 0), **written)


def draw_box(figure: "Figure", box: tuple[float, float, float, float], colour: str, *, edge: float = 0.0) -> None:
    """Fill a box (left, bottom, width, height) of a figure, in points, and draw its edge `edge` points wide."""
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import Affine2D

    points = Affine2D().scale(1 / POINT) + figure.dpi_scale_trans
    left, bottom, width, height = box
    style = {"facecolor": colour, "edgecolor": INK, "linewidth": edge, "antialiased": edge > 0}
    figure.add_artist(Rectangle((left, bottom), width, height, transform=points, **style))


def draw_key(figure: "Figure", panel: MapPanel, *, right: float, middle: float) -> None:
    """Draw what black and white mean as a wedge of the panel's scale between two words, ending at `right` points."""
    if panel.ends is None:
        return
    across, up = figure.get_size_inches() * POINT
    high = figure.text(right / across, middle / up, panel.ends[1], ha="right", va="center", size=7)
    end = high.get_window_extent().x0 * POINT / figure.dpi - 4
    greys = [str(index / (KEY_STEPS - 1)) for index in range(KEY_STEPS)]
    shades = greys if panel.scale is None else panel.scale.hexes(FINE_STEPS)
    step = KEY_WIDTH / len(shades)
    for index, shade in enumerate(shades):
        draw_box(figure, (end - KEY_WIDTH + index * step, middle - 3, step, 6), shade)
    draw_box(figure, (end - KEY_WIDTH, middle - 3, KEY_WIDTH, 6), "none", edge=0.5)
    figure.text((end - KEY_WIDTH - 4) / across, middle / up, panel.ends[0], ha="right", va="center", size=7)


def draw_caption(figure: "Figure", panel: MapPanel, *, at: tuple[float, float], width: float) -> None:
    """Write chip, name, heading and small print of a panel; `at` is the left end of the first line [points]."""
    across, up = figure.get_size_inches() * POINT
    left, base = at
    if panel.colour:
        draw_box(figure, (left, base - 0.5, 8, 8), panel.colour, edge=0.5)
        left += 12
    name = figure.text(left / across, base / up, panel.name, size=9, weight="bold")
    end = name.get_window_extent().x1 * POINT / figure.dpi
    figure.text((end + 6) / across, base / up, panel.heading, size=9)
    for row, (colour, words) in enumerate(panel.legend, 1):
        draw_box(figure, (at[0], base - LINE_HEIGHT * row - 1.5, 7, 7), colour, edge=0.5)
        figure.text((at[0] + 11) / across, (base - LINE_HEIGHT * row - 1) / up, words, size=7, color=SMALL_PRINT)
    for row, line in enumerate(small_print(panel, width), 1 + len(panel.legend)):
        figure.text(at[0] / across, (base - LINE_HEIGHT * row - 1) / up, line, size=7, color=SMALL_PRINT)


@styled
def map_sheet(panels: Sequence[MapPanel], *, pitch: float | None = None, most: int = 4) -> "Figure":
    """Draw panels of one shape as small multiples, each with its scale bar and key.

    pitch: [mm], None where it is not known (the bars are then in pixels); most: panels side by side.
    """
    layout = lay_out(panels, most=most)
    figure = new_figure(SHEET_WIDTH, layout.height)
    bar = scale_bar(panels[0].image.shape[1], pitch)
    for index, panel in enumerate(panels):
        left, bottom = layout.corner(index)
        axes = place(figure, (left, bottom, *layout.picture))
        show(axes, panel)
        draw_bar(axes, bar)
        draw_key(figure, panel, right=left + layout.cell, middle=bottom - 9)
        draw_caption(figure, panel, at=(left, bottom - 26), width=layout.cell)
    note = averaging_note(panels[0].image.shape)
    if note:
        figure.text(MARGIN / SHEET_WIDTH, MARGIN / layout.height, note, size=7, color=SMALL_PRINT)
    return figure


@styled
def marked_map(panel: MapPanel, spots: Sequence[tuple[str, float, float]], *, pitch: float | None = None) -> "Figure":
    """Draw one map with named rings; spots: (name, x, y) in pixels."""
    from matplotlib.patches import Circle

    figure = map_sheet([panel], pitch=pitch)
    axes = figure.axes[0]
    radius = max(panel.image.shape[:2]) / 40
    for name, x, y in spots:
        axes.add_patch(Circle((x, y), radius, fill=False, edgecolor=OCHRE, linewidth=1.2, clip_on=False))
        axes.annotate(name, (x, y), (x + 1.2 * radius, y - 1.2 * radius), color=OCHRE, size=8, weight="bold")
    return figure


@styled
def named_map(panel: MapPanel, names: Sequence[tuple[str, float, float]], *, pitch: float | None = None) -> "Figure":
    """Draw one map with a name at each place; names: (name, x, y) in pixels."""
    from matplotlib.patheffects import withStroke

    figure = map_sheet([panel], pitch=pitch, most=2)
    around = [withStroke(linewidth=2, foreground="white")]
    for name, x, y in names:
        figure.axes[0].text(x, y, name, size=7.5, weight="bold", ha="center", va="center", path_effects=around)
    return figure
