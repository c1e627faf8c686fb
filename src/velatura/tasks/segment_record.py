"""A segmentation's clusters inside its maps: written so that they can be read back and applied to another scan."""

import json

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.cluster import Clusters
from velatura.reduce.pca import Reduction
from velatura.tasks.clustering import Found

NUMBERS = ("fuzzifier", "noise_distance", "scale", "iterations", "converged", "change", "objective")


def stored_variables(found: Found) -> dict[str, tuple]:
    """Return the arrays of a clustering as variables of a Dataset. A `part` is a cluster before any merging."""
    reduction, clusters = found.reduction, found.clusters
    return {
        "bin_edge": ("edge", reduction.edges, {"units": "keV"}),
        "channel_scale": ("bin", reduction.channel_scale),
        "scaled_mean": ("bin", reduction.mean),
        "loadings": (("component", "bin"), reduction.loadings),
        "explained_variance": ("eigenvalue", reduction.explained_variance),
        "centre": (("part", "component"), clusters.centres),
        "covariance": (("part", "component", "component2"), clusters.covariance),
        "whitener": (("part", "component", "component2"), clusters.whiteners),
        "log_volume": ("part", clusters.log_volumes),
        "log_weight": ("part", clusters.log_weights),
        "part_of": ("part", found.part_of.astype(np.int16)),
    }


def stored_attributes(found: Found, anomaly_units: tuple[float, float]) -> dict[str, object]:
    """Return the numbers of a clustering as attributes; those without a place of their own as JSON in `clustering`."""
    reduction, clusters = found.reduction, found.clusters
    numbers = {name: getattr(clusters, name) for name in NUMBERS}
    numbers["noise_distance"] = numbers["noise_distance"] if np.isfinite(numbers["noise_distance"]) else None
    return {
        "iterations": int(clusters.iterations),
        "converged": int(clusters.converged),
        "validity": json.dumps(dict(clusters.validity)),
        "explained_variance": json.dumps([float(value) for value in reduction.explained_variance]),
        "noise_floor": reduction.noise_floor,
        "total_variance": reduction.total_variance,
        "scaling": reduction.scaling,
        "method": clusters.method,
        "anomaly_units": json.dumps(anomaly_units),
        "clustering": json.dumps(numbers),
    }


def stored_segmentation(maps: xr.Dataset) -> Found:
    """Read back what `stored_variables` and `stored_attributes` wrote. Raises InputError where the maps lack it."""
    missing = [name for name in ("loadings", "centre", "whitener", "part_of") if name not in maps]
    if missing or "clustering" not in maps.attrs:
        raise InputError(f"these maps hold no clusters to apply (no {', '.join(missing) or 'clustering'}). Run segment")
    numbers = json.loads(maps.attrs["clustering"])
    if numbers["noise_distance"] is None:
        numbers["noise_distance"] = np.inf
    reduction = Reduction(
        scaling=maps.attrs["scaling"],
        edges=maps.bin_edge.values,
        channel_scale=maps.channel_scale.values,
        mean=maps.scaled_mean.values,
        loadings=maps.loadings.values,
        explained_variance=maps.explained_variance.values,
        total_variance=maps.attrs["total_variance"],
        noise_floor=maps.attrs["noise_floor"],
    )
    clusters = Clusters(
        method=maps.attrs["method"],
        centres=maps.centre.values,
        covariance=maps.covariance.values,
        whiteners=maps.whitener.values,
        log_volumes=maps.log_volume.values,
        log_weights=maps.log_weight.values,
        validity=json.loads(maps.attrs["validity"]),
        **numbers,
    )
    names, colours = (tuple(str(one) for one in maps[name].values) for name in ("cluster", "colour"))
    return Found(
        reduction,
        clusters,
        maps.part_of.values.astype(int),
        names,
        colours,
        tuple(json.loads(maps.attrs["anomaly_units"])),
    )
