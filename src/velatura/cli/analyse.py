"""`velatura analyse`."""

from typing import Annotated

from cyclopts import Parameter

from velatura.chain.analyse import Analysis
from velatura.chain.analyse import analyse as run_analysis
from velatura.chain.identify import pigments_of
from velatura.chain.page import make_report
from velatura.chain.recolour import colours_of
from velatura.chain.steps import bring_in
from velatura.cli.console import progress_bar, say, say_colours, say_pigments, say_segments
from velatura.cli.options import Mask, Output, Reading, Scan, mask_for
from velatura.io.options import ReadOptions

Plan = Annotated[Analysis, Parameter(name="*", group="Analysis")]


def analyse(
    scan: Scan,
    /,
    *,
    output: Output = None,
    plan: Plan = Analysis(),  # noqa: B008
    mask: Mask = None,
    read: Reading = ReadOptions(),  # noqa: B008
) -> None:
    """The main job on your scan: import, calibrate, map elements, segment, identify, recolour, report.

    Run again after an interruption it goes on at the first missing step. The original is never touched.
    """
    with progress_bar() as progress:
        workspace = bring_in(scan, output, read, progress=progress)
        maps = run_analysis(workspace, plan, mask=mask_for(workspace, mask), progress=progress)
        files = make_report(workspace)
        pigments, colours = pigments_of(workspace), colours_of(workspace)
    say_segments(maps)
    if pigments is not None:
        say_pigments(pigments)
    if colours is not None:
        say_colours(colours)
    say(f"workspace: {workspace.path}")
    say(f"report: {files.page}")
