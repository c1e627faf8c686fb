"""From a workspace to its report: gather what is there, write the page, its figures and its maps."""

import json
from pathlib import Path
from typing import NamedTuple

import xarray as xr

from velatura.base.workspace import Workspace, list_maps, provenance, read_cube, read_maps
from velatura.io.export import export_maps, write_spectra
from velatura.report.content import Calibration, CalibrationLine, DemoTruth, ReportContent, cube_facts
from velatura.report.figures import save_figures
from velatura.report.page import write_report
from velatura.report.recolour_files import export_colours

RESULTS = ("elements", "segment", "identify", "recolour")


class ReportFiles(NamedTuple):
    """Where a report lies."""

    page: Path
    figures: tuple[Path, ...]
    maps: tuple[Path, ...]


def report_folder(workspace: Workspace) -> Path:
    """Return the folder beside the workspace where its report goes: NAME-report."""
    return workspace.path.with_name(f"{workspace.path.stem}-report")


def make_report(workspace: Workspace, folder: Path | None = None, *, truth: DemoTruth | None = None) -> ReportFiles:
    """Write report.html, figures/*.png and maps/*/*.tif with spectra.csv into `folder`; older files are replaced."""
    folder = report_folder(workspace) if folder is None else folder
    for part in ("figures", "maps"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    content = content_of(workspace, truth=truth)
    maps: list[Path] = []
    for name in RESULTS:
        if (result := getattr(content, name)) is not None:
            target = folder / "maps" / name
            target.mkdir(exist_ok=True)
            if name == "recolour":
                maps += export_colours(target, result, pitch=content.pitch)
                continue
            result = single_images(result) if name == "identify" else result
            maps += export_maps(target, result, kind="tiff", pitch=content.pitch)
            write_spectra(target / "spectra.csv", result)
    figures = save_figures(folder / "figures", content)
    return ReportFiles(write_report(folder / "report.html", content), tuple(figures), tuple(maps))


def single_images(identify: xr.Dataset) -> xr.Dataset:
    """Return the pigment maps with the two paints under names of their own, each image along at most one axis."""
    images = identify.probability.reset_coords(drop=True)
    paints = {str(paint): images.sel(paint=paint, drop=True) for paint in identify.paint.values}
    single = identify.drop_dims("paint").assign({f"probability_{name}": image for name, image in paints.items()})
    return single.drop_vars(["answered", "unexplained", "regions"], errors="ignore")


def content_of(workspace: Workspace, *, truth: DemoTruth | None = None) -> ReportContent:
    """Return what the workspace holds as the report's content."""
    cube = read_cube(workspace)
    there = list_maps(workspace)
    return ReportContent(
        title=workspace.path.stem,
        facts=cube_facts(cube),
        pitch=cube.counts.attrs.get("pitch"),
        calibration=calibration_of(cube),
        **{name: read_maps(workspace, name) for name in RESULTS if name in there},
        provenance=tuple(provenance(workspace)),
        truth=truth,
    )


def calibration_of(cube: xr.Dataset) -> Calibration:
    """Return the energy axis with the lines it was checked against, as `settle_axis` left them in the attributes."""
    known = cube.counts.attrs
    found = json.loads(known.get("calibration_check", "{}"))
    return Calibration(
        zero=known["zero"],
        gain=known["gain"],
        quadratic=known["quadratic"],
        origin=str(known.get("calibration", "not known")),
        fwhm=found.get("fwhm"),
        lines=tuple(CalibrationLine(*line) for line in found.get("lines", ())),
        notes=tuple(found.get("notes", ())),
    )
