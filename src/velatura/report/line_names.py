"""Which lines are named on which spectrum: those of the element result, or the tabulated ones of named elements."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import xarray as xr

from velatura.atomic.elements import symbols
from velatura.report.line_labels import LineLabel
from velatura.report.panels import along

FEWEST = 6  # lines named on a spectrum whose elements are not known
MOST = 9  # lines named beside a difference spectrum
LEAST_CHANGE = 0.04  # of the largest difference: lines that are named beside a difference spectrum
RESOLVED = 0.2  # keV between a Kb or Lb line and any other that is named
K_LINES_TO = 26.0  # keV; elements whose Ka lies above are known by their La


def mapped_lines(elements: xr.Dataset, energy: np.ndarray, spectrum: np.ndarray) -> list[LineLabel]:
    """Return the lines of an element result, each weighed by the height of `spectrum` [channel] at its energy."""
    energies = elements.line_energy.values.astype(float)
    weights = np.interp(energies, energy, spectrum).tolist()
    names = along(elements, "line", "line")
    labels = [LineLabel(*parts) for parts in zip(names, energies.tolist(), weights, strict=True)]
    return [*labels, *companions(labels, energy, spectrum)]


def companions(labels: list[LineLabel], energy: np.ndarray, spectrum: np.ndarray) -> list[LineLabel]:
    """Return the Kb and Lb lines beside Ka and La ones, where a detector tells them from every line in `labels`."""
    from velatura.atomic.lines import groups_of

    taken, found = {label.name for label in labels}, []
    for label in labels:
        element, _, kind = label.name.partition("-")
        if kind not in ("Ka", "La") or element not in symbols():
            continue
        beside = next((group for group in groups_of(element) if group.name == f"{element}-{kind[0]}b"), None)
        if beside and beside.name not in taken and label.energy < beside.energy < energy[-1]:
            weight = 0.5 * float(np.interp(beside.energy, energy, spectrum))
            found.append(LineLabel(beside.name, beside.energy, weight))
    return [new for new in found if all(abs(new.energy - old.energy) > RESOLVED for old in labels)]


def tabulated_lines(held: Iterable[str], highest: float) -> list[LineLabel]:
    """Return the main line of each element, Ka or La, as far as it lies below `highest` [keV]."""
    from velatura.atomic.lines import groups_of

    labels = []
    for symbol in sorted(set(held) & set(symbols())):
        groups = {group.name.split("-")[1]: group for group in groups_of(symbol)}
        reachable = min(highest, K_LINES_TO)
        main = next((groups[kind] for kind in ("Ka", "La") if kind in groups and groups[kind].energy < reachable), None)
        if main:
            labels.append(LineLabel(main.name, main.energy))
    return labels


def cluster_lines(segment: xr.Dataset, index: int, elements: xr.Dataset | None = None) -> list[LineLabel]:
    """Return the lines to name on the mean spectrum of cluster number `index`: those of its elements."""
    held = words(*(along(segment, name, "cluster")[index] for name in ("elements", "contrast")))
    if elements is None:
        return tabulated_lines(held, float(segment.energy.values[-1]))
    labels = mapped_lines(elements, segment.energy.values, segment.spectrum.values[index])
    named = [label for label in labels if label.name.split("-")[0] in held]
    return named or sorted(labels, key=lambda label: -label.weight)[:FEWEST]


def proposal_lines(segment: xr.Dataset, index: int, elements: xr.Dataset | None = None) -> list[LineLabel]:
    """Return the lines to name on the spectrum of proposal number `index`: its signature, then what differs most."""
    signature = words(along(segment, "signature", "proposal")[index].partition(" without ")[0])
    if elements is None:
        return tabulated_lines({word.split("-")[0] for word in signature}, float(segment.energy.values[-1]))
    labels = mapped_lines(elements, segment.energy.values, abs(segment.composite_spectrum.values[index]))
    first = [replace(label, weight=float("inf")) if label.name in signature else label for label in labels]
    least = LEAST_CHANGE * max((label.weight for label in labels), default=0.0)
    return sorted((label for label in first if label.weight > least), key=lambda label: -label.weight)[:MOST]


def words(*texts: str) -> set[str]:
    """Return the words of some texts without commas, e.g. the symbols in "Pb, Hg" and "Hg ×6.1"."""
    return {word.strip(",;") for line in texts for word in line.split()}
