"""Measured and simulated spectra of standards together, with their difference below."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from velatura.report.drawing import INK, SOFT, VERMILION, log_counts, new_figure, place, styled
from velatura.tasks.standard_comparison import LOWEST, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 900  # most points of a curve
DECADES = 5.3  # that the logarithmic axis spans at most
PANEL = (330.0, 215.0)  # points
RESIDUAL = 0.24  # share of a panel's height for the residuals
AROUND = (56, 10, 20, 17)  # points left, right, below and above the axes of a panel
HEADER = 30  # points above all panels


@styled
def standards_figure(
    comparisons: Sequence[Comparison], *, titles: Sequence[str], columns: int = 3, heading: str = ""
) -> "Figure":
    """Draw one panel a standard: measured counts (ink) and simulated ones (vermilion), log scale, residuals below.

    titles: the words over each panel; heading: one line above all of them. Residuals are (simulated - measured) /
    measured over bins of a tenth of a keV or wider, drawn from -60 to 60 %.
    """
    columns = min(columns, len(comparisons))
    rows = -(-len(comparisons) // columns)
    width, height = PANEL if columns > 1 else (720.0, 430.0)
    figure = new_figure(columns * width, rows * height + HEADER)
    for number, (comparison, title) in enumerate(zip(comparisons, titles, strict=True)):
        row, column = divmod(number, columns)
        box = (column * width, (rows - 1 - row) * height, width, height)
        draw_standard(figure, box, comparison, title=title, last=row == rows - 1, first=column == 0)
    across, up = columns * width, rows * height + HEADER
    line = 1 - 14 / up
    figure.text(12 / across, line, heading, size=10.5, va="center", weight="bold")
    key = (
        ("\u2014 measured", INK, 290),
        ("\u2014 simulated", VERMILION, 225),
        ("below: simulated / measured - 1", SOFT, 155),
    )
    for words, colour, before_end in key:
        figure.text(1 - before_end / across, line, words, size=8.5, va="center", color=colour)
    return figure


def draw_standard(
    figure: "Figure",
    box: tuple[float, float, float, float],
    comparison: Comparison,
    *,
    title: str,
    last: bool = True,
    first: bool = True,
) -> None:
    """Draw one standard in a box (left, bottom, width, height) [points]; `last`, `first`: write the axes' names."""
    left, bottom, width, height = box
    west, east, south, north = AROUND
    south = south + 12 if last else south
    inner = width - west - east
    below = RESIDUAL * (height - south - north)
    low, high = _range(comparison)
    energy, measured, simulated = _curves(comparison, low, high)
    top = place(figure, (left + west, bottom + south + below + 6, inner, height - south - north - below - 6))
    highest = max(measured.max(), simulated.max())
    lowest = max(highest / 10**DECADES, 0.3)
    top.plot(energy, np.maximum(measured, lowest / 3), color=INK, linewidth=1.0)
    top.plot(energy, np.maximum(simulated, lowest / 3), color=VERMILION, linewidth=0.85, alpha=0.9)
    log_counts(top, lowest, highest * 2)
    top.set_xlim(low, high)
    top.tick_params(labelbottom=False, length=2.5, width=0.6, labelsize=7.5)
    top.set_title(title, loc="left", size=8.8, pad=3)
    if first:
        top.set_ylabel("counts per channel", size=8)
        top.yaxis.set_label_coords(-46 / inner, 0.5)
    rest = place(figure, (left + west, bottom + south, inner, below))
    _draw_residuals(rest, comparison, low, high)
    rest.set_xlabel("energy [keV]" if last else "", size=8, labelpad=1)


def _draw_residuals(axes: "Axes", comparison: Comparison, low: float, high: float) -> None:
    width = max(round(0.1 / (comparison.axis[1] - comparison.axis[0])), 1)
    whole = len(comparison.axis) // width * width
    axis, counts, expected = (
        np.asarray(values)[:whole].reshape(-1, width).mean(axis=1)
        for values in (comparison.axis, comparison.counts, comparison.expected)
    )
    seen = (counts * width > 30) & (axis >= low) & (axis <= high)
    relative = np.where(seen, expected / np.maximum(counts, 1e-9) - 1, np.nan)
    axes.axhspan(-0.1, 0.1, color=SOFT, alpha=0.18, linewidth=0)
    axes.axhline(0, color=SOFT, linewidth=0.5)
    axes.plot(axis, np.clip(relative, -0.6, 0.6), color=VERMILION, linewidth=0.8)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.6, 0.6)
    axes.set_yticks([-0.5, 0, 0.5], ["-50 %", "0", "50 %"])
    axes.tick_params(length=2.5, width=0.6, labelsize=7)


def _range(comparison: Comparison) -> tuple[float, float]:
    """Energies [keV] worth drawing: from the start of the fit to where the counts end."""
    counts = np.clip(comparison.counts, 0, None)
    seen = np.flatnonzero(np.convolve(counts, np.ones(9), "same") > 9)
    return LOWEST, float(comparison.axis[seen[-1]]) if len(seen) else float(comparison.axis[-1])


def _curves(comparison: Comparison, low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy and counts per channel, averaged over equal runs to at most POINTS points."""
    inside = (comparison.axis >= low) & (comparison.axis <= high)
    run = max(1, -(-int(inside.sum()) // POINTS))
    rows = [np.asarray(values)[inside] for values in (comparison.axis, comparison.counts, comparison.expected)]
    whole = len(rows[0]) // run * run
    energy, measured, simulated = (row[:whole].reshape(-1, run).mean(axis=1) for row in rows)
    return energy, measured, simulated
