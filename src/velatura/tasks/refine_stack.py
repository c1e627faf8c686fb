"""A proposed stack of paints as components with a prior: what a refinement may change, and how far it may go.

Every phase of every material is a component with the logarithm of its mass per area as parameter. The prior is a list
of statements on ratios of sums of masses or volumes; ranges are those of scene.sampler, from which stacks are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from velatura.atomic.elements import mass_shares
from velatura.base.errors import InputError
from velatura.physics.material import Material, Materials, material, materials
from velatura.physics.stack import UM
from velatura.scene.sampler import DRIERS, OTHER_MASS, SLOTS, SUPPORT_MASS, Sampling

BINDER, VARNISH = "linseed_oil", "dammar"
MG = 1e-3  # g
LOADING = (0.62, 0.7)  # log of binder per pigment by volume: mean and deviation for loadings of 0.1 to 0.6, uniform
GROUND_LOADING = (0.0, 0.23)  # the same for 0.4 to 0.6
SHARE_SPREAD = 3.0  # log of the share of a pigment or filler by volume, around equal ones; Dirichlet(0.5): pi for two
DRIER = (np.log(5e-4), 1.2)  # log of drier per binder by mass
VARNISH_DEPTH = (np.log(8 * UM), 1.2)  # log of its thickness [cm]
TIED = 0.02  # phases of equal share keep their ratio
PAINTS, GROUND, SUPPORT = (1, 2), 3, 4  # slots


@dataclass(frozen=True)
class Proposal:
    """What may lie under the beam, and where a fit starts."""

    visible: Mapping[str, float]
    """Mass share of each pigment of the visible paint, in any unit."""
    hidden: Mapping[str, float] = field(default_factory=dict)
    """The same for a paint beneath; empty: there is none."""
    amount: tuple[float, float] = (2.0, 2.0)
    """Mass of all pigments of the visible and of the hidden paint [mg/cm2]."""
    ground: tuple[str, ...] = ("chalk",)
    """Fillers of the ground; empty: there is none."""
    support: str = "linen_canvas"
    table: Materials = field(default_factory=materials, repr=False)
    """Where the names are looked up."""

    def __post_init__(self) -> None:
        if not self.visible:
            raise InputError("a proposal needs a pigment in the visible paint; found none. Name one")
        for shares in (self.visible, self.hidden):
            for name, share in shares.items():
                if not 0 < share < np.inf:
                    raise InputError(f"the share of pigment {name!r} must be positive; found {share:g}")
        if not all(0 < amount < np.inf for amount in self.amount):
            raise InputError(f"amounts of pigment must be positive [mg/cm2]; found {self.amount}")

    def paints(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Visible and hidden paint."""
        return self.visible, self.hidden

    def layerless(self) -> "Proposal":
        """The same pigments in one visible paint."""
        grams = {}
        for paint, amount in zip(self.paints(), self.amount, strict=True):
            for name, share in paint.items():
                grams[name] = grams.get(name, 0.0) + amount * share / sum(paint.values())
        return Proposal(grams, {}, (sum(grams.values()), 1.0), self.ground, self.support, self.table)


class Statement(NamedTuple):
    """The logarithm of sum(over * mass) / sum(under * mass) is about `centre`; under empty: of the sum itself."""

    over: np.ndarray
    """float64 [component]"""
    under: np.ndarray
    centre: float
    spread: float
    """One standard deviation."""


class Components(NamedTuple):
    """The parameters of one proposal."""

    slot: np.ndarray
    """Layer of each component (sampler.SLOTS), int [component]."""
    fractions: np.ndarray
    """Mass share of each element, float64 [component, element]."""
    volume: np.ndarray
    """cm3/g, float64 [component]"""
    start: np.ndarray
    """Logarithm of the mass [g/cm2], float64 [component]."""
    owner: np.ndarray
    """Pigment whose phase it is, as a number in `pigments`, int [component]; -1 for what is no pigment of a paint."""
    pigments: tuple[tuple[int, str], ...]
    """(paint, name): 0 visible, 1 hidden."""
    prior: tuple[Statement, ...]

    def held(self, logs: np.ndarray) -> np.ndarray:
        """Mass of each element in each layer, float64 [slot, element] (g/cm2)."""
        found = np.zeros((len(SLOTS), self.fractions.shape[1]))
        np.add.at(found, self.slot, np.exp(logs)[:, None] * self.fractions)
        return found

    def directions(self, logs: np.ndarray) -> np.ndarray:
        """Derivatives of `held` by the logarithms, float64 [component, slot, element]."""
        found = np.zeros((len(logs), len(SLOTS), self.fractions.shape[1]))
        found[np.arange(len(logs)), self.slot] = np.exp(logs)[:, None] * self.fractions
        return found

    def strain(self, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances from the prior in standard deviations [statement] and their derivatives [statement, component]."""
        values, slopes = np.zeros(len(self.prior)), np.zeros((len(self.prior), len(logs)))
        for row, (over, under, centre, spread) in enumerate(self.prior):
            value, slope = log_sum(over, logs)
            if under.any():
                below, slope_below = log_sum(under, logs)
                value, slope = value - below, slope - slope_below
            values[row], slopes[row] = (value - centre) / spread, slope / spread
        return values, slopes


def log_sum(weight: np.ndarray, logs: np.ndarray) -> tuple[float, np.ndarray]:
    """Logarithm of sum(weight * exp(logs)), and its derivatives [component]."""
    terms = weight * np.exp(logs)
    return float(np.log(terms.sum())), terms / terms.sum()


def components_of(proposal: Proposal, elements: tuple[str, ...]) -> Components:
    """Return the components of a proposal for a scanner prepared for `elements`.

    Raises InputError for a material that is not in the table and for an element that the scanner lacks.
    """
    made = _Making(proposal.table, elements)
    ranges = (Sampling.paint, Sampling.beneath)
    made.varnish()
    for paint, (shares, grams) in enumerate(zip(proposal.paints(), proposal.amount, strict=True)):
        if shares:
            made.paint(paint, shares, grams=grams * MG, depth=ranges[paint])
    if proposal.ground:
        made.ground(proposal.ground)
    made.support(proposal.support)
    return made.done()


class _Making:
    """Components and statements as they are gathered; statements by numbers of components until all are known."""

    def __init__(self, table: Materials, elements: tuple[str, ...]) -> None:
        self.table, self.elements = table, elements
        self.rows: list[tuple[int, np.ndarray, float, float, int]] = []
        self.pigments: list[tuple[int, str]] = []
        self.said: list[tuple[dict[int, float], dict[int, float], float, float]] = []

    def add(self, slot: int, formula: str | Material, mass: float, *, density: float, owner: int = -1) -> int:
        fractions = formula.mass_fractions() if isinstance(formula, Material) else mass_shares(formula)
        if missing := sorted(set(fractions) - set(self.elements)):
            raise InputError(f"the scanner is not prepared for {', '.join(missing)}; name them to prepare")
        row = np.array([fractions.get(element, 0.0) for element in self.elements])
        self.rows.append((slot, row, 1 / density, np.log(mass), owner))
        return len(self.rows) - 1

    def volumes(self, *numbers: int) -> dict[int, float]:
        return {number: self.rows[number][2] for number in numbers}

    def say(self, over: dict[int, float], under: dict[int, float], *law: float) -> None:
        centre, spread = law
        self.said.append((over, under, float(centre), float(spread)))

    def phases(self, slot: int, name: str, mass: float, *, owner: int = -1) -> list[int]:
        """Components of one material; minor phases scatter around their shares."""
        row = material(name, self.table)
        largest = max(share for _, share in row.components)
        found = [self.add(slot, formula, mass * share, density=row.density, owner=owner)
                 for formula, share in row.components]  # fmt: skip
        main = next(number for number, (_, share) in zip(found, row.components, strict=True) if share == largest)
        for number, (_, share) in zip(found, row.components, strict=True):
            if number != main:
                spread = np.log(Sampling.spread) if share < largest else TIED
                self.say({number: 1.0}, {main: 1.0}, np.log(share / largest), spread)
        return found

    def film(
        self, slot: int, fillers: Sequence[Sequence[int]], *, loading: tuple[float, float], depth: tuple[float, float]
    ) -> None:  # fmt: skip
        """Binder with its driers, and the thickness [um] of the layer of `fillers`, each a list of components."""
        solid = self.volumes(*(number for filler in fillers for number in filler))
        volume = sum(np.exp(self.rows[number][3]) * part for number, part in solid.items())
        oil = material(BINDER, self.table)
        grams = volume * np.exp(loading[0]) * oil.density
        binder = self.add(slot, oil, grams, density=oil.density)
        self.say(self.volumes(binder), solid, *loading)
        held = np.sum([self.rows[number][1] for number in solid], axis=0)
        for element in DRIERS:
            if element in self.elements and not held[self.elements.index(element)]:
                drier = self.add(slot, element, grams * np.exp(DRIER[0]), density=oil.density)
                self.say({drier: 1.0}, {binder: 1.0}, *DRIER)
        self.say({**solid, **self.volumes(binder)}, {}, *_log_range(*depth, unit=UM))

    def paint(self, paint: int, shares: Mapping[str, float], *, grams: float, depth: tuple[float, float]) -> None:
        whole, found = sum(shares.values()), []
        for name, share in shares.items():
            self.pigments.append((paint, material(name, self.table).name))
            found.append(self.phases(PAINTS[paint], name, grams * share / whole, owner=len(self.pigments) - 1))
        self.mixed(found)
        self.film(PAINTS[paint], found, loading=LOADING, depth=depth)

    def ground(self, fillers: Sequence[str]) -> None:
        volume = np.exp(_log_range(*Sampling.ground, unit=UM)[0]) / 2 / len(fillers)
        found = [self.phases(GROUND, name, volume * material(name, self.table).density) for name in fillers]
        self.mixed(found)
        self.film(GROUND, found, loading=GROUND_LOADING, depth=Sampling.ground)

    def mixed(self, fillers: Sequence[Sequence[int]]) -> None:
        """Shares by volume of several fillers."""
        solid = self.volumes(*(number for phases in fillers for number in phases))
        for phases in fillers if len(fillers) > 1 else ():
            self.say(self.volumes(*phases), solid, -np.log(len(fillers)), SHARE_SPREAD)

    def support(self, name: str) -> None:
        row = material(name, self.table)
        centre, spread = _log_range(*SUPPORT_MASS.get(row.name, OTHER_MASS))
        self.say({self.add(SUPPORT, row, np.exp(centre), density=row.density): 1.0}, {}, centre, spread)

    def varnish(self) -> None:
        row = material(VARNISH, self.table)
        centre = VARNISH_DEPTH[0] + np.log(row.density)
        self.say({self.add(0, row, np.exp(centre), density=row.density): 1.0}, {}, centre, VARNISH_DEPTH[1])

    def done(self) -> Components:
        slot, fractions, volume, start, owner = (np.array(column) for column in zip(*self.rows, strict=True))
        prior = tuple(
            Statement(_spread(over, len(slot)), _spread(under, len(slot)), centre, spread)
            for over, under, centre, spread in self.said
        )
        return Components(slot, fractions, volume, start, owner, tuple(self.pigments), prior)


def _spread(weights: Mapping[int, float], number: int) -> np.ndarray:
    row = np.zeros(number)
    row[list(weights)] = list(weights.values())
    return row


def _log_range(low: float, high: float, *, unit: float = 1.0) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm of a log-uniform quantity."""
    return float(np.log(low * high) / 2 + np.log(unit)), float(np.log(high / low) / np.sqrt(12))
