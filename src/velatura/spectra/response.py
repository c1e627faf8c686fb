"""How a silicon detector spreads lines over channels: width, low-energy tail, escape peak."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, ndtr

from velatura.atomic.attenuation import mass_attenuation
from velatura.atomic.lines import group
from velatura.atomic.stored import table
from velatura.base.axis import channel_edges

SILICON_PAIR_ENERGY = 3.66e-3  # keV per electron-hole pair
FWHM_PER_SIGMA = np.sqrt(8 * np.log(2))
REACH = 5.0  # standard deviations of a Gaussian that are drawn


@dataclass(frozen=True)
class Detector:
    """Line shape of a silicon drift detector."""

    noise: float = 0.08
    """Electronic noise as FWHM [keV]."""
    fano: float = 0.115
    """Fano factor [1]."""
    tail: float = 0.01
    """Share of a line's counts in its exponential low-energy tail."""
    tail_width: float = 0.15
    """Decay of that tail [keV]."""
    escape: bool = True
    """Draw silicon escape peaks, 1.740 keV below their parents."""

    def fwhm(self, energy: ArrayLike) -> np.ndarray:
        """Width of a line [keV]: sqrt(noise^2 + 8 ln 2 fano pair_energy energy); 0.142 at 5.895 keV for noise 0.08.

        Source: Van Grieken and Markowicz, Handbook of X-Ray Spectrometry (2001). Negative energies have the width of 0.
        """
        fano = 8 * np.log(2) * self.fano * SILICON_PAIR_ENERGY
        return np.sqrt(self.noise**2 + fano * np.maximum(np.asarray(energy, np.float64), 0.0))


@cache
def _silicon() -> tuple[float, float, float, float]:
    """(energy of Si Ka [keV], K edge [keV], K share x yield / 2, attenuation of Si for its own Ka [cm2/g])."""
    line, stored = group("Si-Ka").energy, table("lines")
    edge, jump, made = (stored[name][13, 0] for name in ("edge_energy", "jump_ratio", "fluorescence_yield"))
    return line, float(edge), float(made * (1 - 1 / jump) / 2), float(mass_attenuation("Si", line))


def escape_ratio(energy: ArrayLike) -> np.ndarray:
    """Return counts in the silicon escape peak per count in the line itself, float64 of the shape of `energy` [keV].

    eta / (1 - eta), eta = yield/2 (1 - 1/jump) (1 - mu_K/mu ln(1 + mu/mu_K)) for normal incidence on a thick crystal
    (Reed and Ware, J. Phys. E 5 (1972) 582); zero below the silicon K edge. 0.3 % at 6.4 keV.
    """
    energy = np.asarray(energy, np.float64)
    line, edge, half_yield, own = _silicon()
    other = mass_attenuation("Si", np.clip(energy, line, 59.9))
    eta = half_yield * (1 - own / other * np.log1p(other / own))
    return np.where(energy > edge, eta / (1 - eta), 0.0)


def line_matrix(
    energies: np.ndarray,
    areas: np.ndarray,
    owners: np.ndarray,
    *,
    axis: np.ndarray,
    detector: Detector,
    broadening: ArrayLike = 0.0,
) -> np.ndarray:
    """Return float64 [owner, channel]: counts of lines `energies` [keV] of given areas, added up for each owner.

    energies, areas, owners: [line], owners from 0; axis: channel centres [channel] keV; broadening: FWHM added in
    quadrature [keV], one or [line]. Integrated over channels, so that a line inside the axis keeps its area. Escape
    peaks come on top of the area.
    """
    if detector.escape:
        ratio, silicon = escape_ratio(energies), _silicon()[0]
        energies = np.concatenate([energies, energies - silicon])
        areas, owners = np.concatenate([areas, areas * ratio]), np.concatenate([owners, owners])
        broadening = np.tile(np.broadcast_to(broadening, ratio.shape), 2)
    edges, columns = channel_edges(axis), int(owners.max(initial=-1)) + 1
    sigma = np.hypot(detector.fwhm(energies), broadening) / FWHM_PER_SIGMA
    low = energies - REACH * sigma - (REACH * detector.tail_width if detector.tail else 0.0)
    first = np.searchsorted(edges, low)
    span = int(np.max(np.searchsorted(edges, energies + REACH * sigma) - first, initial=0)) + 1
    index = np.clip(first[:, None] - 1 + np.arange(span + 1), 0, len(axis))
    shares = np.diff(_below(edges[index] - energies[:, None], sigma[:, None], detector), axis=1)
    places = owners[:, None] * len(axis) + np.minimum(index[:, :-1], len(axis) - 1)
    spread = np.bincount(places.ravel(), (shares * areas[:, None]).ravel(), columns * len(axis))
    return spread.reshape(columns, len(axis))


def _below(distance: np.ndarray, sigma: np.ndarray, detector: Detector) -> np.ndarray:
    """Share of a line's counts below its energy + distance: Gaussian, and Gaussian minus an exponential deviate."""
    below = ndtr(distance / sigma)
    if not detector.tail:
        return below
    width = detector.tail_width
    late = log_ndtr(-distance / sigma - sigma / width) + distance / width + sigma**2 / (2 * width**2)
    return below + detector.tail * np.exp(np.minimum(late, 0.0))
