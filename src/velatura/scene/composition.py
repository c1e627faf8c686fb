"""Where the paints lie on the demo panel: a landscape, and the bust beneath it. Labels only; no physics.

Coordinates: `v` runs from 0 at the top to 1 at the bottom, `u` from 0 at the left to 1 at the right.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

VISIBLE = ("sky", "hills", "foliage", "meadow", "path", "water", "sun", "retouch")
HIDDEN = ("none", "flesh", "robe", "hair", "collar")


def landscape(shape: tuple[int, int], *, rng: np.random.Generator) -> np.ndarray:
    """Draw a landscape: labels int8 [y, x] into VISIBLE; hills, path, trees and shore differ from seed to seed."""
    v, u = _grid(shape)
    phase = rng.uniform(0, 2 * np.pi, 8)
    wave = [np.sin(f * u + p) for f, p in zip((5, 9, 17, 4, 7, 23, 6, 11), phase, strict=True)]
    horizon = 0.55 + 0.02 * wave[3]
    ridge = 0.38 + 0.05 * wave[0] + 0.03 * wave[1] + 0.008 * wave[2]
    labels = np.full(shape, VISIBLE.index("sky"), np.int8)
    labels[np.hypot(v - rng.uniform(0.10, 0.16), (u - rng.uniform(0.74, 0.86)) * 0.8) < 0.052] = VISIBLE.index("sun")
    labels[v > ridge] = VISIBLE.index("hills")
    labels[v > horizon] = VISIBLE.index("meadow")
    shore = 0.62 + 0.03 * wave[4] + 0.16 * np.clip(u - 0.15, 0, None)
    lake = (v > horizon + 0.025 + 0.01 * wave[1]) & (v < shore + 0.14) & (u < 0.62 + 0.05 * np.sin(14 * v + phase[5]))
    labels[lake] = VISIBLE.index("water")
    depth = np.clip((v - horizon) / (1 - horizon), 0, 1)
    centre = 0.78 - 0.28 * depth**1.3 + 0.07 * np.sin(6 * depth + phase[6])
    labels[(v > horizon + 0.02) & (abs(u - centre) < 0.02 + 0.10 * depth)] = VISIBLE.index("path")
    labels[_trees(v, u, rng)] = VISIBLE.index("foliage")
    patch = np.hypot((v - rng.uniform(0.84, 0.9)) / 0.035, (u - rng.uniform(0.1, 0.2)) / 0.05)
    labels[patch + 0.25 * wave[5] < 1] = VISIBLE.index("retouch")
    return labels


def bust(shape: tuple[int, int], *, rng: np.random.Generator) -> np.ndarray:
    """Draw the hidden figure, head and shoulders: labels int8 [y, x] into HIDDEN; its place differs by seed."""
    v, u = _grid(shape)
    u = (u - 0.5 - rng.uniform(-0.05, 0.05)) * shape[1] / shape[0]
    v = v - 0.40 - rng.uniform(-0.03, 0.03)
    labels = np.zeros(shape, np.int8)
    face = (u / 0.115) ** 2 + ((v + 0.01) / 0.155) ** 2 < 1
    neck = (abs(u) < 0.062) & (v > 0.05) & (v < 0.25)
    locks = (u / 0.175) ** 2 + ((v + 0.03) / 0.205) ** 2 < 1
    locks |= (abs(abs(u) - 0.125) < 0.042 + 0.01 * np.sin(40 * v)) & (v > 0) & (v < 0.19)
    fringe = (v < -0.085 - 0.25 * (u - 0.02) ** 2 / 0.1) & face
    shoulder = 0.215 + 0.55 * np.clip(abs(u) - 0.06, 0, None) ** 1.6 + 4.0 * np.clip(abs(u) - 0.24, 0, None) ** 2
    labels[v > shoulder] = HIDDEN.index("robe")
    labels[locks & (v < 0.22)] = HIDDEN.index("hair")
    labels[face | neck] = HIDDEN.index("flesh")
    labels[fringe] = HIDDEN.index("hair")
    bottom = 0.262 - 0.9 * u**2
    labels[(abs(u) < 0.12) & (v < bottom) & (v > bottom - 0.042)] = HIDDEN.index("collar")
    return labels


def smooth_field(shape: tuple[int, int], *, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Return a smooth random field float64 [y, x] of mean 0 and standard deviation 1; `scale`: correlation [pixels]."""
    field = gaussian_filter(rng.normal(size=shape), scale, mode="reflect")
    return (field - field.mean()) / field.std()


def _grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    v, u = np.mgrid[: shape[0], : shape[1]]
    return (v + 0.5) / shape[0], (u + 0.5) / shape[1]


def _trees(v: np.ndarray, u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A tall tree on the left with trunk and crown, and bushes on the right: bool [y, x]."""
    left = rng.uniform(0.14, 0.22)
    trunk = (abs(u - left - 0.02 * np.sin(5 * v)) < 0.022 + 0.02 * np.clip(v - 0.7, 0, 1)) & (v > 0.3) & (v < 0.78)
    crown = np.zeros(v.shape, bool)
    for _ in range(9):
        y, x, r = 0.29 + rng.uniform(-0.13, 0.13), left + rng.uniform(-0.13, 0.15), rng.uniform(0.055, 0.095)
        crown |= np.hypot(v - y, (u - x) * 0.8) < r
    for x in (0.93, 1.0, 0.87, 0.97):
        y, r = rng.uniform(0.55, 0.75), rng.uniform(0.05, 0.09)
        crown |= np.hypot(v - y, (u - x) * 0.8) < r
    return trunk | crown
