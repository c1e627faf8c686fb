"""From a clustering to the maps that people look at: docs/results.md, maps/segment."""

import json

import numpy as np
import xarray as xr

from velatura.base.progress import Progress, silent
from velatura.cluster import assign_pixels
from velatura.reduce.pca import Scores
from velatura.tasks.cluster_elements import cluster_elements
from velatura.tasks.cluster_spectra import cluster_spectra
from velatura.tasks.clustering import Found
from velatura.tasks.segment_record import stored_attributes, stored_variables

ANOMALY_QUANTILE = 0.99
ACQUISITION = ("anode", "tube_voltage", "noise", "fano")


def describe(cube: xr.Dataset, found: Found, scores: Scores, *, progress: Progress = silent) -> xr.Dataset:
    """Apply the clusters to the pixels and return images, spectra and names of the clusters."""
    parts = len(found.part_of)
    assigned = assign_pixels(found.clusters, scores.scores[: found.reduction.components])
    membership = merge_parts(assigned.membership[:parts], found.part_of)
    spectra = cluster_spectra(
        cube.counts.data, membership**found.clusters.fuzzifier, used=scores.used, progress=progress
    )
    units = found.anomaly_units or anomaly_units(assigned.distance, scores.residual)
    anomaly = np.maximum(assigned.distance / np.float32(units[0]), scores.residual / np.float32(units[1]))
    attributes = cube.counts.attrs
    acquisition = {name: attributes[name] for name in ACQUISITION if attributes.get(name)}
    named = cluster_elements(spectra, cube.energy.values, pixels=membership.shape[1], acquisition=acquisition)
    used = scores.used
    image, channel = ("y", "x"), {"units": "counts per pixel"}
    variables = {
        "membership": (("cluster", *image), in_place(membership, used, fill=0)),
        "labels": (image, in_place(membership.argmax(0).astype(np.int16), used, fill=-1)),
        "entropy": (image, in_place(entropy(assigned.membership), used, fill=np.nan)),
        "anomaly": (image, in_place(anomaly, used, fill=np.nan)),
        "used": (image, used),
        "spectrum": (("cluster", "energy"), spectra.spectrum, channel),
        "spectrum_error": (("cluster", "energy"), spectra.error, channel),
        "mean_spectrum": ("energy", spectra.mean, channel),
        **stored_variables(found),
    }
    if len(assigned.membership) > parts:
        variables["noise"] = (image, in_place(assigned.membership[parts], used, fill=0))
    along = {
        "colour": list(found.colours),
        "share": membership.sum(1, dtype=np.float64) / membership.shape[1],
        "mass": spectra.mass,
        "elements": list(named.elements),
        "contrast": list(named.contrast),
    }
    coordinates = {"cluster": list(found.names), "energy": cube.energy}
    coordinates |= {name: ("cluster", values) for name, values in along.items()}
    attributes = {**stored_attributes(found, units), "acquisition": json.dumps(acquisition)}
    return xr.Dataset(variables, coordinates, attributes)


def anomaly_units(distance: np.ndarray, residual: np.ndarray) -> tuple[float, float]:
    """Return the units of distance to the nearest cluster and of residual outside the components, [n] each.

    The anomaly of a pixel is the larger of the two in these units, so that an element too rare for a component shows
    too; 99 % of the pixels stay below 1.
    """
    units = [max(float(np.quantile(values, ANOMALY_QUANTILE)), 1e-12) for values in (distance, residual)]
    common = float(np.quantile(np.maximum(distance / units[0], residual / units[1]), ANOMALY_QUANTILE))
    return units[0] * max(common, 1e-12), units[1] * max(common, 1e-12)


def merge_parts(membership: np.ndarray, part_of: np.ndarray) -> np.ndarray:
    """Sum the memberships of parts that are shown as one cluster: [part, n] -> [cluster, n]."""
    if np.array_equal(part_of, np.arange(len(part_of))):
        return membership
    merged = np.zeros((part_of.max() + 1, membership.shape[1]), membership.dtype)
    np.add.at(merged, part_of, membership)
    return merged


def entropy(membership: np.ndarray) -> np.ndarray:
    """Return the ambiguity of each pixel, -sum u log u / log k, 0 to 1: [k, n] -> float32 [n]."""
    safe = np.maximum(membership, np.finfo(np.float32).tiny)
    return (-(safe * np.log(safe)).sum(0) / np.log(max(2, len(membership)))).astype(np.float32)


def in_place(values: np.ndarray, used: np.ndarray, *, fill: float) -> np.ndarray:
    """Put the values of used pixels at their place in the image: [..., n] -> [..., y, x]."""
    image = np.full((*values.shape[:-1], *used.shape), fill, values.dtype)
    image[..., used] = values
    return image
