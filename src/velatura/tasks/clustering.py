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
    from velatura.tasks.segment import Segmentation

USUAL_CLUSTERS = 14  # so many are cut down, with a note, where a tiny scan cannot fill them; more is an error
FEW = 1000.0  # counts a pixel
MANY_COUNTS, FEW_COUNTS = (1.7, 0.6), (1.2, 0.9)  # fuzzifier, shrinkage; docs/quality.md holds the table behind them
PIXELS_EACH = 5  # used pixels a cluster needs
PIXELS_A_FEATURE = 4  # used pixels a cluster and component, for its covariance
AUTO_EXTRA = 2  # n materials span n - 1 components; one more for what hidden layers and uneven paint add
AUTO_RANGE = (4, 20)


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
    anomaly_units: tuple[float, float] | None = None
    """Distance to the nearest cluster, and residual, that count as 1; None takes them from the scan at hand."""
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
    wanted, notes = affordable_clusters(config.clusters, pixels, reduction.components)
    most = max(2, pixels // (PIXELS_A_FEATURE * wanted))
    if reduction.components > most:
        notes.append(f"{most} of {reduction.components} components were kept: {pixels} pixels tell no more apart")
        reduction = replace(reduction, loadings=reduction.loadings[:most])
    features = scores.scores[: reduction.components]
    fuzzifier, shrinkage = softness(config, scores.counts)
    options = ClusterOptions(
        method=config.method,  # type: ignore[arg-type]  checked by ClusterOptions
        fuzzifier=fuzzifier,
        shrinkage=shrinkage,
        noise=config.noise,
        clusters=wanted,
    )
    key = jax.random.key(seed)
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


def softness(config: "Segmentation", counts: float) -> tuple[float, float]:
    """Return fuzzifier and shrinkage: as the user says, else the usual ones for so many counts a pixel."""
    fuzzifier, shrinkage = FEW_COUNTS if counts < FEW else MANY_COUNTS
    return (
        fuzzifier if config.fuzzifier is None else config.fuzzifier,
        shrinkage if config.shrinkage is None else config.shrinkage,
    )


def affordable_clusters(asked: int | str, pixels: int, components: int) -> tuple[int, list[str]]:
    """Return the number of clusters and what there is to say on it.

    "auto" is the number of components above the noise floor plus two, 4 to 20. On simulated paintings (5 seeds of each
    of six kinds) its mean adjusted Rand index was AUTO_ARI; that of the highest modified partition coefficient among 4
    to 20 clusters plus two was MPC_ARI. A tiny scan gets fewer than the usual ten; asking for more raises InputError.
    """
    most = pixels // PIXELS_EACH
    if most < 1:
        raise InputError(f"segmentation needs at least {PIXELS_EACH} pixels with counts; found {pixels}")
    if isinstance(asked, str):
        chosen = min(max(components + AUTO_EXTRA, AUTO_RANGE[0]), AUTO_RANGE[1], most)
        return chosen, [f"{chosen} clusters: {components} components stand above the noise"]
    if asked <= most:
        return asked, []
    if asked > USUAL_CLUSTERS:
        raise InputError(f"asked for {asked} clusters; found {pixels} used pixels. Ask for at most {most}")
    return most, [f"{most} clusters instead of {asked}: the scan has only {pixels} used pixels"]
