"""A region's spectrum with the lines that decided on a pigment: what was taken away, and how much the answer fell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from velatura.report.drawing import INK, PRUSSIAN, SOFT, VERMILION, log_counts, new_figure, place, styled
from velatura.report.line_labels import LineLabel, draw_labels
from velatura.report.spectrum_figures import (
    BOTTOM,
    CARD,
    LABEL_ROOM,
    RIGHT,
    count_window,
    energy_window,
    thinned,
)
from velatura.spectra.background import estimate_background

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT = 64.0  # points left of the axes: counts may have seven digits
SPAN = 1e4  # most that the logarithmic axis spans
SIDE = 92.0  # points of the bars beside a spectrum
POINTS = 700  # most points of a curve
PALEST = 0.25  # opacity of the lightest of the lines
TITLE = 18.0  # points for the title of a spectrum on a sheet


@dataclass(frozen=True)
class DecidedSpectrum:
    """What is drawn for one pigment."""

    title: str
    energy: np.ndarray
    """[keV], float [channel]."""
    counts: np.ndarray
    """Of the region, float [channel]."""
    lines: tuple[tuple[str, float], ...]
    """Line families, as their main line is called ("Hg-La"), and by how much the logit falls without them."""


@styled
def decided_spectrum(decided: DecidedSpectrum, *, size: tuple[float, float] = CARD) -> "Figure":
    """Draw one spectrum: vermilion what speaks for the pigment, blue what speaks against it; size in points."""
    figure = new_figure(*size)
    draw_decided(figure, (0.0, 0.0, *size), decided)
    return figure


@styled
def decided_sheet(shown: Sequence[DecidedSpectrum]) -> "Figure":
    """Draw the spectra of all pigments as one sheet, two a row, each under its title."""
    width, height = CARD[0] + 40, CARD[1] + TITLE
    rows = math.ceil(len(shown) / 2)
    figure = new_figure(2 * width, rows * height)
    for index, decided in enumerate(shown):
        row, column = divmod(index, 2)
        left, bottom = column * width, (rows - 1 - row) * height
        draw_decided(figure, (left, bottom, width - 10, height - TITLE), decided)
        at = (left + 8) / (2 * width), (bottom + height - TITLE + 4) / (rows * height)
        figure.text(*at, decided.title, size=9, weight="bold")
    return figure


def draw_decided(figure: "Figure", box: tuple[float, float, float, float], decided: DecidedSpectrum) -> None:
    """Draw spectrum and bars into a box (left, bottom, width, height) [points]."""
    left, bottom, width, height = box
    up = height - BOTTOM - LABEL_ROOM
    axes = place(figure, (left + LEFT, bottom + BOTTOM, width - LEFT - RIGHT - SIDE, up))
    _draw_spectrum(axes, decided)
    axes.yaxis.set_label_coords(-(LEFT - 12) / (width - LEFT - RIGHT - SIDE), 0.5)
    bars = place(figure, (left + width - SIDE + 34, bottom + BOTTOM, SIDE - 34 - RIGHT, up))
    _draw_bars(bars, decided.lines)


def _draw_spectrum(axes: "Axes", decided: DecidedSpectrum) -> None:
    from matplotlib.ticker import MaxNLocator

    energy = np.asarray(decided.energy, np.float64)
    low, high = energy_window(energy, decided.counts)
    shown = (energy >= low) & (energy <= high)
    at, counts, ground = (
        thinned(values, shown, most=POINTS)
        for values in (energy, decided.counts, estimate_background(decided.counts, energy))
    )
    least, most = count_window(counts, span=SPAN)
    heaviest = max((abs(drop) for _, drop in decided.lines), default=1.0) or 1.0
    for name, drop in reversed(decided.lines):
        inside = _window(name, at)
        colour = VERMILION if drop > 0 else PRUSSIAN
        opacity = PALEST + (1 - PALEST) * min(1.0, abs(drop) / heaviest)
        axes.fill_between(at, np.maximum(np.minimum(ground, counts), least), np.maximum(counts, least), where=inside,
                          color=colour, alpha=opacity, linewidth=0)  # fmt: skip
    axes.plot(at, np.maximum(ground, least), color=SOFT, linewidth=0.7, linestyle=(0, (4, 2)))
    axes.plot(at, np.maximum(counts, least), color=INK, linewidth=0.9)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.tick_params(length=3, width=0.6)
    axes.set_xlabel("energy [keV]", labelpad=2)
    axes.set_ylabel("counts of the region", labelpad=3)
    log_counts(axes, least, most)
    labels = [LineLabel(name, energy, abs(drop)) for name, drop in decided.lines for energy in _main_energy(name)]
    draw_labels(axes, labels)


def _draw_bars(axes: "Axes", lines: Sequence[tuple[str, float]]) -> None:
    """Bars of the falls, the heaviest above; a bar to the left: the logit rises."""
    reach = max((abs(drop) for _, drop in lines), default=1.0) or 1.0
    places = -np.arange(len(lines), dtype=float)
    drops = [drop for _, drop in lines]
    axes.barh(places, drops, height=0.55, color=[VERMILION if drop > 0 else PRUSSIAN for drop in drops])
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.set_xlim(min(0.0, *drops, 0.0) * 1.1, max(reach * 0.02, *drops, 0.0) * 1.1)
    axes.set_ylim(-max(4.6, len(lines) - 0.4), 0.6)
    axes.set_yticks(places, [name for name, _ in lines], size=7.5)
    axes.tick_params(axis="y", length=0, pad=2)
    axes.tick_params(axis="x", length=2.5, width=0.6, labelsize=7)
    axes.spines["left"].set_visible(False)
    axes.set_xticks([0.0, float(f"{reach:.1g}")] if max(drops, default=0) >= reach else [-float(f"{reach:.1g}"), 0.0])
    axes.set_xlabel("weight", size=7.5, labelpad=2)


def _window(name: str, axis: np.ndarray) -> np.ndarray:
    """Channels that a family, called by its main line, takes away; none for a name that is no line."""
    from velatura.tasks.explain_pigments import line_windows

    element = name.partition("-")[0]
    windows = line_windows((element,), axis) if _main_energy(name) else None
    chosen = [] if windows is None else [
        mask for family, mask in zip(windows.families, windows.masks, strict=True) if family.main.name == name
    ]  # fmt: skip
    return chosen[0] if chosen else np.zeros(len(axis), bool)


def _main_energy(name: str) -> tuple[float, ...]:
    """Energy [keV] of a line as its name says; nothing for a name that is no line."""
    from velatura.atomic.lines import group
    from velatura.base.errors import InputError

    try:
        return (group(name).energy,)
    except InputError:
        return ()
