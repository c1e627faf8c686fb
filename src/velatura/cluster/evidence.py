"""Numbers that tell a hidden shape from chance, from the visible painting, and from uneven paint."""

import numpy as np
from scipy.ndimage import binary_erosion

STEP = 4  # pixels across an outline


def morans_i(image: np.ndarray, used: np.ndarray) -> float:
    """Moran's I (1950) with the four neighbours: 1 for a smooth or solid map, 0 for chance.

    image: [y, x]; used: bool [y, x], pixels and pairs that count.
    """
    values = np.where(used, image - image[used].mean(), 0.0)
    variance = float((values[used] ** 2).mean())
    if variance < 1e-12:
        return 0.0
    pairs = [
        (values[1:], values[:-1], used[1:] & used[:-1]),
        (values[:, 1:], values[:, :-1], used[:, 1:] & used[:, :-1]),
    ]
    count = sum(int(both.sum()) for *_, both in pairs)
    return sum(float((one * other)[both].sum()) for one, other, both in pairs) / max(count, 1) / variance


def core(inside: np.ndarray) -> np.ndarray:
    """Return the pixels of a shape whose four neighbours belong to it too: bool [y, x]; the image's border is open."""
    return binary_erosion(inside, border_value=1)


def outline_step(line: np.ndarray, inside: np.ndarray, passages: np.ndarray, *, which: list[int]) -> float:
    """How much of the contrast between inside and outside is there within STEP pixels across the outline.

    1: an edge, as a painted shape has; well below: a slope, as uneven thickness has. line: counts [y, x]; inside: bool
    [y, x]; passages: int [y, x]; `which` passages are looked at, each by itself. 0 where there is no outline.
    """
    near = whole = 0.0
    for passage in which:
        here = passages == passage
        within, without = inside & here, ~inside & here
        if not within.any() or not without.any():
            continue
        contrast = float(line[within].mean() - line[without].mean())
        for one, other in ((np.s_[STEP:], np.s_[:-STEP]), (np.s_[:, STEP:], np.s_[:, :-STEP])):
            for first, second in ((one, other), (other, one)):
                across = within[first] & without[second]
                near += float((line[first] - line[second])[across].sum())
                whole += contrast * int(across.sum())
    return near / whole if whole > 0 else 0.0
