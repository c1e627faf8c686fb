"""Every figure of a report by name, and the folder of PNG files that goes with the page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from velatura.base.aside import written_aside
from velatura.report import panels
from velatura.report.content import ReportContent
from velatura.report.drawing import as_png
from velatura.report.findings import anomalous_spots
from velatura.report.map_figures import map_sheet, marked_map
from velatura.report.overview import overview
from velatura.report.pigment_section import pigment_figures
from velatura.report.recolour_section import colour_figures
from velatura.report.spectrum_figures import calibration_residuals, cluster_spectra, proposal_spectrum, scan_spectra

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(content: ReportContent) -> Iterator[tuple[str, "Figure"]]:
    """Yield (name, figure) for all that the content holds; parts that are missing are left out."""
    yield from segment_figures(content)
    yield from pigment_figures(content)
    yield from colour_figures(content)
    elements = content.elements
    if elements is not None:
        yield "element-maps", map_sheet(panels.element_panels(elements), pitch=content.pitch)
        if "sum_spectrum" in elements:
            yield "scan-spectra", scan_spectra(elements)
    if content.calibration and content.calibration.lines:
        yield "calibration", calibration_residuals(content.calibration)


def segment_figures(content: ReportContent) -> Iterator[tuple[str, "Figure"]]:
    """Yield the figures of the segmentation."""
    segment = content.segment
    if segment is None:
        return
    yield "labels", map_sheet([panels.label_panel(segment)], pitch=content.pitch)
    yield "memberships", map_sheet(panels.membership_panels(segment), pitch=content.pitch)
    yield "cluster-spectra", cluster_spectra(segment, elements=content.elements)
    if confidence := panels.confidence_panels(segment):
        yield "confidence", map_sheet(confidence, pitch=content.pitch)
    if "anomaly" in segment:
        spots = [(str(number), spot.x + 0.5, spot.y + 0.5) for number, spot in enumerate(anomalous_spots(segment), 1)]
        yield "anomalies", marked_map(panels.anomaly_panel(segment), spots, pitch=content.pitch)
    if proposals := panels.proposal_panels(segment):
        yield "composites", map_sheet(proposals, pitch=content.pitch)
        if hidden := panels.hidden_panel(segment):
            yield "hidden", map_sheet([hidden], pitch=content.pitch)
        if content.truth is not None:
            yield "overview", overview(segment, content.truth.visible, elements=content.elements, pitch=content.pitch)
        for index, panel in enumerate(proposals):
            yield f"composite-{panel.name}", proposal_spectrum(segment, index, elements=content.elements)


def save_figures(folder: str | Path, content: ReportContent) -> list[Path]:
    """Write every figure of the content as PNG into `folder` and return the paths; each file appears whole or not."""
    paths = []
    for name, figure in figures(content):
        path = Path(folder) / f"{file_name(name)}.png"
        with written_aside(path) as aside:
            aside.write_bytes(as_png(figure))
        paths.append(path)
    return paths


def file_name(name: str) -> str:
    """Return a name that every file system takes: letters, digits and dashes.

    >>> file_name("composite-../P1")
    'composite-P1'
    """
    kept = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)
    return "-".join(part for part in kept.split("-") if part)
