"""Which lines are named on which spectrum: those of the element result, or the tabulated ones of named elements."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import xarray as xr

from velatura.report.line_labels import LineLabel
from velatura.report.panels import along

FEWEST = 6  # lines named on a spectrum whose elements are not known
MOST = 9  # lines named beside a difference spectrum
K_LINES_TO = 26.0  # keV; elements whose Ka lies above are known by their La


def mapped_lines(elements: xr.Dataset, energy: np.ndarray, spectrum: np.ndarray) -> list[LineLabel]:
    """Return the lines of an element result, each weighed by the height of `spectrum` [channel] at its energy."""
    energies = elements.line_energy.values.astype(float)
    weights = np.interp(energies, energy, spectrum).tolist()
    names = along(elements, "line", "line")
    return [LineLabel(*parts) for parts in zip(names, energies.tolist(), weights, strict=True)]


def tabulated_lines(symbols: Iterable[str], highest: float) -> list[LineLabel]:
    """Return the main line of each element, Ka or La, as far as it lies below `highest` [keV]."""
    from velatura.atomic.elements import symbols as known
    from velatura.atomic.lines import groups_of

    labels = []
    for symbol in sorted(set(symbols) & set(known())):
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
    signature = words(along(segment, "signature", "proposal")[index])
    if elements is None:
        return tabulated_lines({word.split("-")[0] for word in signature}, float(segment.energy.values[-1]))
    labels = mapped_lines(elements, segment.energy.values, abs(segment.composite_spectrum.values[index]))
    first = [replace(label, weight=float("inf")) if label.name in signature else label for label in labels]
    return sorted(first, key=lambda label: -label.weight)[:MOST]


def words(*texts: str) -> set[str]:
    """Return the words of some texts without commas, e.g. the symbols in "Pb, Hg" and "Hg ×6.1"."""
    return {word.strip(",;") for line in texts for word in line.split()}
