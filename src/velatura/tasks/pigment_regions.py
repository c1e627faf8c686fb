"""Parts of a scan for a table of pigments: clusters, or connected areas of equal answers; and their summed spectra."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from velatura.base.blocks import bands
from velatura.base.progress import Progress, silent
from velatura.tasks.pigment_maps import PAINTS

MOST_AREAS, LEAST_AREA = 30, 0.005  # areas that are told of, and the share of the scan that makes one


class Regions(NamedTuple):
    """Parts of a scan."""

    labels: np.ndarray
    """Number of the region from 0, -1: none; int16 [y, x]."""
    names: tuple[str, ...]


def regions_of(maps: xr.Dataset, labels: np.ndarray | None = None, names: Sequence[str] = ()) -> Regions:
    """Return the regions of a table: those given (labels -1 or a number, names), else connected areas of equal answers.

    Equal: the same strongest class found in the visible paint, the same in the hidden one, and unknown or not. Areas of
    less than half a percent of the scan are left out; where no area is left, the whole scan is one.
    """
    if labels is not None:
        return Regions(np.asarray(labels, np.int16), tuple(names))
    from scipy.ndimage import label

    answered = maps.answered.values
    kinds = maps.unexplained.values.astype(int)
    for paint in PAINTS:
        probability = maps.probability.sel(paint=paint).values.astype(np.float32)
        found = np.where(probability >= maps.threshold.sel(paint=paint).values[:, None, None], probability, 0)
        strongest = found.argmax(axis=0) + 1 if len(found) else np.zeros(answered.shape, int)
        kinds = kinds * (len(found) + 1) + np.where(found.any(axis=0), strongest, 0)
    areas: list[np.ndarray] = []
    for kind in np.unique(kinds[answered]):
        numbered, many = label((kinds == kind) & answered)
        sizes = np.bincount(numbered.ravel(), minlength=many + 1)[1:]
        areas += [numbered == one + 1 for one in np.flatnonzero(sizes >= LEAST_AREA * answered.size)]
    areas = sorted(areas, key=lambda area: -area.sum())[:MOST_AREAS]
    if not areas:
        return Regions(np.where(answered, 0, -1).astype(np.int16), ("whole",))
    chosen = np.full(answered.shape, -1, np.int16)
    for number, area in enumerate(areas):
        chosen[area] = number
    return Regions(chosen, tuple(f"A{number + 1}" for number in range(len(areas))))


def region_sums(counts: Any, regions: Regions, *, progress: Progress = silent) -> np.ndarray:
    """Return the summed spectrum of each region, int64 [region, channel]; counts: [y, x, channel], numpy or dask."""
    sums = np.zeros((len(regions.names), counts.shape[2]), np.int64)
    for rows, band in bands(counts, stage="region spectra", progress=progress):
        labels = regions.labels[rows]
        for number in np.unique(labels[labels >= 0]):
            sums[number] += band[labels == number].sum(axis=0, dtype=np.int64)
    return sums
