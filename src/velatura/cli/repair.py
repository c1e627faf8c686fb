"""`velatura repair`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from velatura.base.errors import InputError
from velatura.base.workspace import add_record, create_workspace, is_workspace, open_workspace, read_cube
from velatura.chain.mend import Repairs, mend
from velatura.cli.console import progress_bar, say
from velatura.cli.options import Reading, Scan
from velatura.io.formats import open_scan
from velatura.io.options import ReadOptions

What = Annotated[Repairs, Parameter(name="*", group="Repairs")]


def repair(
    scan: Scan,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="The workspace to make.")],
    repairs: What = Repairs(),  # noqa: B008
    read: Reading = ReadOptions(),  # noqa: B008
) -> None:
    """Mend a scan into a new workspace: serpentine rows, uneven live time, stripes, a part only, orientation.

    Counts stay whole and Poisson: what is too bright is thinned, never scaled. The original is not touched.
    """
    cube = read_cube(open_workspace(scan)) if is_workspace(scan) else open_scan(scan, read)
    if output.exists():
        raise InputError(f"asked to make {output}; something of this name exists. Choose another name")
    with progress_bar() as progress:
        mended, done = mend(cube, repairs, progress=progress)
        workspace = create_workspace(output, mended, progress=progress)
    add_record(workspace, "repair", done=done, seed=repairs.seed)
    for line in done or ["nothing needed mending"]:
        say(line)
    say(f"workspace: {workspace.path}")
