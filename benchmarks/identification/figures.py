"""Recall against concentration, against the paint that covers a hidden one, and against counts."""

import numpy as np
from baselines import Judge
from scores import COVERS, SHARES, recall_against
from spectra_sets import Spectra

from velatura.report.drawing import INK, OCHRE, PRUSSIAN, SOFT, VERMILION, as_png, new_figure, place, styled

LOOKS = ((PRUSSIAN, "-"), (VERMILION, "-"), (OCHRE, "-"), (SOFT, "-"), (INK, ":"))
DOSE_BORDERS = (2e3, 4e3, 8e3, 1.6e4, 5e4)
POINTS = ("1e3", "1e4", "1e5")


def draw_figures(judges: dict[str, dict[str, Judge]], sets: dict[str, Spectra], *, main: str) -> dict[str, bytes]:
    """Return PNG by name."""
    drawn = {method: said for method, said in judges.items() if not method.endswith("strangeness")}
    figures = {
        "concentration": _figure(drawn, sets[main], main, "share"),
        "cover": _figure(drawn, sets[main], main, "cover"),
    }
    points = [name for name in POINTS if name in sets]
    if len(points) > 1:
        figures["counts"] = _counts_figure(drawn, sets, points)
    return figures


@styled
def _figure(judges: dict[str, dict[str, Judge]], spectra: Spectra, main: str, what: str) -> bytes:
    """Recall of detectable labels of one set: visible by share, or hidden by cover."""
    paint, borders = (0, SHARES) if what == "share" else (1, COVERS)
    truth = (spectra.truth & spectra.mask)[:, paint, :-1]
    value = spectra.share[:, 0, :-1] if what == "share" else np.broadcast_to(spectra.cover[:, None], truth.shape)
    figure = new_figure(420, 260)
    axes = place(figure, (48, 44, 230, 190))
    middle = np.sqrt(np.array(borders[1:]) * np.array(borders[:-1]))
    for (method, said), (colour, line) in zip(judges.items(), LOOKS, strict=False):
        found = said[main].said.probability[:, paint] >= said[main].thresholds[paint]
        recall, _ = recall_against(value, truth, found, borders=borders)
        axes.plot(middle, recall, line, color=colour, marker="o", markersize=3, label=method)
    labels = [f"{100 * one:g}" for one in borders] if what == "share" else [f"{one:g}" for one in borders]
    title = "share of the visible paint's pigments [% of volume]"
    _finish(axes, borders, labels, title if what == "share" else "pigments of the visible paint on top [mg/cm²]")
    axes.set_title("Visible paint" if what == "share" else "Hidden paint", loc="left", fontsize=9)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=8)
    return as_png(figure)


@styled
def _counts_figure(judges: dict[str, dict[str, Judge]], sets: dict[str, Spectra], points: list[str]) -> bytes:
    """Recall over the counts, of the labels that are detectable at these counts."""
    figure, counts = new_figure(560, 260), [float(name) for name in points]
    for place_of, paint in enumerate((0, 1)):
        axes = place(figure, (48 + 200 * place_of, 44, 160, 190))
        for (method, said), (colour, line) in zip(judges.items(), LOOKS, strict=False):
            recalls = [_recall(said[name], sets[name], paint) for name in points]
            axes.plot(counts, recalls, line, color=colour, marker="o", markersize=3, label=method)
        _finish(axes, counts, ["1,000", "10,000", "100,000"][: len(points)], "counts")
        axes.set_title(("Visible paint", "Hidden paint")[paint], loc="left", fontsize=9)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=8)
    return as_png(figure)


def _recall(judge: Judge, spectra: Spectra, paint: int) -> float:
    truth = (spectra.truth & spectra.mask)[:, paint, :-1]
    return float((judge.said.probability[:, paint] >= judge.thresholds[paint])[truth].mean())


def _finish(axes, ticks, labels, title: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks(ticks, labels)
    axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.set_xlabel(title)
    axes.set_ylabel("recall of labels that count")
