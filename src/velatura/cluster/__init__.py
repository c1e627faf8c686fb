"""Clustering of pixels by their scores: Gustafson-Kessel, fuzzy means, k-means and Gaussian mixture on one engine.

`fit(scores, ClusterOptions(...), key=key)` gives `Clusters`; `memberships(clusters, scores)` or, with the distance to
the nearest cluster, `assign_pixels(clusters, scores)` applies them. Scores are float32 [d, n], feature-major.
"""

from velatura.cluster.assignment import Assignment, assign_pixels, memberships
from velatura.cluster.fitting import fit
from velatura.cluster.options import METHODS, ClusterOptions
from velatura.cluster.record import Clusters

__all__ = ["METHODS", "Assignment", "ClusterOptions", "Clusters", "assign_pixels", "fit", "memberships"]
