"""The section of the recoloured picture: what its template is given, and its figures."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from velatura.report.content import FoundColours, ReportContent
from velatura.report.panels import MapPanel, sentences
from velatura.report.recolour_panels import hidden_panels, stamped_sheet, stamped_view, surface_panels
from velatura.report.recolour_picture import as_picture
from velatura.report.views import LONGEST, MapView, view_map
from velatura.tasks.recolour_cube import LITTLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUTH = 420  # pixels of the pictures beside the truth


def recoloured(content: ReportContent) -> dict[str, Any] | None:
    """Return everything that the section shows; None where nothing was recoloured."""
    maps = content.recolour
    if maps is None:
        return None
    groups = {"surface": surface_panels(maps), "beneath": hidden_panels(maps)}
    views = {name: views_of(panels, f"colour-{name}", content=content) for name, panels in groups.items()}
    return {
        **views,
        "stamp": str(maps.attrs["stamp"]),
        "finding": colour_finding(maps),
        "notes": sentences(maps.attrs.get("notes", ())),
        "regions": json.loads(maps.attrs.get("regions", "[]")),
    }


def views_of(panels: list[MapPanel], kind: str, *, content: ReportContent, longest: int = LONGEST) -> list[MapView]:
    """Encode panels of one kind, each stamped."""
    return [
        stamped_view(panel, f"{kind}-{number}", longest=longest, pitch=content.pitch)
        for number, panel in enumerate(panels)
    ]


def colour_finding(maps: xr.Dataset) -> str:
    """Return in a sentence how far the colours are to be trusted."""
    there = np.isfinite(maps.rgb.values[..., 0])
    if not there.any():
        return "No pixel has enough counts to be recoloured."
    mean = float(maps.trust.values[there].mean())
    judged = "not to be trusted as a whole" if mean < LITTLE else "to be read with its trust map"
    taught = "spectra and a photograph" if "photo" in maps.attrs else "spectra alone"
    beneath = " What lies beneath is coloured too." if hidden_panels(maps) else ""
    return f"Recoloured from the {taught}, {judged} (mean trust {mean:.2f}).{beneath} A hypothesis, not evidence."


def beside_truth(colours: tuple[FoundColours, ...], *, content: ReportContent) -> list[list[MapView]]:
    """Return pairs of true and recoloured pictures; those that were found are stamped."""
    pairs = []
    for number, one in enumerate(colours):
        true = MapPanel(one.name, as_picture(one.truth), ends=None, heading="truth")
        found = MapPanel(one.name, as_picture(one.found), ends=None, heading="recoloured", lines=(one.score,))
        options = {"longest": TRUTH, "pitch": content.pitch}
        views = view_map(true, f"true-colour-{number}", **options), stamped_view(found, f"colour-{number}", **options)
        pairs.append(list(views))
    return pairs


def colour_figures(content: ReportContent) -> Iterator[tuple[str, "Figure"]]:
    """Yield (name, figure) of the recoloured picture."""
    maps = content.recolour
    if maps is None:
        return
    yield "recoloured", stamped_sheet(surface_panels(maps), pitch=content.pitch)
    if beneath := hidden_panels(maps):
        yield "recoloured-beneath", stamped_sheet(beneath, pitch=content.pitch, most=2)
