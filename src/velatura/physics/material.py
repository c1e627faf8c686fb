"""What paintings are made of: pigments, binders, supports and filters, and the paints mixed from them.

The tables are tables/pigments.csv and tables/materials.csv; users add their own with `read_materials`.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import numpy as np

from velatura.atomic.elements import atomic_number, mass_shares
from velatura.base.errors import InputError, did_you_mean

SUM_SLACK = 5e-3  # shares that miss 1 by no more are scaled to it
NEEDED = ("id", "density_g_cm3")


@dataclass(frozen=True)
class Material:
    """One dry pigment, binder, support or filter, as its table row gives it."""

    name: str
    """Identifier, as scenes use it: "lead_white"."""
    title: str
    """Usual English name."""
    kind: str
    """pigment, binder, varnish, support, path, window, detector or filter."""
    components: tuple[tuple[str, float], ...]
    """(formula, mass share) of its phases, shares sum to 1."""
    density: float
    """[g/cm3] of the dry matter."""
    rgb: tuple[float, float, float] | None = None
    """Typical display colour (sRGB, 0 to 1) of a paint-out, judged by eye; None where the table has none."""
    xrf_class: str = ""
    """Materials of one class show the same lines in an ordinary scan; "" for what is no pigment."""
    period: tuple[float, float] = (-np.inf, np.inf)
    """Years of use, negative before our era."""
    markers: tuple[str, ...] = ()
    """Elements to look for."""
    recolouring: bool = False
    """One of the twelve pigments of Bombini et al., arXiv 2410.08826 (2024)."""

    def mass_fractions(self) -> dict[str, float]:
        """Mass share of each element; they sum to 1."""
        return dict(_fractions(self.components))


@cache
def _fractions(components: tuple[tuple[str, float], ...]) -> Mapping[str, float]:
    fractions: dict[str, float] = {}
    for formula, share in components:
        for element, part in mass_shares(formula).items():
            fractions[element] = fractions.get(element, 0.0) + share * part
    return fractions


Materials = Mapping[str, Material]


@cache
def materials() -> Materials:
    """Return every row of the two tables by name, read-only; 96 pigments and 20 other materials."""
    folder = files("velatura.physics") / "tables"
    rows: dict[str, Material] = {}
    for name in ("pigments.csv", "materials.csv"):
        rows |= _rows((folder / name).read_text(encoding="utf-8"), name)
    return MappingProxyType(rows)


def material(name: str, table: Materials | None = None) -> Material:
    """Return one material of a table (by default ours); raises InputError with a near miss for an unknown name."""
    table = materials() if table is None else table
    if name not in table:
        raise InputError(f"no material {name!r} in the table{did_you_mean(name.lower().replace(' ', '_'), table)}")
    return table[name]


def read_materials(path: Path) -> Materials:
    """Return our materials and those of a user's CSV, whose rows replace ours of the same id.

    Columns: `id`, `density_g_cm3`, one of `components` ("formula:mass share;..."), `formula` or `mass_fractions`
    ("Pb:0.80;O:0.17;..."), and as far as known `name`, `kind` (default pigment), `srgb_hex`, `xrf_class`,
    `period_from`, `period_to`. Raises InputError naming the row that cannot be used.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the materials in {path}: {error}") from error
    return MappingProxyType({**materials(), **_rows(text, str(path))})


@dataclass(frozen=True, eq=False)
class Paint:
    """Pigments by volume share (sum 1) in a binder, as a dry film.

    Also stands for any other layer: canvas is Paint("canvas", {"linen_canvas": 1.0}, loading=1.0).
    Raises InputError for unknown materials, negative shares, shares that do not sum to 1 and a loading outside 0 to 1.
    """

    name: str
    pigments: Mapping[str, float]
    """Volume share of each pigment among the pigments."""
    loading: float = 0.4
    """Pigment volume share of the dry film (PVC)."""
    binder: str = "linseed_oil"
    table: Materials = field(default_factory=materials, repr=False)
    """Where the names are looked up; paints of different tables differ."""

    def __post_init__(self) -> None:
        for name in (*self.pigments, self.binder):
            material(name, self.table)
        total = sum(self.pigments.values())
        if not self.pigments or min(self.pigments.values()) < 0 or abs(total - 1) > SUM_SLACK:
            found = ", ".join(f"{name} {share:g}" for name, share in self.pigments.items())
            raise InputError(
                f"the volume shares of paint {self.name!r} must be positive and sum to 1; found {found or 'none'} "
                f"(sum {total:.4g}). The binder is set by the loading, not by a share"
            )
        if not 0 <= self.loading <= 1:
            raise InputError(f"the loading of paint {self.name!r} must lie in 0 to 1; found {self.loading:g}")
        object.__setattr__(self, "pigments", {name: share / total for name, share in self.pigments.items()})

    def _key(self) -> tuple:
        return self.name, tuple(self.pigments.items()), self.loading, self.binder, id(self.table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Paint) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def volumes(self) -> dict[str, float]:
        """Volume share of each material in the dry film, binder included; they sum to 1."""
        shares = {name: self.loading * share for name, share in self.pigments.items()}
        shares[self.binder] = shares.get(self.binder, 0.0) + 1 - self.loading
        return {name: share for name, share in shares.items() if share > 0}

    def density(self) -> float:
        """Density of the dry film [g/cm3]: volume-weighted mean."""
        return sum(share * self.table[name].density for name, share in self.volumes().items())

    def mass_shares(self) -> dict[str, float]:
        """Mass share of each material in the dry film; they sum to 1."""
        density = self.density()
        return {name: share * self.table[name].density / density for name, share in self.volumes().items()}

    def mass_fractions(self) -> dict[str, float]:
        """Mass share of each element in the dry film; they sum to 1."""
        fractions: dict[str, float] = {}
        for name, share in self.mass_shares().items():
            for element, part in self.table[name].mass_fractions().items():
                fractions[element] = fractions.get(element, 0.0) + share * part
        return fractions

    def without(self, pigment: str) -> "Paint":
        """Return the same paint with a pigment left out and its volume given to the binder."""
        kept = {name: share for name, share in self.pigments.items() if name != pigment}
        rest = sum(kept.values())
        if rest == 0:
            return replace(self, pigments={self.binder: 1.0}, loading=1.0)
        shares = {name: share / rest for name, share in kept.items()}
        return replace(self, pigments=shares, loading=self.loading * rest)


def varied(row: Material, *, spread: float = 1.6, rng: np.random.Generator) -> Material:
    """Return a material whose minor phases are drawn anew: mass shares times a log-normal factor of width `spread`.

    The largest phase takes up the rest; a material of one phase is returned as it is. Earths of different quarries
    spread by factors of 2 to 3 in Fe and more in Ca, K, Ti and Mn (Eastaugh et al., Pigment Compendium, 2004).
    """
    if len(row.components) < 2:
        return row
    main = max(range(len(row.components)), key=lambda k: row.components[k][1])
    factors = np.exp(np.log(spread) * rng.standard_normal(len(row.components)))
    factors[main] = 1.0
    drawn = np.array([share for _, share in row.components]) * factors
    formulas = (formula for formula, _ in row.components)
    return replace(row, components=tuple(zip(formulas, (drawn / drawn.sum()).tolist(), strict=True)))


def _rows(text: str, source: str) -> dict[str, Material]:
    reader = csv.DictReader(text.splitlines())
    if missing := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
        raise InputError(f"{source} must have the columns {', '.join(NEEDED)}; {', '.join(missing)} is missing")
    found = {}
    for number, row in enumerate(reader, 2):
        try:
            found[row["id"]] = _material(row)
        except (ValueError, TypeError, InputError) as error:
            raise InputError(f"{source}, line {number} ({row['id']}): {error}") from error
    return found


def _material(row: Mapping[str, str]) -> Material:
    text = row.get("components") or row.get("mass_fractions") or f"{row.get('formula') or ''}:1"
    pairs = [entry.rsplit(":", 1) for entry in text.split(";")]
    components = [(formula.strip(), float(share)) for formula, share in pairs]
    total, density = sum(share for _, share in components), float(row["density_g_cm3"])
    if abs(total - 1) > 2 * SUM_SLACK or min(share for _, share in components) < 0 or not density > 0:
        raise InputError(f"shares must sum to 1 and the density be positive; found {total:.4g} and {density:g} g/cm3")
    for formula, _ in components:
        for element in mass_shares(formula):
            atomic_number(element)
    colour = row.get("srgb_hex") or ""
    return Material(
        name=row["id"],
        title=row.get("name") or row["id"],
        kind=row.get("kind") or "pigment",
        components=tuple((formula, share / total) for formula, share in components),
        density=density,
        rgb=tuple(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)) if colour else None,  # type: ignore[arg-type]
        xrf_class=row.get("xrf_class") or "",
        period=(float(row.get("period_from") or -np.inf), float(row.get("period_to") or np.inf)),
        markers=tuple(part for part in (row.get("marker_elements") or "").split(";") if part),
        recolouring=row.get("recolouring12") == "1",
    )
