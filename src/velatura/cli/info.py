"""`velatura info`."""

from velatura.base.workspace import is_workspace, list_maps, open_workspace
from velatura.cli.console import say
from velatura.cli.options import Reading, Scan
from velatura.io.formats import open_scan
from velatura.io.options import ReadOptions


def info(scan: Scan, /, *, read: Reading = ReadOptions()) -> None:  # noqa: B008
    """Look at a scan or workspace without changing anything: size, energy axis, instrument, results."""
    from velatura.report.content import cube_facts

    for name, value in cube_facts(open_scan(scan, read)):
        say(f"{name + ':':<18}{value}")
    if is_workspace(scan):
        say(f"{'Results:':<18}{', '.join(list_maps(open_workspace(scan))) or 'none yet'}")
