"""Which colours of a painting no scan in air can show, region by region.

Lakes, ultramarine, indigo and carbon black have no line of their own in air. Where a region's visible paint shows
nothing but white or ground, its colour may be theirs alone; where it shows coloured pigments, they may deepen or tint
it. Either is said of each region, so that nobody takes the recoloured image for more than X-rays can know.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from velatura.imaging.colour import srgb_to_lab
from velatura.physics.material import Material, material
from velatura.scene.classes import restricted, xrf_classes
from velatura.tasks.pigment_rules import spoken, used_in, years
from velatura.tasks.recolour_hidden import speaker

TOLD = 0.2  # share of a region's pixels in which a class must be found to be its paint
WHITE, PALE = 85.0, 16.0  # CIELAB lightness and chroma between which a pigment counts as white
DARK, GREY = 30.0, 15.0  # likewise for black and brown
HUES = ((45.0, "red"), (110.0, "yellow"), (200.0, "green"), (315.0, "blue"), (360.0, "red"))
"""CIELAB hue angle [degrees] up to which a colour has the name."""


class UnseenColours(NamedTuple):
    """What may hide from X-rays in one region; a row of the table."""

    region: str
    pixels: int
    """With a colour."""
    colour: str
    """Mean of the recoloured pixels, "#rrggbb"."""
    trust: float
    """Mean over the pixels."""
    found: str
    """Coloured or white pigments found in the visible paint."""
    open: bool
    """Nothing but white or ground is found: the colour may come from unseen pigments alone."""
    sentence: str


def unseen_pigments(parameters: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the coloured pigments that may occur and that no scan in air shows, by colour: {"red": ("madder lake",)}.

    parameters: of an identification: its `period`, `palette` and `exclude`. White ones (kaolin) are left out.
    """
    period = years(parameters.get("period"))
    classes = restricted(
        xrf_classes(), palette=parameters.get("palette") or (), exclude=parameters.get("exclude") or ()
    )
    names = [name for row in classes if not row.visible for name in row.members if used_in(name, period)]
    found: dict[str, list[str]] = {}
    for name in names:
        if not is_white(material(name)):
            found.setdefault(colour_name(material(name)), []).append(spoken(name).partition(" (")[0].partition(",")[0])
    return {colour: tuple(dict.fromkeys(titles)) for colour, titles in found.items()}


def unseen_colours(
    pigments: xr.Dataset, rgb: np.ndarray, trust: np.ndarray, *, rows: Sequence[Mapping[str, Any]], unseen: str
) -> tuple[UnseenColours, ...]:
    """Return one row for each region of an identification that has recoloured pixels.

    pigments: maps/identify; rgb: recoloured [y, x, 3], NaN without answer; trust: [y, x]; rows: its table of evidence;
    unseen: the pigments that cannot be seen, as `in_short` puts them.
    """
    told = []
    for number, name in enumerate(pigments.region.values.tolist()):
        here = (pigments.regions.values == number) & np.isfinite(rgb[..., 0])
        if here.any():
            colour = "#" + "".join(f"{round(255 * float(part)):02x}" for part in rgb[here].mean(axis=0))
            found = [
                row for row in rows
                if row["region"] == name and row["paint"] == "visible" and row["found"] >= TOLD
            ]  # fmt: skip
            pale, titles = (
                _all_white(found, pigments),
                "; ".join(str(row["pigments"]).partition(": ")[0] for row in found),
            )
            sentence = _sentence(name, titles, pale=pale, unseen=unseen)
            told.append(UnseenColours(name, int(here.sum()), colour, float(trust[here].mean()), titles, pale, sentence))
    return tuple(told)


def in_words(unseen: Mapping[str, Sequence[str]]) -> str:
    """Return all unseen pigments as part of a sentence.

    >>> in_words({"red": ("madder lake", "carmine lake"), "black or brown": ("carbon black",)})
    'red (madder lake, carmine lake), black or brown (carbon black)'
    """
    return ", ".join(f"{colour} ({', '.join(titles)})" for colour, titles in unseen.items())


def in_short(unseen: Mapping[str, Sequence[str]]) -> str:
    """Return the first unseen pigment of each colour as part of a sentence.

    >>> in_short({"red": ("madder lake", "carmine lake"), "black or brown": ("carbon black",)})
    'madder lake or carbon black'
    """
    first = [titles[0] for titles in unseen.values()]
    return " or ".join(part for part in (", ".join(first[:-1]), *first[-1:]) if part)


def is_white(row: Material) -> bool:
    """Tell whether a pigment's paint-out is white."""
    lightness, chroma, _ = _polar(row)
    return lightness >= WHITE and chroma <= PALE


def colour_name(row: Material) -> str:
    """Return red, yellow, green, blue, or "black or brown", after the pigment's paint-out."""
    lightness, chroma, hue = _polar(row)
    if lightness < DARK and chroma < GREY:
        return "black or brown"
    return next(name for most, name in HUES if hue <= most)


def _polar(row: Material) -> tuple[float, float, float]:
    lightness, a, b = srgb_to_lab(np.array(row.rgb or (0.5, 0.5, 0.5))).tolist()
    return lightness, float(np.hypot(a, b)), float(np.degrees(np.arctan2(b, a)) % 360)


def _all_white(found: Sequence[Mapping[str, Any]], pigments: xr.Dataset) -> bool:
    """Whether the usual members of all classes found are white; True where none is found."""
    members = dict(zip(pigments.xrf_class.values.tolist(), pigments.members.values.tolist(), strict=True))
    names = [str(row["xrf_class"]) for row in found]
    return all(is_white(speaker(name, members[name].split(", ")).usual) for name in names if name in members)


def _sentence(region: str, titles: str, *, pale: bool, unseen: str) -> str:
    """What a reader of the recoloured image should know of a region; empty where nothing can hide."""
    if not unseen:
        return ""
    if pale:
        shown = f"shows only {titles}" if titles else "shows no pigment"
        return f"in region {region} the visible paint {shown}: its colour could come from {unseen}, which no scan shows"
    return f"in region {region} {titles} could be tinted or darkened by {unseen}, which no scan shows"
