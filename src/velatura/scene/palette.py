"""Paints: mixtures of pigments in oil, with their composition, density and appearance."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from velatura.base.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Material:
    """One dry pigment, binder or support, as its table row gives it (`materials.csv`)."""

    name: str
    mass_fractions: dict[str, float]
    """Mass share of each element, sum 1."""
    density: float
    """[g/cm3]"""
    rgb: tuple[float, float, float]
    """Typical display colour (sRGB, 0 to 1), judged by eye."""


@dataclass(frozen=True)
class Paint:
    """Pigments by volume share (scaled to sum 1) in a binder; `loading`: pigment volume share of the dry film."""

    name: str
    pigments: dict[str, float]
    loading: float = 0.35
    binder: str = "linseed_oil"

    def volumes(self) -> dict[str, float]:
        """Volume share of each material in the dry film, binder included; they sum to 1."""
        whole = sum(self.pigments.values())
        shares = {name: self.loading * share / whole for name, share in self.pigments.items()}
        return shares | {self.binder: 1 - self.loading}

    def density(self) -> float:
        """Density of the dry film [g/cm3]: volume-weighted mean."""
        return sum(share * material(name).density for name, share in self.volumes().items())

    def mass_fractions(self) -> dict[str, float]:
        """Mass share of each element in the dry film; they sum to 1 within the rounding of the table."""
        fractions: dict[str, float] = {}
        for name, share in self.volumes().items():
            row = material(name)
            for element, fraction in row.mass_fractions.items():
                part = share * row.density * fraction / self.density()
                fractions[element] = fractions.get(element, 0.0) + part
        return fractions

    def rgb(self) -> np.ndarray:
        """Display colour (sRGB, 0 to 1) [3]: geometric mean of the pigments' colours, as subtractive mixtures go."""
        whole = sum(self.pigments.values())
        logs = [share / whole * np.log(np.maximum(material(name).rgb, 0.02)) for name, share in self.pigments.items()]
        return np.exp(np.sum(logs, axis=0))


@cache
def materials() -> dict[str, Material]:
    """Return every row of `materials.csv` by name."""
    text = (files("velatura.scene") / "materials.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["id"]: _material(row) for row in rows}


def material(name: str) -> Material:
    """Return one material; raises InputError for a name that the table lacks."""
    table = materials()
    if name not in table:
        raise InputError(f"no material {name!r} in the table{did_you_mean(name, table)}")
    return table[name]


def _material(row: dict[str, str]) -> Material:
    pairs = (entry.split(":") for entry in row["mass_fractions"].split(";"))
    red, green, blue = (int(row["srgb"][k : k + 2], 16) / 255 for k in (1, 3, 5))
    fractions = {element: float(share) for element, share in pairs}
    return Material(row["id"], fractions, float(row["density"]), (red, green, blue))
