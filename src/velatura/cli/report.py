"""`velatura report`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from velatura.base.workspace import open_workspace
from velatura.cli.console import say


def report(
    workspace: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> None:
    """Write the report of a workspace: one HTML file, its figures as PNG, its maps as 32-bit TIFF.

    Parameters
    ----------
    workspace
        The workspace.
    output
        The folder to write; by default NAME-report beside the workspace.
    """
    from velatura.chain.page import make_report

    files = make_report(open_workspace(workspace), output)
    say(f"report: {files.page} ({len(files.figures)} figures, {len(files.maps)} maps)")
