"""A silicon drift detector: which photons it counts, and how their energies spread over channels.

Line shape (Phillips and Marlow, Nucl. Instrum. Methods 137 (1976) 525; Campbell and Wang, X-Ray Spectrom. 20 (1991)
191): a Gaussian, an exponential tail below it, a flat shelf from zero energy up to the line, and the silicon escape
peak; and, far below, the recoil of photons that scatter in the crystal and leave it. All parts are integrated over
channels, so that counts inside the axis are kept; photons outside it are lost.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, ndtr

from velatura.atomic.attenuation import mass_attenuation, photoabsorption
from velatura.atomic.lines import group
from velatura.atomic.stored import table
from velatura.base.axis import channel_edges
from velatura.base.errors import InputError
from velatura.physics.recoil import LOSSES, nearest, recoil_density, recoil_share

SILICON_PAIR_ENERGY = 3.66e-3  # keV per electron-hole pair
FWHM_PER_SIGMA = np.sqrt(8 * np.log(2))
REACH = 5.0  # standard deviations of a Gaussian, and widths of a tail, that are drawn
SILICON, BERYLLIUM = 2.329e-4, 1.848e-4  # g/cm2 per um
GRID_FROM = 0.6  # keV, where the grid of gathered sources begins
NEAR_ZERO = 0.01  # keV, below which a shelf has no length
SEAM = 1e-4  # keV, by which rounded borders of bins may miss each other
LOWEST, HIGHEST = 0.5, 60.0  # keV, of the stored cross sections
SPACING = 0.6  # of a FWHM, at which lines add up to a smooth continuum: ripple 1e-4


@dataclass(frozen=True)
class Detector:
    """Silicon drift detector behind a beryllium window; lengths in um, energies in keV."""

    noise: float = 0.08
    """Electronic noise as FWHM [keV]."""
    fano: float = 0.115
    """Fano factor [1]."""
    tail: float = 0.01
    """Share of a line's counts in its exponential low-energy tail."""
    tail_width: float = 0.15
    """Decay of that tail [keV]."""
    shelf: float = 0.002
    """Share of a line's counts spread evenly between zero energy and the line."""
    escape: bool = True
    """Draw silicon escape peaks, 1.740 keV below their parents."""
    thickness: float = 450.0
    """Crystal [um]."""
    window: float = 12.5
    """Beryllium window [um]."""
    dead_layer: float = 0.1
    """Silicon that absorbs without counting [um]."""
    pile_up: float = 0.0
    """Probability that a photon is counted together with another one; counting rate x resolving time."""
    recoil: bool = True
    """Count what photons leave in the crystal that scatter there and escape."""

    def __post_init__(self) -> None:
        wrong = [name for name in ("noise", "tail_width", "thickness") if not getattr(self, name) > 0]
        wrong += [name for name in ("window", "dead_layer") if not getattr(self, name) >= 0]
        wrong += [name for name in ("tail", "shelf", "pile_up") if not 0 <= getattr(self, name) < 0.5]
        if wrong:
            raise InputError(
                f"widths and lengths of a detector are positive, tail, shelf and pile_up are shares below 0.5; "
                f"found {wrong[0]} = {getattr(self, wrong[0])}. The default is {getattr(type(self), wrong[0])}"
            )

    def fwhm(self, energy: ArrayLike) -> np.ndarray:
        """Width of a line [keV]: sqrt(noise^2 + 8 ln 2 fano pair_energy energy); 0.142 at 5.895 keV for noise 0.08.

        Source: Van Grieken and Markowicz, Handbook of X-Ray Spectrometry (2001). Negative energies have the width of 0.
        """
        fano = 8 * np.log(2) * self.fano * SILICON_PAIR_ENERGY
        return np.sqrt(self.noise**2 + fano * np.maximum(np.asarray(energy, np.float64), 0.0))


def efficiency(detector: Detector, energy: ArrayLike) -> np.ndarray:
    """Return the share of photons that are counted, float64 of the shape of `energy` [keV].

    Through beryllium window and dead layer (total attenuation), then absorbed in the crystal (photoelectric part: what
    scatters leaves too little energy to be counted in the line); Scholze and Procop, X-Ray Spectrom. 30 (2001) 69.
    Energies beyond the stored cross sections, 0.5 to 60 keV, count as the nearest stored one.
    """
    energy = np.clip(np.asarray(energy, np.float64), LOWEST, HIGHEST)
    stopped = -np.expm1(-photoabsorption("Si", energy) * SILICON * detector.thickness)
    return _entering(detector, energy) * stopped


def recoils(detector: Detector, energy: ArrayLike) -> np.ndarray:
    """Return the counts far below a photon's energy by recoil in the crystal, float64 of the shape of `energy` [keV].

    Of `recoil_share`, behind window and dead layer; 0 without `Detector.recoil`. They come on top of the efficiency:
    2 % of it at 20 keV, 28 % at 40 keV.
    """
    energy = np.clip(np.asarray(energy, np.float64), LOWEST, HIGHEST)
    if not detector.recoil:
        return np.zeros(energy.shape)
    return _entering(detector, energy) * recoil_share(energy, SILICON * detector.thickness)


def _entering(detector: Detector, energy: np.ndarray) -> np.ndarray:
    """Share of the photons that pass window and dead layer."""
    lost = mass_attenuation("Be", energy) * BERYLLIUM * detector.window
    lost += mass_attenuation("Si", energy) * SILICON * detector.dead_layer
    return np.exp(-lost)


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
    other = mass_attenuation("Si", np.clip(energy, line, HIGHEST))
    eta = half_yield * (1 - own / other * np.log1p(other / own))
    return np.where(energy > edge, eta / (1 - eta), 0.0)


def spread_lines(
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
    quadrature [keV], one or [line]. A line inside the axis keeps its area; its escape peak comes on top of the area.
    Areas are counts: the efficiency is not applied here.
    """
    columns, edges = int(owners.max(initial=-1)) + 1, channel_edges(axis)
    broadening = np.broadcast_to(broadening, energies.shape)
    if detector.escape:
        ratio, silicon = escape_ratio(energies), _silicon()[0]
        energies, broadening = np.concatenate([energies, energies - silicon]), np.tile(broadening, 2)
        areas, owners = np.concatenate([areas, areas * ratio]), np.tile(owners, 2)
    sigma = np.hypot(detector.fwhm(energies), broadening) / FWHM_PER_SIGMA
    low = energies - REACH * sigma - (REACH * detector.tail_width if detector.tail else 0.0)
    first = np.searchsorted(edges, low)
    span = int(np.max(np.searchsorted(edges, energies + REACH * sigma) - first, initial=0)) + 1
    index = np.clip(first[:, None] - 1 + np.arange(span + 1), 0, len(axis))
    shares = np.diff(_below(edges[index], energies[:, None], sigma=sigma[:, None], detector=detector), axis=1)
    places = owners[:, None] * len(axis) + np.minimum(index[:, :-1], len(axis) - 1)
    spread = np.bincount(places.ravel(), (shares * areas[:, None]).ravel(), columns * len(axis))
    spread = spread.reshape(columns, len(axis))
    if detector.shelf:
        spread += _shelves(energies, areas * detector.shelf, owners, edges=edges, columns=columns)
    return spread


def resolved_grid(detector: Detector, last: float, *, steps: float) -> np.ndarray:
    """Return energies from 0.6 keV to beyond `last` [keV], `steps` to a line's width: no coarser than it can see.

    Sources that are gathered on it look like a continuum through every detector that is no sharper than this one.
    """
    energies = [GRID_FROM]
    while energies[-1] < last:
        energies.append(energies[-1] + float(detector.fwhm(energies[-1])) / steps)
    return np.array(energies)


def line_response(
    energy: np.ndarray, axis: np.ndarray, *, detector: Detector, broadening: ArrayLike = 0.0
) -> np.ndarray:
    """Return float32 [n, channel]: expected counts in each channel per photon of `energy` [n] keV at the detector.

    axis: channel centres [channel] keV; broadening: FWHM added in quadrature [keV], one or [n]. Each row sums to the
    efficiency, escape peak included (an escaping photon is moved, not added), plus `recoils`, less what falls off the
    axis.
    """
    energy = np.asarray(energy, np.float64)
    areas = efficiency(detector, energy)
    if detector.escape:
        areas /= 1 + escape_ratio(energy)
    owners = np.arange(len(energy))
    rows = spread_lines(energy, areas, owners, axis=axis, detector=detector, broadening=broadening).astype(np.float32)
    left = recoils(detector, energy)
    if left.any():
        drawn = _recoil_rows(np.asarray(axis, np.float64).tobytes(), detector)
        rows[:, : drawn.shape[1]] += (left[:, None] * nearest(energy)).astype(np.float32) @ drawn
    return rows


@lru_cache(maxsize=2)
def _recoil_rows(axis: bytes, detector: Detector) -> np.ndarray:
    """Float32 [energy, channel] of the recoils of photons of recoil.ENERGIES, in the first channels of an axis."""
    edges, sigma = channel_edges(np.frombuffer(axis)), detector.fwhm(LOSSES) / FWHM_PER_SIGMA
    edges = edges[: max(int(np.searchsorted(edges, LOSSES[-1] + REACH * sigma[-1])), 2)]
    blurred = np.diff(ndtr((edges - LOSSES[:, None]) / sigma[:, None]), axis=1)
    return (recoil_density() @ blurred).astype(np.float32)


def box_response(low: np.ndarray, high: np.ndarray, axis: np.ndarray, *, detector: Detector) -> np.ndarray:
    """Return float32 [n, channel]: expected counts per photon of a continuum bin from `low` to `high` [n] keV.

    Bins rise and do not overlap. Where two of them adjoin, the photons' density runs straight from the middle of one to
    the middle of the next, so that a sloping continuum shows no steps; a bin alone is a box. Each row holds one photon,
    with the efficiency at each energy.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    width, n = high - low, len(low)
    if not (np.all(width > 0) and np.all(low[1:] >= high[:-1] - SEAM)):
        raise InputError("continuum bins must rise, with low < high and no overlap; sort or merge them")
    if not n:
        return np.zeros((0, len(axis)), np.float32)
    parts = max(int(np.ceil(width.max() / (SPACING * detector.fwhm(low[0])))), 2)
    place = (np.arange(parts) + 0.5) / parts  # within a bin
    energy = low[:, None] + width[:, None] * place
    bins = np.arange(n)[:, None]
    other = np.where(place < 0.5, bins - 1, bins + 1)
    other = np.where((other >= 0) & (other < n), other, bins)
    middle = (low + high) / 2
    between = np.abs(middle[other] - middle[bins])
    adjoining = (other != bins) & (between < (width[other] + width[bins]) / 2 + SEAM)
    share = np.where(adjoining, np.abs(energy - middle[bins]) / np.where(adjoining, between, 1.0), 0.0)
    photons = np.zeros((n, n, parts))
    photons[bins, bins, np.arange(parts)] = (1 - share) * width[:, None]
    photons[other, bins, np.arange(parts)] += share * width[:, None]
    photons /= photons.sum(axis=(1, 2), keepdims=True)
    fine = line_response(energy.ravel(), axis, detector=detector)
    return photons.reshape(n, -1).astype(np.float32) @ fine


def profile_response(energy: np.ndarray, density: np.ndarray, axis: np.ndarray, *, detector: Detector) -> np.ndarray:
    """Return float32 [n, channel]: expected counts of sources with a spectral density, as Compton lines have.

    energy: rising grid [m] keV, no coarser than 0.6 of a line's FWHM at its lower end; density: [n, m] photons per keV.
    Photons of a grid point are density x its cell, cells bounded by midpoints.
    Raises InputError for a grid that is too coarse: its points would show as lines.
    """
    energy = np.asarray(energy, np.float64)
    cell, limit = np.diff(channel_edges(energy)), SPACING * float(detector.fwhm(energy[0]))
    if not (cell.min() > 0 and cell.max() <= limit):
        raise InputError(
            f"the energy grid of a profile must rise by at most {limit:.3g} keV; found steps of {cell.min():.3g} to "
            f"{cell.max():.3g} keV. Use a finer grid"
        )
    fine = line_response(energy, axis, detector=detector)
    return (np.asarray(density) * cell).astype(np.float32) @ fine


def _below(edge: np.ndarray, energy: np.ndarray, *, sigma: np.ndarray, detector: Detector) -> np.ndarray:
    """Share of a line's counts below an edge: Gaussian, and Gaussian minus an exponential deviate.

    The shelf is left out but for its rounded upper end: what blurring moves from below the line to above it.
    """
    distance = edge - energy
    scaled = distance / sigma
    below = gauss = ndtr(scaled)
    if detector.tail:
        width = detector.tail_width
        late = log_ndtr(-scaled - sigma / width) + distance / width + sigma**2 / (2 * width**2)
        below = below + detector.tail * np.exp(np.minimum(late, 0.0))
    if detector.shelf:
        height = np.exp(-0.5 * scaled**2) / np.sqrt(2 * np.pi)
        rounded = height - np.abs(scaled) * np.minimum(gauss, 1 - gauss)
        below = below - detector.shelf * (gauss + rounded * sigma / np.maximum(energy, sigma))
    return below


def _shelves(
    energies: np.ndarray, areas: np.ndarray, owners: np.ndarray, *, edges: np.ndarray, columns: int
) -> np.ndarray:
    """Float64 [owner, channel]: areas spread evenly from zero energy to each line; sharp ends."""
    heights, channels = areas / np.maximum(energies, NEAR_ZERO), len(edges) - 1
    end = np.clip(np.searchsorted(edges, energies) - 1, -1, channels)
    floor = np.maximum(edges, 0.0)
    slots = columns * (channels + 2)
    place = owners * (channels + 2) + end + 1
    whole = np.bincount(place, heights, slots).reshape(columns, -1)[:, ::-1].cumsum(axis=1)[:, ::-1]
    part = np.bincount(place, heights * np.maximum(energies - floor[np.maximum(end, 0)], 0.0), slots).reshape(
        columns, -1
    )
    return whole[:, 2:] * np.diff(floor) + part[:, 1:-1]
