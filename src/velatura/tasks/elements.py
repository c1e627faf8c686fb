"""Element maps: net counts of each line in each pixel, with uncertainty and detection limit."""

import json
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from velatura.atomic.lines import LineGroup, group
from velatura.base.errors import CalibrationError, InputError
from velatura.base.progress import Progress, silent
from velatura.spectra.background import estimate_background
from velatura.spectra.calibrate import Calibration, check_calibration
from velatura.spectra.explain import LOWEST, USUAL
from velatura.spectra.families import families_of
from velatura.spectra.line_fit import Plan, line_maps, plan_fit, plan_windows
from velatura.spectra.overlaps import overlaps
from velatura.spectra.pixel_model import pixel_model
from velatura.spectra.proposal import Proposal, propose
from velatura.spectra.response import Detector
from velatura.spectra.summary import Summary, summarise

METHODS = ("fit", "window")
OFF_AXIS = 15.0  # eV, root mean square distance of lines from their places that is worth a warning


@dataclass(frozen=True)
class Elements:
    """How to map elements. The defaults map what the scan itself shows."""

    lines: tuple[str, ...] | None = None
    """Lines to map, "Fe-Ka", "Pb-La" or plain symbols "Fe"; None proposes them."""
    method: str = "fit"
    """ "fit" (line shapes, overlaps resolved) or "window" (counts in a window less its sides)."""
    non_negative: bool = True
    """Fit again without negative areas where there are some."""
    threshold: float = 5.0
    """Significance from which an element is proposed [standard deviations]."""
    noise: float | None = None
    """Detector noise as FWHM [keV]; None takes the cube's, else what its sum spectrum shows."""
    fano: float | None = None
    """Fano factor; None takes the cube's, else what its sum spectrum shows."""
    anode: str | None = None
    """Tube anode, "Rh"; None takes the cube's or recognises it."""
    tube_voltage: float | None = None
    """[kV]; None takes the cube's or the end of the spectrum."""


def element_maps(cube: xr.Dataset, config: Elements = Elements(), *, progress: Progress = silent) -> xr.Dataset:
    """Map lines of a cube; return a Dataset as docs/results.md describes `maps/elements`.

    Three passes over the counts: sum and maximum spectra, (rare elements in single pixels,) maps band by band.
    Raises InputError for an unknown method, element or line, for lines outside the measured energies, and for a scan
    without counts.
    """
    if config.method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}; found {config.method!r}")
    energy = cube.energy.values
    axis = (max(LOWEST, float(energy[0])), float(energy[-1]))
    asked = None if config.lines is None else tuple(dict.fromkeys(_asked(name, axis).name for name in config.lines))
    anode = config.anode or cube.counts.attrs.get("anode")
    tube_voltage = config.tube_voltage or cube.counts.attrs.get("tube_voltage")
    summary = summarise(cube, progress=progress)
    if not summary.sum_spectrum.any():
        raise InputError("this scan holds no counts at all. Was the right dataset or detector read?")
    seen = _seen_axis(cube, summary, anode, tube_voltage)
    detector = _detector(cube, config, seen)
    proposal = propose(
        cube,
        summary,
        detector=detector,
        anode=anode,
        tube_voltage=tube_voltage,
        threshold=config.threshold,
        progress=progress,
    )
    lines = _proposed(proposal) if asked is None else tuple(group(name) for name in asked)
    limit = _limit(lines, float(proposal.explanation.energy[-1]), tube_voltage)
    plan, background, model = _plan(config, lines, proposal, summary, energy, detector, limit)
    maps = line_maps(cube.counts.data, plan, valid=cube.valid.values, progress=progress)
    result = _dataset(cube, config, lines, proposal, (summary, background, model), maps, detector)
    warnings = _axis_warning(seen) + json.loads(result.attrs["warnings"])
    return result.assign_attrs(warnings=json.dumps(warnings))


def _seen_axis(cube: xr.Dataset, summary: Summary, anode: str | None, tube_voltage: float | None) -> Calibration:
    """Widths and residuals of the lines that the sum spectrum shows on the cube's axis, as far as it shows any."""
    axis = {name: cube.counts.attrs.get(name, 0.0) for name in ("zero", "gain", "quadratic")}
    try:
        with threadpool_limits(1, "blas"):  # small matrices
            return check_calibration(summary.sum_spectrum, **axis, anode=anode, tube_voltage=tube_voltage)
    except CalibrationError:
        return Calibration(axis["zero"], axis["gain"])


def _detector(cube: xr.Dataset, config: Elements, seen: Calibration) -> Detector:
    """Widths as asked, as the cube says, or as its sum spectrum shows."""
    attributes = cube.counts.attrs
    noise, fano = config.noise or attributes.get("noise"), config.fano or attributes.get("fano")
    return Detector(noise=noise or seen.noise, fano=fano or (Detector.fano if noise else seen.fano))


def _axis_warning(seen: Calibration) -> list[str]:
    """Say so when the lines do not lie where the axis puts them."""
    residuals = np.array([row.residual for row in seen.residuals])
    if len(residuals) < 3 or np.sqrt(np.mean(residuals**2)) < OFF_AXIS:
        return []
    most = np.abs(residuals).max()
    return [
        f"Lines lie up to {most:.0f} eV beside their places on this energy axis: calibrate before using these maps."
    ]


def _asked(name: str, axis: tuple[float, float]) -> LineGroup:
    """Return a group on the axis by name, or the main one of a plain symbol."""
    name = name.strip()
    if name.isalpha() and len(name) <= 2:
        families = families_of(name, window=axis)
        if not families:
            raise InputError(f"{name} has no line between {axis[0]:.1f} and {axis[1]:.1f} keV; leave it out")
        return families[0].main
    line = group(name)
    if not axis[0] <= line.energy <= axis[1]:
        low, high = axis
        raise InputError(f"{line.name} ({line.energy:.2f} keV) lies outside {low:.1f} to {high:.1f} keV; leave it out")
    return line


def _proposed(proposal: Proposal) -> tuple[LineGroup, ...]:
    """Best line of each element of the sample, by energy."""
    chosen = [group(found.line) for found in proposal.found if found.role == "sample"]
    if not chosen:
        raise InputError(
            "no element stands out of this scan. Check its calibration, or name lines, e.g. --elements Fe-Ka,Pb-La"
        )
    return tuple(sorted(chosen, key=lambda line: line.energy))


def _limit(lines: tuple[LineGroup, ...], end: float, tube_voltage: float | None) -> float:
    """Highest edge [keV] to reckon with: the end of the spectrum, and of what was asked for as far as the tube goes."""
    for line in lines:
        edge = min(found.edge_energy for found in line.lines)
        if tube_voltage and edge >= tube_voltage:
            raise InputError(f"{line.name} needs more than {edge:.1f} kV; the tube had {tube_voltage:g}. Leave it out")
        end = max(end, edge * 1.02)
    return end


def _plan(
    config: Elements,
    lines: tuple[LineGroup, ...],
    proposal: Proposal,
    summary: Summary,
    energy: np.ndarray,
    detector: Detector,
    limit: float,
) -> tuple[Plan, np.ndarray, np.ndarray]:
    """Return (plan, background of the sum [channel], model of the sum [channel])."""
    explained = proposal.explanation
    channels = slice(*(int(place) for place in np.searchsorted(energy, (explained.energy[0], limit))))
    counts = summary.sum_spectrum.astype(np.float64)
    background = np.maximum(estimate_background(counts, energy, detector=detector), 0.0)
    elements = dict.fromkeys((*(line.element for line in lines), *(found.element for found in proposal.found)))
    model = pixel_model(
        counts[channels], energy[channels], tuple(elements), explained=explained, detector=detector, limit=limit
    )
    fitted = background.copy()
    background[channels], fitted[channels] = model.smooth, model.fit
    if config.method == "window":
        under = background / summary.pixels
        return plan_windows(lines, energy, background=under, detector=detector), background, fitted
    plan = plan_fit(
        lines,
        model.families,
        model.rows,
        channels=channels,
        expected=model.fit / summary.pixels,
        background=model.smooth / summary.pixels,
        non_negative=config.non_negative,
    )
    return plan, background, fitted


def _dataset(
    cube: xr.Dataset,
    config: Elements,
    lines: tuple[LineGroup, ...],
    proposal: Proposal,
    spectra: tuple[Summary, np.ndarray, np.ndarray],
    maps: tuple[np.ndarray, np.ndarray, np.ndarray],
    detector: Detector,
) -> xr.Dataset:
    summary, background, model = spectra
    images = dict(zip(("intensity", "uncertainty", "detection_limit"), maps, strict=True))
    curves = {
        "sum_spectrum": summary.sum_spectrum.astype(np.float64),
        "max_spectrum": summary.max_spectrum.astype(np.float64),
        "background": background,
        "fit": model,
    }
    window = (LOWEST, float(proposal.explanation.energy[-1]))
    present = tuple(dict.fromkeys((*(line.element for line in lines), *proposal.symbols("tube"))))
    found = overlaps(present, detector=detector, window=window, hidden=USUAL, limit=window[1])
    return xr.Dataset(
        {name: (("line", "y", "x"), image, {"units": "counts"}) for name, image in images.items()}
        | {name: ("energy", curve, {"units": "counts"}) for name, curve in curves.items()},
        coords={
            "line": [line.name for line in lines],
            "element": ("line", [line.element for line in lines]),
            "line_energy": ("line", [line.energy for line in lines], {"units": "keV"}),
            "energy": ("energy", cube.energy.values, {"units": "keV"}),
        },
        attrs={
            "method": config.method,
            "warnings": json.dumps([overlap.sentence(detector) for overlap in found]),
            "parameters": json.dumps(
                asdict(config)
                | {"noise": detector.noise, "fano": detector.fano, "anode": proposal.explanation.anode}
                | {"found": [one._asdict() for one in proposal.found], "rare": list(proposal.rare)}
            ),
        },
    )
