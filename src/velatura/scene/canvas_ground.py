"""What pictures are painted on: canvas, panel or plaster, and the ground over it."""

from typing import NamedTuple

import numpy as np

from velatura.physics.material import Paint
from velatura.physics.stack import Layer

SUPPORTS = {"linen_canvas": (200.0, 450.0), "wood_panel": (8e3, 2.5e4), "chalk": (3e3, 1e4)}  # um
SUPPORT_ODDS = (0.62, 0.28, 0.10)
PLASTER = "chalk"  # stands for lime plaster, which is the same carbonate; it needs no ground
GROUNDS = (
    ({"lead_white": 0.3, "chalk": 0.7}, (0.90, 0.87, 0.78), 0.25),
    ({"lead_white": 1.0}, (0.93, 0.91, 0.84), 0.15),
    ({"chalk": 1.0}, (0.91, 0.88, 0.80), 0.20),
    ({"gypsum": 1.0}, (0.92, 0.90, 0.84), 0.20),
    ({"red_bole": 0.7, "chalk": 0.3}, (0.56, 0.32, 0.23), 0.10),
    ({"yellow_ochre": 0.25, "chalk": 0.6, "lead_white": 0.15}, (0.76, 0.66, 0.48), 0.10),
)  # volume shares, colour as painters left it (sRGB, judged by eye), share of pictures
THICKNESS = (40.0, 250.0)  # um of a ground
LOADING = 0.5  # volume share of its pigments


class Bed(NamedTuple):
    """What the paint lies on."""

    layers: tuple[Layer, ...]
    """Support first."""
    rgb: tuple[float, float, float]
    """Its colour, sRGB 0 to 1."""


def draw_bed(*, rng: np.random.Generator) -> Bed:
    """Draw a support and a ground."""
    support = str(rng.choice(list(SUPPORTS), p=SUPPORT_ODDS))
    low, high = SUPPORTS[support]
    base = Layer(Paint("support", {support: 1.0}, loading=1.0), float(np.exp(rng.uniform(np.log(low), np.log(high)))))
    pigments, rgb, _ = GROUNDS[rng.choice(len(GROUNDS), p=[odds for _, _, odds in GROUNDS])]
    depth = float(np.exp(rng.uniform(*np.log(THICKNESS))))
    if support == PLASTER:
        return Bed((base,), (0.90, 0.88, 0.82))
    return Bed((base, Layer(Paint("ground", pigments, loading=LOADING), depth)), rgb)
