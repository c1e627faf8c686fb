"""Colours learned from a photograph pixel by pixel, without a network: each pixel's features tell its colour.

What is learned is CIELAB. Features are the embedded spectrum as it is, its mean over the neighbourhood (counts are few,
paint goes on), and what a recolourer makes of it, where there is one.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from velatura.imaging.colour import lab_to_srgb, srgb_to_lab

BLURS = (0.7, 2.0)  # pixels, standard deviations of the means over the neighbourhood
RIDGE = 1e-2  # squared length that a coefficient of standardised features costs, to a mean squared error
WIDE = 4.0  # standard deviations beyond which a feature is taken to be no farther
PRODUCTS = 16  # principal directions of the features whose products are features too
DIRECTIONS = 8  # principal directions in which likeness is measured
NEIGHBOURS = 15
MOST = 8192  # pixels that are compared with: of more, every second, third, ... is taken
MOST_FITTED = 65536  # pixels to which a function is fitted, likewise
TOGETHER = 65536  # pixels that are worked on at once
SPREADS = (12.0, 4.0, 1.5)  # pixels, standard deviations over which what is left over is spread, one after the other
LEAST_NEAR = 0.02  # weight of nothing beside that of the pixels near by: far from all of them nothing is added
TINY = 1e-12  # squared deviation of a direction along which nothing differs
LAB_SCALE = 20.0  # of CIELAB among the features


def pixel_features(embedded: np.ndarray, answered: np.ndarray, plain: np.ndarray | None = None) -> np.ndarray:
    """Return what per-pixel colours are learned from, float32 [y, x, feature].

    embedded: [y, x, f], standardised; answered: pixels that count, bool [y, x]; plain: what a recolourer makes of them,
    sRGB 0 to 1 [y, x, 3]. Means over the neighbourhood leave other pixels out.
    """
    known = answered.astype(np.float32)
    shown = np.where(answered[..., None], embedded, np.float32(0)).astype(np.float32)
    if plain is not None:
        lab = srgb_to_lab(np.where(answered[..., None], plain, 0)) / LAB_SCALE
        shown = np.concatenate([shown, np.where(answered[..., None], lab, 0).astype(np.float32)], axis=-1)
    parts = [shown]
    for blur in BLURS:
        weight = np.maximum(gaussian_filter(known, blur), 1e-6)[..., None]
        parts.append((gaussian_filter(shown, (blur, blur, 0)) / weight).astype(np.float32))
    return np.concatenate(parts, axis=-1)


def corrected_colours(plain: np.ndarray, photo: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return colours put right as a whole: the affine map of CIELAB that brings them closest to the photograph.

    plain, photo: sRGB 0 to 1 [y, x, 3]; where: bool [y, x], pixels to learn from (least squares). float32 [y, x, 3].
    """
    lab = srgb_to_lab(plain)
    return _colours(_ridge(lab[where], srgb_to_lab(photo[where]))(lab.reshape(-1, 3)), plain.shape)


def linear_colours(features: np.ndarray, photo: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return CIELAB as a linear function of features and of products of their principal directions (ridge regression).

    features: [y, x, f]; photo: sRGB 0 to 1 [y, x, 3]; where: bool [y, x], pixels to learn from. sRGB float32 [y, x, 3].
    """
    flat = features.reshape(-1, features.shape[-1])
    directions = principal_directions(flat[where.ravel()], PRODUCTS)
    one, other = np.triu_indices(directions.vectors.shape[-1])

    def expanded(rows: np.ndarray) -> np.ndarray:
        main = directions.along(rows)
        return np.concatenate([rows, main[:, one] * main[:, other]], axis=1)

    known = thinned_rows(where, MOST_FITTED)
    colours = _ridge(expanded(flat[known]), srgb_to_lab(photo.reshape(-1, 3)[known]))
    parts = [colours(expanded(flat[k : k + TOGETHER])) for k in range(0, len(flat), TOGETHER)]
    return _colours(np.concatenate(parts), photo.shape)


def nearby_colours(features: np.ndarray, photo: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return `linear_colours` with what they leave over of the photograph, spread to the pixels near by.

    At each of three widths, from coarse to fine, the mean of what is left over (CIELAB) under a Gaussian is added
    (normalised convolution: Knutsson and Westin, CVPR 1993, 515). What spectra do not show, such as lakes, is so taken
    from the surroundings; far from the photograph nothing is added. Parameters and answer as of `linear_colours`.
    """
    lab, known = srgb_to_lab(linear_colours(features, photo, where)), where.astype(float)
    wanted = srgb_to_lab(np.where(where[..., None], photo, 0))
    for width in SPREADS:
        left = np.where(where[..., None], wanted - lab, 0)
        near = gaussian_filter(known, width, mode="constant")[..., None]
        lab += gaussian_filter(left, (width, width, 0), mode="constant") / (near + LEAST_NEAR)
    return _colours(lab, photo.shape)


def neighbour_colours(features: np.ndarray, photo: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the mean colour (CIELAB) of the 15 pixels of the photograph with the most similar features.

    Parameters and answer as of `linear_colours`; near ones count more, by 1 / distance (Shepard, Proc. ACM (1968) 517).
    """
    main = alike(features, where)
    rows = thinned_rows(where)
    distance, found = nearest(main[rows], main, NEIGHBOURS)
    weight = 1 / (distance + 1e-3)
    known = srgb_to_lab(photo.reshape(-1, 3)[rows])
    lab = np.einsum("nk,nkc->nc", weight / weight.sum(axis=1, keepdims=True), known[found])
    return _colours(lab, photo.shape)


class Directions(NamedTuple):
    """Strongest directions of features, the strongest first."""

    centre: np.ndarray
    spread: np.ndarray
    vectors: np.ndarray
    """[feature, direction], scaled to unit deviation."""

    def along(self, rows: np.ndarray) -> np.ndarray:
        """Return features [n, f] along the directions, float32 [n, direction], within 4 standard deviations."""
        standard = np.clip((rows - self.centre) / self.spread, -WIDE, WIDE)
        return np.clip(standard @ self.vectors, -WIDE, WIDE).astype(np.float32)


def principal_directions(rows: np.ndarray, number: int) -> Directions:
    """Return the strongest directions of features [n, f] after each was brought to unit deviation, `number` at most."""
    centre, spread = rows.mean(axis=0), rows.std(axis=0) + np.float32(1e-6)
    standard = (rows - centre) / spread
    values, vectors = np.linalg.eigh(standard.T @ standard / len(rows))
    values = np.maximum(values, TINY)  # features that never differ have directions too: all pixels are alike along them
    best = np.argsort(-values, kind="stable")[:number]
    best = best[values[best] > 1e-6 * values[best[0]]]
    return Directions(centre, spread, (vectors[:, best] / np.sqrt(values[best])).astype(np.float32))


def alike(features: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return features [y, x, f] along their 8 strongest directions among the pixels of `where`, float32 [pixel, 8]."""
    flat = features.reshape(-1, features.shape[-1])
    return principal_directions(flat[where.ravel()], DIRECTIONS).along(flat)


def thinned_rows(where: np.ndarray, most: int = MOST) -> np.ndarray:
    """Return places of the pixels of `where` in the flattened image, int64, evenly thinned to `most`."""
    rows = np.flatnonzero(where)
    return rows[:: max(1, -(-len(rows) // most))]


def nearest(known: np.ndarray, asked: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and places of the nearest of `known` [n, d] for each of `asked` [m, d], two [m, neighbours]."""
    neighbours = min(neighbours, len(known))
    distance, found = KDTree(known).query(asked, neighbours, eps=0.2)
    return distance.reshape(len(asked), -1), found.reshape(len(asked), -1)


def _ridge(known: np.ndarray, colours: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the linear prediction [m, 3] of colours from features [m, f], learned from [n, f] and [n, 3]."""
    centre, spread, mean = known.mean(axis=0), known.std(axis=0) + 1e-6, colours.mean(axis=0)
    some = np.clip((known - centre) / spread, -WIDE, WIDE)
    square = some.T @ some + RIDGE * len(some) * np.eye(some.shape[1])
    weights = np.linalg.solve(square, some.T @ (colours - mean))
    return lambda asked: mean + np.clip((asked - centre) / spread, -WIDE, WIDE) @ weights


def _colours(lab: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return lab_to_srgb(lab.reshape(shape)).astype(np.float32)
