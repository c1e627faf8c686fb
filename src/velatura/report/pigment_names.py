"""What a class of pigments is called: its members in the words of conservators, and the elements that mark it."""

import re
from collections.abc import Sequence

import numpy as np

from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.physics.material import Material, materials

PROPER = ("Naples", "Van", "Prussian", "Egyptian", "Indian", "Mars", "Scheele's", "Han", "China")
MOST_NAMED = 3
"""Members named in a title; of more, the first and the one that looks least like it."""
ELEMENTS = {
    **{"Ag": "silver", "As": "arsenic", "Au": "gold", "Ba": "barium", "Br": "bromine", "Ca": "calcium"},
    **{"Cd": "cadmium", "Cl": "chlorine", "Co": "cobalt", "Cr": "chromium", "Cu": "copper", "Fe": "iron"},
    **{"Hg": "mercury", "K": "potassium", "Mn": "manganese", "Mo": "molybdenum", "P": "phosphorus", "Pb": "lead"},
    **{"S": "sulphur", "Sb": "antimony", "Se": "selenium", "Si": "silicon", "Sn": "tin", "Sr": "strontium"},
    **{"Ni": "nickel", "Ti": "titanium", "Zn": "zinc"},
}


def plain_title(name: str) -> str:
    """Return a pigment as it stands inside a sentence, without its varieties; an unknown identifier without dashes.

    >>> plain_title("titanium_white"), plain_title("naples_yellow"), plain_title("my_blue")
    ('titanium white', 'Naples yellow', 'my blue')
    """
    row = materials().get(name)
    title = re.sub(r"\s*([(,]| type ).*", "", row.title) if row else name.replace("_", " ")
    return title if title.startswith(PROPER) else title[:1].lower() + title[1:]


def spoken_members(members: Sequence[str]) -> str:
    """Return the members of a class as a title: all where they are few.

    >>> spoken_members(["lead_white", "massicot", "red_lead"]), spoken_members(["titanium_white"])
    ('lead white, massicot or red lead', 'titanium white')
    """
    by_title = {plain_title(name): name for name in reversed(members)}
    titles = [title for title in dict.fromkeys(map(plain_title, members)) if title]
    if len(titles) > MOST_NAMED:
        titles = [titles[0], _least_like([by_title[title] for title in titles]), f"{len(titles) - 2} others"]
    return " or ".join(part for part in (", ".join(titles[:-1]), *titles[-1:]) if part)


def spoken_markers(markers: Sequence[str]) -> str:
    """Return elements as words: "lead and tin".

    >>> spoken_markers(["Pb"]), spoken_markers(["Co", "K", "As"])
    ('lead', 'cobalt, potassium and arsenic')
    """
    words = [ELEMENTS.get(symbol, symbol) for symbol in markers]
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def member_colour(members: Sequence[str]) -> tuple[float, float, float]:
    """Return the colour (sRGB, 0 to 1) of the first member that has one; grey where none has."""
    known = (materials()[name].rgb for name in members if name in materials())
    return next((colour for colour in known if colour is not None), (0.5, 0.5, 0.5))


def _least_like(members: Sequence[str]) -> str:
    """Title of the member whose colour is furthest from that of the first."""
    rows: list[Material] = [materials()[name] for name in members if name in materials()]
    coloured = [row for row in rows if row.rgb is not None]
    if len(coloured) < 2 or coloured[0].name != members[0]:
        return plain_title(members[1])
    lab = srgb_to_lab(np.array([row.rgb for row in coloured]))
    return plain_title(coloured[int(np.argmax(colour_difference(lab[:1], lab)))].name)
