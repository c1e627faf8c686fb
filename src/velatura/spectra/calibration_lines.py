"""What is known of lines before the energy axis is: which elements are likely, and where peaks are to be expected."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from velatura.atomic.lines import Line, lines_of

COMMON = "Al Si P S Cl Ar K Ca Ti Cr Mn Fe Ni Cu Zn Sr Pb"
FREQUENT = "C O Na Mg V Co As Br Rb Zr Ba Hg Sn Sb Cd Ag Au Mo Se Rh W"
RARE = "F Ga Ge Y Nb Bi Ta Hf Pd I Ce La Te In U Th"
PRIOR = {name: share for names, share in ((COMMON, 1.0), (FREQUENT, 0.4), (RARE, 0.1)) for name in names.split()}
"""How likely an element is to be seen in paintings, soils, alloys and tubes, relative (judgement, not measured)."""
ANODE_PRIOR = 1.5
M_ELEMENTS = ("Pb", "Hg", "Au", "Bi", "W", "Ta", "Hf", "U", "Th")
SIGHT = (0.2, 45.0)  # energies of lines that are thought of [keV]
FAINT = 0.004  # share of a family below which a line is not thought of
GRID = 0.002  # step of the density table [keV]
LOWEST = -2.0  # its first energy [keV]
UNNAMED = 0.15  # share of peaks that no listed line explains


@dataclass(frozen=True)
class KnownFamily:
    """K, L or M lines of one element, those closer than 10 eV joined."""

    name: str
    """ "Fe-K"."""
    energy: np.ndarray
    """[line] keV"""
    share: np.ndarray
    """[line], sums to 1"""
    prior: float


@dataclass(frozen=True)
class LineKnowledge:
    """All families that one tube can excite, with the tables made from them."""

    families: tuple[KnownFamily, ...]
    principal: np.ndarray
    """Energies that strong peaks may have [keV], rising."""
    density: np.ndarray
    """Log of the expected density of peaks [1/keV], [strong peaks or any, energy] on the grid."""
    nearest: np.ndarray
    """Most likely line [keV] at each energy of the grid, NaN far from all."""

    @cached_property
    def costs(self) -> np.ndarray:
        """Log evidence that each family must earn before it counts, and the strobe peak, pile-up and escape after."""
        return np.array([2 - 1.5 * np.log(min(1.0, family.prior)) for family in self.families] + [2.0, 1.0, 1.0])

    @cached_property
    def lines(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(energy [keV], share, number of the family) of all lines, [line] each."""
        sizes = [len(family.energy) for family in self.families]
        energy = np.concatenate([family.energy for family in self.families])
        share = np.concatenate([family.share for family in self.families])
        return energy, share, np.repeat(np.arange(len(sizes)), sizes)

    def look_up(self, energy: np.ndarray, strong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (log density, most likely line [keV]) of peaks at `energy`; strong: bool, broadcast against it."""
        index = np.clip(np.rint((energy - LOWEST) / GRID).astype(int), 0, self.density.shape[1] - 1)
        kind = np.where(strong, 0, 1)
        return self.density[kind, index], self.nearest[kind, index]


@cache
def line_knowledge(anode: str | None = None, tube_voltage: float | None = None) -> LineKnowledge:
    """Return what is known of lines under a tube of this anode and voltage [kV]; None where it is unknown."""
    families = tuple(_families(anode, tube_voltage or np.inf))
    tables = [_density(families, strong=strong) for strong in (True, False)]
    principal = [
        energy
        for family in families
        for energy in family.energy[family.share > 0.25][:2]
        if family.prior >= 0.1 and 1.2 < energy < 32
    ]
    return LineKnowledge(
        families, np.unique(principal), np.stack([log for log, _ in tables]), np.stack([near for _, near in tables])
    )


def _families(anode: str | None, limit: float):
    for element, prior in (PRIOR | ({anode: ANODE_PRIOR} if anode else {})).items():
        for kind in "KLM" if element in M_ELEMENTS else "KL":
            lines = [line for line in lines_of(element, (kind,), window=SIGHT) if line.edge_energy < limit]
            energy, share = _joined([line for line in lines if line.weight > FAINT])
            main = energy[0] if len(energy) else 0.0
            if main < (0.6 if kind == "L" else 0.25):
                continue
            soft = 0.5 if kind == "M" else 0.3 if kind == "L" and main < 1.3 else 1.0
            yield KnownFamily(f"{element}-{kind}", energy, share, prior if element == anode else prior * soft)


def _joined(lines: list[Line], *, within: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """Return (energies, shares) by falling share, lines within 10 eV of a stronger one added to it."""
    energy, weight = np.array([line.energy for line in lines]), np.array([line.weight for line in lines])
    left, found = np.ones(len(lines), bool), []
    for i in np.argsort(-weight, kind="stable"):
        near = left & (np.abs(energy - energy[i]) < within)
        if near[i]:
            found.append((energy[near] @ weight[near] / weight[near].sum(), weight[near].sum()))
        left &= ~near
    places, shares = np.array(found).reshape(-1, 2).T
    return places, shares / max(shares.sum(), 1e-30)


def _density(families: tuple[KnownFamily, ...], *, strong: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return (log density of peaks [1/keV], most likely line) on the grid.

    Strong peaks are principal lines of likely elements or the strobe peak at zero; any peak may be a lesser line.
    """
    grid = LOWEST + GRID * np.arange(int((SIGHT[1] + 17 - LOWEST) / GRID))
    total, best, nearest = np.zeros_like(grid), np.zeros_like(grid), np.full_like(grid, np.nan)
    for energy, weight in [(0.0, 3.0), *_expected(families, strong=strong)]:
        near = np.abs(grid - energy) < 0.2
        width = 0.012 + 0.0006 * energy
        bump = weight / (width * np.sqrt(2 * np.pi)) * np.exp(-0.5 * ((grid[near] - energy) / width) ** 2)
        total[near] += bump
        wins = np.flatnonzero(near)[bump > best[near]]
        best[wins], nearest[wins] = bump[bump > best[near]], energy
    total /= total.sum() * GRID
    anywhere = np.where(grid < -0.1, 0.02, np.where(grid < 1, 0.6, 1.0)) / 30
    return np.log((1 - UNNAMED) * total + UNNAMED * anywhere), nearest


def _expected(families: tuple[KnownFamily, ...], *, strong: bool):
    """Yield (energy, weight) of each family's lines as a detector sees them, those within a third of a FWHM joined."""
    for family in families:
        left = np.ones(len(family.energy), bool)
        for i, energy in enumerate(family.energy):
            near = left & (np.abs(family.energy - energy) < 0.05 + 0.003 * energy)
            left &= ~near
            share = family.share[near].sum()
            if near[i] and not (strong and share < 0.3):
                yield (
                    family.energy[near] @ family.share[near] / share,
                    family.prior * (share if strong else min(1, 4 * share)),
                )
