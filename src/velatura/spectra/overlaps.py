"""Lines that a detector cannot tell apart, worked out from energies and widths, in plain sentences."""

from typing import NamedTuple

import numpy as np

from velatura.atomic.elements import atomic_number
from velatura.atomic.lines import LineGroup, groups_of
from velatura.spectra.families import PROVING
from velatura.spectra.response import Detector

NOTABLE = 0.05  # share of its family that makes a group able to disturb
STRONG = 0.1  # share that makes it able to hide another element
SOFT = 1.5  # keV; softer lines are bad witnesses, the thinnest cover absorbs them
SAME, CLOSE = (
    0.35,
    1.0,
)  # distance in FWHM: below the first nothing tells two lines apart, below the second they overlap


_Pair = tuple[LineGroup, LineGroup, float]


class Overlap(NamedTuple):
    """Two groups of different elements within one line's width."""

    first: LineGroup
    second: LineGroup
    distance: float
    """Energy between them in FWHM."""
    witnesses: tuple[LineGroup, ...]
    """Free groups that settle which element it is, strongest of each element."""
    hidden: bool
    """True when the second element was not found but would not be seen under the first."""

    def sentence(self, detector: Detector) -> str:
        """Say it in one plain sentence or two."""
        names = [f"{group.name} ({group.energy:.2f} keV)" for group in (self.first, self.second)]
        width = f"lines are {float(detector.fwhm(self.first.energy)):.2f} keV wide"
        if self.hidden:
            text = f"{names[1]} would hide under {names[0]}; {width}."
        elif self.distance < SAME:
            text = f"{names[0]} and {names[1]} cannot be told apart; {width}."
        else:
            text = f"{names[0]} and {names[1]} overlap; {width}."
        if self.witnesses:
            free = " and ".join(f"{group.name} ({group.energy:.2f} keV)" for group in self.witnesses)
            return f"{text} Look at {free}."
        return f"{text} No other line of theirs is free: trust these maps less."


def overlaps(
    elements: tuple[str, ...],
    *,
    detector: Detector,
    window: tuple[float, float],
    hidden: tuple[str, ...] = (),
    limit: float = np.inf,
) -> tuple[Overlap, ...]:
    """Return overlaps among the elements found, then those of elements that could hide under them, closest first.

    window: energies that were measured [keV]; hidden: symbols to warn of though they were not found; limit: highest
    edge that the tube excites [keV]. Of each pair of elements the closest pair of notable groups is given; one of the
    two is the group by which its element is usually mapped (Ka where it can be excited and seen, else La, else Ma).
    """
    found = {name: _notable(name, window, limit) for name in elements}
    others = {name: _notable(name, window, limit) for name in hidden if name not in elements}
    pairs = [_closest(found[a], found[b], detector) for i, a in enumerate(elements) for b in elements[i + 1 :]]
    pairs += [_hiding(found[a], others[b], detector) for a in elements for b in others]
    every = [group for groups in found.values() for group in groups]
    close = sorted((pair for pair in pairs if pair), key=lambda pair: (pair[1].element in others, pair[2]))
    return tuple(
        Overlap(a, b, distance, _witnesses((a, b), every, found | others, detector), b.element in others)
        for a, b, distance in close
    )


def _notable(element: str, window: tuple[float, float], limit: float) -> tuple[LineGroup, ...]:
    """Groups with a second letter (Ka, Lb), in the window, notable in a family that can prove its element."""
    return tuple(
        group
        for group in groups_of(element)
        if len(group.name.split("-")[1]) == 2
        and window[0] <= group.energy <= window[1]
        and sum(line.weight for line in group.lines) >= NOTABLE
        and min(line.edge_energy for line in group.lines) < limit
        and atomic_number(element) >= PROVING[group.lines[0].edge[0]]
    )


def _mapped(groups: tuple[LineGroup, ...]) -> LineGroup | None:
    """Main group of the hardest family; groups come by falling energy."""
    return next((group for group in groups if group.name.endswith("a")), None)


def _closest(first: tuple[LineGroup, ...], second: tuple[LineGroup, ...], detector: Detector) -> _Pair | None:
    """Closest pair within a FWHM of which one group is the mapped one of its element."""
    mapped = (_mapped(first), _mapped(second))
    pairs = [(a, b, _distance(a, b, detector)) for a in first for b in second if a in mapped or b in mapped]
    best = min(pairs, key=lambda pair: pair[2], default=None)
    return best if best and best[2] < CLOSE else None


def _hiding(first: tuple[LineGroup, ...], second: tuple[LineGroup, ...], detector: Detector) -> _Pair | None:
    """A strong group of the first element that hides the mapped group of the second."""
    if not (mapped := _mapped(second)):
        return None
    strong = [group for group in first if sum(line.weight for line in group.lines) >= STRONG]
    pairs = [(group, mapped, _distance(group, mapped, detector)) for group in strong]
    best = min(pairs, key=lambda pair: pair[2], default=None)
    return best if best and best[2] < SAME else None


def _distance(a: LineGroup, b: LineGroup, detector: Detector) -> float:
    return abs(a.energy - b.energy) / float(detector.fwhm(a.energy))


def _witnesses(
    pair: tuple[LineGroup, LineGroup],
    present: list[LineGroup],
    groups: dict[str, tuple[LineGroup, ...]],
    detector: Detector,
) -> tuple[LineGroup, ...]:
    free = []
    for member in pair:
        others = [group for group in present if group.element != member.element] + [
            other for other in pair if other.element != member.element
        ]
        candidates = [
            group
            for group in groups[member.element]
            if group.name != member.name
            and group.energy > SOFT
            and all(_distance(group, other, detector) > CLOSE for other in others)
        ]
        same_family = [group for group in candidates if group.lines[0].edge[0] == member.lines[0].edge[0]]
        if chosen := same_family or candidates:
            free.append(max(chosen, key=lambda group: sum(line.weight for line in group.lines)))
    return tuple(free)
