"""What an expert's software measures of a spectrum: net areas of element lines, their significance, line ratios.

One weighted linear fit for each spectrum (Poisson weights and 2 % misfit of the model, never negative): the K, L and M
families of every element of the library, Compton peaks of four anodes, a smooth background (SNIP) free to bend,
pile-up, and the first derivatives of the fitted model that stand for drift and width of this spectrum. What is left is
then tested for lines of foreign elements and for beta lines stronger than in a bare sample (absorbed alpha: hidden).
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d
from threadpoolctl import threadpool_limits

from velatura.atomic.elements import atomic_number, symbols
from velatura.physics.material import materials
from velatura.scene.training import CHANNELS, HIGH, LOW, grid
from velatura.spectra.background import estimate_background
from velatura.spectra.families import Family, families_of, family_matrix
from velatura.spectra.response import Detector
from velatura.spectra.scatter import scatter_matrix

DETECTOR = Detector(noise=0.085)
ANODES = ("Rh", "Mo", "Ag", "W")
TUBE = ("Rh", "W", "Ar")  # elements that come from tube and air alone
KNOTS = (0.5, 2.0, 4.0, 7.0, 11.0, 16.0, 22.0, 30.0, 41.0)  # keV, where the background may bend
MISFIT = 0.02
RIDGE = 1e-4  # of the diagonal
ROUNDS = 6
BATCH = 64


class Fitted(NamedTuple):
    """A fit of shared and own rows to spectra; float32."""

    areas: np.ndarray
    """Of the shared rows [spectrum, row]."""
    errors: np.ndarray
    """Their standard deviations, all rows free [spectrum, row]."""
    alone: np.ndarray
    """Those of each row if it were alone [spectrum, row]."""
    left: np.ndarray
    """What further rows gain: areas fitted to the residual [spectrum, further]."""
    left_errors: np.ndarray
    """Their standard deviations, shared rows free [spectrum, further]."""
    misfit: np.ndarray
    """Chi2 per channel [spectrum]."""


@cache
def library_elements() -> tuple[str, ...]:
    """Elements from aluminium on that the library's pigments, tube and air hold."""
    held = {name for row in materials().values() if row.kind == "pigment" for name in row.mass_fractions()}
    return tuple(sorted({name for name in held if atomic_number(name) >= 13} | {*TUBE, *ANODES}, key=atomic_number))


@cache
def library_families() -> tuple[Family, ...]:
    """Their families of lines inside the grid."""
    return tuple(family for name in library_elements() for family in families_of(name, window=(0.9, HIGH)))


@cache
def foreign_families() -> tuple[Family, ...]:
    """The hardest family of every other element from scandium to uranium."""
    others = [name for name in symbols() if 21 <= atomic_number(name) <= 92 and name not in library_elements()]
    found = (families_of(name, window=(2.0, 0.95 * HIGH)) for name in others)
    return tuple(families[0] for families in found if families)


@cache
def shared_rows() -> np.ndarray:
    """Families and Compton peaks of unit area, float32 [row, channel]."""
    lines = family_matrix(library_families(), grid(), DETECTOR).whole
    compton = [row for anode in ANODES for row in scatter_matrix(anode, grid(), DETECTOR)[1:4]]
    return np.concatenate([lines, compton]).astype(np.float32)


@cache
def further_rows() -> np.ndarray:
    """Lines of foreign elements, then the beta lines of the library's families, float32 [row, channel]."""
    foreign = family_matrix(foreign_families(), grid(), DETECTOR).whole
    beta = family_matrix(library_families(), grid(), DETECTOR).other
    return np.concatenate([foreign, beta / np.maximum(beta.sum(axis=1, keepdims=True), 1e-9)]).astype(np.float32)


def fitted(counts: np.ndarray, rows: np.ndarray, further: np.ndarray) -> Fitted:
    """Fit rows [row, channel] to counts [spectrum, channel] on the grid."""
    parts = []
    with threadpool_limits(1):
        for start in range(0, len(counts), BATCH):
            block = counts[start : start + BATCH].astype(np.float32)
            own = np.concatenate([_background(block), _pile_up(block)[:, None]], axis=1).astype(np.float32)
            parts.append(_fit(block, own, rows, further))
    return Fitted(*(np.concatenate(columns).astype(np.float32) for columns in zip(*parts, strict=True)))


def _background(counts: np.ndarray) -> np.ndarray:
    """SNIP background times hats between KNOTS, [spectrum, hat, channel]."""
    hats = np.array([np.interp(grid(), KNOTS, unit) for unit in np.eye(len(KNOTS))])
    return (estimate_background(counts, grid(), detector=DETECTOR)[:, None] + 0.02) * hats


def _pile_up(counts: np.ndarray) -> np.ndarray:
    """Each spectrum folded with itself [spectrum, channel], one count in all."""
    twice = np.fft.irfft(np.fft.rfft(counts, 2 * CHANNELS) ** 2, 2 * CHANNELS)
    shift = round(LOW * CHANNELS / (HIGH - LOW) + 0.5)
    moved = np.maximum(np.pad(twice, ((0, 0), (shift, 0)))[:, :CHANNELS], 0)
    return moved / np.maximum(moved.sum(axis=1, keepdims=True), 1e-9)


def _fit(counts: np.ndarray, own: np.ndarray, rows: np.ndarray, further: np.ndarray) -> tuple[np.ndarray, ...]:
    """Two rounds: weights by the smoothed counts, then by the model, with its derivatives as three more rows."""
    near = uniform_filter1d(counts, 5, axis=1) + 0.2
    shared = np.broadcast_to(rows, (len(counts), *rows.shape))
    both = np.concatenate([shared, own], axis=1)
    areas, *_ = _solve(both, counts, near + (MISFIT * near) ** 2)
    model = np.maximum(np.einsum("nr,nrc->nc", areas, both), 0.05)
    slope = np.gradient(model, axis=1)
    drift = np.stack([slope, slope * np.linspace(-1, 1, counts.shape[1]), np.gradient(slope, axis=1)], axis=1)
    every = np.concatenate([both, drift.astype(np.float32)], axis=1)
    variance = model + (MISFIT * model) ** 2
    areas, inverse, scale, weighted = _solve(every, counts, variance, free=3)
    root = 1 / np.sqrt(variance)
    residual = (counts - np.einsum("nr,nrc->nc", areas, every)) * root
    own_size = (1 / variance) @ further.T**2
    cross = weighted @ (further.T * root[:, :, None])
    free = own_size - np.einsum("nrf,nrf->nf", cross, inverse @ cross)
    free = np.maximum(free, 1e-3 * own_size + 1e-12)
    errors, size = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2)), len(rows)
    return (
        areas[:, :size], errors[:, :size] / scale[:, :size], 1 / scale[:, :size],
        (residual * root) @ further.T / free, 1 / np.sqrt(free), np.mean(residual**2, axis=1),
    )  # fmt: skip


def _solve(
    rows: np.ndarray, counts: np.ndarray, variance: np.ndarray, *, free: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Areas [spectrum, row] that are not negative but for the last `free` rows; inverse, scales and weighted rows.

    Block pivoting: rows below zero leave, those at zero come back where the counts ask for them.
    """
    root = (1 / np.sqrt(variance)).astype(np.float32)
    weighted = rows * root[:, None]
    scale = np.sqrt(np.einsum("nrc,nrc->nr", weighted, weighted)) + 1e-9
    weighted /= scale[:, :, None]
    number = rows.shape[1]
    gram = (weighted @ weighted.transpose(0, 2, 1)).astype(np.float64) + RIDGE * np.eye(number)
    moment = np.einsum("nrc,nc->nr", weighted, counts * root).astype(np.float64)
    always = np.arange(number) >= number - free
    areas = np.ones_like(moment)
    for _ in range(ROUNDS):
        asked = moment - np.einsum("nrs,ns->nr", gram, areas) > 0
        used = (areas > 0) | ((areas == 0) & asked) | always
        inside = gram * (used[:, :, None] & used[:, None]) + np.eye(number) * ~used[:, None]
        areas = np.linalg.solve(inside, (moment * used)[:, :, None])[:, :, 0]
    areas = np.where(always, areas, np.maximum(areas, 0.0))
    return areas / scale, np.linalg.inv(gram), scale, weighted
