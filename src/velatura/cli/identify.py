"""`velatura identify`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from velatura.chain.axis import settle_axis
from velatura.chain.identify import evidence_of, map_pigments, write_evidence
from velatura.chain.steps import bring_in
from velatura.cli.console import progress_bar, say, say_pigments
from velatura.cli.options import Output, Reading, Scan, Seed
from velatura.io.library import read_library
from velatura.io.options import ReadOptions
from velatura.physics.instrument import preset
from velatura.tasks.identify import Identification

Config = Annotated[Identification, Parameter(name="*", group="Identification")]
Head = Annotated[
    str | None,
    Parameter(
        name="--instrument",
        help="The scanner, as far as it is known: laboratory, bruker-m6, crono, infn-chnet, or a .toml file.",
    ),
]
Refine = Annotated[
    bool,
    Parameter(
        name="--refine",
        negative="",
        help="Fit the stack of each region to its summed spectrum: shares and thicknesses with uncertainties.",
    ),
]
Library = Annotated[
    Path | None,
    Parameter(
        name="--library",
        help="Your own measured spectra (docs/formats.md, palettes): the table names the nearest for each region.",
    ),
]


def identify(
    scan: Scan,
    /,
    *,
    output: Output = None,
    config: Config = Identification(),  # noqa: B008
    instrument: Head = None,
    refine: Refine = False,
    library: Library = None,
    seed: Seed = 0,
    read: Reading = ReadOptions(),  # noqa: B008
) -> None:
    """Name the pigments of every pixel, in the visible paint and beneath it, and say where nothing known fits.

    Writes maps into the workspace and the evidence, region by region, as a CSV table beside it.
    """
    head = None if instrument is None else preset(instrument)
    own = () if library is None else read_library(library)
    with progress_bar() as progress:
        workspace = bring_in(scan, output, read, progress=progress)
        settle_axis(workspace, insist=True, progress=progress)
        maps = map_pigments(
            workspace, config, instrument=head, refine=refine, library=own, seed=seed, progress=progress
        )
    table = workspace.path.with_name(f"{workspace.path.stem}-evidence.csv")
    write_evidence(table, evidence_of(maps))
    say_pigments(maps)
    say(f"evidence: {table}")
    say(f"workspace: {workspace.path}")
