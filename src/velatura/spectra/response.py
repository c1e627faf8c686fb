"""How lines of known counts lie over the channels of a measured spectrum; their shape is that of physics.detector."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from velatura.physics.detector import FWHM_PER_SIGMA, SILICON_PAIR_ENERGY, Detector, escape_ratio, spread_lines

__all__ = ["FWHM_PER_SIGMA", "SILICON_PAIR_ENERGY", "Detector", "escape_ratio", "line_matrix"]


def line_matrix(
    energies: np.ndarray,
    areas: np.ndarray,
    owners: np.ndarray,
    *,
    axis: np.ndarray,
    detector: Detector,
    broadening: ArrayLike = 0.0,
) -> np.ndarray:
    """Return float64 [owner, channel]: counts of lines as `spread_lines` draws them, without the shelf.

    A flat shelf cannot be told from the background of a measured spectrum, which is fitted apart.
    """
    plain = replace(detector, shelf=0.0)
    return spread_lines(energies, areas, owners, axis=axis, detector=plain, broadening=broadening)
