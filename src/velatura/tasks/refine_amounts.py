"""What fits say in the words of painters: mass of each pigment, its share, thickness of the paint, with intervals.

Intervals are two standard uncertainties to either side: symmetric in the logarithm of a mass or thickness and in
log(s / (1 - s)) of a share s, in which the fit is nearly linear. They come from the fit's covariance, times the square
root of a reduced chi2 above 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from velatura.physics.stack import UM
from velatura.tasks.refine_fit import Fit, Task, curvature
from velatura.tasks.refine_stack import MG, PAINTS, log_sum

FEWEST = 5.0  # expected counts in a window that enters chi2


class Interval(NamedTuple):
    """Values with the ends of an interval of two standard uncertainties to either side."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def width(self) -> np.ndarray:
        """One standard uncertainty, relative to the value where that is symmetric on a logarithmic scale."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.low > 0, np.log(self.high / self.low) / 4, 0.0)


class Paints(NamedTuple):
    """What one model of the stacks says; paints: visible, hidden; 0 for what the model does not hold."""

    mass: Interval
    """Of each pigment, float64 [spectrum, paint, pigment] (mg/cm2)."""
    share: Interval
    """Of the mass of the pigments of its paint, float64 [spectrum, paint, pigment]."""
    thickness: Interval
    """float64 [spectrum, paint] (um): pigments and binder. The binder is hardly seen; it is mostly the prior's."""
    objective: np.ndarray
    """Deviance plus squared distance from the prior, float64 [spectrum]."""
    reduced_chi2: np.ndarray
    """Over windows with 5 expected counts or more, float64 [spectrum]; about 1 where model and spectrum agree."""
    settled: np.ndarray
    """Whether the fit has ended, bool [spectrum]."""
    expected: np.ndarray
    """Fitted counts in the windows, float64 [spectrum, window]."""


def paints_of(fits: Sequence[Fit], tasks: Sequence[Task], names: tuple[str, ...]) -> Paints:
    """Read the fits of some tasks; names: of the pigments, the last axis of what is returned."""
    shape = len(fits), len(PAINTS), len(names)
    mass, share, thickness = (Interval(*np.zeros((3, *size))) for size in (shape, shape, shape[:2]))
    chi2 = np.array([reduced_chi2(fit, task) for fit, task in zip(fits, tasks, strict=True)])
    for row, (fit, task) in enumerate(zip(fits, tasks, strict=True)):
        parts, scale = task.components, max(chi2[row], 1.0) ** 0.5
        for number, (paint, name) in enumerate(parts.pigments):
            place = row, paint, names.index(name)
            own = (parts.owner == number).astype(float)
            rest = ((parts.owner >= 0) & (parts.slot == PAINTS[paint])) - own
            _put(mass, place, *_measured(own, fit, scale), unit=1 / MG)
            _put_share(share, place, own, rest, fit, scale)
        for paint, slot in enumerate(PAINTS):
            if np.any(parts.slot == slot):
                _put(thickness, (row, paint), *_measured(parts.volume * (parts.slot == slot), fit, scale), unit=1 / UM)
    return Paints(
        mass, share, thickness, np.array([fit.objective() for fit in fits]), chi2,
        np.array([fit.settled for fit in fits]), np.stack([fit.state.counts for fit in fits]),
    )  # fmt: skip


def _measured(weight: np.ndarray, fit: Fit, scale: float) -> tuple[float, float]:
    """Logarithm of a sum of masses and its standard uncertainty."""
    value, slope = log_sum(weight, fit.logs)
    return value, scale * _deviation(slope, fit)


def _deviation(slope: np.ndarray, fit: Fit) -> float:
    among = fit.covariance[: len(slope), : len(slope)]
    return float(np.sqrt(max(slope @ among @ slope, 0.0)))


def _put(interval: Interval, place: tuple, value: float, deviation: float, *, unit: float) -> None:
    for array, ends in zip(interval, (0, -2, 2), strict=True):
        array[place] = np.exp(value + ends * deviation) * unit


def _put_share(interval: Interval, place: tuple, own: np.ndarray, rest: np.ndarray, fit: Fit, scale: float) -> None:
    """The interval is symmetric in log(share / (1 - share)), so that it stays between 0 and 1."""
    if not rest.any():
        for array in interval:
            array[place] = 1.0
        return
    value, slope = log_sum(own, fit.logs)
    others, slope_others = log_sum(rest, fit.logs)
    deviation = scale * _deviation(slope - slope_others, fit)
    for array, ends in zip(interval, (0, -2, 2), strict=True):
        array[place] = 1 / (1 + np.exp(-(value - others + ends * deviation)))


def reduced_chi2(fit: Fit, task: Task) -> float:
    """Chi2 over the windows with enough counts, per window less the parameters that the spectrum determined."""
    used = fit.state.counts >= FEWEST
    expected, weight = fit.state.counts, task.weight
    chi2 = float(np.sum((weight * (task.counts - expected) ** 2 / expected)[used]))
    light = curvature(fit.state, weight, np.zeros((0, len(fit.covariance))))
    return chi2 / max(used.sum() - float(np.sum(light * fit.covariance)), 1.0)
