"""Symbols, atomic numbers and weights of hydrogen to uranium, and mass shares of a chemical formula."""

import re
from collections import defaultdict
from functools import cache

from velatura.atomic.stored import table
from velatura.base.errors import InputError, did_you_mean

TOKEN = re.compile(r"(?:([A-Z][a-z]?)|(\()|(\)))(\d+\.\d+|\d+)?")


@cache
def symbols() -> tuple[str, ...]:
    """Return all known symbols in the order of the atomic number, H to U."""
    return tuple(str(name) for name in table("lines")["symbol"])


def symbol(z: int) -> str:
    """Return the symbol of atomic number `z`.

    >>> symbol(26)
    'Fe'
    """
    if not 1 <= z <= len(symbols()):
        raise InputError(f"atomic number must be 1 to {len(symbols())}; found {z}")
    return symbols()[z - 1]


@cache
def atomic_number(symbol: str) -> int:
    """Return the atomic number of an element's symbol; raises InputError with a near miss for any other word.

    >>> atomic_number("Pb")
    82
    """
    if symbol not in symbols():
        raise InputError(f"{symbol!r} is no element from H to U{did_you_mean(symbol.capitalize(), symbols())}")
    return symbols().index(symbol) + 1


def atomic_weight(symbol: str) -> float:
    """Return the standard atomic weight [g/mol]."""
    return float(table("lines")["atomic_weight"][atomic_number(symbol) - 1])


def mass_shares(formula: str) -> dict[str, float]:
    """Return the mass share of each element of a formula such as ``Pb3C2O8H2``, ``Fe0.9O`` or ``CaSO4(H2O)2``.

    A dot is a decimal point: write a hydrate with brackets. Shares sum to 1. Raises InputError for anything else.

    >>> round(mass_shares("PbCO3")["Pb"], 4)
    0.7754
    """
    grams = {name: atoms * atomic_weight(name) for name, atoms in _atoms(formula).items()}
    total = sum(grams.values())
    if not total > 0:
        raise InputError(f"{formula!r} is no chemical formula; write it like PbCO3 or CaSO4(H2O)2")
    return {name: mass / total for name, mass in grams.items()}


def _atoms(formula: str) -> dict[str, float]:
    """Count atoms; `open_parts` holds the counts of the whole and of each bracket still open."""
    open_parts, read = [defaultdict(float)], 0
    for token in TOKEN.finditer(formula):
        name, opening, closing, number = token.groups()
        read += len(token[0])
        if name:
            atomic_number(name)
            open_parts[-1][name] += float(number or 1)
        elif opening:
            open_parts.append(defaultdict(float))
        elif closing and len(open_parts) > 1:
            for inner, atoms in open_parts.pop().items():
                open_parts[-1][inner] += atoms * float(number or 1)
        else:
            raise InputError(f"the brackets of {formula!r} do not match")
    if read != len(formula) or len(open_parts) > 1:
        raise InputError(f"{formula!r} is no chemical formula; write it like PbCO3 or CaSO4(H2O)2")
    return open_parts[0]
