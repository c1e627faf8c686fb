"""How the motion of the electrons spreads photons that scattered by Compton effect. NumPy alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from velatura.atomic.attenuation import scaled_shares
from velatura.atomic.elements import atomic_weight
from velatura.atomic.scattering import ELECTRON_REST, compton_profile
from velatura.base.axis import channel_edges

FINE_STRUCTURE = 1 / 137.035999  # an atomic unit of momentum in units of electron rest mass x speed of light
MOMENTA = np.sinh(np.linspace(-5.25, 5.25, 801))  # atomic units; beyond 95 no electrons are left
ANGLES, PLACES = 5, 5  # nodes over the acceptance of the detector and over the width of a bin
FINE = 0.1  # keV, between lines that stand for a continuum: less than any detector's width
LEAST = 1e-6  # keV, stands for zero
# (energy loss over that of one Compton scattering, share) of photons scattered twice: a triangle of 1 +- 0.75, as found
# by Monte Carlo for 10 mm of wood at 20.2 keV (tools/monte_carlo_scatter.py).
TWICE = tuple((1 + 0.75 * x, (1 - abs(x)) / 4) for x in np.linspace(-0.75, 0.75, 7))


class DopplerGroup(NamedTuple):
    """Elements whose electrons blur a Compton line alike."""

    name: str
    heaviest: int
    """Largest atomic number."""
    typical: dict[str, float]
    """Mass shares of the mixture whose Compton profile stands for all of them."""


DOPPLER_GROUPS = (
    DopplerGroup("light", 10, {"H": 0.06, "C": 0.47, "O": 0.47}),  # oil, cellulose, carbonates
    DopplerGroup("middle", 20, {"Al": 0.1, "Si": 0.2, "S": 0.1, "Ca": 0.6}),  # grounds and earths
    DopplerGroup("heavy", 92, {"Fe": 0.2, "Cu": 0.2, "Pb": 0.6}),  # pigments
)


def doppler_density(
    energy: ArrayLike,
    grid: np.ndarray,
    *,
    group: DopplerGroup,
    angle: float,
    acceptance: float = 8.0,
    width: ArrayLike = 0.0,
    twice: float = 0.0,
) -> np.ndarray:
    """Return float64 [n, m], per keV: where on `grid` photons of `energy` [n] keV lie after Compton scattering.

    grid: rising energies [m] keV; angle: of scattering [deg], even within +- `acceptance`; width: of the bins that the
    photons come from, one or [n] keV, 0 for lines; twice: share of photons added that scattered twice, as thick light
    supports have (0.05 to 0.15). Each row integrates to 1 + twice, less what lies off the grid.
    The impulse approximation: pz/mc = (E E' (1 - cos) / mc2 - E + E') / q with q2 = E2 + E'2 - 2 E E' cos, distributed
    as the electrons' J(pz), energy losses only (Eisenberger & Platzman, Phys. Rev. A 2 (1970) 415). Binding of inner
    shells and the slope of the cross section over the line are left out.
    """
    energy = np.atleast_1d(np.asarray(energy, np.float64))
    edges, below = channel_edges(grid), _cumulative(group)
    nodes, weights = np.polynomial.legendre.leggauss(ANGLES)
    recoils = list(zip(weights / 2, 1 - np.cos(np.radians(angle + acceptance * nodes)), strict=True))
    recoils += [(twice * weight, factor * (1 - np.cos(np.radians(angle)))) for factor, weight in TWICE if twice]
    places, shares = np.polynomial.legendre.leggauss(PLACES if np.any(width) else 1)
    softer = np.zeros((len(energy), len(edges)))
    for place, share in zip(places, shares / 2, strict=True):
        start = energy + place * np.asarray(width) / 2
        for weight, recoil in recoils:
            softer += share * weight * _softer_than(edges, start, recoil, below)
    return np.diff(softer, axis=1) / np.diff(edges)


def entry_densities(
    low: np.ndarray, width: np.ndarray, grid: np.ndarray, *, angle: float, acceptance: float, twice: float
) -> np.ndarray:
    """Return float64 [e, d, m], per keV: where on `grid` the photons of each entry of a beam lie after Compton scatter.

    low, width: bins of a continuum [e] keV, rising and adjoining, and lines of width 0; other arguments as in
    `doppler_density`. Each row integrates to 1 + twice. The photons' density runs straight from the middle of one bin
    to the middle of the next, so that a sloping continuum shows no steps; its width hides the groups' difference, and
    all get the light group's.
    """
    options = {"angle": angle, "acceptance": acceptance, "twice": twice}
    bins, lines = np.flatnonzero(width > 0), np.flatnonzero(width == 0)
    found = np.zeros((len(low), len(DOPPLER_GROUPS), len(grid)))
    for number, group in enumerate(DOPPLER_GROUPS):
        if len(lines):
            found[lines, number] = doppler_density(low[lines], grid, group=group, **options)
    if len(bins):
        fine = np.arange(low[bins[0]] + FINE / 2, low[bins[-1]] + width[bins[-1]], FINE)
        middle = low[bins] + width[bins] / 2
        hats = np.stack([np.interp(fine, middle, row) for row in np.eye(len(bins))])
        hats /= hats.sum(axis=1, keepdims=True)
        found[bins] = (hats @ doppler_density(fine, grid, group=DOPPLER_GROUPS[0], **options))[:, None]
    return found


def _cumulative(group: DopplerGroup) -> np.ndarray:
    """Share of the electrons of a group below each of `MOMENTA`."""
    profile = np.zeros(len(MOMENTA))
    for name, share in scaled_shares(group.typical).items():
        profile += share / atomic_weight(name) * compton_profile(name, MOMENTA)
    steps = np.diff(MOMENTA) * (profile[1:] + profile[:-1]) / 2
    return np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()


def _softer_than(edges: np.ndarray, energy: np.ndarray, recoil: float, below: np.ndarray) -> np.ndarray:
    """Share [n, edge] of photons of `energy` that Compton scattering leaves below each edge; recoil: 1 - cos(angle)."""
    start, end = energy[:, None], np.clip(edges, LEAST, energy[:, None])
    transfer = np.sqrt(np.maximum((start - end) ** 2 + 2 * start * end * recoil, LEAST**2))
    momentum = (start * end * recoil / ELECTRON_REST - start + end) / transfer / FINE_STRUCTURE
    elastic = start * np.sqrt(recoil / 2) / ELECTRON_REST / FINE_STRUCTURE
    return np.interp(momentum, MOMENTA, below) / np.interp(elastic, MOMENTA, below)
