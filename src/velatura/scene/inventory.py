"""What is known about a painted scene because we painted it: labels, thickness, masses of pigments, and its looks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.physics.material import Paint
from velatura.physics.stack import UM
from velatura.scene.painting import NOTHING, Painting, Sheet
from velatura.scene.render import (
    Coat,
    above_surface,
    below_surface,
    coat,
    display,
    linear,
    over,
    pigment_coefficients,
    varnish,
)

SUPPORTS = {
    "linen_canvas": "#B7A07A",
    "wood_panel": "#B48A58",
    "paper": "#E9DFC6",
    "parchment": "#E3D3AE",
    "copper_plate": "#B06A42",
}
BARE = "#B7A07A"  # support of unknown colour; all judged by eye


def inventory(painting: Painting) -> xr.Dataset:
    """Return the truth: dims layer (support first), pigment, y, x, colour.

    `label` int16 [layer, y, x] (-1: no paint; the paints' names are in the attribute `paints`), `thickness` float32
    [layer, y, x] (um), `mass_thickness` float32 [layer, pigment, y, x] (g/cm2), `hidden` bool [layer, y, x],
    `rgb`, `hidden_rgb` float32 [y, x, colour] (sRGB, 0 to 1: as it looks, and with what covers the hidden paint taken
    off), coordinates `layer`, `kind` [layer], `pigment`. Support and binder are no pigments.
    """
    sheets, image = painting.sheets, ("layer", "y", "x")
    pigments = pigments_of(painting)
    mass = np.stack([_masses(sheet, pigments) for sheet in sheets])
    hidden = painting.hidden()
    paints = {sheet.name: [paint.name for paint in sheet.paints] for sheet in sheets}
    return xr.Dataset(
        {
            "label": (image, np.stack([sheet.labels for sheet in sheets]), {"paints": paints}),
            "thickness": (image, np.stack([sheet.thickness for sheet in sheets]), {"units": "um"}),
            "mass_thickness": (("layer", "pigment", "y", "x"), mass, {"units": "g/cm2"}),
            "hidden": (image, hidden),
            "rgb": (("y", "x", "colour"), look(painting)),
            "hidden_rgb": (("y", "x", "colour"), look(_uncovered(painting, hidden))),
        },
        coords={
            "layer": [sheet.name for sheet in sheets],
            "kind": ("layer", [sheet.kind for sheet in sheets]),
            "pigment": list(pigments),
        },
    )


def pigments_of(painting: Painting) -> tuple[str, ...]:
    """Return the names of all pigments in a painting, in alphabetical order."""
    paints = [paint for sheet in painting.sheets for paint in sheet.paints]
    return tuple(sorted({name for paint in paints for name in pigments_in(paint)}))


def pigments_in(paint: Paint) -> tuple[str, ...]:
    """Return the names of the pigments of a paint, in its order; supports, binders and varnishes are none."""
    return tuple(name for name in paint.volumes() if paint.table[name].kind == "pigment")


def look(painting: Painting) -> np.ndarray:
    """Return the colour that the eye sees, float32 [y, x, colour] (sRGB, 0 to 1), by two-flux theory (`render`)."""
    below = np.broadcast_to(below_surface(_linear(BARE)), (*painting.shape, 3)).copy()
    for sheet in painting.sheets:
        for label, paint in enumerate(sheet.paints):
            here = sheet.labels == label
            if sheet.kind == "support":
                below[here] = below_surface(_linear(SUPPORTS.get(next(iter(paint.pigments)), BARE)))
            else:
                below[here] = over(_coat(paint, sheet.kind, sheet.thickness[here]), below[here])
    return display(above_surface(below)).astype(np.float32)


def _coat(paint: Paint, kind: str, thickness: np.ndarray) -> Coat:
    """A coat of paint; pigments of unknown looks are seen through."""
    shares = {name: share for name, share in paint.pigments.items() if _has_looks(name)}
    if kind == "varnish" or not shares:
        return varnish(thickness)
    return coat(shares, thickness=thickness, loading=paint.loading * sum(shares.values()))


def _has_looks(pigment: str) -> bool:
    try:
        pigment_coefficients(pigment)
    except InputError:
        return False
    return True


def _linear(code: str) -> np.ndarray:
    return linear(np.array([int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)]))


def _uncovered(painting: Painting, hidden: np.ndarray) -> Painting:
    """The painting as it was before it was covered: support, ground and what is hidden now."""
    kept: list[Sheet] = []
    for sheet, mask in zip(painting.sheets, hidden, strict=True):
        if sheet.kind in ("support", "ground"):
            kept.append(sheet)
        elif mask.any():
            kept.append(replace(sheet, labels=np.where(mask, sheet.labels, NOTHING)))
    return Painting(painting.shape, painting.pitch, tuple(kept))


def _masses(sheet: Sheet, pigments: Sequence[str]) -> np.ndarray:
    """Mass of each pigment in one sheet, float32 [pigment, y, x] (g/cm2)."""
    per_um = np.zeros((len(sheet.paints) + 1, len(pigments)))  # the last row serves label -1
    for label, paint in enumerate(sheet.paints):
        shares = paint.mass_shares()
        per_um[label] = [UM * paint.density() * shares.get(name, 0.0) for name in pigments]
    return np.moveaxis(per_um.astype(np.float32)[sheet.labels] * sheet.thickness[..., None], -1, 0)
