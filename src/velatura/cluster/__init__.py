"""Clustering of pixels by their scores: Gustafson-Kessel, fuzzy means, k-means and Gaussian mixture on one engine.

`fit(scores, ClusterOptions(...), key=key)` gives `Clusters`; `memberships(clusters, scores)` or, with the distance to
the nearest cluster, `assign_pixels(clusters, scores)` applies them. Scores are float32 [d, n], feature-major.
`choose_clusters` proposes how many clusters to ask for.
"""

from velatura.cluster.assignment import Assignment, assign_pixels, memberships
from velatura.cluster.choice import Choice, choose_clusters, fuzzy_silhouette
from velatura.cluster.fitting import fit
from velatura.cluster.options import METHODS, ClusterOptions
from velatura.cluster.record import Clusters

__all__ = [
    "METHODS",
    "Assignment",
    "Choice",
    "ClusterOptions",
    "Clusters",
    "assign_pixels",
    "choose_clusters",
    "fit",
    "fuzzy_silhouette",
    "memberships",
]
