"""Lines of elements that do not exist, so that a network learns to say "unknown" of lines it was never shown.

A network that has met some foreign elements does not know the others. Between the atomic numbers of the elements there
is room: an element of number 43.4 has K and L lines where Moseley's law puts them, at energies that no real element
shares. Such lines, added to spectra of pigments, stand for whatever is not in the library.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from velatura.atomic.elements import atomic_number, symbols
from velatura.atomic.lines import lines_of

FAMILIES = {"K": (21, 57, ("Ka1", "Ka2", "Kb1", "Kb2")), "L": (48, 92, ("La1", "Lb1", "Lb2", "Lg1"))}
LINES = 4
APART = 0.3  # of an atomic number: the least distance from an element of the library
STRENGTH = (5e-4, 0.3)  # share of the counts, log-uniform


class Invented(NamedTuple):
    """Lines to be added to spectra; without any where the shares are 0."""

    energy: np.ndarray
    """float32 [spectrum, line] (keV)"""
    share: np.ndarray
    """Of the counts of the spectrum, float32 [spectrum, line]."""


def invent(number: int, chance: float, *, known: tuple[str, ...], rng: np.random.Generator) -> Invented:
    """Draw lines for some of `number` spectra.

    chance: share of spectra that get any; known: symbols of the library's elements, from which to keep away.
    """
    taken = np.array([atomic_number(name) for name in known], float)
    kinds = rng.choice(list(FAMILIES), number)
    place = np.empty(number)
    for kind, (first, last, _) in FAMILIES.items():
        rows = np.flatnonzero(kinds == kind)
        place[rows] = _between(len(rows), first, last, taken, rng=rng)
    energy, weight = np.empty((number, LINES)), np.empty((number, LINES))
    for kind in FAMILIES:
        charges, energies, weights = _family(kind)
        rows = kinds == kind
        for line in range(LINES):
            energy[rows, line] = np.interp(place[rows], charges, energies[:, line])
            weight[rows, line] = np.interp(place[rows], charges, weights[:, line])
    whole = np.exp(rng.uniform(np.log(STRENGTH[0]), np.log(STRENGTH[1]), number)) * (rng.random(number) < chance)
    return Invented(energy.astype(np.float32), (weight * whole[:, None]).astype(np.float32))


def _between(number: int, first: int, last: int, taken: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Atomic numbers, uniform, not near any that is taken."""
    steps = np.linspace(first, last, 50 * (last - first) + 1)
    free = steps[np.abs(steps[:, None] - taken).min(axis=1) >= APART]
    return rng.choice(free, number)


@cache
def _family(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atomic numbers, energies [z, line] and shares [z, line] of the named lines of real elements."""
    first, last, names = FAMILIES[kind]
    found = [name for name in symbols() if first - 1 <= atomic_number(name) <= last + 1]
    charges, energies, weights = [], [], []
    for element in found:
        lines = {line.siegbahn: line for line in lines_of(element, (kind,), window=(0.5, 120.0))}
        if all(name in lines for name in names[:3]):
            charges.append(atomic_number(element))
            rows = [lines.get(name, lines[names[2]]) for name in names]
            energies.append([row.energy for row in rows])
            weights.append([lines[name].weight if name in lines else 0.0 for name in names])
    shares = np.array(weights)
    return np.array(charges, float), np.array(energies), shares / shares.sum(axis=1, keepdims=True)
