"""The paints of the demo panel: a bust of about 1700, and the landscape that somebody put over it about 1880.

Each passage is mixed, stroke by stroke, from a dark and a light paint of the painter's palette.
"""

from dataclasses import dataclass

import numpy as np

from velatura.physics.material import Paint
from velatura.scene.render import Coat, coat

LOADING = 0.4  # volume share of pigment in every paint


@dataclass(frozen=True)
class Recipe:
    """Volume shares of the pigments in a passage's dark and light paint; each sums to 1."""

    dark: dict[str, float]
    light: dict[str, float]

    def mixed(self, light: np.ndarray | float) -> dict[str, np.ndarray]:
        """Volume share of each pigment, for a share `light` of the light paint (a number or a map)."""
        names = dict.fromkeys((*self.dark, *self.light))
        light = np.asarray(light, np.float64)
        return {name: light * self.light.get(name, 0.0) + (1 - light) * self.dark.get(name, 0.0) for name in names}

    def paint(self, name: str, *, light: float) -> Paint:
        """Return the mixture as a paint for the forward model."""
        shares = {pigment: float(share) for pigment, share in self.mixed(light).items() if share > 0}
        return Paint(f"{name} {light:g}", shares, loading=LOADING)

    def coat(self, light: np.ndarray, *, thickness: np.ndarray) -> Coat:
        """Return the mixture as light meets it; light, thickness [um]: [...]."""
        return coat(self.mixed(light), thickness=thickness, loading=LOADING)


COVERS = {
    "sky": Recipe(
        {"cobalt_blue": 0.24, "ultramarine": 0.20, "zinc_white": 0.36, "chalk": 0.15, "madder_lake": 0.05},
        {"zinc_white": 0.675, "chalk": 0.30, "naples_yellow": 0.025},
    ),
    "hills": Recipe(
        {"ultramarine": 0.38, "viridian": 0.08, "zinc_white": 0.30, "chalk": 0.14, "madder_lake": 0.10},
        {"zinc_white": 0.60, "chalk": 0.24, "ultramarine": 0.10, "viridian": 0.02, "madder_lake": 0.04},
    ),
    "foliage": Recipe(
        {"viridian": 0.42, "yellow_ochre": 0.30, "bone_black": 0.28},
        {"yellow_ochre": 0.50, "emerald_green": 0.35, "chrome_yellow": 0.15},
    ),
    "meadow": Recipe(
        {"raw_sienna": 0.50, "viridian": 0.28, "bone_black": 0.22},
        {"yellow_ochre": 0.60, "zinc_white": 0.23, "chalk": 0.10, "chrome_yellow": 0.04, "viridian": 0.03},
    ),
    "earth": Recipe(
        {"burnt_sienna": 0.60, "bone_black": 0.40},
        {"zinc_white": 0.52, "chalk": 0.20, "yellow_ochre": 0.23, "red_ochre": 0.05},
    ),
    "water": Recipe(
        {"cobalt_blue": 0.40, "viridian": 0.10, "bone_black": 0.25, "zinc_white": 0.25},
        {"zinc_white": 0.65, "chalk": 0.30, "naples_yellow": 0.03, "cobalt_blue": 0.02},
    ),
    "sun": Recipe({"chrome_yellow": 0.55, "zinc_white": 0.45}, {"zinc_white": 0.90, "chrome_yellow": 0.10}),
    "retouch": Recipe(
        {"titanium_white": 0.25, "ultramarine": 0.20, "cobalt_blue": 0.53, "madder_lake": 0.02},
        {"titanium_white": 0.80, "zinc_white": 0.20},
    ),
    "flowers": Recipe({"strontium_yellow": 0.80, "cadmium_yellow": 0.20}, {"strontium_yellow": 1.0}),
}
FIGURE = {
    "flesh": Recipe(
        {"burnt_umber": 0.36, "lead_white": 0.28, "red_ochre": 0.28, "vermilion": 0.08},
        {"lead_white": 0.93, "vermilion": 0.045, "yellow_ochre": 0.025},
    ),
    "robe": Recipe({"azurite": 0.80, "madder_lake": 0.12, "bone_black": 0.08}, {"azurite": 0.72, "lead_white": 0.28}),
    "hair": Recipe(
        {"burnt_umber": 0.75, "bone_black": 0.25},
        {"burnt_umber": 0.35, "yellow_ochre": 0.45, "lead_tin_yellow_i": 0.20},
    ),
    "collar": Recipe(
        {"lead_tin_yellow_i": 0.65, "yellow_ochre": 0.35}, {"lead_tin_yellow_i": 0.85, "lead_white": 0.15}
    ),
}
TONE = Recipe({"bone_black": 0.18, "carbon_black": 0.02, "chalk": 0.50, "zinc_white": 0.30}, {"zinc_white": 1.0})
"""The thin grey, all dark, that the later painter laid over the bust before starting anew."""
