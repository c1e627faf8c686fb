"""A homogeneous sample from a few words: a material of the tables, a formula, or mass shares of its elements."""

import re

from velatura.atomic.elements import atomic_number, mass_shares
from velatura.base.errors import InputError, did_you_mean
from velatura.physics.material import Material, Paint, materials
from velatura.physics.stack import Stack

THICK = 1e5  # um of a dense sample; no photon of a tube passes 10 cm of matter
SHARE = re.compile(r"([A-Za-z0-9.()]+)\s*[:=]\s*([-0-9.eE]+)\s*(%?)")


def sample_stack(text: str, *, thickness: float | None = None, density: float | None = None) -> Stack:
    """Return a stack of one layer for a sample such as "acrylic", "SiO2" or "Fe:0.70, Cr:0.18, Ni:0.12".

    text: a material of the tables, a formula, or elements or formulas with mass shares (also in per cent) that sum to
    1 within 2 %; thickness: [um], None for one that lets nothing pass; density: [g/cm3], needed only with a thickness
    for what is not in the tables. Raises InputError for anything else.
    """
    table = dict(materials())
    name = text.strip()
    if name not in table:
        components = _components(name)
        if thickness is not None and density is None:
            raise InputError(f"the mass of {thickness:g} um of {name!r} needs its density; give it in g/cm3")
        table[name] = Material(name, name, "standard", components, density or 1.0)
    row = table[name]
    if density is not None:
        table[name] = Material(row.name, row.title, row.kind, row.components, density)
    elif thickness is None:
        table[name] = Material(row.name, row.title, row.kind, row.components, max(row.density, 1.0))
    paint = Paint(name, {name: 1.0}, loading=1.0, binder=name, table=table)
    return Stack().paint(paint, thickness=THICK if thickness is None else thickness)


def _components(text: str) -> tuple[tuple[str, float], ...]:
    """(formula, mass share) from words that are no material of the tables."""
    if ":" in text or "=" in text:
        parts = [SHARE.fullmatch(part.strip()) for part in text.split(",")]
        if not all(parts):
            raise InputError(f'the sample {text!r} must read like "Fe:0.70, Cr:0.18, Ni:0.12", shares by mass')
        pairs = [(part[1], float(part[2]) * (0.01 if part[3] else 1.0)) for part in parts if part]
    else:
        pairs = [(text, 1.0)]
    total = sum(share for _, share in pairs)
    if abs(total - 1) > 0.02 or min(share for _, share in pairs) < 0:
        raise InputError(f"the mass shares of the sample must sum to 1; {text!r} sums to {total:.4g}")
    try:
        for formula, _ in pairs:
            for element in mass_shares(formula):
                atomic_number(element)
    except (InputError, ValueError) as error:
        hint = did_you_mean(text.lower(), materials())
        raise InputError(f"the sample {text!r} is no material, formula or list of shares: {error}{hint}") from error
    return tuple((formula, share / total) for formula, share in pairs)
