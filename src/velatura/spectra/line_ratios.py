"""Ratios of lines in one spectrum: K-beta to K-alpha, L lines, silicon escape, Compton to Rayleigh scatter.

Each is a linear fit of line shapes over a straight background in a window of its own, so a measured and a simulated
spectrum can be held against each other without agreeing on anything else.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from velatura.atomic.lines import Line, group, lines_of
from velatura.atomic.scattering import compton_energy
from velatura.physics.detector import Detector, spread_lines

SIDE = 2.0  # FWHM of background that a window takes in on both sides of its lines
LOWEST = 1.2  # keV, below which no line is measured
SOFT = 5.0  # keV, below which a Compton peak lies too close to its Rayleigh peak
LEAST = 3e-3  # share of its family below which a group of lines is not asked for
MOST_ERROR = 0.08  # relative standard deviation of a ratio that is worth giving
APART, ASIDE = 1.2, 0.8  # FWHM between the two peaks of a ratio, and from them to other elements' peaks
ASKED = 0.04  # share of its family from which a group of lines is asked for
CLEAR = 2.5  # FWHM between a level of the background and the next line
COMPTON_WIDTH = 0.45  # keV, FWHM by which bound electrons widen the Compton line of Rh or Mo Ka


class Peak(NamedTuple):
    """Lines that rise and fall together."""

    name: str
    energies: np.ndarray
    """[keV]"""
    weights: np.ndarray
    """They sum to 1."""
    broadening: float = 0.0
    """FWHM added in quadrature [keV]."""
    share: float = 1.0
    """Of the photons of its family K or L."""

    @property
    def energy(self) -> float:
        """Mean energy [keV]."""
        return float(self.energies @ self.weights)


class Ratio(NamedTuple):
    """Counts of one peak over those of another."""

    name: str
    """ "Fe Kb/Ka"."""
    value: float
    uncertainty: float
    """One standard deviation, from the counts alone."""


class Scene(NamedTuple):
    """What is known of a spectrum before its lines are measured."""

    elements: tuple[str, ...]
    """Of the sample."""
    detector: Detector
    anode: str
    tube_voltage: float
    """[kV]"""
    angle: float
    """Scattering angle [deg]."""
    surroundings: tuple[str, ...] = ()
    """Elements of air, collimator and housing, whose weak lines may lie beside those of the sample."""

    def peaks(self) -> tuple[Peak, ...]:
        """Return every peak that the elements, the silicon escape and the scattered anode lines can show."""
        shown = [peak for element in self.elements for peak in _groups(element, self.tube_voltage)]
        silicon, escape = group("Si-Ka").energy, []
        if self.detector.escape:
            escape = [peak._replace(name=f"{peak.name} escape", energies=peak.energies - silicon) for peak in shown]
        others = set(self.surroundings) - set(self.elements)
        shown += [peak for element in sorted(others) for peak in _groups(element, self.tube_voltage)]
        return (*shown, *(peak for peak in escape if peak.energy > LOWEST), *self.scattered())

    def scattered(self) -> tuple[Peak, ...]:
        """Return the anode's lines as Rayleigh peaks and, above 5 keV, as Compton peaks."""
        found = [peak for peak in _groups(self.anode, self.tube_voltage) if peak.energy > LOWEST]
        softened = (
            peak._replace(
                name=f"{peak.name} Compton",
                energies=compton_energy(peak.energies, self.angle),
                broadening=COMPTON_WIDTH,
            )
            for peak in found
            if peak.energy > SOFT
        )
        return (*(peak._replace(name=f"{peak.name} Rayleigh") for peak in found), *softened)


def line_ratios(counts: np.ndarray, axis: np.ndarray, scene: Scene) -> tuple[Ratio, ...]:
    """Return the ratios that a spectrum shows well: less than 8 % of statistical error.

    counts: [channel], on an axis of channel centres [keV]. For each element: every group of a family (Kb, Lb, Lg ...)
    over its first (Ka, La), and the silicon escape of that one; for the tube's Ka the Compton peak over the Rayleigh
    peak, the Compton peak widened by 0.45 keV.
    """
    counts, peaks = np.asarray(counts, np.float64), scene.peaks()
    found = []
    for element in scene.elements:
        groups = _groups(element, scene.tube_voltage)
        for kind in "KL":
            family = [
                peak.name
                for peak in groups
                if peak.name.split()[1][0] == kind and peak.energy > LOWEST and peak.share > ASKED
            ]
            if family:
                asked = [(name, family[0]) for name in (*family[1:], f"{family[0]} escape")]
                found += [ratio for pair in asked if (ratio := _ratio(counts, axis, scene.detector, peaks, pair))]
    pair = tuple(f"{scene.anode} Ka {kind}" for kind in ("Compton", "Rayleigh"))
    if {peak.name for peak in peaks} >= set(pair) and (
        ratio := _ratio(counts, axis, scene.detector, peaks, (pair[0], pair[1]))
    ):
        found.append(ratio._replace(name=f"{scene.anode} Compton/Rayleigh"))
    return tuple(found)


def background_level(
    counts: np.ndarray, axis: np.ndarray, scene: Scene, *, energy: float
) -> tuple[float, float, float] | None:
    """Return (energy [keV], counts per keV, standard deviation) of the background nearest to `energy`.

    The mean over 0.2 keV, at least 2.5 FWHM from every line that the scene may show and at most 1.2 keV from `energy`;
    None where there is no such place.
    """
    taken = np.array([place for peak in scene.peaks() for place in (peak.energies.min(), peak.energies.max())])
    offsets = np.arange(0.0, 1.21, 0.05)
    for place in energy + np.stack([offsets, -offsets], axis=1).ravel():
        if np.abs(taken - place).min(initial=np.inf) > CLEAR * float(scene.detector.fwhm(place)):
            here = np.abs(axis - place) <= 0.1
            width = here.sum() * (axis[1] - axis[0])
            total = float(np.clip(counts[here], 0, None).sum())
            return float(place), total / width, max(total, 1.0) ** 0.5 / width
    return None


def net_areas(
    counts: np.ndarray, axis: np.ndarray, peaks: tuple[Peak, ...], *, detector: Detector
) -> tuple[np.ndarray, np.ndarray]:
    """Return counts of each peak [peak] and their covariance [peak, peak]: fit over a straight line, Poisson weights.

    axis: the channels to use. Shapes have the detector's tail and shelf; escape peaks are peaks of their own. A second
    pass adds the slope of the fitted peaks, so that an axis some eV off does not turn up as areas.
    """
    energies = np.concatenate([peak.energies for peak in peaks])
    rows = spread_lines(
        energies, np.concatenate([peak.weights for peak in peaks]),
        np.repeat(np.arange(len(peaks)), [len(peak.energies) for peak in peaks]), axis=axis,
        detector=replace(detector, escape=False),
        broadening=np.concatenate([np.full(len(peak.energies), peak.broadening) for peak in peaks]),
    )  # fmt: skip
    design = np.vstack([rows, np.ones(len(axis)), (axis - axis.mean()) / max(np.ptp(axis), 1e-9)])
    smooth = np.convolve(np.pad(np.clip(counts, 0, None), 2, mode="edge"), np.full(5, 0.2), "valid")
    areas, _ = _solved(design, counts, smooth)
    model = areas[: len(peaks)] @ rows
    areas, covariance = _solved(np.vstack([design, np.gradient(model)]), counts, smooth)
    return areas[: len(peaks)], covariance[: len(peaks), : len(peaks)]


def _solved(design: np.ndarray, counts: np.ndarray, smooth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares: amounts of the rows of `design` and their covariance."""
    scale = np.maximum(np.abs(design).max(axis=1, keepdims=True), 1e-300)
    weighted = design / scale / np.maximum(smooth, 1.0)
    covariance = np.linalg.pinv(weighted @ (design / scale).T, hermitian=True)
    return covariance @ weighted @ counts / scale[:, 0], covariance / scale / scale.T


def _ratio(
    counts: np.ndarray, axis: np.ndarray, detector: Detector, peaks: tuple[Peak, ...], pair: tuple[str, str]
) -> Ratio | None:
    """The ratio of two peaks by name, each from its own window unless they share one."""
    if not all(_stands_alone(peaks, name, pair, detector) for name in pair):
        return None
    over, under = (_measured(counts, axis, detector, peaks, name) for name in pair)
    if over is None or under is None or over[0] <= 0 or under[0] <= 0:
        return None
    value = over[0] / under[0]
    relative = float(np.hypot(over[1] / over[0], under[1] / under[0]))
    element, first = pair[0].split(" ", 1)
    name = f"{element} {first.replace(' escape', '')} escape" if "escape" in first else f"{element} {first}"
    return Ratio(name + f"/{pair[1].split()[1]}", value, value * relative) if relative < MOST_ERROR else None


def _stands_alone(peaks: tuple[Peak, ...], name: str, pair: tuple[str, str], detector: Detector) -> bool:
    """Is a peak there, and far enough from the other one and from the lines of other elements?"""
    asked = next((peak for peak in peaks if peak.name == name), None)
    if asked is None:
        return False
    fwhm = float(detector.fwhm(asked.energy))
    return all(
        abs(peak.energy - asked.energy) > (APART if peak.name in pair else ASIDE) * fwhm
        for peak in peaks
        if peak.name != name and (peak.name in pair or (peak.share > ASKED and peak.name.split()[0] != name.split()[0]))
    )


def _measured(
    counts: np.ndarray, axis: np.ndarray, detector: Detector, peaks: tuple[Peak, ...], name: str
) -> tuple[float, float] | None:
    """Area and standard deviation of a peak, fitted with all that overlap its window."""
    asked = next((peak for peak in peaks if peak.name == name), None)
    if asked is None:
        return None
    width = float(np.hypot(detector.fwhm(asked.energy), asked.broadening))
    low, high = asked.energies.min() - SIDE * width, asked.energies.max() + SIDE * width
    near = tuple(_overlapping(peaks, low - width, high + width))
    low = min([low, *(float(peak.energies.min()) - width for peak in near if peak.energy > low)])
    inside = (axis >= low) & (axis <= high)
    if low < axis[0] or high > axis[-1] or inside.sum() < len(near) + 4:
        return None
    areas, covariance = net_areas(counts[inside], axis[inside], near, detector=detector)
    place = near.index(asked)
    return float(areas[place]), float(np.sqrt(max(covariance[place, place], 0.0)))


def _overlapping(peaks: Iterable[Peak], low: float, high: float) -> Iterable[Peak]:
    return (peak for peak in peaks if peak.energies.max() > low and peak.energies.min() < high)


def _groups(element: str, tube_voltage: float) -> list[Peak]:
    """Groups of lines of an element that a tube can excite, the main one of each family first."""
    members: dict[str, list[Line]] = {}
    for line in lines_of(element, ("K", "L"), window=(0.9, 60.0)):
        if line.edge_energy < tube_voltage:
            name = line.group if len(line.group) == 2 else _nearest(line, members)
            if name:
                members.setdefault(name, []).append(line)
    found = []
    for name, lines in members.items():
        weights = np.array([line.weight for line in lines])
        if weights.sum() > LEAST:
            energies = np.array([line.energy for line in lines])
            found.append(Peak(f"{element} {name}", energies, weights / weights.sum(), share=float(weights.sum())))
    return sorted(found, key=lambda peak: ("KL".index(peak.name.split()[1][0]), "ab".find(peak.name[-1]) % 9))


def _nearest(line: Line, members: dict[str, list[Line]]) -> str | None:
    """The group of its family that a nameless line lies nearest to."""
    near = [(abs(other.energy - line.energy), name) for name, lines in members.items() for other in lines
            if name[0] == line.edge[0]]  # fmt: skip
    return min(near)[1] if near else None
