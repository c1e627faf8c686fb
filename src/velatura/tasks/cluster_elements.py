"""Which elements a cluster's mean spectrum shows, and how it differs from the painting's mean."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from velatura.spectra.explain import Explanation, explain
from velatura.spectra.response import Detector
from velatura.tasks.cluster_spectra import ClusterSpectra

FAINT = 0.02  # of the counts of the strongest line: weaker ones are not named
SIGNIFICANT = 5.0  # standard deviations by which a cluster's line differs from the mean's
CHANGE = 1.5  # a ratio to the mean nearer to 1 is not named
MOST_ELEMENTS, MOST_MORE, MOST_LESS = 6, 3, 2


class ClusterElements(NamedTuple):
    """Elements by name, in words for people."""

    elements: tuple[str, ...]
    """Of each cluster, by falling counts: "Pb, Hg"."""
    contrast: tuple[str, ...]
    """Of each cluster: what it holds more of than the painting's mean, then what less, "Hg x6.1, Cu x0.2"."""


class _Line(NamedTuple):
    """Counts a pixel."""

    counts: float
    error: float


def cluster_elements(
    spectra: ClusterSpectra, energy: np.ndarray, *, pixels: int, acquisition: Mapping[str, Any]
) -> ClusterElements:
    """Name the elements of each cluster's mean spectrum.

    energy: channel centres [keV] [channel]; pixels: number of pixels behind `spectra.mean`; acquisition: what is known
    of `anode`, `tube_voltage` [kV], `noise` (FWHM) [keV] and `fano`.
    """
    detector = Detector(**{name: acquisition[name] for name in ("noise", "fano") if acquisition.get(name)})
    options = {"detector": detector, "tube_voltage": acquisition.get("tube_voltage")}
    whole = explain(spectra.mean * pixels, energy, anode=acquisition.get("anode"), **options)
    mean = _sample_lines(whole, 1 / pixels)
    elements, contrast = [], []
    for spectrum, error in zip(spectra.spectrum, spectra.error, strict=True):
        unit = float((error**2).sum() / max(spectrum.sum(), 1e-12))  # counts a pixel that stand for one count
        explained = explain(spectrum / max(unit, 1e-12), energy, anode=whole.anode, **options)
        here = _sample_lines(explained, unit)
        elements.append(", ".join(list(_strong(here))[:MOST_ELEMENTS]))
        contrast.append(", ".join(_contrast(here, mean, worse=np.sqrt(max(unit * pixels, 1.0)))))
    return ClusterElements(tuple(elements), tuple(contrast))


def _sample_lines(explained: Explanation, unit: float) -> dict[str, _Line]:
    """The strongest line of each element, without those of the tube and of air."""
    return {
        found.element: _Line(found.counts * unit, found.counts * unit / found.significance)
        for found in explained.found
        if found.role == "sample"
    }


def _strong(lines: dict[str, _Line]) -> dict[str, _Line]:
    """Lines worth naming, by falling counts."""
    least = FAINT * max((line.counts for line in lines.values()), default=0.0)
    return {name: line for name, line in sorted(lines.items(), key=lambda item: -item[1].counts) if line.counts > least}


def _contrast(here: dict[str, _Line], mean: dict[str, _Line], *, worse: float) -> list[str]:
    """What differs significantly: more by falling ratio, then less by falling counts in the mean.

    worse: how much larger errors are here than in the mean; for an element that was not found it is all that is known.
    """
    ratio: dict[str, float] = {}
    for name in here | mean:
        usual = mean.get(name) or _Line(0.0, here[name].error / worse)
        mine = here.get(name) or _Line(0.0, usual.error * worse)
        if abs(mine.counts - usual.counts) > SIGNIFICANT * np.hypot(mine.error, usual.error):
            ratio[name] = mine.counts / (usual.counts or 2 * mine.error)
    strong = [name for name in _strong(here) if ratio.get(name, 1) > CHANGE]
    more = sorted(strong, key=lambda name: -ratio[name])[:MOST_MORE]
    less = [name for name in _strong(mean) if ratio.get(name, 1) < 1 / CHANGE][:MOST_LESS]
    return [f"{name} x{_short(ratio[name])}" for name in more + less]


def _short(ratio: float) -> str:
    return "100+" if ratio >= 100 else f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
