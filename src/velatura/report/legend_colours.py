"""Colours for a legend of pigments: near the pigments' own, yet apart, also for colour-blind readers."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from velatura.imaging.colour import colour_difference, srgb_to_lab

# what red-blind and green-blind readers see, on linear sRGB (Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009) 1291)
RED_BLIND = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
GREEN_BLIND = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
LEVELS = (0.06, 0.2, 0.33, 0.47, 0.6, 0.73, 0.86, 1.0)  # of red, green and blue among which colours are chosen
APART = 14.0  # CIEDE2000 between any two colours of a legend that nobody mistakes
STRESS = 4.0  # units of CIELAB that a colour may move from the wanted one to gain one unit of distance
HUE_FIRST = (0.8, 1.0, 1.0)  # weights of L*, a*, b* in how near a colour is to the wanted one


def legend_colours(wanted: Sequence[tuple[float, float, float]], *, reserved: Sequence[str] = ()) -> list[str]:
    """Return one "#rrggbb" for each wanted colour (sRGB, 0 to 1): near it, and apart from all before.

    reserved: colours "#rrggbb" that are taken. Those wanted first come nearest to their own. Apart means for usual,
    red-blind and green-blind eyes alike; with more than about a dozen, neighbours come closer than APART.
    """
    if not wanted:
        return []
    candidates = np.array(list(product(LEVELS, repeat=3)))
    seen = _seen(candidates)
    away = (srgb_to_lab(np.array(wanted))[:, None] - seen[0][None]) * HUE_FIRST
    taken = np.array([[int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in reserved]).reshape(-1, 3)
    apart = np.min([_distance(seen, one) for one in _seen(taken).swapaxes(0, 1)], axis=0, initial=APART)
    chosen = []
    for near in np.linalg.norm(away, axis=-1):
        chosen.append(int(np.argmin(near + STRESS * np.maximum(APART - apart, 0))))
        apart = np.minimum(apart, _distance(seen, seen[:, chosen[-1]]))
        apart[chosen] = -np.inf
    return ["#{:02x}{:02x}{:02x}".format(*np.rint(255 * candidates[k]).astype(int)) for k in chosen]


def _distance(seen: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Least CIEDE2000 over the three kinds of eyes: [candidate] from [eye, candidate, 3] and [eye, 3]."""
    return colour_difference(seen, one[:, None]).min(axis=0)


def _seen(rgb: np.ndarray) -> np.ndarray:
    """CIELAB [eye, colour, 3] as usual, red-blind and green-blind eyes see sRGB colours [colour, 3]."""
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    eyes = [linear, *(np.clip(linear @ np.array(matrix).T, 0, 1) for matrix in (RED_BLIND, GREEN_BLIND))]
    back = [np.where(part > 0.0031308, 1.055 * np.maximum(part, 0) ** (1 / 2.4) - 0.055, 12.92 * part) for part in eyes]
    return np.stack([srgb_to_lab(np.clip(part, 0, 1)) for part in back])
