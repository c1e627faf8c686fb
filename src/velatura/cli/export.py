"""`velatura export`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from velatura.base.workspace import list_maps, open_workspace, read_cube, read_maps
from velatura.cli.console import progress_bar, say
from velatura.io.export import export_maps, write_spectra
from velatura.io.export_cube import write_npz, write_rpl
from velatura.report.recolour_files import export_colours

Kind = Literal["tiff", "tiff16", "png", "csv", "rpl", "npz", "onnx"]
NOT_IMAGES = ("spectra",)


def export(
    workspace: Path,
    folder: Path,
    /,
    *,
    kind: Annotated[Kind, Parameter(name="--kind")] = "tiff",
    maps: Annotated[list[str] | None, Parameter(name="--maps")] = None,
) -> None:
    """Write maps and spectra of a workspace, or a network, as files that other programs open.

    Parameters
    ----------
    workspace
        The workspace; for onnx a weights file, or shipped weights such as recolour or embedding.
    folder
        Where to write; made when it is not there.
    kind
        tiff (32-bit float), tiff16 (scaled, the scale beside it), png or csv for maps with their spectra as csv;
        rpl or npz for the cube itself; onnx for a network (needs the extra: pip install 'velatura[export]').
    maps
        Which results, e.g. elements; by default all.
    """
    if kind == "onnx":
        _network(workspace, folder)
        return
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


def _network(weights: Path, folder: Path) -> None:
    from velatura.chain.export_onnx import export_onnx

    done = export_onnx(weights, folder)
    sizes = " x ".join(map(str, ("batch", *done.inputs)))
    size = done.path.stat().st_size / 1e6
    say(f"network: {done.path}, {size:.1f} MB; {sizes} to {' and '.join(done.outputs)}")
    say(f"checked against JAX: largest difference {done.difference:.1e}")
