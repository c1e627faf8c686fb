"""From a workspace to its pigments: maps, regions and the evidence table, stored as maps/identify."""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from velatura.base.aside import written_aside
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.base.workspace import Workspace, list_maps, read_cube, read_maps
from velatura.chain.steps import axis_of, file_hash, settled
from velatura.io.library import LibrarySpectrum
from velatura.physics.instrument import PRESETS, Geometry, Instrument
from velatura.physics.tube import Tube
from velatura.tasks.identify import Identification, identify

RESULT = "identify"
ANSWERS = "answers_from"  # attribute: what the maps were made from, apart from regions and table


def map_pigments(
    workspace: Workspace,
    config: Identification = Identification(),  # noqa: B008
    *,
    instrument: Instrument | None = None,
    refine: bool = False,
    library: Sequence[LibrarySpectrum] = (),
    seed: int = 0,
    progress: Progress = silent,
) -> xr.Dataset:
    """Return the pigment maps of a workspace's cube with regions and evidence (docs/results.md, maps/identify).

    instrument: what the network is told; None: what the cube's metadata tell, when they tell all of it. Regions are the
    clusters of the workspace's `segment`, where there are some. refine: fit the stack of each region to its summed
    spectrum; library: the user's own measured spectra, the nearest of which is named for each region. An earlier result
    of the same inputs is returned. Raises InputError for a refinement without instrument.
    """
    from velatura.tasks.pigment_model import load_pigments, shipped

    cube = read_cube(workspace)
    model = load_pigments(config.model)
    head = instrument or instrument_of(cube)
    if refine and head is None:
        raise InputError(
            f"refinement needs the scanner, and {workspace.path.name} does not tell it. Name it: --instrument bruker-m6"
        )
    clusters = read_maps(workspace, "segment") if "segment" in list_maps(workspace) else None
    answers = {
        "config": asdict(config),
        "weights": file_hash(shipped(config.model) or Path(config.model)),
        "instrument": None if head is None else asdict(head),
        "seed": seed,
        "axis": axis_of(cube),
    }
    inputs = answers | {
        "refine": refine,
        "library": [[one.name, hashlib.sha256(one.counts.tobytes()).hexdigest()] for one in library],
        "clusters": None if clusters is None else clusters.attrs.get("inputs"),
    }
    known, stored = json.dumps(answers, sort_keys=True, default=str), pigments_of(workspace)

    def make() -> xr.Dataset:
        if stored is not None and stored.attrs.get(ANSWERS) == known:
            maps = stored.drop_dims(["region", "energy"]).drop_vars("regions")  # only the table is made anew
        else:
            options = {"condition": told(head), "seed": seed, "folder": workspace.path, "progress": progress}
            maps = identify(cube, model, config, **options).assign_attrs({ANSWERS: known})
        options = {"instrument": head, "refine": refine, "library": library, "progress": progress}
        return with_evidence(maps, cube, clusters, model=model, **options)

    return settled(workspace, RESULT, inputs, make=make)


def can_identify(config: Identification) -> bool:
    """Tell whether there are weights: those asked for by name may have been left out of a package."""
    from velatura.tasks.pigment_model import SHIPPED, shipped

    return config.model not in SHIPPED or shipped(config.model) is not None


def pigments_of(workspace: Workspace) -> xr.Dataset | None:
    """Return the stored pigment maps of a workspace; None where there are none."""
    return read_maps(workspace, RESULT) if RESULT in list_maps(workspace) else None


def with_evidence(
    maps: xr.Dataset, cube: xr.Dataset, clusters: xr.Dataset | None, *, model: Any, instrument: Instrument | None,
    refine: bool = False, library: Sequence[LibrarySpectrum] = (), progress: Progress = silent,
) -> xr.Dataset:  # fmt: skip
    """Return the maps with regions, their summed spectra and, in the attribute `evidence`, the table's rows."""
    from velatura.tasks.pigment_evidence import evidence_table
    from velatura.tasks.pigment_regions import region_sums, regions_of

    given = {} if clusters is None else {"labels": clusters.labels.values, "names": clusters["cluster"].values.tolist()}
    regions = regions_of(maps, **given)
    sums, energy = region_sums(cube.counts.data, regions, progress=progress), cube.energy.values
    known = told(instrument)
    condition = np.zeros(8, np.float32) if known is None else known
    rows = evidence_table(
        maps, regions, sums, model=model, condition=condition, energy=energy, acquisition=cube.counts.attrs
    )
    table = [row._asdict() for row in rows]
    if refine and instrument is not None:
        from velatura.tasks.pigment_refinement import refined_rows

        options = {"rows": rows, "instrument": instrument, "energy": energy, "progress": progress}
        table = refined_rows(maps, regions, sums, **options)
    if library:
        from velatura.tasks.pigment_references import nearest_references

        nearest = dict(zip(regions.names, nearest_references(sums, energy, library), strict=True))
        table = [row | {"nearest_reference": nearest[row["region"]]} for row in table]
    maps = maps.assign(
        regions=(("y", "x"), regions.labels), region_spectrum=(("region", "energy"), sums, {"units": "counts"})
    )
    maps = maps.assign_coords(region=np.array(regions.names, str), energy=cube.energy)
    return maps.assign_attrs(evidence=json.dumps([_finite(row) for row in table]))


def evidence_of(maps: xr.Dataset) -> list[dict[str, Any]]:
    """Return the rows of the evidence table of a stored result."""
    return json.loads(maps.attrs["evidence"])


def write_evidence(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the evidence table as CSV, numbers with four digits."""
    from velatura.tasks.pigment_evidence import Evidence

    with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0] if rows else Evidence._fields)
        for row in rows:
            writer.writerow([_cell(value) for value in row.values()])


def told(instrument: Instrument | None) -> np.ndarray | None:
    """Return what the network is told of an instrument, float32 [8]; None where nothing is known."""
    from velatura.scene.training import described

    return None if instrument is None else described(instrument)


def instrument_of(cube: xr.Dataset) -> Instrument | None:
    """Return the instrument that a cube's metadata tell: a preset's name, or anode, voltage and both angles."""
    known = cube.counts.attrs
    if known.get("instrument") in PRESETS:
        return PRESETS[known["instrument"]]
    needed = [known.get(name) for name in ("anode", "tube_voltage", "incidence_angle", "take_off_angle")]
    if any(value is None for value in needed):
        return None
    anode, voltage, incidence, take_off = needed
    try:
        return Instrument(str(known.get("instrument", "measured")), Tube(anode, voltage), Geometry(incidence, take_off))
    except InputError:
        return None


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON knows it: what is no number becomes null."""
    return {name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in row.items()}


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
