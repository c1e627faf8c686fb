"""The shapes that every pixel of a scan is made of, as the sum spectrum shows them."""

from typing import NamedTuple

import numpy as np

from velatura.spectra.columns import Columns, draw_columns, fit_rows
from velatura.spectra.explain import Explanation
from velatura.spectra.families import Family
from velatura.spectra.response import Detector

KNOT = 5.0  # keV between the points where a pixel's background is scaled
RATIO_PRIOR = 0.15  # relative spread of Kb/Ka, Lb/La ... about the table, by absorption in the paint


class PixelModel(NamedTuple):
    """A linear model for the pixels of one scan."""

    families: tuple[Family, ...]
    rows: np.ndarray
    """float64 [row, channel]: families with unit area of their main group, scatter of the tube, background."""
    smooth: np.ndarray
    """Background and pile-up of the sum [channel]."""
    fit: np.ndarray
    """Model of the sum [channel]."""


def pixel_model(
    counts: np.ndarray,
    energy: np.ndarray,
    elements: tuple[str, ...],
    *,
    explained: Explanation,
    detector: Detector,
    limit: float,
) -> PixelModel:
    """Fit the sum spectrum and return the model for its pixels.

    counts, energy: sum spectrum [channel] and centres [keV], the channels to use; elements: symbols; explained: the
    explanation of the sum; limit: highest edge that is excited [keV]. Kb, Lb ... have the ratio to their main group
    that the sum shows (held near the table, which is for thin samples); the scatter of all angles is one row as the
    sum has it; the background of the sum is cut into triangles, so that each pixel may scale it every few keV.
    """
    source = explained.beam or explained.anode
    drawn = draw_columns(energy.tobytes(), detector, elements=elements, tubes=(source,) if source else ())
    level = np.interp(energy, explained.energy, explained.background)
    level = level * (energy[-1] - energy[0]) / len(energy) / np.diff(explained.energy).mean()
    columns = drawn.cut(len(energy), _triangles(energy, level))
    columns = columns.keep(np.array([family.edge < limit for family in columns.families], bool))
    variance = np.maximum(counts, 1) + (0.03 * counts) ** 2
    for _ in range(2):
        fit = fit_rows(columns.rows(), counts, variance)
        variance = columns.variance(fit.areas, energy)
    _, scatter, smooth = columns.split(fit.areas)
    level = smooth @ columns.smooth
    tube = (scatter / scatter.sum() @ columns.scatter)[None] if scatter.any() else np.zeros((0, len(energy)))
    rows = np.concatenate([_with_ratios(columns, counts, variance), tube, _triangles(energy, level)])
    return PixelModel(columns.families, rows, level, fit.model)


def _triangles(energy: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Cut a background [channel] into overlapping triangles [triangle, channel] of mean height about one."""
    knots = np.linspace(energy[0], energy[-1], max(2, round((energy[-1] - energy[0]) / KNOT) + 1))
    hats = np.array([np.interp(energy, knots, unit) for unit in np.eye(len(knots))])
    return hats * (level + 1e-3 * level.max() + 1e-12) / (level.mean() + 1e-12)


def _with_ratios(columns: Columns, counts: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Families of unit main area; the other lines as strong as the sum shows, held near the table by `RATIO_PRIOR`."""
    main = columns.whole - columns.other
    fit = fit_rows(np.concatenate([main, columns.other, columns.scatter, columns.smooth]), counts, variance)
    size = len(main)
    areas, errors = (values[: 2 * size].reshape(2, size) for values in (fit.areas, fit.errors))
    base = np.where(areas[0] > 0, areas[0], np.inf)
    seen = np.minimum(base / np.maximum(errors[1], 1e-9), 1e3) ** 2  # inverse variances of the ratio: seen, expected
    expected = 1 / RATIO_PRIOR**2
    ratio = np.clip((areas[1] / base * seen + expected) / (seen + expected), 0.5, 1.6)
    ratio = np.where(areas[0] > 0, ratio, 1.0)
    share = np.array([family.share_of(family.main) for family in columns.families])
    return (main + ratio[:, None] * columns.other) / share[:, None]
