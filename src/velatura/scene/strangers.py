"""Materials that are no pigments, made up at random, so that a network learns what it does not know.

Compounds of elements that mark no pigment, to be mixed into paint; pieces of alloy, and of stone, soil or glass, which
lie by themselves. FAMILIES are for training; the elements of UNSEEN come up in held-out groups only, so that the answer
"unknown" is tested on what training never showed. What real alloys and minerals hold is no part of this.
"""

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from velatura.physics.material import Material, Materials, materials

FAMILIES = (
    ("Ge", "Nb", "In", "La", "Ta"),
    ("Ga", "Y", "Te", "Ce", "W"),
    ("Sc", "Rb", "I", "Pt", "Th"),
    ("V", "Zr", "Cs", "Ir", "U"),
)
UNSEEN = ("Ru", "Pd", "Nd", "Hf", "Tl")
METALS = ("Fe", "Cr", "Ni", "Mn", "Cu", "Zn", "Sn", "Pb", "Al", "Ti", "Ag", "Au", "Sb", "Bi", "Co", "Mo")
COMPANIONS = ("Si", "Al", "P", "S", "Na", "K", "Ca", "Ti", "Fe", "Cu", "Zn", "Pb")
ROCK = ("Al", "Na", "K", "Mg", "Ca", "Fe", "Ti")
TRACES = ("Mn", "Zn", "Sr", "Pb")
COMPOUND, PIECE = "compound_", "piece_"  # what names begin with


def strangers(
    family: Sequence[str], *, compounds: int, pieces: int, rng: np.random.Generator, table: Materials | None = None
) -> Materials:
    """Return a table (by default ours) with random materials added, as pigments named compound_0... and piece_0...

    family: elements that mark no pigment. Half of the pieces are alloys, the others stones.
    """
    rows = [_compound(number, family, rng=rng) for number in range(compounds)]
    makers = (_alloy, _stone)
    rows += [makers[number % 2](number, family, rng=rng) for number in range(pieces)]
    return MappingProxyType({**(materials() if table is None else table), **{row.name: row for row in rows}})


def is_stranger(name: str) -> bool:
    """Tell whether a material of such a table was made up."""
    return name.startswith((COMPOUND, PIECE))


def _compound(number: int, family: Sequence[str], *, rng: np.random.Generator) -> Material:
    """One or two elements of the family, 5 to 80 % of the mass, with oxygen and up to two more."""
    foreign = rng.choice(family, rng.choice([1, 2], p=[0.7, 0.3]), replace=False)
    others = ["O", *rng.choice(COMPANIONS, rng.integers(0, 3), replace=False)]
    share = float(np.exp(rng.uniform(np.log(0.05), np.log(0.8))))
    parts = np.concatenate(
        [share * rng.dirichlet(np.ones(len(foreign))), (1 - share) * rng.dirichlet(np.ones(len(others)))]
    )
    return _material(f"{COMPOUND}{number}", [*foreign, *others], parts, density=rng.uniform(3, 7))


def _alloy(number: int, family: Sequence[str], *, rng: np.random.Generator) -> Material:
    """One to four metals."""
    metals = rng.choice([*METALS, *family], rng.integers(1, 5), replace=False).tolist()
    return _material(f"{PIECE}{number}", metals, rng.dirichlet(np.full(len(metals), 0.5)), density=rng.uniform(7, 10))


def _stone(number: int, family: Sequence[str], *, rng: np.random.Generator) -> Material:
    """Oxides of silicon and of the elements of rocks, with traces of others and of the family."""
    silicon, rest = rng.uniform(0.02, 0.4), rng.dirichlet(np.full(len(ROCK), 0.4))
    few = [*TRACES, *family]
    traces = np.exp(rng.uniform(np.log(1e-5), np.log(1e-2), len(few)))
    parts = np.concatenate([[0.48, silicon], (0.52 - silicon) * rest, traces])
    return _material(f"{PIECE}{number}", ["O", "Si", *ROCK, *few], parts, density=rng.uniform(1.5, 3.5))


def _material(name: str, elements: Sequence[str], parts: np.ndarray, *, density: float) -> Material:
    shares = np.asarray(parts) / np.sum(parts)
    kept = [(str(element), float(share)) for element, share in zip(elements, shares, strict=True) if share > 1e-6]
    whole = sum(share for _, share in kept)
    components = tuple((element, share / whole) for element, share in kept)
    return Material(name, name, "pigment", components, float(density))
