"""Spectra of paints from one palette of 21 pigments, as painters had them about 1890, seen by further instruments.

Whoever knows the palette has a far easier task: fewer classes, and hardly a mixture that imitates another class.
"""

from pathlib import Path

import jax
import numpy as np
from spectra_sets import DOSES, PER_DETECTOR, Spectra, joined, of_drawn, read_set, write_set

from velatura.scene.classes import class_matrix, xrf_classes
from velatura.scene.sampler import Sampling
from velatura.scene.sources import SourcePlan, read_group, source_group, write_group
from velatura.scene.training import draw

PALETTE = (
    "lead_white", "zinc_white", "barium_white", "chalk", "bone_black", "naples_yellow", "chrome_yellow",
    "cadmium_yellow", "yellow_ochre", "vermilion", "red_lead", "red_ochre", "viridian", "emerald_green", "azurite",
    "cobalt_blue", "cerulean_blue", "prussian_blue", "ultramarine", "smalt", "strontium_yellow",
)  # fmt: skip
PLAN_SEED, GROUPS, DRAWS = 9, 4, 4  # the first half of the groups sets thresholds
NEVER = 1000  # no group has strangers


def palette_set(*, test: bool, stacks: int, cache: Path) -> Spectra:
    """Return spectra at 2,000 to 50,000 counts from half of the groups; those of the other half set thresholds."""
    path = cache / f"set-palette-{'test' if test else 'tune'}-{stacks}.npz"
    if path.is_file():
        return read_set(path)
    plan = SourcePlan(
        groups=11, stacks=stacks, seed=PLAN_SEED, drawn=Sampling(palette=PALETTE), strange_every=NEVER
    )  # fmt: skip
    parts = []
    for number in range(2 + GROUPS // 2 * test, 2 + GROUPS // 2 * (1 + test)):
        stored = cache / f"palette-{stacks}-{number:04d}.npz"
        if not stored.is_file():
            write_group(stored, source_group(plan, number))
        group = read_group(stored)
        for turn in range(DRAWS):
            key = jax.random.key(1000 * number + turn)
            drawn = draw(group, xrf_classes(), PER_DETECTOR, counts=DOSES["2e3-5e4"], key=key)
            parts.append(of_drawn(drawn, np.full(len(drawn.dose), number)))
    return write_set(path, joined(parts))


def allowed() -> np.ndarray:
    """Return which classes the palette holds, bool [class]."""
    return class_matrix(PALETTE, xrf_classes()).any(axis=0)
