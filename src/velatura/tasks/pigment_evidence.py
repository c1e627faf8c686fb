"""The evidence table: for each region of a scan the pigments found, how surely, by which lines, and what is unknown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from velatura.spectra.explain import Found, explain
from velatura.spectra.response import Detector
from velatura.tasks.pigment_maps import PAINTS
from velatura.tasks.pigment_regions import Regions

if TYPE_CHECKING:
    from velatura.tasks.pigment_model import PigmentModel

WORTH = 0.05  # share of a region's pixels in which something must be found to be told of
MOST_COUNTS = 1e5  # of the spectra of the training: sums of pixels are scaled down to it
MOST = 5  # strongest lines named of what is unknown
LINES = 3  # deciding lines that are named
DOUBT = ("perhaps another pigment", "perhaps in the visible paint")  # of what is not sure, in either paint


class Evidence(NamedTuple):
    """One row of the table."""

    region: str
    pixels: int
    """With an answer."""
    paint: str
    """visible or hidden; empty for what is unknown."""
    xrf_class: str
    pigments: str
    """What the class can be called, "azurite or malachite: Cu"."""
    probability: float
    """Mean over the pixels."""
    found: float
    """Share of the pixels in which it is found."""
    probability_of_sum: float
    """Of the region's summed spectrum."""
    deciding_lines: str
    """Lines of the summed spectrum without which the logit falls, and by how much."""
    net_counts: str
    """Lines of the markers in the summed spectrum, with their significance."""
    share: float
    """Mass share among the visible pigments of the paint: mean over the pixels in which it is found."""
    share_deviation: float
    """Standard deviation of that over the pixels."""
    amount: float
    """Mass per area [mg/cm2], mean over the same pixels."""
    flags: str


def evidence_table(
    maps: xr.Dataset,
    regions: Regions,
    sums: np.ndarray,
    *,
    model: "PigmentModel",
    condition: np.ndarray,
    energy: np.ndarray,
    acquisition: Mapping[str, Any],
) -> tuple[Evidence, ...]:
    """Return the rows of all regions: visible, hidden, unknown.

    maps: of `identify`; sums: of `region_sums`; energy: channel centres [keV]; acquisition: what is known of `anode`,
    `tube_voltage` [kV], `noise` (FWHM) [keV] and `fano`.
    """
    from velatura.tasks.pigment_model import predict

    features = sums_on_grid(sums, energy)
    told = np.broadcast_to(np.asarray(condition, np.float32), (len(features), 8))
    whole = predict(model, features, told).probability
    known = [row.name for row in model.classes]
    whole = whole[..., [known.index(name) for name in maps.xrf_class.values]]
    rows: list[Evidence] = []
    for number, name in enumerate(regions.names):
        chosen = (regions.labels == number) & maps.answered.values
        if chosen.any():
            here = _Region(name, chosen, whole[number], features[number], told[number])
            elements = _elements(sums[number], energy, acquisition)
            rows += [*_pigments(maps, here, model, elements), *_unknown(maps, here, elements)]
    return tuple(rows)


def sums_on_grid(sums: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Return summed spectra [region, channel] on the network's grid, float32 [region, 1024], at most 100,000 counts."""
    from velatura.scene.training import grid
    from velatura.spectra.rebin import rebin_to

    features = rebin_to(sums, energy, grid(), crop=True)
    total = features.sum(axis=1, keepdims=True)
    return (features * np.minimum(1, MOST_COUNTS / np.maximum(total, 1))).astype(np.float32)


class _Region(NamedTuple):
    name: str
    chosen: np.ndarray
    """bool [y, x]"""
    whole: np.ndarray
    """Probabilities of its summed spectrum [paint, class]."""
    features: np.ndarray
    condition: np.ndarray


def _pigments(maps: xr.Dataset, here: _Region, model: "PigmentModel", elements: Mapping[str, Found]) -> list[Evidence]:
    """Rows of what is found in one region."""
    from velatura.tasks.explain_pigments import deciding_lines

    probability = maps.probability.values[:, :, here.chosen].astype(np.float32)
    threshold, outside = maps.threshold.values, maps.outside_period.values
    there = probability >= threshold[..., None].astype(np.float16)
    share = maps.share.values[:, :, here.chosen].astype(np.float32)
    amount = maps.amount.values[:, here.chosen]
    worth = (there.mean(axis=2) >= WORTH) | ((here.whole >= threshold) & ~outside)
    asked = [(paint, number) for paint in range(len(PAINTS)) for number in np.flatnonzero(worth[paint]).tolist()]
    names = maps.xrf_class.values
    pairs = [(PAINTS[paint], str(names[number])) for paint, number in asked]
    decisions = deciding_lines(model, here.features, here.condition, classes=pairs, most=LINES) if pairs else ()
    rows = []
    for (paint, number), decision in zip(asked, decisions, strict=True):
        where = there[paint, number]
        where = where if where.any() else np.ones_like(where)
        own, held = share[paint, number, where], amount[paint, where]
        sure = np.median(probability[paint, number, where]) >= maps.sure.values[paint, number]
        rows.append(Evidence(
            here.name, len(where), PAINTS[paint], str(names[number]), str(maps.pigments.values[number]),
            float(probability[paint, number].mean()), float(there[paint, number].mean()),
            float(here.whole[paint, number]),
            ", ".join(f"{line.line} {line.drop:+.1f}" for line in decision.lines),
            _net_counts(str(maps.markers.values[number]), elements),
            float(own.mean()), float(own.std()), float((own * held).mean()),
            _flags(
                maps, number, in_pixels=bool(there[paint, number].mean() >= WORTH),
                doubt="" if sure else DOUBT[paint],
            ),
        ))  # fmt: skip
    return rows


def _unknown(maps: xr.Dataset, here: _Region, elements: Mapping[str, Found]) -> list[Evidence]:
    """A row where enough of a region fits nothing in the library, with the strongest lines of its spectrum."""
    unexplained = maps.unexplained.values[here.chosen]
    if unexplained.mean() < WORTH:
        return []
    mean = float(maps.unknown.values[here.chosen].mean())
    nothing = float("nan")
    told = "none of the pigments of the library"
    strongest = sorted((one for one in elements.values() if one.role == "sample"), key=lambda one: -one.counts)[:MOST]
    lines = ", ".join(_net_counts(one.element, elements) for one in strongest)
    return [Evidence(
        here.name, len(unexplained), "", "unknown", told, mean, float(unexplained.mean()), nothing, "", lines, nothing,
        nothing, nothing, "unknown",
    )]  # fmt: skip


def _elements(spectrum: np.ndarray, energy: np.ndarray, acquisition: Mapping[str, Any]) -> Mapping[str, Found]:
    """Elements that a summed spectrum shows."""
    detector = Detector(**{name: acquisition[name] for name in ("noise", "fano") if acquisition.get(name)})
    anode, voltage = (acquisition.get(name) for name in ("anode", "tube_voltage"))
    explained = explain(spectrum.astype(np.float64), energy, detector=detector, anode=anode, tube_voltage=voltage)
    return {found.element: found for found in explained.found}


def _net_counts(markers: str, elements: Mapping[str, Found]) -> str:
    """What is counted in the lines of the markers: "Cu-Ka 12300 (85 sigma)"."""
    known = [(name, elements.get(name)) for name in markers.split(", ") if name]
    return ", ".join(
        f"{found.line} {found.counts:.0f} ({found.significance:.0f} sigma)" if found else f"{name} not seen"
        for name, found in known
    )


def _flags(maps: xr.Dataset, number: int, *, in_pixels: bool, doubt: str) -> str:
    """What a reader should know of one class; doubt: what may be there instead, or empty."""
    told = {
        doubt: bool(doubt),
        "outside the period": bool(maps.outside_period.values[number]),
        "group": "," in str(maps.members.values[number]),
        "in the sum only": not in_pixels,
    }
    return ", ".join(flag for flag, is_so in told.items() if is_so)
