"""How many clusters, and which: from the scores of the used pixels to a clustering that can be stored and applied."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.cluster import ClusterOptions, Clusters, fit
from velatura.reduce.pca import Reduction, Scores
from velatura.tasks.colours import cluster_colours
from velatura.tasks.rare import rare_centres

if TYPE_CHECKING:
    import jax

    from velatura.tasks.segment import Segmentation

USUAL_CLUSTERS = (
    10  # so many are cut down, with a note, where a tiny scan cannot fill them; asking for more is an error
)
PIXELS_EACH = 5  # used pixels a cluster needs
PIXELS_A_FEATURE = 4  # used pixels a cluster and component, for its covariance
AUTO = range(4, 21)
AUTO_PIXELS = 40_000  # evenly spread, enough to judge a number of clusters by
AUTO_EXTRA = 2  # a hidden layer multiplies materials: a few clusters too many are better than too few


@dataclass(frozen=True)
class Found:
    """A clustering with the space it lives in."""

    reduction: Reduction
    clusters: Clusters
    part_of: np.ndarray
    """int [part]: number of the shown cluster to which each cluster of the clustering belongs (merged ones share)."""
    names: tuple[str, ...]
    """Of the shown clusters."""
    colours: tuple[str, ...]
    """Of the shown clusters, "#rrggbb"."""
    anomaly_unit: float | None = None
    """Distance to the nearest cluster that counts as 1; None takes the 99 % quantile of the scan at hand."""
    notes: tuple[str, ...] = ()
    """What the user should know, in plain sentences."""


def find_clusters(
    reduction: Reduction, scores: Scores, config: "Segmentation", *, seed: int, progress: Progress = silent
) -> Found:
    """Cluster the pixels as `config` asks, with fewer clusters or components where a tiny scan allows no more.

    Raises InputError when far more clusters are asked for than the pixels can fill.
    """
    import jax

    pixels = scores.scores.shape[1]
    wanted, notes = affordable_clusters(config.clusters, pixels)
    most = max(2, pixels // (PIXELS_A_FEATURE * wanted[-1]))
    if reduction.components > most:
        notes.append(f"{most} of {reduction.components} components were kept: {pixels} pixels tell no more apart")
        reduction = replace(reduction, loadings=reduction.loadings[:most])
    features = scores.scores[: reduction.components]
    options = ClusterOptions(
        method=config.method,  # type: ignore[arg-type]  checked by ClusterOptions
        fuzzifier=config.fuzzifier,
        shrinkage=config.shrinkage,
        noise=config.noise,
        clusters=wanted[-1],
    )
    key = jax.random.key(seed)
    if len(wanted) > 1:
        chosen, note = choose_number(features, options, wanted, key=key, progress=progress)
        options, notes = replace(options, clusters=chosen), [*notes, note]
    clusters = fit(features, options, key=key, progress=progress)
    if config.rare:
        centres, note = rare_centres(scores, clusters, options, key=key)
        if len(centres):
            start = np.vstack([clusters.centres, centres])
            clusters = fit(features, replace(options, clusters=len(start)), key=key, start=start, progress=progress)
            notes.append(note)
    if not clusters.converged:
        notes.append(f"the clustering had not come to rest after {clusters.iterations} iterations")
    names = tuple(f"C{number + 1}" for number in range(len(clusters.centres)))
    colours = tuple(cluster_colours(len(names)))
    return Found(reduction, clusters, np.arange(len(names)), names, colours, notes=tuple(notes))


def affordable_clusters(asked: int | str, pixels: int) -> tuple[list[int], list[str]]:
    """Return the numbers of clusters to try and a note where a tiny scan allows fewer than the usual ones."""
    most = pixels // PIXELS_EACH
    if most < 1:
        raise InputError(f"segmentation needs at least {PIXELS_EACH} pixels with counts; found {pixels}")
    if isinstance(asked, str):
        return [number for number in AUTO if number <= most] or [most], []
    if asked <= most:
        return [asked], []
    if asked > USUAL_CLUSTERS:
        raise InputError(f"asked for {asked} clusters; found {pixels} used pixels. Ask for at most {most}")
    return [most], [f"{most} clusters instead of {asked}: the scan has only {pixels} used pixels"]


def choose_number(
    features: np.ndarray, options: ClusterOptions, numbers: list[int], *, key: "jax.Array", progress: Progress = silent
) -> tuple[int, str]:
    """Return the number with the highest modified partition coefficient (Dave 1996), plus two, and a sentence on it."""
    quality, sample = {}, features[:, :: -(-features.shape[1] // AUTO_PIXELS)]
    for done, number in enumerate(numbers):
        progress("choosing the number of clusters", done, len(numbers))
        tried = fit(sample, replace(options, clusters=number, noise=False), key=key)
        quality[number] = tried.validity["modified_partition_coefficient"]
    best = max(quality, key=quality.__getitem__)
    chosen = min(best + AUTO_EXTRA, features.shape[1] // PIXELS_EACH)
    return chosen, f"{chosen} clusters: the partition is clearest with {best} ({quality[best]:.2f}), and two more"
