"""`velatura export`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from velatura.base.workspace import list_maps, open_workspace, read_cube, read_maps
from velatura.cli.console import progress_bar, say
from velatura.io.export import export_maps, write_spectra
from velatura.io.export_cube import write_npz, write_rpl
from velatura.report.recolour_files import export_colours

Kind = Literal["tiff", "tiff16", "png", "csv", "rpl", "npz"]
NOT_IMAGES = ("spectra",)


def export(
    workspace: Path,
    folder: Path,
    /,
    *,
    kind: Annotated[Kind, Parameter(name="--kind")] = "tiff",
    maps: Annotated[list[str] | None, Parameter(name="--maps")] = None,
) -> None:
    """Write maps and spectra of a workspace as files that other programs open.

    Parameters
    ----------
    workspace
        The workspace.
    folder
        Where to write; made when it is not there.
    kind
        tiff (32-bit float), tiff16 (scaled, the scale beside it), png or csv for maps with their spectra as csv;
        rpl or npz for the cube itself.
    maps
        Which results, e.g. elements; by default all.
    """
    opened = open_workspace(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    cube = read_cube(opened)
    if kind in ("rpl", "npz"):
        path = folder / f"{workspace.stem}.{kind}"
        with progress_bar() as progress:
            (write_rpl if kind == "rpl" else write_npz)(path, cube, progress=progress)
        say(f"cube: {path}")
        return
    for name in maps or [name for name in list_maps(opened) if name not in NOT_IMAGES]:
        result = read_maps(opened, name)
        target = folder / name
        target.mkdir(exist_ok=True)
        options = {"kind": kind, "pitch": cube.counts.attrs.get("pitch")}
        if name == "recolour":
            files = export_colours(target, result, **options)
            say(f"{name}: {len(files)} files in {target}. {result.attrs['stamp']}")
            continue
        files = export_maps(target, result, **options)
        write_spectra(target / "spectra.csv", result)
        say(f"{name}: {len(files)} images and their spectra in {target}")
