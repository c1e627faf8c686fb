"""The section of the pigments: what its template is given, and its figures."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from velatura.report import pigment_words
from velatura.report.content import ReportContent
from velatura.report.decided_spectra import DecidedSpectrum, decided_sheet, decided_spectrum
from velatura.report.drawing import as_svg
from velatura.report.map_figures import map_sheet, named_map
from velatura.report.pigment_panels import (
    evidence_panels,
    probability_panels,
    region_panel,
    region_spots,
    strongest_panels,
)
from velatura.report.pigment_result import (
    Evidence,
    PigmentGroup,
    best_evidence,
    by_size,
    evidence_rows,
    found_groups,
    looked_at,
)
from velatura.report.pigment_sheet import pigment_sheet
from velatura.report.views import MapView, encode, side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 40
"""Rows of the table of evidence on the page; all are in the CSV."""
LIGHTEST = 0.03
"""Weight of a deciding line, of the heaviest, from which it is drawn."""
PLOT = (430.0, 230.0)
"""Points of the spectrum beside the maps of a group."""


@dataclass(frozen=True)
class PigmentView:
    """One group of pigments, ready to be placed."""

    anchor: str
    group: PigmentGroup
    maps: list[MapView]
    sentences: tuple[str, ...]
    plot: str


def pigments(content: ReportContent) -> dict[str, Any] | None:
    """Return everything that the section shows; None where nothing was identified."""
    identify = content.identify
    if identify is None:
        return None
    rows, asked = evidence_rows(identify), int(looked_at(identify).sum())
    groups, small = by_size(found_groups(identify), asked=asked)
    longest, table = side(content, identify.hidden), pigment_words.evidence_csv(identify)
    regions = [region_panel(identify)] if rows and not _are_clusters(content, identify) else []
    return {
        "regions": encode(regions, "regions", longest=longest, content=content),
        "spots": region_spots(identify) if regions else [],
        "refined": any(row.mass[0] == row.mass[0] for row in rows),
        "strongest": encode(strongest_panels(identify, groups), "strongest", longest=longest, content=content),
        "maps": encode(evidence_panels(identify), "unexplained", longest=longest, content=content),
        "groups": [_view(content, identify, group, rows, longest=longest) for group in groups],
        "small": ", ".join(f"{group.title} ({group.large:,})" for group in small),
        "rows": sorted(rows, key=lambda row: -row.found * row.pixels)[:MOST_ROWS],
        "number": len(rows),
        "csv": f"data:text/csv;base64,{base64.b64encode(table.encode()).decode('ascii')}" if table else "",
        "unseen": pigment_words.unseen_words(identify),
        "notes": pigment_words.notes_of(identify),
    }


def _are_clusters(content: ReportContent, identify: xr.Dataset) -> bool:
    """Whether the regions are the clusters that the page shows, or have no map."""
    names = [] if content.segment is None else content.segment["cluster"].values.tolist()
    return "regions" not in identify or identify.region.values.tolist() == names


def _view(
    content: ReportContent, identify: xr.Dataset, group: PigmentGroup, rows: list[Evidence], *, longest: int
) -> PigmentView:
    anchor, best = f"pigment-{group.number}", best_evidence(rows, group)
    decided = decided_by(identify, group, best)
    return PigmentView(
        anchor=anchor,
        group=group,
        maps=encode(probability_panels(identify, group), anchor, longest=longest, content=content),
        sentences=pigment_words.group_words(group, best, asked=int(looked_at(identify).sum())),
        plot=as_svg(decided_spectrum(decided, size=PLOT), name=f"d{group.number}") if decided else "",
    )


def decided_by(identify: xr.Dataset, group: PigmentGroup, best: Evidence | None) -> DecidedSpectrum | None:
    """Return the summed spectrum of a group's best region with its deciding lines; None where that is not known."""
    if best is None or "region_spectrum" not in identify or best.region not in identify.region.values:
        return None
    counts = identify.region_spectrum.sel(region=best.region).values.astype(np.float64)
    title = f"{group.title}, {best.paint}, region {best.region}"
    least = LIGHTEST * max(abs(weight) for _, weight in best.lines)
    heavy = tuple(line for line in best.lines if abs(line[1]) >= least)
    return DecidedSpectrum(title, identify.energy.values, counts, heavy)


def pigment_figures(content: ReportContent) -> Iterator[tuple[str, "Figure"]]:
    """Yield (name, figure) for the pigments; parts that are missing are left out."""
    identify = content.identify
    if identify is None:
        return
    rows, asked = evidence_rows(identify), int(looked_at(identify).sum())
    groups, _ = by_size(found_groups(identify), asked=asked)
    if strongest := strongest_panels(identify, groups):
        yield "pigment-map", map_sheet(strongest, pitch=content.pitch, most=2)
    if groups:
        yield "pigments", pigment_sheet(identify, groups, pitch=content.pitch)
    if unexplained := evidence_panels(identify):
        yield "pigments-unknown", map_sheet(unexplained, pitch=content.pitch, most=3)
    if rows and not _are_clusters(content, identify):
        yield "pigment-regions", named_map(region_panel(identify), region_spots(identify), pitch=content.pitch)
    decided = [decided_by(identify, group, best_evidence(rows, group)) for group in groups]
    if shown := [one for one in decided if one]:
        yield "pigment-lines", decided_sheet(shown)
