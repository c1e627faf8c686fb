"""Where each line is found on an energy axis, all lines fitted together: the residual report of a calibration."""

from typing import NamedTuple

import numpy as np

from velatura.atomic.lines import lines_of
from velatura.spectra.calibration_lines import FAINT, SIGHT, LineKnowledge
from velatura.spectra.calibration_match import FilteredSpectrum, Match, extra_shapes

LEAST_SHARE = 0.05  # of its family: a group that is looked for
LEAST_SIGNIFICANCE = 6.0
STRONG = 20.0  # fainter lines far from their place are other elements' lines, and are left out
WORST_ERROR = 12.0  # eV: a line known less well says nothing about the axis


class LineResidual(NamedTuple):
    """One group of lines as it was found."""

    line: str
    """ "Fe-Ka"."""
    expected: float
    """Mean energy of the group [keV]."""
    found: float
    """Where the calibrated axis puts it [keV]."""
    residual: float
    """found - expected [eV]."""
    uncertainty: float
    """Standard deviation of the residual [eV], with the model's own imperfection."""
    significance: float
    """Net counts over their standard deviation."""


def line_residuals(spectrum: FilteredSpectrum, found: Match, known: LineKnowledge) -> tuple[LineResidual, ...]:
    """Return the residuals of all groups that are seen and well placed, by rising energy.

    Each group may move and grow on its own, overlapping ones together (linear in both: amount and amount x shift);
    shifts are held weakly, by half a peak width, so that only lines the data place themselves are reported.
    """
    names, energy, counts, core, owner = _groups(found, known)
    if not names:
        return ()
    axis, law, total = found.axis, found.law, len(names)
    channel = axis.channel(energy)
    gain = axis.gain + 2 * axis.quadratic * channel
    expected, gain = (np.bincount(owner, core * values) / np.bincount(owner, core) for values in (energy, gain))
    prior = law.sigma(axis.channel(expected)) / 2
    weight = np.sqrt(np.minimum(1, 3 / np.maximum(np.abs(found.left), 1e-9)) / spectrum.variance)
    shift, growth = np.zeros(total), np.ones(total)
    for _ in range(3):
        place = channel + shift[owner]
        shapes = spectrum.draw(place, law.sigma(place), counts=counts * growth[owner], owner=owner)
        moves = spectrum.slopes(place, law.sigma(place), counts=counts * growth[owner], owner=owner)[0]
        extras = extra_shapes(spectrum, axis, law)
        rest = spectrum.signal - shapes.sum(0) - found.extra @ extras
        loose = np.concatenate([np.full(total, 1.0), 1 / prior, np.zeros(len(extras))])
        design = np.vstack([(np.vstack([shapes, moves, extras]) * weight).T, np.diag(loose)])
        held = np.concatenate([rest * weight, np.zeros(total), -shift / prior, np.zeros(len(extras))])
        length = np.maximum(np.sqrt((design**2).sum(0)), 1e-12)
        inverse = np.linalg.pinv(design / length, rcond=1e-10)
        step = inverse @ held / length
        growth *= np.clip(1 + step[:total], 0.2, 5)
        shift += np.clip(step[total : 2 * total], -prior, prior)
    error = np.sqrt((inverse**2).sum(1)) / length
    residual, uncertainty = 1e3 * gain * shift, 1e3 * gain * error[total : 2 * total]
    significance = 1 / np.maximum(error[:total], 1e-12)
    sure = (significance >= LEAST_SIGNIFICANCE) & (uncertainty <= np.minimum(WORST_ERROR, 400 * gain * prior))
    sure &= (significance >= STRONG) | (np.abs(residual) <= 10 + 3 * uncertainty)
    rows = zip(names, expected, expected + residual / 1e3, residual, uncertainty, significance, strict=True)
    table = [LineResidual(row[0], *map(float, row[1:])) for row, good in zip(rows, sure, strict=True) if good]
    return tuple(sorted(table, key=lambda row: row.expected))


def _groups(found: Match, known: LineKnowledge) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (names [group]; energy [keV], net counts, counts that tell the group's place, group of each line [line]).

    Groups with less than 5 % of a family go along with its first group, without telling its place.
    """
    names: list[str] = []
    rows = []
    for i in np.flatnonzero(found.amount):
        element, kind = known.families[i].name.split("-")
        lines = [line for line in lines_of(element, (kind,), window=SIGHT) if line.weight > FAINT]
        share: dict[str, float] = {}
        for line in lines:
            share[line.group] = share.get(line.group, 0.0) + line.weight
        groups = sorted((name for name in share if share[name] >= LEAST_SHARE), key=share.__getitem__, reverse=True)
        for line in lines:
            own = groups.index(line.group) if line.group in groups else 0
            counts = found.amount[i] * line.weight
            rows.append((line.energy, counts, counts * (line.group == groups[own]), len(names) + own))
        names += [f"{element}-{group}" for group in groups]
    energy, counts, core, owner = np.array(rows, float).reshape(-1, 4).T
    return names, energy, counts, core, owner.astype(int)
