"""What no scan can show, by colour and by region: lakes on lead white are told, vermilion is not called unseen."""

import numpy as np
import pytest
import xarray as xr

from velatura.base.errors import InputError
from velatura.physics.material import material
from velatura.tasks.unseen_colours import colour_name, in_short, is_white, unseen_colours, unseen_pigments


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("madder_lake", "red"), ("vermilion", "red"), ("weld_lake", "yellow"), ("ultramarine", "blue"),
        ("indigo", "blue"), ("malachite", "green"), ("carbon_black", "black or brown"), ("bitumen", "black or brown"),
    ],
)  # fmt: skip
def test_pigments_have_the_colour_of_their_name(name, colour) -> None:
    assert colour_name(material(name)) == colour
    assert not is_white(material(name))


def test_whites_are_white_and_nothing_else_is() -> None:
    assert all(is_white(material(name)) for name in ("lead_white", "zinc_white", "chalk", "gypsum", "kaolin"))
    assert not any(is_white(material(name)) for name in ("massicot", "naples_yellow", "silver_leaf", "smalt"))


def test_what_was_not_yet_in_use_cannot_hide() -> None:
    early, late = (unseen_pigments({"period": period}) for period in ("1600-1650", "1900"))
    assert "alizarin crimson" in late["red"]
    assert "alizarin crimson" not in early["red"]
    assert "ultramarine" in early["blue"]
    assert set(early) <= {"red", "yellow", "blue", "green", "black or brown"}


def test_the_palette_of_the_user_holds() -> None:
    assert unseen_pigments({"palette": ["lead_white", "madder_lake"]}) == {"red": ("madder lake",)}
    assert "blue" not in unseen_pigments({"exclude": ["ultramarine", "ultramarine_natural", "indigo"]})
    with pytest.raises(InputError, match='did you mean "indigo"'):
        unseen_pigments({"exclude": ["indgo"]})


def maps(labels: np.ndarray) -> xr.Dataset:
    members = ["lead_white, red_lead", "cinnabar, vermilion"]
    return xr.Dataset(
        {"regions": (("y", "x"), labels)},
        {"region": ["A1", "A2", "A3"], "xrf_class": ["Pb", "Hg"], "members": ("xrf_class", members)},
    )


def row(region: str, name: str, found: float, paint: str = "visible") -> dict:
    titles = {"Pb": "lead white or red lead: Pb", "Hg": "vermilion: Hg"}
    return {"region": region, "paint": paint, "xrf_class": name, "pigments": titles[name], "found": found}


def test_regions_of_white_alone_are_open() -> None:
    labels = np.repeat([[0, 1, 2, -1]], 3, axis=0)
    rgb = np.zeros((3, 4, 3), np.float32)
    rgb[:, 0], rgb[0, 1] = (1, 0.5, 0), np.nan
    rows = [
        row("A1", "Pb", 0.9), row("A1", "Hg", 0.9, "hidden"), row("A1", "Hg", 0.1), row("A2", "Pb", 0.5),
        row("A2", "Hg", 0.6),
    ]  # fmt: skip
    trust = np.full((3, 4), 0.25, np.float32)
    white, red, nothing = unseen_colours(maps(labels), rgb, trust, rows=rows, unseen="madder lake")
    assert white.open
    assert "shows only lead white or red lead" in white.sentence
    assert "madder lake, which no scan shows" in white.sentence
    assert (white.colour, white.pixels, white.trust) == ("#ff8000", 3, 0.25)
    assert not red.open
    assert red.pixels == 2
    assert red.sentence.startswith("in region A2 lead white or red lead; vermilion could be tinted")
    assert nothing.open
    assert "shows no pigment" in nothing.sentence


def test_regions_without_a_colour_are_not_told_of() -> None:
    labels, rgb = np.repeat([[0, 1, 2, -1]], 3, axis=0), np.full((3, 4, 3), np.nan, np.float32)
    assert unseen_colours(maps(labels), rgb, np.zeros((3, 4)), rows=[], unseen="lakes") == ()


def test_words() -> None:
    assert in_short({"red": ("madder lake", "carmine lake")}) == "madder lake"
    assert in_short({}) == ""
