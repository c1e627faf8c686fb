"""`velatura elements`."""

from typing import Annotated

from cyclopts import Parameter

from velatura.chain.axis import settle_axis
from velatura.chain.steps import bring_in, map_elements
from velatura.cli.console import progress_bar, say
from velatura.cli.options import Output, Reading, Scan
from velatura.io.options import ReadOptions
from velatura.tasks.elements import Elements

Config = Annotated[Elements, Parameter(name="*", group="Elements")]


def elements(
    scan: Scan,
    /,
    *,
    output: Output = None,
    config: Config = Elements(),  # noqa: B008
    read: Reading = ReadOptions(),  # noqa: B008
) -> None:
    """Map elements with uncertainty and detection limit.

    Without a list the elements are proposed from the peaks of the sum and maximum spectra.
    """
    import json

    with progress_bar() as progress:
        workspace = bring_in(scan, output, read, progress=progress)
        settle_axis(workspace, insist=True, progress=progress)
        maps = map_elements(workspace, config, progress=progress)
    say(f"lines: {', '.join(map(str, maps.line.values))}")
    for warning in json.loads(maps.attrs.get("warnings", "[]")):
        say(f"warning: {warning}")
    say(f"workspace: {workspace.path}")
