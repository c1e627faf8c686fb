"""How deep the X-rays see: pigments beneath a covering paint, against its thickness and the counts of a pixel."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from velatura.report.drawing import INK, SMALL_PRINT, SOFT, count_label, new_figure, place, styled
from velatura.tasks.colours import cluster_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (900.0, 390.0)  # points
SEEN, SURE = 9.0, 25.0  # delta chi2: three and five standard deviations
LEAST, MOST = 1.0, 1e5  # delta chi2 that are drawn
NAMED = 1.4  # delta chi2 at which a curve has its name
APART = 0.045  # of the axis: closest labels at the ends of curves


@styled
def visibility_figure(tables: Sequence[xr.Dataset], *, names: Sequence[str], cover: str) -> "Figure":
    """Draw, left, the first pigment's delta chi2 against the cover's thickness, by dose; right, how deep each is seen.

    tables: of `depth_of_visibility`, all for the same cover and doses; names: of the pigments, as printed.
    """
    figure = new_figure(*SIZE)
    left, right = place(figure, (62, 48, 330, 290)), place(figure, (500, 48, 270, 290))
    _doses(left, tables[0])
    left.set_title(f"{names[0]} under {cover}", loc="left", fontsize=10.5, pad=10)
    _depths(right, tables, names)
    right.set_title(f"How deep each pigment is seen under {cover}", loc="left", fontsize=10.5, pad=10)
    return figure


def _doses(axes: "Axes", table: xr.Dataset) -> None:
    from matplotlib.ticker import FuncFormatter

    thickness = table.thickness.values
    decades = [k for k, dose in enumerate(table.counts.values) if np.isclose(np.log10(dose) % 1, 0)]
    for k, shade in zip(decades, np.linspace(0.75, 0.0, len(decades)), strict=True):
        row = table.delta_chi2.values[k]
        axes.plot(thickness, row, color=(shade, shade * 0.8 + 0.1, 0.35 + shade * 0.4), linewidth=1.6)
        logs = np.log(np.maximum(row, 1e-9))
        at = float(np.interp(-np.log(NAMED), -logs, thickness))
        height = max(NAMED, float(row[-1]))
        axes.annotate(
            count_label(table.counts.values[k]), (at, height), (4, 0), textcoords="offset points", fontsize=8,
            color=SMALL_PRINT,
        )  # fmt: skip
    for level, words in ((SEEN, "3 standard deviations"), (SURE, "5")):
        axes.axhline(level, color=SOFT, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
        axes.text(thickness[0] + 1, level * 1.08, words, fontsize=7.5, color=SMALL_PRINT, va="bottom")
    axes.set(yscale="log", ylim=(LEAST, MOST), xlim=(thickness[0], thickness[-1] * 1.02))
    axes.yaxis.set_major_formatter(FuncFormatter(count_label))
    axes.minorticks_off()
    axes.set_xlabel("thickness of the cover (um)")
    axes.set_ylabel("evidence (delta chi2), by counts a pixel")


def _depths(axes: "Axes", tables: Sequence[xr.Dataset], names: Sequence[str]) -> None:
    from matplotlib.ticker import FuncFormatter

    ends = []
    for table, colour in zip(tables, cluster_colours(len(tables)), strict=True):
        depth = np.where(table.delta_chi2.values[:, -1] >= SEEN, table.thickness.values[-1], table.visible_depth.values)
        depth = np.where(table.delta_chi2.values[:, 0] < SEEN, 0.0, depth)
        axes.plot(table.counts.values, depth, color=colour, linewidth=1.6)
        ends.append(float(np.nan_to_num(depth[-1])))
    top = max(float(tables[0].thickness.values[-1]) * 1.04, 1.0)
    axes.set(xscale="log", ylim=(0, top), xlim=(tables[0].counts.values[0], tables[0].counts.values[-1]))
    for number, place_ in zip(np.argsort(ends), _spread(np.sort(ends), APART * top, top), strict=True):
        axes.annotate(
            names[number], (axes.get_xlim()[1], place_), (6, 0), textcoords="offset points", fontsize=8.5,
            color=INK, va="center", annotation_clip=False,
        )  # fmt: skip
        axes.plot([1.0, 1.015], [ends[number] / top, place_ / top], color=cluster_colours(len(ends))[number],
                  transform=axes.transAxes, clip_on=False, linewidth=1.6)  # fmt: skip
    axes.xaxis.set_major_formatter(FuncFormatter(count_label))
    axes.minorticks_off()
    axes.set_xlabel("counts a pixel")
    axes.set_ylabel("deepest cover (um)")


def _spread(places: np.ndarray, apart: float, top: float) -> np.ndarray:
    """Move rising places so that neighbours lie at least `apart`, and none above `top`."""
    spread = places.astype(float).copy()
    for k in range(1, len(spread)):
        spread[k] = max(spread[k], spread[k - 1] + apart)
    for k in reversed(range(len(spread))):
        spread[k] = min(spread[k], top - apart * (len(spread) - 1 - k))
    return spread
