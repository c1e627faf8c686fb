"""Spectra as figures: counts on a logarithmic scale against keV, with the names of the lines and Poisson bands."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from velatura.report.content import Calibration
from velatura.report.drawing import (
    INK,
    OCHRE,
    PRUSSIAN,
    SOFT,
    VERMILION,
    legible,
    log_counts,
    new_figure,
    place,
    styled,
)
from velatura.report.line_labels import LineLabel, draw_labels
from velatura.report.line_names import cluster_lines, mapped_lines, proposal_lines
from velatura.report.panels import cluster_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPAN = 1e5  # most that the logarithmic axis of a sum spans, highest over lowest
MEAN_SPAN = 1e4  # the same for a cluster, whose mean has fewer counts
LEFT, RIGHT, BOTTOM = 48, 10, 32  # points around the axes
LABEL_ROOM = 56  # points above the axes for the names of lines
CARD = (350.0, 220.0)  # points of a spectrum on a card
LARGE = (460.0, 250.0)  # points of the spectrum beside a hidden map
WIDE = (900.0, 430.0)  # points of the spectra of the whole scan


def energy_window(energy: np.ndarray, spectrum: np.ndarray) -> tuple[float, float]:
    """Return the range worth drawing [keV]: above the strobe peak at 0, up to where 99.9 % of the counts have come."""
    low = max(float(energy[0]), min(0.8, float(energy[-1]) / 4))
    counts = np.where(energy >= low, np.clip(np.nan_to_num(spectrum), 0, None), 0)
    if counts.sum() <= 0:
        return low, float(energy[-1])
    last = int(np.searchsorted(np.cumsum(counts), 0.999 * counts.sum()))
    return low, float(min(energy[-1], energy[min(last, len(energy) - 1)] + 1.0))


def count_window(*spectra: np.ndarray, span: float = SPAN) -> tuple[float, float]:
    """Return lowest and highest counts for a logarithmic axis that holds every spectrum."""
    positive = np.concatenate([spectrum[spectrum > 0] for spectrum in spectra])
    if not positive.size:
        return 0.1, 1.0
    highest = float(positive.max())
    return max(float(np.percentile(positive, 5)) * 0.6, highest / span), highest * 1.5


def thinned(values: np.ndarray, shown: np.ndarray, *, most: int) -> np.ndarray:
    """Return the channels in `shown` as at most `most` points: means of equal runs, the rest at the end left out."""
    values = np.asarray(values, np.float64)[shown]
    run = max(1, math.ceil(len(values) / most))
    return values[: len(values) // run * run].reshape(-1, run).mean(axis=1)


def spectrum_axes(figure: "Figure", box: tuple[float, float, float, float], *, ylabel: str, labels: bool) -> "Axes":
    """Place axes for a spectrum in a box (left, bottom, width, height) [points] with room for names of lines above."""
    from matplotlib.ticker import MaxNLocator

    left, bottom, width, height = box
    top = LABEL_ROOM if labels else 10
    axes = place(figure, (left + LEFT, bottom + BOTTOM, width - LEFT - RIGHT, height - BOTTOM - top))
    axes.xaxis.set_major_locator(MaxNLocator(max(4, int(width // 60)), steps=[1, 2, 5, 10]))
    axes.tick_params(length=3, width=0.6)
    axes.set_xlabel("energy [keV]", labelpad=2)
    axes.set_ylabel(ylabel, labelpad=3)
    return axes


@styled
def scan_spectra(elements: xr.Dataset) -> "Figure":
    """Draw the sum of all pixels with background and fit, its lines named, and below it the maximum of any pixel."""
    energy, total = elements.energy.values, elements.sum_spectrum.values
    width, height = WIDE
    figure = new_figure(width, height)
    low, high = energy_window(energy, total)
    shown = (energy >= low) & (energy <= high)
    lower = 0.36 * height if "max_spectrum" in elements else 0.0
    left, across = 16.0, width - 16.0
    axes = spectrum_axes(figure, (left, lower, across, height - lower), ylabel="counts, all pixels", labels=True)
    _draw_curves(axes, elements, shown, names=("sum_spectrum", "background", "fit"))
    draw_labels(axes, mapped_lines(elements, energy, total))
    if lower:
        axes.set_xlabel("")
        box = (left, 0, across, lower + BOTTOM - 4)
        below = spectrum_axes(figure, box, ylabel="counts, one pixel", labels=False)
        _draw_curves(below, elements, shown, names=("max_spectrum",))
    for part in figure.axes:
        part.yaxis.set_label_coords(-(LEFT + 4) / (across - LEFT - RIGHT), 0.5)
    return figure


def _draw_curves(axes: "Axes", elements: xr.Dataset, shown: np.ndarray, *, names: Sequence[str]) -> None:
    styles = {
        "sum_spectrum": ("sum of all pixels", INK, 1.2, "-"),
        "background": ("background", SOFT, 1.0, "--"),
        "fit": ("fit", VERMILION, 0.9, "-"),
        "max_spectrum": ("maximum of any pixel", PRUSSIAN, 1.0, "-"),
    }
    present = [name for name in names if name in elements]
    energy = thinned(elements.energy.values, shown, most=1600)
    curves = {name: thinned(elements[name].values, shown, most=1600) for name in present}
    low, high = count_window(*curves.values())
    for name, curve in curves.items():
        label, colour, width, style = styles[name]
        axes.plot(energy, np.maximum(curve, low), color=colour, linewidth=width, linestyle=style, label=label)
    axes.set_xlim(energy[0], energy[-1])
    log_counts(axes, low, high)
    axes.legend(frameon=False, ncols=4, loc="upper right", fontsize=8, borderaxespad=0.2, handlelength=1.6)


def draw_mean(axes: "Axes", segment: xr.Dataset, index: int, *, labels: Sequence[LineLabel]) -> None:
    """Draw a cluster's mean spectrum with its Poisson band in front of the painting's mean."""
    low, high = energy_window(segment.energy.values, segment.mean_spectrum.values)
    shown = (segment.energy.values >= low) & (segment.energy.values <= high)

    def points(values: np.ndarray) -> np.ndarray:
        return thinned(values, shown, most=600)

    energy, mean, spectrum = (
        points(values)
        for values in (segment.energy.values, segment.mean_spectrum.values, segment.spectrum.values[index])
    )
    colour = line_colour(segment, index)
    least, most = count_window(mean, spectrum, span=MEAN_SPAN)
    axes.fill_between(energy, least, np.maximum(mean, least), color=SOFT, alpha=0.3, linewidth=0)
    if "spectrum_error" in segment:
        error = points(segment.spectrum_error.values[index])
        below, above = (np.maximum(spectrum + sign * error, least) for sign in (-1, 1))
        axes.fill_between(energy, below, above, color=colour, alpha=0.4, linewidth=0)
    axes.plot(energy, np.maximum(spectrum, least), color=colour, linewidth=1.2)
    axes.set_xlim(low, high)
    log_counts(axes, least, most)
    draw_labels(axes, labels)


def line_colour(segment: xr.Dataset, index: int) -> str:
    """Return a line's colour for a cluster."""
    return legible(cluster_words(segment)[index].colour)


@styled
def cluster_spectrum(segment: xr.Dataset, index: int, *, elements: xr.Dataset | None = None) -> "Figure":
    """Draw the mean spectrum of cluster number `index` in counts per pixel; the painting's mean is the grey field."""
    figure = new_figure(*CARD)
    axes = spectrum_axes(figure, (0, 0, *CARD), ylabel="counts per pixel", labels=True)
    draw_mean(axes, segment, index, labels=cluster_lines(segment, index, elements))
    return figure


@styled
def cluster_spectra(segment: xr.Dataset, *, elements: xr.Dataset | None = None) -> "Figure":
    """Draw the mean spectra of all clusters as one sheet, two a row."""
    count = segment.sizes["cluster"]
    width, height = CARD[0] + 30, CARD[1]
    rows = math.ceil(count / 2)
    figure = new_figure(2 * width, rows * height)
    for index, said in enumerate(cluster_words(segment)):
        row, column = divmod(index, 2)
        box = (column * width, (rows - 1 - row) * height, width, height)
        axes = spectrum_axes(figure, box, ylabel="counts per pixel", labels=True)
        draw_mean(axes, segment, index, labels=cluster_lines(segment, index, elements))
        name = f"{said.name}  {said.share}"
        axes.text(0.99, 0.97, name, transform=axes.transAxes, ha="right", va="top", size=9, weight="bold")
    return figure


@styled
def proposal_spectrum(
    segment: xr.Dataset,
    index: int,
    *,
    elements: xr.Dataset | None = None,
    size: tuple[float, float] = LARGE,
) -> "Figure":
    """Draw the spectrum that defines proposal number `index`: inside minus outside, on a linear scale through 0.

    size: width and height in points.
    """
    width, height = size
    energy, difference = segment.energy.values, segment.composite_spectrum.values[index]
    low, high = energy_window(energy, segment.mean_spectrum.values)
    shown = (energy >= low) & (energy <= high)
    at, change = thinned(energy, shown, most=900), thinned(difference, shown, most=900)
    figure = new_figure(width, height)
    axes = spectrum_axes(figure, (0, 0, width, height), ylabel="counts per pixel, inside − outside", labels=True)
    axes.fill_between(at, 0, np.maximum(change, 0), color=VERMILION, alpha=0.85, linewidth=0)
    axes.fill_between(at, 0, np.minimum(change, 0), color=PRUSSIAN, alpha=0.85, linewidth=0)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xlim(low, high)
    draw_labels(axes, proposal_lines(segment, index, elements))
    return figure


@styled
def calibration_residuals(calibration: Calibration) -> "Figure":
    """Draw found minus tabulated energy [eV] of each line, with error bars; the band is ± 10 eV."""
    width, height = 560.0, 240.0
    figure = new_figure(width, height)
    axes = spectrum_axes(figure, (0, 0, width, height), ylabel="found − tabulated [eV]", labels=True)
    energies = np.array([line.energy for line in calibration.lines])
    residuals = np.array([line.residual for line in calibration.lines])
    errors = np.array([line.uncertainty if np.isfinite(line.uncertainty) else 0.0 for line in calibration.lines])
    reach = max(15.0, 1.25 * float(np.max(np.abs(residuals) + errors, initial=0)))
    margin = 0.06 * (float(np.ptp(energies)) or 1.0)
    axes.set_xlim(energies.min() - margin, energies.max() + margin)
    axes.set_ylim(-reach, reach)
    axes.axhspan(-10, 10, color=OCHRE, alpha=0.16, linewidth=0)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.errorbar(energies, residuals, errors, fmt="o", markersize=4.5, color=PRUSSIAN, elinewidth=1)
    draw_labels(axes, [LineLabel(line.line, line.energy) for line in calibration.lines])
    return figure
