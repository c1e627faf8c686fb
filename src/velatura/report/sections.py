"""The sections of the page: what each template is given."""

from dataclasses import dataclass, replace
from typing import Any

import xarray as xr

from velatura.report import findings, panels
from velatura.report.content import ReportContent
from velatura.report.drawing import as_svg
from velatura.report.pigment_panels import strongest_panels
from velatura.report.pigment_result import found_groups
from velatura.report.pigment_words import pigment_finding
from velatura.report.recolour_panels import surface_panels
from velatura.report.recolour_section import beside_truth, colour_finding, views_of
from velatura.report.spectrum_figures import (
    CARD,
    LARGE,
    calibration_residuals,
    cluster_spectrum,
    proposal_spectrum,
    scan_spectra,
)
from velatura.report.views import MapView, encode, picture_source, record_rows, side

GLANCE_SIDE = 420  # pixels of the small maps beside the findings
TOLD_ELSEWHERE = {"warnings", "notes", "inputs", "evidence", "invisible", "card", "stamp", "regions"}
"""Attributes of results that are no parameters."""


@dataclass(frozen=True)
class ProposalView:
    """One proposed join of clusters, in words."""

    map: MapView
    sentences: tuple[str, ...]
    hidden: bool


def glance(content: ReportContent) -> dict[str, Any]:
    """Return the findings in sentences, each with its kind, and the small maps that show them."""
    rows, maps, segment = [], [], content.segment
    if segment is not None:
        rows += [("Materials", findings.materials_finding(segment)), ("Hidden", findings.hidden_finding(segment))]
        maps.append(panels.label_panel(segment))
        if hidden := panels.hidden_panel(segment):
            maps.append(hidden)
        if "anomaly" in segment:
            spots = findings.anomalous_spots(segment, most=1)
            rows.append(("Anomalies", findings.anomaly_finding(spots)))
    if (identify := content.identify) is not None:
        groups = found_groups(identify)
        rows.append(("Pigments", pigment_finding(identify, groups)))
        maps += strongest_panels(identify, groups)
    views = encode(maps, "glance", longest=GLANCE_SIDE, content=content)
    if content.recolour is not None:
        rows.append(("Colours", colour_finding(content.recolour)))
        picture = surface_panels(content.recolour)[:1]
        views += views_of(picture, "glance-colour", longest=GLANCE_SIDE, content=content)
    if content.elements is not None:
        rows.append(("Elements", " ".join(findings.element_findings(content.elements))))
    return {"rows": rows, "maps": views}


def segmentation(content: ReportContent) -> dict[str, Any] | None:
    """Return the views of the segmentation: labels, clusters with spectra, confidence, anomalies."""
    segment = content.segment
    if segment is None:
        return None
    longest = side(content, segment.labels)
    plots = [
        as_svg(cluster_spectrum(segment, index, elements=content.elements), name=f"c{index}")
        for index in range(segment.sizes["cluster"])
    ]
    anomaly = [panels.anomaly_panel(segment)] if "anomaly" in segment else []
    return {
        "labels": encode([panels.label_panel(segment)], "labels", longest=longest, content=content)[0],
        "legend": panels.cluster_words(segment),
        "clusters": encode(panels.membership_panels(segment), "cluster", longest=longest, content=content, plots=plots),
        "confidence": encode(panels.confidence_panels(segment), "confidence", longest=longest, content=content),
        "anomaly": encode(anomaly, "anomaly", longest=longest, content=content),
        "notes": panels.sentences(segment.attrs.get("notes", ())),
        "spots": findings.anomalous_spots(segment) if anomaly else [],
    }


def composites(content: ReportContent) -> list[ProposalView] | None:
    """Return the proposals best first; an empty list where none was made, None where composites were not asked for."""
    segment = content.segment
    if segment is None or "composite" not in segment:
        return None
    words, hidden = findings.proposal_sentences(segment), panels.hidden_flags(segment)
    shown = [
        replace(panel, lines=(" ".join(sentences),))
        for panel, sentences in zip(panels.proposal_panels(segment), words, strict=True)
    ]
    sizes = [LARGE if flag else CARD for flag in hidden]
    plots = [
        as_svg(proposal_spectrum(segment, index, elements=content.elements, size=size), name=f"p{index}")
        for index, size in enumerate(sizes)
    ]
    views = encode(shown, "proposal", longest=side(content, segment.labels), content=content, plots=plots)
    return [ProposalView(*parts) for parts in zip(views, words, hidden, strict=True)]


def element_maps(content: ReportContent) -> dict[str, Any] | None:
    """Return the views of the element maps, their warnings and the spectra of the whole scan."""
    elements = content.elements
    if elements is None:
        return None
    longest = side(content, elements.intensity)
    return {
        "maps": encode(panels.element_panels(elements), "line", longest=longest, content=content),
        "warnings": panels.overlap_warnings(elements),
        "method": str(elements.attrs.get("method", "")),
        "clip": panels.CLIP,
        "spectra": as_svg(scan_spectra(elements), name="scan") if "sum_spectrum" in elements else "",
    }


def residuals(content: ReportContent) -> str:
    """Return the plot of the calibration's residuals; empty where no line was checked."""
    calibration = content.calibration
    return as_svg(calibration_residuals(calibration), name="cal") if calibration and calibration.lines else ""


def truth_beside_found(content: ReportContent) -> dict[str, Any] | None:
    """Return the truth of a simulated painting beside what was found."""
    truth, segment = content.truth, content.segment
    if truth is None:
        return None
    shown = [] if segment is None else [*panels.membership_panels(segment), *panels.proposal_panels(segment)]
    found = {panel.name: panel for panel in shown}
    pairs = []
    for index, passage in enumerate(truth.passages):
        pair = [panels.MapPanel(passage.name, passage.truth, heading="truth")]
        if passage.found in found:
            lines = (passage.score,) if passage.score else ()
            pair.append(replace(found[passage.found], heading="found", lines=lines))
        pairs.append(encode(pair, f"truth-{index}", longest=GLANCE_SIDE, content=content))
    return {
        "visible": picture_source(truth.visible),
        "hidden": picture_source(truth.hidden),
        "pairs": pairs,
        "colours": beside_truth(truth.colours, content=content),
        "scores": truth.scores,
    }


def parameters(content: ReportContent) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the attributes of the results as tables (title, rows)."""
    results: dict[str, xr.Dataset | None] = {
        "Element maps": content.elements,
        "Segmentation": content.segment,
        "Pigments": content.identify,
        "Recolouring": content.recolour,
    }
    tables = []
    for title, result in results.items():
        if result is not None:
            attributes = {str(name): value for name, value in result.attrs.items() if name not in TOLD_ELSEWHERE}
            asked = panels.opened(attributes.pop("parameters", {}))
            asked = asked if isinstance(asked, dict) else {"parameters": asked}
            tables.append((title, record_rows({**asked, **attributes})))
    return [(title, rows) for title, rows in tables if rows]
