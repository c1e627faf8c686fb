"""A picture painted again: each colour becomes the paint of a palette that looks most like it, on a grounded canvas.

And the palettes by name: the twelve pigments of the recolouring paper, all pigments, or any list.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np

from velatura.base.errors import InputError
from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.physics.instrument import Instrument
from velatura.physics.material import Materials, Paint, material, materials
from velatura.physics.simulate import expected_counts, prepare
from velatura.physics.stack import Stack, pack
from velatura.scene.ganx import CHANNELS, WINDOW, Colours, Palette, make_palette
from velatura.scene.painting import Painting, Passage, varied_thickness
from velatura.scene.render import appearance, coat, display, linear
from velatura.scene.sampler import LEAF

TWELVE = "recolouring12"
MIXED = np.linspace(0.1, 0.9, 9)  # volume shares of a pigment in a mixture of two
TINTED = (0.3, 0.6, 0.85)  # volume shares of white in a tint of such a mixture
WHITES = ("lead_white", "titanium_white", "zinc_white")
LOADING, THICKNESS = 0.4, 35.0  # pigment volume share, um
GROUND = Paint("ground", {"lead_white": 0.3, "chalk": 0.7}, loading=0.5)
CANVAS = Paint("canvas", {"linen_canvas": 1.0}, loading=1.0)
GROUND_COLOUR = (0.90, 0.87, 0.78)  # sRGB
LIBRARY_THICKNESS = 300.0  # um of a reference sample: thick enough that what lies beneath hardly shows


def named_palette(name: str, table: Materials | None = None) -> tuple[str, ...]:
    """Return the pigments of a palette: `recolouring12`, `all`, or names with commas between.

    Raises InputError with a near miss for an unknown pigment.
    """
    table = materials() if table is None else table
    if name == TWELVE:
        return tuple(key for key, row in table.items() if row.recolouring)
    if name == "all":
        return tuple(key for key, row in table.items() if row.kind == "pigment" and key not in LEAF)
    return tuple(material(part.strip(), table).name for part in name.split(","))


def library_of(
    pigments: tuple[str, ...], instrument: Instrument, *, window: tuple[float, float] = WINDOW, channels: int = CHANNELS
) -> Palette:
    """Return ganX's palette from physics: the spectrum of a thick sample of each pigment in oil, as a head measures it.

    window: outer edges of the energy axis [keV]; channels: on it. Raises InputError for a pigment without a colour.
    """
    low, high = window
    gain = (high - low) / channels
    head = replace(instrument, channels=channels, zero=low + gain / 2, gain=gain)
    stacks = [Stack().paint(Paint(name, {name: 1.0}, LOADING), thickness=LIBRARY_THICKNESS) for name in pigments]
    scanner = prepare(head)
    spectra = expected_counts(pack(stacks, scanner.elements), scanner, cells=6)
    rows = [material(name) for name in pigments]
    if colourless := [row.name for row in rows if row.rgb is None]:
        raise InputError(f"{', '.join(colourless)} has no colour in the table. Leave it out, or add srgb_hex")
    return make_palette(pigments, np.array([row.rgb for row in rows]), spectra, energy=scanner.axis)


def paint_image(found: Colours, pigments: tuple[str, ...], *, pitch: float = 0.5, rng: np.random.Generator) -> Painting:
    """Return a painting that looks like the picture of these colours, as far as the palette goes.

    found: colours of the picture (`choose_colours`); pigments: one, two, or two and a white go into each paint.
    Paint 35 um thick, wandering by a fifth, on lead white and chalk on canvas.
    """
    paints, rgb = _candidates(pigments)
    candidates = srgb_to_lab(rgb.astype(np.float32))
    nearest = [int(np.argmin(colour_difference(srgb_to_lab(c), candidates))) for c in found.rgb]
    shape = found.labels.shape
    thickness = varied_thickness(THICKNESS, shape, relative=0.2, scale=max(shape) / 25, rng=rng)
    passages = [
        Passage(paints[choice], thickness, np.isin(found.labels, np.flatnonzero(np.array(nearest) == choice)))
        for choice in sorted(set(nearest))
    ]
    ground = varied_thickness(120.0, shape, relative=0.1, scale=max(shape) / 10, rng=rng)
    canvas = Painting(shape, pitch).support(CANVAS, thickness=500.0).ground(GROUND, thickness=ground)
    return canvas.passages(*passages, name="picture")


def _candidates(pigments: tuple[str, ...]) -> tuple[list[Paint], np.ndarray]:
    """Paints that can be mixed, and how they look on the ground, sRGB float64 [paint, 3]."""
    recipes = [{name: 1.0} for name in pigments]
    recipes += [{a: s, b: 1 - s} for a, b in combinations(pigments, 2) for s in MIXED.round(2).tolist()]
    if white := next((name for name in WHITES if name in pigments), None):
        coloured = [name for name in pigments if name != white]
        recipes += [
            {white: w, a: (1 - w) * s, b: (1 - w) * (1 - s)}
            for a, b in combinations(coloured, 2)
            for w in TINTED
            for s in (0.25, 0.5, 0.75)
        ]
    paints = [Paint(" + ".join(recipe), recipe, LOADING) for recipe in recipes]
    ground = linear(np.array(GROUND_COLOUR))
    seen = [appearance([coat(recipe, thickness=THICKNESS, loading=LOADING)], support=ground) for recipe in recipes]
    return paints, display(np.array(seen))
