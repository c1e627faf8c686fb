"""Net counts of lines in every pixel: linear fit of line shapes, or windows. Both are one matrix applied to counts."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from velatura.atomic.lines import LineGroup
from velatura.base.blocks import bands
from velatura.base.progress import Progress, silent
from velatura.spectra.families import Family
from velatura.spectra.response import Detector, line_matrix

BLOCK = 2048  # spectra that are worked on together
MOST_THREADS = 8
SWEEPS = 30  # rounds of coordinate descent for the fits without negative areas
SETTLED = 1e-3  # change of any area in standard deviations at which the rounds end
STILL_MOVING = 0.7  # share of the spectra below which those that are settled are put aside
WINDOW, SIDES = 0.75, (1.0, 1.5)  # half width of a window, inner and outer end of its side bands, in FWHM


class Plan(NamedTuple):
    """What turns counts into lines: net = (estimator.T @ counts)[column] * factor."""

    lines: tuple[LineGroup, ...]
    channels: slice
    """Channels that are used."""
    estimator: np.ndarray
    """float32 [channel, column]."""
    column: np.ndarray
    """Column of each line, int [line]."""
    factor: np.ndarray
    """Counts of the line per unit of its column, float32 [line]."""
    own_noise: np.ndarray
    """Variance of the column per unit of its own counts, float32 [line]."""
    usual: np.ndarray
    """Variance of the column by the scan's mean background, float32 [line]."""
    gram: np.ndarray | None
    """Normal matrix float64 [column, column] of a fit without negative areas; None leaves them as they are."""


def plan_fit(
    lines: tuple[LineGroup, ...],
    families: tuple[Family, ...],
    shapes: np.ndarray,
    *,
    channels: slice,
    expected: np.ndarray,
    background: np.ndarray,
    non_negative: bool = True,
) -> Plan:
    """Plan a weighted linear fit with common weights (as PyMca's fast fit, Sole et al., Spectrochim. Acta B 62 (2007)).

    lines: groups to report; families: what the first rows of `shapes` are, with unit area of their main group;
    shapes: float64 [row, channel] of families, then scatter and background; expected, background: mean counts of a
    pixel, for the weights, and their smooth part [channel]; non_negative: fit again, without negative areas, where
    there are some.
    """
    variance = expected + 1e-3 * expected.max() + 1e-12
    weighted = shapes / variance
    gram = weighted @ shapes.T
    gram.flat[:: len(gram) + 1] *= 1 + 1e-9
    estimator = np.linalg.solve(gram, weighted).T
    column = np.array([_column_of(line, families) for line in lines], int)
    chosen = [families[i] for i in column]
    share = np.array(
        [family.share_of(line) / family.share_of(family.main) for line, family in zip(lines, chosen, strict=True)]
    )
    own = np.array([(estimator[:, i] ** 2) @ shapes[i] for i in column])
    return Plan(
        lines,
        channels,
        estimator.astype(np.float32),
        column,
        share.astype(np.float32),
        own.astype(np.float32),
        (estimator[:, column].T ** 2 @ background).astype(np.float32),
        gram if non_negative else None,
    )


def _column_of(line: LineGroup, families: tuple[Family, ...]) -> int:
    kind = line.lines[0].edge[0]
    return next(i for i, family in enumerate(families) if family.element == line.element and family.kind == kind)


def plan_windows(
    lines: tuple[LineGroup, ...], energy: np.ndarray, *, background: np.ndarray, detector: Detector
) -> Plan:
    """Plan windows of 1.5 FWHM around each line, less a straight background between side bands at 1 to 1.5 FWHM.

    energy: channel centres [keV]; background: mean smooth counts of a pixel [channel]. Counts of the line outside its
    window are made good by its shape; overlaps are not.
    """
    centre = np.array([line.energy for line in lines])
    fwhm = detector.fwhm(centre)
    distance = (energy[:, None] - centre) / fwhm
    inside = (np.abs(distance) <= WINDOW).astype(float)
    sides = [(SIDES[0] <= side) & (side <= SIDES[1]) for side in (-distance, distance)]
    weights = [side / np.maximum(side.sum(axis=0), 1) for side in sides]
    estimator = inside - inside.sum(axis=0) * (weights[0] + weights[1]) / 2
    shapes = [
        line_matrix(_energies(line), line.weights, np.zeros(len(line.lines), int), axis=energy, detector=detector)[0]
        for line in lines
    ]
    seen = np.array([estimator[:, i] @ shape for i, shape in enumerate(shapes)])
    estimator /= np.where(seen > 0.05, seen, np.inf)
    own = np.array([(estimator[:, i] ** 2) @ shape for i, shape in enumerate(shapes)])
    ones = np.ones(len(lines), np.float32)
    return Plan(
        lines,
        slice(0, len(energy)),
        estimator.astype(np.float32),
        np.arange(len(lines)),
        ones,
        own.astype(np.float32),
        (estimator.T**2 @ background).astype(np.float32),
        None,
    )


def _energies(line: LineGroup) -> np.ndarray:
    return np.array([found.energy for found in line.lines])


def net_counts(plan: Plan, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return net counts, their standard deviation and detection limit of each line, float32 [line, spectrum] each.

    counts: [spectrum, channel] of the whole axis. Standard deviation: Poisson error of the counts carried through the
    matrix, at least one count. Detection limit: three standard deviations of the same sum without the line itself
    (after Currie, Anal. Chem. 40 (1968) 586), at least those of the scan's mean background, as a pixel of few counts
    tells little about its own, and at least three counts.
    """
    kept = counts[:, plan.channels].astype(np.float32)
    both = (kept @ np.concatenate([plan.estimator, plan.estimator[:, plan.column] ** 2], axis=1)).T
    areas, variance = both[: plan.estimator.shape[1]], np.maximum(both[plan.estimator.shape[1] :], 0)
    if plan.gram is not None:
        negative = np.flatnonzero((areas < 0).any(axis=0))
        areas = areas.copy()
        areas[:, negative] = without_negatives(areas[:, negative], plan.gram)
    net = areas[plan.column]
    without = np.maximum(variance - plan.own_noise[:, None] * np.maximum(net, 0), plan.usual[:, None])
    factor = plan.factor[:, None]
    deviation = np.maximum(np.sqrt(variance) * factor, 1)
    return net * factor, deviation, 3 * np.maximum(np.sqrt(without) * factor, 1)


def without_negatives(areas: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Return the non-negative least-squares areas that belong to unrestricted ones, float32 [column, spectrum].

    Coordinate descent on the normal equations (Franc, Hlavac and Navara, 2005), all spectra together, to `SETTLED`
    standard deviations. gram: [column, column] normal matrix of the weighted fit.
    """
    scale = np.sqrt(np.diag(gram)).astype(np.float32)[:, None]
    scaled = (gram / scale / scale.T).astype(np.float32)
    deviation = np.sqrt(np.diag(np.linalg.inv(scaled.astype(np.float64)))).astype(np.float32)
    result = areas * scale
    moment, found, todo = scaled @ result, np.maximum(result, 0), np.arange(areas.shape[1])
    for _ in range(SWEEPS):
        change = np.zeros(len(todo), np.float32)
        for column, row in enumerate(scaled):
            moved = np.maximum(found[column] + moment[column] - row @ found, 0)
            np.maximum(change, np.abs(moved - found[column]) / deviation[column], out=change)
            found[column] = moved
        moving = change > SETTLED
        if moving.mean() < STILL_MOVING:
            result[:, todo] = found
            moment, found, todo = moment[:, moving], found[:, moving], todo[moving]
            if not len(todo):
                break
    result[:, todo] = found
    return result / scale


def line_maps(
    counts: Any, plan: Plan, *, valid: np.ndarray, progress: Progress = silent
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return net counts, standard deviation and detection limit, float32 [line, y, x], NaN where not `valid` [y, x].

    counts: numpy or dask [y, x, channel], read band by band; blocks of a band are shared among threads.
    """
    maps = np.empty((3, len(plan.lines), *counts.shape[:2]), np.float32)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS)) as pool:
        for rows, band in bands(counts, stage="lines", progress=progress):
            spectra, here = band.reshape(-1, band.shape[-1]), maps[:, :, rows].reshape(3, len(plan.lines), -1)
            blocks = [slice(start, start + BLOCK) for start in range(0, len(spectra), BLOCK)]
            done = pool.map(net_counts, repeat(plan), (spectra[block] for block in blocks))
            for block, found in zip(blocks, done, strict=True):
                here[:, :, block] = found
            maps[:, :, rows] = here.reshape(3, len(plan.lines), *band.shape[:2])
    maps[..., ~valid] = np.nan
    return maps[0], maps[1], maps[2]
