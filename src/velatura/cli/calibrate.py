"""`velatura calibrate`."""

import json
from typing import Annotated

from cyclopts import Parameter

from velatura.chain.axis import settle_axis
from velatura.chain.steps import bring_in
from velatura.cli.console import progress_bar, say
from velatura.cli.options import Output, Reading, Scan
from velatura.io.options import ReadOptions


def calibrate(
    scan: Scan,
    /,
    *,
    output: Output = None,
    calibration: Annotated[str, Parameter(name="--calibration")] = "auto",
    anode: Annotated[str | None, Parameter(name="--anode")] = None,
    read: Reading = ReadOptions(),  # noqa: B008
) -> None:
    """Set the energy axis and report the residual of every line it was checked against.

    Parameters
    ----------
    calibration
        auto (the file's axis if it has one, else found), file, find, or points channel=keV: 640=6.404,1055=10.551.
    anode
        Element of the tube's anode, e.g. Rh, where the file does not say it.
    """
    with progress_bar() as progress:
        workspace = bring_in(scan, output, read, progress=progress)
        cube = settle_axis(workspace, calibration, anode=anode, insist=True, progress=progress)
    known = cube.counts.attrs
    check = json.loads(known["calibration_check"])
    say(f"zero {known['zero']:.4f} keV, gain {1e3 * known['gain']:.4f} eV/channel ({known['calibration']})")
    for line, energy, residual, error in check["lines"]:
        say(f"  {line:<8}{energy:8.3f} keV  {residual:+6.1f} eV  (± {error:.1f})")
    for note in check["notes"]:
        say(f"note: {note}")
    say(f"workspace: {workspace.path}")
