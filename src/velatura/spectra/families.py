"""Families of lines as columns of a linear model: each element's K, L and M lines with fixed ratios."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from velatura.atomic.elements import atomic_number
from velatura.atomic.lines import Line, LineGroup, groups_of, lines_of
from velatura.spectra.response import Detector, line_matrix

LIGHTEST = {"K": 5, "L": 28, "M": 70}
"""First element (Z) whose family may show above 0.9 keV."""
PROVING = {"K": 5, "L": 40, "M": 70}
"""First element whose family can prove it alone; L lines of lighter ones are soft and faint beside their K lines."""
FAINT = 2e-3  # share of a family below which a line is not drawn


class Family(NamedTuple):
    """One element's K, L or M lines that can be excited and seen."""

    element: str
    kind: str
    """ "K", "L" or "M"."""
    lines: tuple[Line, ...]
    shares: np.ndarray
    """Share of each line, float64 [line], sums to 1."""
    main: LineGroup
    """Strongest group of the family: Ka, La or Ma."""

    @property
    def edge(self) -> float:
        """Lowest absorption edge [keV]."""
        return min(line.edge_energy for line in self.lines)

    def share_of(self, asked: LineGroup) -> float:
        """Return the share of this family's counts that a group of the same element holds."""
        names = {line.iupac for line in asked.lines}
        return float(sum(share for line, share in zip(self.lines, self.shares, strict=True) if line.iupac in names))


def families_of(element: str, *, window: tuple[float, float], tube_voltage: float | None = None) -> tuple[Family, ...]:
    """Return the families with their main line inside `window` [keV] and an edge below the tube voltage [kV].

    Sub-shells that the tube cannot ionise are left out. Raises InputError for an unknown element.
    """
    found = []
    limit = tube_voltage or np.inf
    for kind, lightest in LIGHTEST.items():
        if atomic_number(element) < lightest:
            continue
        lines = [line for line in lines_of(element, (kind,), window=window) if line.edge_energy < limit]
        lines = [line for line in lines if line.weight > FAINT]
        main = max(_groups(element, kind), key=lambda group: sum(line.weight for line in group.lines), default=None)
        if main is None or not {line.iupac for line in main.lines} & {line.iupac for line in lines}:
            continue
        weights = np.array([line.weight for line in lines])
        found.append(Family(element, kind, tuple(lines), weights / weights.sum(), main))
    return tuple(found)


class FamilyMatrix(NamedTuple):
    """Families of unit area as rows, float64 [family, channel] each; the whole row is the sum of the three."""

    main: np.ndarray
    """Ka, La or Ma."""
    other: np.ndarray
    """The family's other lines."""
    foot: np.ndarray
    """Low-energy tails, and silicon escape peaks on top of the unit area."""

    @property
    def whole(self) -> np.ndarray:
        """All of a family."""
        return self.main + self.other + self.foot


def family_matrix(families: tuple[Family, ...], axis: np.ndarray, detector: Detector) -> FamilyMatrix:
    """Draw families of unit area on an axis [channel] keV; lines outside the axis are lost."""
    rows = [(i, line, share) for i, family in enumerate(families) for line, share in zip(*family[2:4], strict=True)]
    owners = np.array([i for i, *_ in rows], int)
    energies = np.array([line.energy for _, line, _ in rows])
    areas = np.array([share for *_, share in rows])
    main = np.array([line in families[i].main.lines for i, line, _ in rows], bool)
    whole = line_matrix(energies, areas, owners, axis=axis, detector=detector)
    plain, areas = replace(detector, escape=False, tail=0.0), areas * (1 - detector.tail)
    strong = line_matrix(energies, areas * main, owners, axis=axis, detector=plain)
    other = line_matrix(energies, areas * ~main, owners, axis=axis, detector=plain)
    return FamilyMatrix(strong, other, whole - strong - other)


def _groups(element: str, kind: str) -> list[LineGroup]:
    """Proper groups of a family (Ka, Kb, not K)."""
    return [g for g in groups_of(element) if g.name.split("-")[1][0] == kind and len(g.name.split("-")[1]) == 2]
