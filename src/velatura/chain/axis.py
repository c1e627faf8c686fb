"""The energy axis of a workspace: the file's, the user's points, or found from the spectrum; always with residuals."""

import json
from dataclasses import replace

import numpy as np
import xarray as xr

from velatura.base.errors import CalibrationError
from velatura.base.progress import Progress, silent
from velatura.base.workspace import Workspace, read_cube, update_calibration
from velatura.chain.steps import summary_of
from velatura.spectra.calibrate import Calibration, calibrate, calibrate_two_points, check_calibration

WAYS = ("auto", "file", "find")
SHARP = 5.0  # eV: uncertainty of a line that may speak against the file's axis
TOLERATED = 20.0  # eV: its residual that is tolerated there
LARGE_RESIDUAL = 30.0  # eV: half of the check's lines further off than this deserve a word
MANGANESE = 5.895  # keV, where detectors are compared
NOT_FOUND = "not known"


def settle_axis(
    workspace: Workspace,
    how: str = "auto",
    *,
    anode: str | None = None,
    insist: bool = False,
    progress: Progress = silent,
) -> xr.Dataset:
    """Give the workspace's cube its energy axis and return the cube; what was settled before in the same way stays.

    how: "auto" (what was settled before; else the file's axis, unless its lines are off and a better one is found; else
    found), "file", "find", or points "channel=keV,channel=keV";
    insist: raise CalibrationError when no axis is found, instead of keeping the nominal one with a note.
    """
    cube = read_cube(workspace)
    before = cube.counts.attrs.get("calibration_asked")
    asked = json.dumps([how, anode])
    if before is not None and (how == "auto" or asked == before) and (axis_is_trusted(cube) or not insist):
        return cube
    spectrum = summary_of(workspace, progress=progress).sum_spectrum.values
    known = cube.counts.attrs
    anode = anode or known.get("anode")
    try:
        found, notes = found_axis(spectrum, cube, how, anode=anode), []
    except CalibrationError as error:
        if insist or how != "auto":
            raise
        found = Calibration(known["zero"], known["gain"], known["quadratic"], method=NOT_FOUND)
        notes = [str(error), "Energies in this report are nominal and no element is named."]
    update_calibration(
        workspace,
        zero=found.zero,
        gain=found.gain,
        quadratic=found.quadratic,
        calibration=found.method,
        calibration_asked=asked,
        calibration_check=json.dumps(check_of(found, notes)),
        noise=found.noise,
        fano=found.fano,
        **({"anode": found.anode} if found.anode else {}),
    )
    return read_cube(workspace)


def found_axis(spectrum: np.ndarray, cube: xr.Dataset, how: str, *, anode: str | None) -> Calibration:
    """Return the axis in the way asked for, checked on the sum spectrum [channel]. Raises CalibrationError."""
    known = cube.counts.attrs
    voltage = known.get("tube_voltage")
    if how == "find" or (how == "auto" and not file_has_axis(cube)):
        return calibrate(spectrum, anode=anode, tube_voltage=voltage)
    if how in ("auto", "file"):
        if not file_has_axis(cube):
            raise CalibrationError("asked for the file's energy axis; the file has none. Use --calibration find")
        axis, method = {name: known[name] for name in ("zero", "gain", "quadratic")}, "file"
    else:
        points = calibrate_two_points(read_points(how))
        axis, method = {"zero": points.zero, "gain": points.gain}, "points given"
    told = check_calibration(spectrum, **axis, anode=anode, tube_voltage=voltage, method=method)
    return better_axis(told, spectrum, voltage) if how == "auto" else told


def better_axis(told: Calibration, spectrum: np.ndarray, voltage: float | None) -> Calibration:
    """Return the file's axis, or the one found where a sharp line is off and the found axis puts more lines right."""
    off = worst_residual(told)
    if told.residuals and off <= TOLERATED:
        return told
    try:
        found = calibrate(spectrum, anode=told.anode, tube_voltage=voltage)
    except CalibrationError:
        return told
    if found.close_lines <= told.close_lines or worst_residual(found) >= off > 0:
        return told
    return replace(found, method=f"automatic; the file's axis is up to {off:.0f} eV off" if off else "automatic")


def worst_residual(found: Calibration) -> float:
    """Return the largest residual [eV] of the lines whose place is known well; 0 without any."""
    return max((abs(row.residual) for row in found.residuals if row.uncertainty <= SHARP), default=0.0)


def file_has_axis(cube: xr.Dataset) -> bool:
    """Tell whether the reader found an energy axis in the file."""
    return str(cube.counts.attrs.get("calibration", "")).startswith(("file", "simulated"))


def axis_is_trusted(cube: xr.Dataset) -> bool:
    """Tell whether energies mean something: the axis was given or found, not only assumed."""
    return not str(cube.counts.attrs.get("calibration", NOT_FOUND)).startswith(("assumed", NOT_FOUND))


def read_points(text: str) -> list[tuple[float, float]]:
    """Read "640=6.404,1055=10.551" as pairs (channel, keV). Raises CalibrationError for anything else.

    >>> read_points("640=6.404,1055=10.551")
    [(640.0, 6.404), (1055.0, 10.551)]
    """
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return [(float(channel), float(energy)) for channel, energy in pairs]
    except ValueError as error:
        raise CalibrationError(
            f'calibration can be {", ".join(WAYS)} or points such as 640=6.404,1055=10.551; found "{text}"'
        ) from error


def check_of(found: Calibration, notes: list[str]) -> dict:
    """Return the check as plain values for the workspace: lines (name, keV, residual eV, its error), width, notes."""
    lines = [[row.line, row.expected, row.residual, row.uncertainty] for row in found.residuals]
    far = [row.line for row in found.residuals if abs(row.residual) > LARGE_RESIDUAL]
    if found.method == "file" and found.residuals and len(far) * 2 > len(found.residuals):
        notes = [*notes, f"The file's axis fits its lines badly ({', '.join(far)}): try --calibration find."]
    width = float(found.fwhm(MANGANESE)) if found.residuals else None
    return {"lines": lines, "fwhm": width, "notes": notes}
