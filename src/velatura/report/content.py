"""What a report holds: records that the caller fills; every part but the title may be missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr


@dataclass(frozen=True)
class CalibrationLine:
    """One line that the energy axis was checked against."""

    line: str
    """Its name, e.g. "Fe-Ka"."""
    energy: float
    """Tabulated energy [keV]."""
    residual: float
    """Found minus tabulated [eV]."""
    uncertainty: float = 0.0
    """Standard deviation of the found energy [eV]."""


@dataclass(frozen=True)
class Calibration:
    """The energy axis and how well it was checked."""

    zero: float
    """[keV]"""
    gain: float
    """[keV/channel]"""
    quadratic: float = 0.0
    """[keV/channel2]"""
    origin: str = ""
    """Where the axis came from, in words."""
    fwhm: float | None = None
    """Width of a line at 5.895 keV [keV]."""
    lines: tuple[CalibrationLine, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences a reader should know, e.g. why the automatic axis was refused."""


@dataclass(frozen=True)
class TruthPassage:
    """One hidden passage of a simulated painting beside the map that shows it best."""

    name: str
    truth: np.ndarray
    """float [y, x], 0 to 1."""
    found: str
    """Name of the proposal or cluster, e.g. "P1"."""
    score: str = ""
    """How well they agree, in words."""


@dataclass(frozen=True)
class FoundColours:
    """True colours of a simulated painting beside those that were found."""

    name: str
    truth: np.ndarray
    """rgb float [y, x, 3], 0 to 1."""
    found: np.ndarray
    """rgb float [y, x, 3], 0 to 1; NaN without an answer."""
    score: str = ""
    """How well they agree, in words."""


@dataclass(frozen=True)
class DemoTruth:
    """What a simulated painting really holds."""

    visible: np.ndarray
    """The surface as the eye sees it, rgb float [y, x, 3], 0 to 1."""
    hidden: np.ndarray
    """What lies beneath, rgb float [y, x, 3], 0 to 1."""
    passages: tuple[TruthPassage, ...] = ()
    scores: tuple[tuple[str, str], ...] = ()
    """Rows (measure, value)."""
    colours: tuple[FoundColours, ...] = ()
    """Of the surface and of what lies beneath, as far as they were recoloured."""


@dataclass(frozen=True)
class ReportContent:
    """Everything that one report shows."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    """What was read: rows (fact, value); see `cube_facts`."""
    pitch: float | None = None
    """Step of the scanner [mm]; None where it is not known."""
    calibration: Calibration | None = None
    elements: xr.Dataset | None = None
    segment: xr.Dataset | None = None
    identify: xr.Dataset | None = None
    recolour: xr.Dataset | None = None
    provenance: tuple[Mapping[str, Any], ...] = ()
    """One record per verb: name, version, parameters, seed, hashes, time."""
    truth: DemoTruth | None = None
    """Only for a simulated painting."""


def cube_facts(cube: xr.Dataset) -> tuple[tuple[str, str], ...]:
    """Return what is known of a cube as rows (fact, value); nothing is read but the header and the small images."""
    height, width, channels = cube.counts.shape
    known = cube.counts.attrs
    pitch, energy = known.get("pitch"), cube.energy.values
    size = f"{width} × {height} pixels"
    if pitch:
        size += f", {width * pitch:.4g} × {height * pitch:.4g} mm at {pitch:.4g} mm a pixel"
    valid = cube.valid.values
    rows = [
        ("Source", known.get("source")),
        ("Size", size),
        ("Channels", f"{channels}, from {energy[0]:.3f} to {energy[-1]:.3f} keV"),
        ("Stored as", str(cube.counts.dtype)),
        ("Pixels with data", "all" if valid.all() else f"{int(valid.sum()):,} of {valid.size:,}"),
        ("Live time", live_time_fact(cube)),
        ("Instrument", known.get("instrument")),
        ("Anode", known.get("anode")),
        ("Tube voltage", known.get("tube_voltage") and f"{known['tube_voltage']:g} kV"),
        ("Incidence angle", known.get("incidence_angle") and f"{known['incidence_angle']:g}°"),
        ("Take-off angle", known.get("take_off_angle") and f"{known['take_off_angle']:g}°"),
    ]
    return tuple((name, str(value)) for name, value in rows if value)


def live_time_fact(cube: xr.Dataset) -> str | None:
    """Return the live time a pixel in words, None where it is not known."""
    if "live_time" not in cube:
        return None
    times = cube.live_time.values[cube.valid.values]
    if not times.size or not np.isfinite(times).any():
        return None
    low, high = np.nanmin(times), np.nanmax(times)
    return f"{low:.3g} s a pixel" if np.isclose(low, high) else f"{low:.3g} to {high:.3g} s a pixel"
