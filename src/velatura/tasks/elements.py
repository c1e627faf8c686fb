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
from velatura.spectra.columns import Columns, draw_columns, fit_rows
from velatura.spectra.explain import LOWEST, USUAL, Explanation
from velatura.spectra.families import families_of
from velatura.spectra.line_fit import Plan, line_maps, plan_fit, plan_windows
from velatura.spectra.overlaps import overlaps
from velatura.spectra.proposal import Proposal, propose
from velatura.spectra.response import Detector
from velatura.spectra.summary import Summary, summarise

METHODS = ("fit", "window")
KNOT = 5.0  # keV between the points where a pixel's background is scaled
OFF_AXIS = 15.0  # eV, root mean square distance of lines from their places that is worth a warning
RATIO_PRIOR = 0.15  # relative spread of Kb/Ka, Lb/La ... about the table, by absorption in the paint


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
    columns, shapes, smooth, fitted = _shapes(
        counts[channels], energy[channels], background[channels], tuple(elements), explained, detector, limit
    )
    under, model = background.copy(), background.copy()
    under[channels], model[channels] = smooth, fitted
    if config.method == "window":
        return plan_windows(lines, energy, background=under / summary.pixels, detector=detector), under, model
    plan = plan_fit(
        lines,
        columns.families,
        shapes,
        channels=channels,
        expected=fitted / summary.pixels,
        background=smooth / summary.pixels,
        non_negative=config.non_negative,
    )
    return plan, under, model


def _shapes(
    counts: np.ndarray,
    energy: np.ndarray,
    background: np.ndarray,
    elements: tuple[str, ...],
    explained: Explanation,
    detector: Detector,
    limit: float,
) -> tuple[Columns, np.ndarray, np.ndarray, np.ndarray]:
    """Fit the sum spectrum; return columns, rows of the pixels' fit [row, channel], smooth part and model [channel].

    Rows: each family with unit area of its main group and its other lines in the ratio that the sum shows; the scatter
    of the tube as the sum has it, one row; the background cut into triangles.
    """
    source = explained.beam or explained.anode
    drawn = draw_columns(energy.tobytes(), detector, elements, (source,) if source else ())
    coarse = np.interp(energy, explained.energy, explained.background) * np.diff(energy).mean()
    coarse *= 1 / np.diff(explained.energy).mean()
    smooth = _hats(energy) * (np.maximum(coarse, background * 0.1) + 1e-3 * background.max() + 1e-9)
    columns = drawn.cut(len(energy), smooth).keep(np.array([f.edge < limit for f in drawn.families], bool))
    variance = np.maximum(counts, 1) + (0.03 * counts) ** 2
    for _ in range(2):
        fit = fit_rows(columns.rows(), counts, variance)
        variance = columns.variance(fit.areas, energy)
    whole = _with_ratios(columns, counts, variance)
    _, scatter, under = columns.split(fit.areas)
    rows = [whole]
    if scatter.any():
        rows.append((scatter / scatter.sum() @ columns.scatter)[None])
    level = under @ columns.smooth
    rows.append(_hats(energy) * (level + 1e-3 * level.max()) / max(level.mean(), 1e-9))
    return columns, np.concatenate(rows), level, fit.model


def _hats(energy: np.ndarray) -> np.ndarray:
    """Overlapping triangles [triangle, channel] that sum to one."""
    knots = np.linspace(energy[0], energy[-1], max(2, round((energy[-1] - energy[0]) / KNOT) + 1))
    return np.array([np.interp(energy, knots, unit) for unit in np.eye(len(knots))])


def _with_ratios(columns: Columns, counts: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Families of unit main area; the other lines as strong as the sum shows, held near the table by `RATIO_PRIOR`."""
    main = columns.whole - columns.other
    fit = fit_rows(np.concatenate([main, columns.other, columns.scatter, columns.smooth]), counts, variance)
    size = len(main)
    areas, errors = (values[: 2 * size].reshape(2, size) for values in (fit.areas, fit.errors))
    base = np.where(areas[0] > 0, areas[0], np.inf)
    seen = np.minimum(base / np.maximum(errors[1], 1e-9), 1e3) ** 2  # inverse variances of the ratio: seen, expected
    expected = 1 / RATIO_PRIOR**2
    ratio = np.clip((areas[1] / base * seen + expected) / (seen + expected), 0.5, 1.6)
    ratio = np.where(areas[0] > 0, ratio, 1.0)
    share = np.array([family.share_of(family.main) for family in columns.families])
    return (main + ratio[:, None] * columns.other) / share[:, None]


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
