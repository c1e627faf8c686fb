"""`velatura import`."""

from velatura.chain.steps import bring_in
from velatura.cli.console import progress_bar, say
from velatura.cli.options import Output, Reading, Scan
from velatura.io.options import ReadOptions


def import_scan(scan: Scan, /, *, output: Output = None, read: Reading = ReadOptions()) -> None:  # noqa: B008
    """Bring a scan into a workspace; the original is not touched.

    The workspace is a folder NAME.zarr: the counts, compressed about eightfold, and later every result.
    """
    with progress_bar() as progress:
        workspace = bring_in(scan, output, read, progress=progress)
    say(f"workspace: {workspace.path}")
