"""The verb `segment`: from a cube to soft membership maps with the spectrum and the elements of each cluster."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.tasks.region import Region, chosen_pixels


@dataclass(frozen=True)
class Segmentation:
    """How to segment a scan. The defaults suit paintings."""

    clusters: int | Literal["auto"] = 14
    """Number of clusters, a few more than the materials expected; "auto" takes it from the noise floor."""
    method: str = "gustafson-kessel"
    """gustafson-kessel, fuzzy-means, k-means or gaussian-mixture."""
    fuzzifier: float | None = None
    """Exponent of the memberships, above 1; near 1 they become hard. None: 1.7, or 1.2 below 1,000 counts a pixel."""
    shrinkage: float | None = None
    """Pull of the clusters' shapes towards spheres, 0 (textbook) to 1. None: 0.6, or 0.9 below 1,000 counts a pixel."""
    noise: bool = False
    """Add a noise cluster that takes pixels far from all others."""
    rare: bool = False
    """Add clusters for small groups that the others swallow, where there are any."""
    scaling: str = "sum"
    """sum (shape of the spectra, whatever the thickness), keenan-kotula, sqrt, log1p or none."""
    bin_width: float = 0.08
    """Width of the energy bins for the principal components [keV]."""
    window: tuple[float, float | None] = (0.5, None)
    """Energies used [keV]; None is the end of the axis or the tube voltage."""
    components: int | None = None
    """Number of principal components; None keeps those above the noise floor."""
    region: Region | None = None
    """Part of the scan to use, (x0, y0, x1, y1) in pixels, x1 and y1 not included."""
    proposals: int = 10
    """Most composite maps to propose: joins of clusters that share a signature; 0 for none."""

    def __post_init__(self) -> None:
        if self.clusters != "auto" and (not isinstance(self.clusters, int) or self.clusters < 2):
            raise InputError(f'clusters must be 2 or more, or "auto"; found {self.clusters!r}')
        if self.components is not None and self.components < 1:
            raise InputError(f"components must be 1 or more, or None for the noise floor; found {self.components}")
        if self.proposals < 0:
            raise InputError(f"proposals must be 0 or more; found {self.proposals}")


def segment(
    cube: xr.Dataset,
    config: Segmentation = Segmentation(),
    *,
    seed: int = 0,
    mask: np.ndarray | None = None,
    clusters_from: xr.Dataset | None = None,
    progress: Progress = silent,
) -> xr.Dataset:
    """Return membership maps, labels, ambiguity, anomaly, spectra and elements of clusters, and composite maps.

    cube: see `make_cube`; mask: bool [y, x], True where to look; clusters_from: an earlier result (of this or another
    scan) whose clusters are applied instead of searching new ones: of `config` only the region counts then.
    The Dataset is described in docs/results.md. Raises InputError for options that make no sense or do not fit the
    scan.
    """
    from velatura.reduce.pca import principal_components, project
    from velatura.tasks.clustering import find_clusters, softness
    from velatura.tasks.composites import composite_maps
    from velatura.tasks.segment_maps import describe
    from velatura.tasks.segment_record import stored_segmentation

    used = chosen_pixels(cube, mask=mask, region=config.region)
    counts, energy = cube.counts.data, cube.energy.values
    if clusters_from is not None:
        found = stored_segmentation(clusters_from)
        scores = project(counts, energy, found.reduction, used=used, progress=progress)
    else:
        reduction, scores = principal_components(
            counts,
            energy,
            used=used,
            scaling=config.scaling,
            bin_width=config.bin_width,
            window=energy_window(cube, config.window),
            components=config.components,
            progress=progress,
        )
        found = find_clusters(reduction, scores, config, seed=seed, progress=progress)
    maps = describe(cube, found, scores, progress=progress)
    dropped = int(used.sum() - scores.used.sum())
    notes = [*found.notes, *([f"{dropped} pixels without counts were left out"] if dropped else [])]
    fuzzifier, shrinkage = softness(config, scores.counts)
    parameters = {**asdict(config), "seed": seed, "clusters_from": clusters_from is not None}
    parameters |= {"fuzzifier": fuzzifier, "shrinkage": shrinkage}
    maps = maps.assign_attrs(parameters=json.dumps(parameters), notes=json.dumps(notes))
    return (
        composite_maps(cube, maps, proposals=config.proposals, seed=seed, progress=progress)
        if config.proposals
        else maps
    )


def energy_window(cube: xr.Dataset, window: tuple[float, float | None]) -> tuple[float, float | None]:
    """Return the window [keV] closed at the tube voltage, above which no photon of the sample can be."""
    low, high = window
    voltage = cube.counts.attrs.get("tube_voltage")
    if high is None and voltage is not None and low < voltage < cube.energy.values[-1]:
        high = float(voltage)
    return low, high
