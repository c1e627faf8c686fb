"""`velatura recolour`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from velatura.base.workspace import read_cube
from velatura.chain.axis import settle_axis
from velatura.chain.recolour import map_colours
from velatura.chain.recolour_photo import Photograph, recolour_by_photo
from velatura.chain.steps import bring_in
from velatura.cli.console import progress_bar, say, say_colours
from velatura.cli.options import Output, Reading, Scan, Seed
from velatura.io.options import ReadOptions
from velatura.report.recolour_files import kind_of, write_colours
from velatura.tasks.recolour_cube import Recolouring

Config = Annotated[Recolouring, Parameter(name="*", group="Recolouring")]
Photo = Annotated[Photograph, Parameter(name="*", group="Photograph as teacher")]
Export = Annotated[
    Path | None,
    Parameter(name="--export", help="Also write the colours as .png, .tif, .npz or .csv; the file carries its stamp."),
]


def recolour(
    scan: Scan,
    /,
    *,
    output: Output = None,
    config: Config = Recolouring(),  # noqa: B008
    photograph: Photo = Photograph(),  # noqa: B008
    export: Export = None,
    seed: Seed = 0,
    read: Reading = ReadOptions(),  # noqa: B008
) -> None:
    """Colours as the painting may have had them, from its X-ray spectra alone, with a map of how far to trust them.

    A hypothesis, not evidence. Where `velatura identify` has found a paint beneath, that is coloured too, and each
    region is told in which the colour may come from pigments that no scan in air shows. With --photo, a photograph of
    part of the painting teaches the colours of the rest.
    """
    if export is not None:
        kind_of(export)
    with progress_bar() as progress:
        workspace = bring_in(scan, output, read, progress=progress)
        settle_axis(workspace, insist=True, progress=progress)
        if photograph.photo is None:
            maps = map_colours(workspace, config, seed=seed, progress=progress)
        else:
            maps = recolour_by_photo(workspace, photograph, config, seed=seed, progress=progress)
    say_colours(maps)
    if export is not None:
        write_colours(export, maps, pitch=read_cube(workspace).counts.attrs.get("pitch"))
        say(f"picture: {export}")
    say(f"workspace: {workspace.path}")
