"""Random stacks of paint for training: what a palette of some year, a hand and a scanner might put before a pixel.

Ranges: design of the forward model's training set; thickness and loading as paintings' cross sections show them
(Plesters, Studies in Conservation 2 (1956) 110). Everything is drawn in arrays, thousands of stacks at once.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np

from velatura.atomic.elements import mass_shares
from velatura.base.errors import InputError
from velatura.physics.material import Materials, material, materials
from velatura.physics.stack import UM, Packed

SLOTS = ("varnish", "paint", "hidden", "ground", "support")  # from the top
PAINTS = (1, 2)  # slots of SLOTS that hold pigments to be found
MOST = 4  # pigments in one paint
NUMBERS = (0.35, 0.3, 0.2, 0.15)  # share of paints with 1 to 4 pigments
LEAF = ("gold_leaf", "silver_leaf", "tin_leaf")  # metals lie in sheets of their own and are not mixed
GROUNDS = ("chalk", "gypsum", "lead_white", "anhydrite", "barium_white", "zinc_white", "titanium_white")
GROUND_ODDS = (0.3, 0.15, 0.25, 0.03, 0.1, 0.1, 0.07)
SUPPORTS = ("linen_canvas", "wood_panel", "paper", "parchment", "copper_plate")
SUPPORT_ODDS = (0.66, 0.2, 0.08, 0.03, 0.03)
SUPPORT_MASS = {"linen_canvas": (0.02, 0.045), "wood_panel": (0.5, 1.8), "paper": (0.005, 0.016)}  # g/cm2
OTHER_MASS = (0.02, 0.3)
PIECE = (100.0, 1000.0)  # um
DRIERS = ("Pb", "Mn", "Co")  # up to 0.5 % of the oil
SLACK = (20.0, 100.0)  # years by which dates of use are soft, after and before 1700


@dataclass(frozen=True)
class Sampling:
    """How stacks are drawn; thicknesses in um, log-uniform."""

    palette: tuple[str, ...] = ()
    """Pigments to draw from; none: every pigment of the table that is no metal leaf."""
    period: tuple[float, float] | None = None
    """Years of painting: each stack gets one, and pigments in use then (softly); None: any pigment at any time."""
    hidden: float = 0.5
    """Share of stacks with a second paint beneath the visible one."""
    paint: tuple[float, float] = (5.0, 80.0)
    beneath: tuple[float, float] = (5.0, 100.0)
    ground: tuple[float, float] = (50.0, 300.0)
    loading: tuple[float, float] = (0.1, 0.6)
    low: float = 0.3
    """Share of mixtures in which one pigment has only 0.1 to 10 % of the volume, log-uniform."""
    spread: float = 1.6
    """Factor by which minor phases of earths, glass and other mixtures scatter (one standard deviation)."""
    balance: float = 0.0
    """0: every pigment is as frequent as any other; 1: every XRF class; between: between."""
    pieces: tuple[str, ...] = ()
    """Materials of the palette that are never mixed: they lie by themselves, 100 to 1000 um thick, on the support."""
    bare: float = 0.0
    """Share of stacks that are one of the `pieces`."""
    table: Materials = field(default_factory=materials, repr=False)
    """Where the names are looked up."""


class Sampled(NamedTuple):
    """Drawn stacks as arrays, TOP layer first (SLOTS), and what is in them."""

    packed: Packed
    thickness: np.ndarray
    """float32 [stack, slot] (um), 0 where a slot is empty; the support's is that of its density."""
    volume_share: np.ndarray
    """Of each pigment among the pigments of a paint, float32 [stack, paint, pigment]; paints: visible, hidden."""
    mass_thickness: np.ndarray
    """Of each pigment, float32 [stack, paint, pigment] (g/cm2)."""
    loading: np.ndarray
    """float32 [stack, paint]"""


def pigments_of(options: Sampling) -> tuple[str, ...]:
    """Return the pigments that are drawn, in the order of the truth's last axis. Raises InputError for unknown ones."""
    if options.palette:
        return tuple(material(name, options.table).name for name in options.palette)
    return tuple(name for name, row in options.table.items() if row.kind == "pigment" and name not in LEAF)


def sample_elements(options: Sampling) -> tuple[str, ...]:
    """Return every element that drawn stacks may hold, in alphabetical order: a fixed set for one prepared scanner."""
    names = {*pigments_of(options), *GROUNDS, *SUPPORTS, "linseed_oil", "dammar"}
    held = {element for name in names for element in material(name, options.table).mass_fractions()}
    return tuple(sorted(held | set(DRIERS)))


def sample_stacks(number: int, elements: tuple[str, ...], *, options: Sampling, rng: np.random.Generator) -> Sampled:
    """Draw stacks. `elements`: of the prepared scanner, a superset of `sample_elements`. Same rng, same stacks.

    Raises InputError when the palette is empty in the period that is asked for, and for elements that are lacking.
    """
    if missing := sorted(set(sample_elements(options)) - set(elements)):
        raise InputError(f"the scanner must be prepared for {', '.join(missing)}; use sample_elements")
    pigments = pigments_of(options)
    years = None if options.period is None else rng.uniform(*options.period, number)
    mass = np.zeros((number, len(SLOTS)), np.float32)
    thickness = np.zeros((number, len(SLOTS)), np.float32)
    shares = np.zeros((number, len(SLOTS), len(elements)), np.float32)
    volume = np.zeros((number, len(PAINTS), len(pigments)), np.float32)
    amount, loading = np.zeros_like(volume), np.zeros((number, len(PAINTS)), np.float32)
    for paint, slot in enumerate(PAINTS):
        volume[:, paint] = _mixtures(number, pigments, years, options=options, rng=rng)
        loading[:, paint] = rng.uniform(*options.loading, number)
        thickness[:, slot] = _log_uniform(*(options.paint, options.beneath)[paint], number, rng=rng)
    thickness[:, 2] *= rng.random(number) < options.hidden
    bare = _bare(volume, loading, thickness, pigments, options=options, rng=rng)
    for paint, slot in enumerate(PAINTS):
        film = loading[:, paint, None] * volume[:, paint]
        mass[:, slot], shares[:, slot], amount[:, paint] = _paint(
            film, pigments, elements, thickness[:, slot], options=options, rng=rng
        )
    thickness[:, 0] = np.where((rng.random(number) < 0.6) & ~bare, rng.uniform(3, 40, number), 0.0)
    mass[:, 0], shares[:, 0] = _plain("dammar", thickness[:, 0], elements, options.table)
    thickness[:, 3] = _log_uniform(*options.ground, number, rng=rng) * ~bare
    mass[:, 3], shares[:, 3] = _ground(thickness[:, 3], elements, options=options, rng=rng)
    mass[:, 4], shares[:, 4], thickness[:, 4] = _support(number, elements, options=options, rng=rng)
    gone = thickness[:, 2] == 0
    volume[gone, 1], loading[gone, 1] = 0.0, 0.0
    return Sampled(Packed(mass, shares), thickness, volume, amount, loading)


def _log_uniform(low: float, high: float, number: int, *, rng: np.random.Generator) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), number))


def _bare(
    volume: np.ndarray, loading: np.ndarray, thickness: np.ndarray, pigments: tuple[str, ...],
    *, options: Sampling, rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Turn some stacks into a piece of one material, in place; return which, bool [stack]."""
    if not options.pieces:
        return np.zeros(len(volume), bool)
    bare = rng.random(len(volume)) < options.bare
    columns = np.array([pigments.index(name) for name in options.pieces])
    volume[bare, 0] = np.eye(len(pigments))[rng.choice(columns, bare.sum())]
    loading[bare, 0] = 1.0
    thickness[bare, 1] = _log_uniform(*PIECE, int(bare.sum()), rng=rng)
    thickness[bare, 2] = 0.0
    return bare


def _log_odds(pigments: tuple[str, ...], options: Sampling) -> np.ndarray:
    """How much more or less often each pigment is chosen, float64 [pigment]; never what lies in pieces."""
    classes = [material(name, options.table).xrf_class or name for name in pigments]
    odds = -options.balance * np.log([classes.count(name) for name in classes])
    return np.where([name in options.pieces for name in pigments], -np.inf, odds)


def _mixtures(
    number: int, pigments: tuple[str, ...], years: np.ndarray | None, *, options: Sampling, rng: np.random.Generator
) -> np.ndarray:
    """Volume shares float64 [number, pigment], rows sum to 1: Dirichlet(0.5) over 1 to 4 pigments in use that year."""
    score = rng.gumbel(size=(number, len(pigments))) + _log_odds(pigments, options)
    if years is not None:
        periods = np.array([material(name, options.table).period for name in pigments])
        slack = np.where(periods >= 1700, *SLACK)
        score[(years[:, None] < periods[:, 0] - slack[:, 0]) | (years[:, None] > periods[:, 1] + slack[:, 1])] = -np.inf
    if not np.all(np.isfinite(score).any(axis=1)):
        raise InputError(f"no pigment of the palette was in use in every year of {options.period}; widen the period")
    most = min(MOST, len(pigments))
    chosen = np.argsort(-score, axis=1)[:, :most]
    odds = np.array(NUMBERS[:most]) / sum(NUMBERS[:most])
    count = rng.choice(np.arange(1, most + 1), number, p=odds)
    usable = np.isfinite(np.take_along_axis(score, chosen, 1)) & (np.arange(most) < count[:, None])
    raw = np.where(usable, rng.gamma(0.5, size=(number, most)) + 1e-4, 0.0)
    raw /= raw.sum(axis=1, keepdims=True)
    few = (usable.sum(axis=1) > 1) & (rng.random(number) < options.low)
    trace = np.exp(rng.uniform(np.log(1e-3), np.log(0.1), number))
    rest = raw[:, 1:].sum(axis=1)
    scaled = raw[few] * ((1 - trace[few]) / np.maximum(rest[few], 1e-12))[:, None]
    scaled[:, 0] = trace[few]
    raw[few] = scaled
    found = np.zeros((number, len(pigments)))
    np.put_along_axis(found, chosen, raw, axis=1)
    return found / found.sum(axis=1, keepdims=True)


def _paint(
    film: np.ndarray, pigments: tuple[str, ...], elements: tuple[str, ...], thickness: np.ndarray,
    *, options: Sampling, rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Mass thickness [n], element shares [n, z] and pigment masses [n, pigment] of paints with volumes `film`."""
    phases = _phases(pigments, elements, options.table)
    density = np.array([material(name, options.table).density for name in pigments])
    oil = material("linseed_oil", options.table)
    grams = film * density  # per cm3 of film
    factor = np.where(
        phases.minor, np.exp(np.log(options.spread) * rng.standard_normal((len(film), len(phases.share)))), 1
    )
    part = phases.share * factor
    whole = np.zeros_like(grams)
    np.add.at(whole.T, phases.owner, part.T)
    held = (grams[:, phases.owner] * part / whole[:, phases.owner]) @ phases.fractions
    binder = (1 - film.sum(axis=1)) * oil.density
    drier = rng.uniform(0, 0.005, len(film)) * (rng.random(len(film)) < 0.3) * binder
    held += binder[:, None] * _row("linseed_oil", elements, options.table)
    held[np.arange(len(film)), [elements.index(name) for name in rng.choice(DRIERS, len(film))]] += drier
    total = grams.sum(axis=1) + binder + drier
    return total * thickness * UM, held / total[:, None], grams * (thickness * UM)[:, None]


class _Phases(NamedTuple):
    """The phases of several materials, one after the other."""

    owner: np.ndarray
    """Index of the material, int [phase]."""
    share: np.ndarray
    """Mass share within the material [phase]."""
    minor: np.ndarray
    """False for the largest phase of a material, bool [phase]."""
    fractions: np.ndarray
    """Mass share of each element [phase, z]."""


def _phases(names: tuple[str, ...], elements: tuple[str, ...], table: Materials) -> _Phases:
    return _phases_of(tuple(material(name, table).components for name in names), elements)


@cache
def _phases_of(components: tuple[tuple[tuple[str, float], ...], ...], elements: tuple[str, ...]) -> _Phases:
    owner = np.repeat(np.arange(len(components)), [len(parts) for parts in components])
    share = np.array([share for parts in components for _, share in parts])
    largest = np.concatenate([np.array([s for _, s in parts]) < max(s for _, s in parts) for parts in components])
    fractions = np.zeros((len(share), len(elements)))
    for row, formula in enumerate(formula for parts in components for formula, _ in parts):
        for element, fraction in mass_shares(formula).items():
            fractions[row, elements.index(element)] = fraction
    return _Phases(owner, share, largest, fractions)


def _row(name: str, elements: tuple[str, ...], table: Materials) -> np.ndarray:
    fractions = material(name, table).mass_fractions()
    return np.array([fractions.get(element, 0.0) for element in elements])


def _plain(name: str, thickness: np.ndarray, elements: tuple[str, ...], table: Materials) -> tuple[np.ndarray, ...]:
    mass = material(name, table).density * thickness * UM
    return mass, np.broadcast_to(_row(name, elements, table), (len(thickness), len(elements)))


def _ground(
    thickness: np.ndarray, elements: tuple[str, ...], *, options: Sampling, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One or two white fillers at a loading of 0.4 to 0.6."""
    number = len(thickness)
    first, second = (rng.choice(len(GROUNDS), number, p=GROUND_ODDS) for _ in range(2))
    share = np.where(rng.random(number) < 0.5, 1.0, rng.uniform(0.2, 1.0, number))
    film = np.zeros((number, len(GROUNDS)))
    np.add.at(film, (np.arange(number), first), share)
    np.add.at(film, (np.arange(number), second), 1 - share)
    film *= rng.uniform(0.4, 0.6, number)[:, None]
    return _paint(film, GROUNDS, elements, thickness, options=options, rng=rng)[:2]


def _support(
    number: int, elements: tuple[str, ...], *, options: Sampling, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kind = rng.choice(len(SUPPORTS), number, p=SUPPORT_ODDS)
    ranges = np.array([SUPPORT_MASS.get(name, OTHER_MASS) for name in SUPPORTS])[kind]
    mass = np.exp(rng.uniform(*np.log(ranges).T))
    rows = np.stack([_row(name, elements, options.table) for name in SUPPORTS])
    density = np.array([material(name, options.table).density for name in SUPPORTS])
    return mass, rows[kind], mass / density[kind] / UM
