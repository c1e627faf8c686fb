"""`velatura segment`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from velatura.base.workspace import open_workspace
from velatura.chain.steps import bring_in, map_segments
from velatura.cli.console import progress_bar, say, say_segments
from velatura.cli.options import Mask, Output, Reading, Scan, Seed, mask_for
from velatura.io.options import ReadOptions
from velatura.tasks.segment import Segmentation

Config = Annotated[Segmentation, Parameter(name="*", group="Segmentation")]
ClustersFrom = Annotated[
    Path | None, Parameter(name="--clusters-from", help="Workspace of another scan whose clusters are applied to this.")
]


def segment(
    scan: Scan,
    /,
    *,
    output: Output = None,
    config: Config = Segmentation(),  # noqa: B008
    mask: Mask = None,
    clusters_from: ClustersFrom = None,
    seed: Seed = 0,
    read: Reading = ReadOptions(),  # noqa: B008
) -> None:
    """Cluster the spectra into soft membership maps and propose composite maps.

    Principal components of the Poisson-scaled spectra, then fuzzy Gustafson-Kessel clustering.
    """
    others = None if clusters_from is None else open_workspace(clusters_from)
    with progress_bar() as progress:
        workspace = bring_in(scan, output, read, progress=progress)
        maps = map_segments(
            workspace,
            config,
            seed=seed,
            mask=mask_for(workspace, mask),
            clusters_from=others,
            progress=progress,
        )
    say_segments(maps)
    say(f"workspace: {workspace.path}")
