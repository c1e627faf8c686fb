"""The columns of a spectrum's linear model, with the errors that each part of the model brings along."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from velatura.spectra.families import Family, families_of, family_matrix
from velatura.spectra.response import Detector
from velatura.spectra.scatter import scatter_matrix

MISFIT = {"main": 0.02, "other": 0.10, "foot": 0.5, "scatter": 0.10, "smooth": 0.02}
"""Relative error of Ka, La, Ma; of a family's other lines; of tails and escape peaks; of scatter; of the background."""
SHIFT = 0.004  # keV, error of the energy axis and of widths


class Columns(NamedTuple):
    """Unit shapes float64 [row, channel]: line families first, then scatter, then the smooth rest."""

    families: tuple[Family, ...]
    whole: np.ndarray
    main: np.ndarray
    """The part of `whole` in Ka, La or Ma."""
    other: np.ndarray
    """The part in the family's other lines; the rest are tails and escape peaks."""
    tubes: tuple[str | float, ...]
    """Anode, or energy of the beam, of each row of `scatter`."""
    scatter: np.ndarray
    smooth: np.ndarray

    def rows(self) -> np.ndarray:
        """Return all rows."""
        return np.concatenate([self.whole, self.scatter, self.smooth])

    def keep(self, chosen: np.ndarray) -> "Columns":
        """Return the columns with only some families (bool [family])."""
        families = tuple(family for family, keep in zip(self.families, chosen, strict=True) if keep)
        parts = {name: getattr(self, name)[chosen] for name in ("whole", "main", "other")}
        return self._replace(families=families, **parts)

    def cut(self, channels: int, smooth: np.ndarray) -> "Columns":
        """Return the first channels only, with smooth rows [row, channel] of this length."""
        parts = {name: getattr(self, name)[:, :channels] for name in ("whole", "main", "other", "scatter")}
        return self._replace(smooth=smooth, **parts)

    def split(self, areas: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return areas [row] of families, scatter and smooth rows."""
        lines, scatter, smooth = np.split(areas, [len(self.whole), len(self.whole) + len(self.scatter)])
        return lines, scatter, smooth

    def variance(self, areas: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """Return the variance [channel] of counts about the model: Poisson, `MISFIT` of its parts and `SHIFT`."""
        lines, scatter, smooth = self.split(areas)
        under = smooth @ self.smooth
        sharp = _variance(lines @ self.whole, lines @ self.main, lines @ self.other, axis)
        spread = scatter @ self.scatter
        return (
            np.maximum(sharp + spread + under, 1) + (MISFIT["scatter"] * spread) ** 2 + (MISFIT["smooth"] * under) ** 2
        )

    def own_variance(self, areas: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """Return the part of the variance that each family brings along itself, [family, channel]."""
        lines = self.split(areas)[0][:, None]
        return _variance(lines * self.whole, lines * self.main, lines * self.other, axis)


def _variance(whole: np.ndarray, main: np.ndarray, other: np.ndarray, axis: np.ndarray) -> np.ndarray:
    foot = whole - main - other
    misfit = sum((MISFIT[name] * part) ** 2 for name, part in (("main", main), ("other", other), ("foot", foot)))
    return whole + misfit + (SHIFT * np.gradient(whole, axis, axis=-1)) ** 2


@lru_cache(maxsize=8)
def draw_columns(
    axis: bytes, detector: Detector, *, elements: tuple[str, ...], tubes: tuple[str | float, ...]
) -> Columns:
    """Draw the families of some elements and the scatter of some anodes or beams; remembered for the last axes.

    axis: bytes of float64 channel centres [keV]; smooth rows are left empty.
    """
    energy = np.frombuffer(axis)
    families = tuple(f for name in elements for f in families_of(name, window=(energy[0], energy[-1])))
    matrix = family_matrix(families, energy, detector)
    scattered = [(tube, row) for tube in tubes for row in scatter_matrix(tube, energy, detector)]
    scatter = np.array([row for _, row in scattered]).reshape(len(scattered), len(energy))
    names = tuple(tube for tube, _ in scattered)
    smooth = np.zeros((0, len(energy)))
    return Columns(families, matrix.whole, matrix.main, matrix.other, names, scatter, smooth)


class Fit(NamedTuple):
    """Areas and their errors [row], the model [channel], and the matrix areas = estimator @ counts [row, channel]."""

    areas: np.ndarray
    errors: np.ndarray
    model: np.ndarray
    estimator: np.ndarray
    """Of the rows in use; zero for rows at zero."""


def fit_rows(rows: np.ndarray, counts: np.ndarray, variance: np.ndarray) -> Fit:
    """Non-negative weighted least squares of counts [channel] by rows [row, channel] (Lawson and Hanson, 1974).

    Errors are those of the rows in use: sqrt of the diagonal of the inverse of their normal matrix. Rows at zero have
    the error that they would have alone.
    """
    inverse = 1 / np.sqrt(variance)
    weighted = rows * inverse
    scale = np.sqrt(np.maximum(np.einsum("rc,rc->r", weighted, weighted), 1e-300))
    weighted /= scale[:, None]
    gram = weighted @ weighted.T
    gram.flat[:: len(gram) + 1] += 1e-9
    lower = np.linalg.cholesky(gram)
    areas, _ = nnls(lower.T, np.linalg.solve(lower, weighted @ (counts * inverse)))
    used = np.flatnonzero(areas > 0)
    inverse_gram = np.linalg.inv(gram[np.ix_(used, used)])
    errors, estimator = np.ones(len(rows)), np.zeros_like(rows)
    errors[used] = np.sqrt(np.diag(inverse_gram))
    estimator[used] = inverse_gram @ weighted[used] * inverse / scale[used, None]
    return Fit(areas / scale, errors / scale, (areas / scale) @ rows, estimator)
