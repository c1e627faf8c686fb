"""Refinement of the regions of an evidence table: amounts and shares with uncertainties, hidden paint needed or not."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from velatura.base.progress import Progress, silent
from velatura.physics.instrument import Instrument
from velatura.scene.classes import XrfClass
from velatura.tasks.pigment_evidence import Evidence
from velatura.tasks.pigment_maps import PAINTS
from velatura.tasks.pigment_regions import Regions

if TYPE_CHECKING:
    from velatura.tasks.refine import Refined
    from velatura.tasks.refine_amounts import Interval

MISFIT = 5.0  # reduced chi2 above which a row says that the stack does not explain the spectrum
VALUES = ("share", "mass", "thickness")
COLUMNS = (
    *(f"refined_{name}{end}" for name in VALUES for end in ("", "_low", "_high")),
    *("reduced_chi2", "hidden_layer", "delta_chi2"),
)
"""Mass share of the paint's pigments, mass [mg/cm2], thickness of the paint [um], each with the ends of an interval of
two standard uncertainties; fit of the whole spectrum; whether a paint beneath is needed, and by how much."""


def refined_rows(
    maps: xr.Dataset,
    regions: Regions,
    sums: np.ndarray,
    *,
    rows: Sequence[Evidence],
    instrument: Instrument,
    energy: np.ndarray,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Return the rows of a table with COLUMNS added, empty where nothing was refined.

    A region's stack is what the table says with more than its threshold of probability, of its pixels or of its sum;
    of a group the first member stands for all. Raises InputError for an energy axis that is not linear.
    """
    from velatura.tasks.refine import propose, refine_region

    classes = [
        XrfClass(str(name), tuple(str(members).split(", ")), (), visible=True)
        for name, members in zip(maps.xrf_class.values, maps.members.values, strict=True)
    ]
    proposals = {}
    for number, name in enumerate(regions.names):
        found, share = _stated(maps, [row for row in rows if row.region == name and row.paint])
        if found[0].any():
            here = (regions.labels == number) & maps.answered.values
            amount = maps.amount.values[:, here].mean(axis=1)
            proposals[name] = propose(share, classes, found=found, amount=amount)
    known: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    whole: dict[str, Mapping[str, Any]] = {}
    if proposals:
        numbers = [regions.names.index(name) for name in proposals]
        refined = refine_region(
            sums[numbers], list(proposals.values()), instrument=instrument, axis=energy, progress=progress
        )
        for number, name in enumerate(proposals):
            known |= _columns(refined, number, name, classes)
            whole[name] = _whole(refined, number)
    table = []
    for row in rows:
        own = dict(whole.get(row.region, {})) | dict(known.get((row.region, row.paint, row.xrf_class), {}))
        misfit = own.get("reduced_chi2", 0.0) > MISFIT
        flags = ", ".join([*filter(None, [row.flags]), *["refined stack does not fit"] * misfit])
        table.append(row._asdict() | dict.fromkeys(COLUMNS, "") | own | {"flags": flags})
    return table


def _stated(maps: xr.Dataset, rows: Sequence[Evidence]) -> tuple[np.ndarray, np.ndarray]:
    """Which classes a region holds, bool [paint, class], and their mean shares, float [paint, class]."""
    names = [str(name) for name in maps.xrf_class.values]
    found, share = np.zeros((len(PAINTS), len(names)), bool), np.zeros((len(PAINTS), len(names)))
    for row in rows:
        place = PAINTS.index(row.paint), names.index(row.xrf_class)
        found[place] = max(row.probability, row.probability_of_sum) >= maps.threshold.values[place]
        share[place] = row.share
    return found, share


def _columns(
    refined: "Refined", number: int, region: str, classes: Sequence[XrfClass]
) -> dict[tuple[str, str, str], dict]:
    """The columns of one region by (region, paint, class)."""
    paints = getattr(refined, refined.best(number))
    found = {}
    for paint, name in enumerate(PAINTS):
        for row in classes:
            place = number, paint, refined.pigments.index(row.members[0]) if row.members[0] in refined.pigments else -1
            if place[2] >= 0 and paints.mass.value[place] > 0:
                own = _interval("share", paints.share, place) | _interval("mass", paints.mass, place)
                found[region, name, row.name] = own | _interval("thickness", paints.thickness, place[:2])
    return found


def _whole(refined: "Refined", number: int) -> dict[str, Any]:
    """The columns that all rows of a region share."""
    paints, verdict = getattr(refined, refined.best(number)), refined.verdict[number]
    delta = float(refined.delta_chi2[number]) if verdict else ""
    return {"reduced_chi2": float(paints.reduced_chi2[number]), "hidden_layer": verdict, "delta_chi2": delta}


def _interval(name: str, interval: "Interval", place: tuple[int, ...]) -> dict[str, float]:
    ends = zip(("", "_low", "_high"), interval, strict=True)
    return {f"refined_{name}{end}": float(values[place]) for end, values in ends}
