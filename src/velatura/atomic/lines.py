"""Emission lines: single ones by IUPAC name, and groups as users say them ("Fe-Ka", "Pb-L")."""

import re
from functools import cache
from typing import NamedTuple

import numpy as np

from velatura.atomic.elements import atomic_number, symbols
from velatura.atomic.stored import table
from velatura.base.errors import InputError, did_you_mean

FAMILIES = ("K", "L", "M")
SPELLING = re.compile(r"\s*([A-Za-z]{1,2})[-_ ]?([KLMklm])[-_ ]?([a-zA-Zα-ω]?)\s*")
GREEK = {"α": "a", "β": "b", "γ": "g", "ζ": "z", "η": "n"}


class Line(NamedTuple):
    """One emission line."""

    element: str
    iupac: str
    """The two levels, "K-L3"."""
    siegbahn: str
    """Classical name, "Ka1"; the IUPAC name where there is none."""
    edge: str
    """The sub-shell that was ionised: "K", "L3" ..."""
    energy: float
    """[keV]"""
    edge_energy: float
    """[keV]"""
    rate: float
    """Share of the line within its sub-shell; sums to 1."""
    weight: float
    """Share of the line within its family K, L or M under a typical 40 kV tube and a thin sample; sums to 1."""

    @property
    def group(self) -> str:
        """Letters of the group within the family: "Ka", "Kb", "La" ...; the family's letter for nameless lines."""
        return self.siegbahn[:2] if "-" not in self.siegbahn else self.edge[0]


class LineGroup(NamedTuple):
    """Lines that users call by one name."""

    name: str
    """As shown: "Fe-Ka", "Pb-L"."""
    element: str
    energy: float
    """Mean energy, weighted [keV]."""
    lines: tuple[Line, ...]
    weights: np.ndarray
    """Share of each line within the group, float64, sums to 1."""


@cache
def _every_line(element: str) -> tuple[Line, ...]:
    stored, z = table("lines"), atomic_number(element)
    rows = np.flatnonzero(stored["z"] == z)
    found = []
    for row in rows:
        shell, rate = stored["shell"][row], float(stored["rate"][row])
        found.append(
            Line(
                element=element,
                iupac=str(stored["iupac"][row]),
                siegbahn=str(stored["siegbahn"][row]),
                edge=str(stored["shell_name"][shell]),
                energy=float(stored["energy"][row]),
                edge_energy=float(stored["edge_energy"][z - 1, shell]),
                rate=rate,
                weight=rate * float(stored["family_share"][z - 1, shell]),
            )
        )
    return tuple(found)


def lines_of(
    element: str, families: tuple[str, ...] = FAMILIES, *, window: tuple[float, float] = (0.9, 45.0)
) -> tuple[Line, ...]:
    """Return the lines of some families with energies inside `window` [keV], sub-shell by sub-shell, strongest first.

    Weights refer to the whole family: they sum to 1 only when the window holds all of it.
    Raises InputError for an unknown element.
    """
    low, high = window
    return tuple(line for line in _every_line(element) if line.edge[0] in families and low <= line.energy <= high)


@cache
def groups_of(element: str) -> tuple[LineGroup, ...]:
    """Return all groups of an element by falling energy: Ka, Kb, K, La, Lb ... as far as they have named lines."""
    found: dict[str, list[Line]] = {}
    for line in _every_line(element):
        if line.weight > 0:
            for name in {line.group, line.edge[0]}:
                found.setdefault(name, []).append(line)
    groups = [_gather(f"{element}-{name}", element, lines) for name, lines in found.items()]
    return tuple(sorted(groups, key=lambda group: -group.energy))


def group(name: str) -> LineGroup:
    """Return the group that a user names in any usual way: Fe-Ka, Fe_Ka, Fe Ka, Fe-K, FeKa, Pb-Lα.

    Raises InputError with a near miss when the element or its group is unknown.
    """
    match = SPELLING.fullmatch(name)
    if not match:
        raise InputError(f"{name!r} is no line; write element and line, like Fe-Ka, Pb-La or Cl-K")
    element, family, kind = match.groups()
    element = element if element in symbols() else element.capitalize()
    atomic_number(element)
    known = {found.name: found for found in groups_of(element)}
    asked = f"{element}-{family.upper()}{GREEK.get(kind, kind).lower()}"
    if asked not in known:
        raise InputError(f"{element} has no line {asked!r}; it has {', '.join(known)}{did_you_mean(asked, known)}")
    return known[asked]


def _gather(name: str, element: str, lines: list[Line]) -> LineGroup:
    weights = np.array([line.weight for line in lines])
    weights /= weights.sum()
    weights.flags.writeable = False
    return LineGroup(name, element, float(weights @ [line.energy for line in lines]), tuple(lines), weights)
