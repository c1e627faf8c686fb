"""The result of a clustering: a frozen record that can be saved and applied to the pixels of another scan."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from velatura.base.errors import InputError
from velatura.cluster.options import METHODS


@dataclass(frozen=True)
class Clusters:
    """Clusters in the units of the scores, in rising order of the first component of their centres.

    The squared distance of a pixel x to cluster k is D = |whiteners[k] (x - centres[k])|^2.
    """

    method: str
    fuzzifier: float
    centres: np.ndarray
    """float64 [k, d]."""
    covariance: np.ndarray
    """float64 [k, d, d], weighted by u^m and regularised; for the whiteners of Gustafson-Kessel and the mixture."""
    whiteners: np.ndarray
    """float64 [k, d, d]; the unit matrix for fuzzy means and k-means."""
    log_volumes: np.ndarray
    """float64 [k]: half the log determinant of the covariance."""
    log_weights: np.ndarray
    """float64 [k]: log of proportion over root of determinant, Gaussian mixture only (else 0)."""
    noise_distance: float
    """Squared distance delta^2 of the noise cluster; infinite without one."""
    scale: float
    """About the largest standard deviation of the scores, a power of 2: the unit of the arithmetic."""
    iterations: int
    converged: bool
    change: float
    """Largest change of a watched membership in the last iteration."""
    objective: float
    """Sum of weight * u^m * D, the noise cluster included (scores squared)."""
    validity: Mapping[str, float]
    """Indices of the final partition by name, see `validity.py`."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain arrays, numbers and strings, by the names of the fields; `from_dict` undoes it."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"validity": dict(self.validity)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Clusters":
        """Build the record again from what `to_dict` gave; arrays may have become lists."""
        arrays = {"centres", "covariance", "whiteners", "log_volumes", "log_weights"}
        if (missing := sorted({field.name for field in fields(cls)} - set(stored))) or stored["method"] not in METHODS:
            raise InputError(
                f"stored clusters need a method and all arrays; missing: {', '.join(missing) or 'a known method'}. "
                "Segment the first scan again"
            )
        values: dict[str, Any] = {field.name: stored[field.name] for field in fields(cls)}
        values.update({name: np.asarray(values[name], np.float64) for name in arrays})
        return cls(**values)
