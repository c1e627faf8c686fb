"""The colours of a paint beneath, from the pigments that identification finds there.

No network: the classes found beneath a pixel are mixed as paint by their estimated shares, and two-flux light says how
the mixture looks on a light ground. The less sure they are, the more the colour fades to grey: that, and neighbours
that decide together, bring the mean CIEDE2000 on a simulated panel of 5,000 counts a pixel from 31 down to 17. A class
names elements, not a colour: its usual member speaks for it, and where its members look different, the answer says so
and is trusted less.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from velatura.imaging.colour import colour_difference, lab_to_srgb, srgb_to_lab
from velatura.physics.material import Material, material
from velatura.tasks.pigment_rules import spoken

USUAL = {"Ca-P": "bone_black", "Co-K": "smaltino", "Hg": "vermilion", "Mn": "manganese_black"}
"""Members by far more usual than the first of their class in the table, where they were in use (assumed)."""
DOUBT = 20.0  # mean CIEDE2000 between members of a class at which its colour is trusted half (assumed)
UNLIKE = 10.0  # CIEDE2000 from which a member of a class counts as another colour (assumed)
NAMED = 3  # such members that a note names
BENEATH = 0.5  # probability of a paint beneath from which it is coloured
MIDDLE_GREY = np.array([50.0, 0.0, 0.0])  # CIELAB
SUREST = 0.99  # probability above which odds grow no more
LEAST_SHARE = 1e-3  # of a class that is found: its share may have been rounded to nothing
TOLD = 0.05  # of all mixtures that a class must make up to be told of
ROWS = 2**16  # pixels that are worked on together, in whole rows


class HiddenColours(NamedTuple):
    """The paint beneath as it may look without what covers it."""

    rgb: np.ndarray
    """sRGB 0 to 1, float32 [y, x, 3]; NaN where nothing is found beneath."""
    trust: np.ndarray
    """0 to 1, float32 [y, x]; 0 where nothing is found beneath."""
    notes: tuple[str, ...]
    """Sentences a reader should know."""


class Speaker(NamedTuple):
    """The member that speaks for the colour of an XRF class."""

    usual: Material
    unlike: tuple[str, ...]
    """Members that were in use and look different, by name."""
    sure: float
    """1 where all members look alike, less the more they differ."""


def hidden_colours(pigments: xr.Dataset, *, blur: float = 1.0) -> HiddenColours:
    """Return the colours of the paint beneath; pigments: a result of `identify` (docs/results.md, maps/identify).

    blur: standard deviation [pixels] over which neighbours decide together; single ones know too little for a picture.
    A class counts where its probability in the hidden paint reaches its threshold and a second paint, or one of the
    classes beneath, is more likely than not. Classes are mixed by their shares of mass times the odds that they are
    there; K and S add up by volume (Duncan, Proc. Phys. Soc. 52 (1940) 390). The colour is that of the mixture by the
    mean probability of its classes, and middle grey by the rest (in CIELAB). Trust is the probability of what lies
    beneath, times that of nothing unknown, times the mean over the classes of probability and of how alike their
    members look (`speaker`).
    """
    speakers = [speaker(str(name), str(row).split(", ")) for name, row in zip(
        pigments.xrf_class.values, pigments.members.values, strict=True)]  # fmt: skip
    pigments = around(pigments, blur) if blur else pigments.sel(paint="hidden")
    height, width = pigments.hidden.shape
    rgb, trust = np.full((height, width, 3), np.nan, np.float32), np.zeros((height, width), np.float32)
    held = np.zeros(len(speakers))
    step = max(1, ROWS // width)
    for start in range(0, height if speakers else 0, step):
        rows = slice(start, start + step)
        beneath, probability, weight = _weights(pigments.isel(y=rows))
        here = weight.any(axis=-1)
        if here.any():
            share = weight[here] / weight[here].sum(axis=-1, keepdims=True)
            held += share.sum(axis=0)
            chance, alike = probability[here], np.array([one.sure for one in speakers], np.float32)
            mixture = painted([one.usual for one in speakers], share)
            rgb[rows][here] = faded(mixture, (share * chance).sum(axis=-1))
            known = 1 - np.nan_to_num(pigments.unknown.values[rows][here])
            trust[rows][here] = beneath[here] * known * (share * chance * alike).sum(axis=-1)
    return HiddenColours(
        rgb, trust, _notes([one for one, part in zip(speakers, held, strict=True) if part > TOLD * held.sum()])
    )


def around(pigments: xr.Dataset, blur: float) -> xr.Dataset:
    """Return what identification says of the hidden paint, each pixel with its neighbours that have an answer.

    Shares are averaged where their class is likely. What has no answer keeps none.
    """
    from scipy.ndimage import gaussian_filter

    there = np.isfinite(pigments.hidden.values)
    near = np.maximum(gaussian_filter(there.astype(np.float32), blur), LEAST_SHARE)

    def mean(image: np.ndarray) -> np.ndarray:
        return np.where(there, gaussian_filter(np.where(there, image, 0).astype(np.float32), blur) / near, 0)

    hidden = pigments.sel(paint="hidden").copy()
    probability = np.zeros(hidden.probability.shape, np.float32)
    share = np.zeros_like(probability)
    for number, (one, part) in enumerate(zip(hidden.probability.values, hidden.share.values, strict=True)):
        probability[number] = mean(one)
        share[number] = mean(one.astype(np.float32) * part) / np.maximum(probability[number], LEAST_SHARE)
    image = ("xrf_class", "y", "x")
    single: dict[str, Any] = {name: (("y", "x"), mean(hidden[name].values)) for name in ("hidden", "unknown")}
    return hidden.assign(probability=(image, probability), share=(image, share), **single)


def painted(pigments: Sequence[Material], mass: np.ndarray) -> np.ndarray:
    """Return how mixtures of pigments by mass [n, pigment] look as paint on a light ground: sRGB float32 [n, 3]."""
    from velatura.scene.image_paint import GROUND_COLOUR, LOADING, THICKNESS
    from velatura.scene.render import Coat, appearance, below_surface, coefficients, display, linear

    volume = mass / np.array([row.density for row in pigments])
    share = LOADING * volume / volume.sum(axis=-1, keepdims=True)
    absorption, scattering = coefficients([row.name for row in pigments])
    ground = below_surface(linear(np.array(GROUND_COLOUR)))
    coat = Coat(share @ absorption, share @ scattering, THICKNESS)
    return display(appearance([coat], support=ground)).astype(np.float32)


def faded(rgb: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Return colours sRGB [n, 3] as they are where `sure` [n] is 1, and middle grey where it is 0; float32."""
    lab = sure[:, None] * srgb_to_lab(rgb) + (1 - sure[:, None]) * MIDDLE_GREY
    return lab_to_srgb(lab).astype(np.float32)


def speaker(name: str, members: Sequence[str]) -> Speaker:
    """Return who speaks for an XRF class, given those of its members that were in use.

    How sure its colour is: 1 / (1 + d / 20), d the mean CIEDE2000 from the usual member to the others.
    """
    usual = material(USUAL[name] if USUAL.get(name) in members else members[0])
    others = [row for row in map(material, members) if row.name != usual.name and row.rgb is not None]
    if usual.rgb is None or not others:
        return Speaker(usual, (), 1.0)
    distance = colour_difference(*(srgb_to_lab(np.array(rgb)) for rgb in (usual.rgb, [row.rgb for row in others])))
    unlike = tuple(row.name for row, far in zip(others, distance > UNLIKE, strict=True) if far)
    return Speaker(usual, unlike, float(1 / (1 + distance.mean() / DOUBT)))


def _weights(hidden: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability of a paint beneath [y, x], of each class, and share times odds of those found [y, x, class]."""
    probability, share = (
        maps.values.transpose(1, 2, 0).astype(np.float32) for maps in (hidden.probability, hidden.share)
    )
    found = (probability >= hidden.threshold.values.astype(np.float16)) & (probability > 0)
    likeliest = np.where(found, probability, 0).max(axis=-1, initial=0)
    beneath = np.where(np.isfinite(hidden.hidden.values), np.fmax(hidden.hidden.values, likeliest), 0)
    found &= (beneath >= BENEATH)[..., None]
    odds = probability / (1 - np.minimum(probability, SUREST))
    return beneath, probability, np.where(found, odds * np.maximum(share, LEAST_SHARE), 0)


def _notes(speakers: Sequence[Speaker]) -> tuple[str, ...]:
    if not speakers:
        return ("no pigment is found beneath the visible paint: there is no hidden figure to colour",)
    notes = []
    for one in speakers:
        if titles := list(dict.fromkeys(_short(name) for name in one.unlike)):
            more = f" and {len(titles) - NAMED} more" if len(titles) > NAMED else ""
            notes.append(
                f"beneath, {_short(one.usual.name)} speaks for pigments that look different and show the same "
                f"elements: {', '.join(titles[:NAMED])}{more}"
            )
    return tuple(notes)


def _short(name: str) -> str:
    return spoken(name).partition(" (")[0]
