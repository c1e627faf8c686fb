"""How good a partition is, from the sums of one pass; and how many clusters to ask for.

Symbols: u membership, m fuzzifier, v centre, F covariance, n pixels (sum of the weights), k clusters.
"""

import numpy as np

from velatura.cluster.frames import Model, moments_of
from velatura.cluster.statistics import Sums


def indices(model: Model, sums: Sums, total: float, *, scale: float = 1.0) -> dict[str, float]:
    """Return the indices of the partition that `model` makes. total: n; scale: unit of the model, in scores.

    partition_coefficient: sum u^2 / n, 1/k to 1 (Bezdek 1981); modified_partition_coefficient: the same from 0 to 1
    (Dave 1996); partition_entropy: -sum u log u / n, least is best (Bezdek 1981); xie_beni: sum u^m |x - v|^2 /
    (n min |v - v'|^2), least is best (Xie and Beni 1991); fukuyama_sugeno: sum u^m (|x - v|^2 - |v - mean|^2) / n,
    least is best [scores^2] (Fukuyama and Sugeno 1989); fuzzy_hypervolume: sum of root det F [scores^d] (Gath and Geva
    1989). A noise cluster takes no part but lowers the memberships of the others.
    """
    clusters, moments = len(model.centres), moments_of(model, sums)
    about = moments.centres - model.centres
    variance = np.trace(moments.covariance, axis1=1, axis2=2) + np.square(about).sum(axis=1)
    spread = moments.mass @ variance  # about the centres used
    middle = moments.mass @ moments.centres / moments.mass.sum()
    between = moments.mass @ np.square(model.centres - middle).sum(axis=1)
    apart = np.square(model.centres[:, None, :] - model.centres[None, :, :]).sum(axis=2)
    closest = apart[~np.eye(clusters, dtype=bool)].min(initial=np.inf)
    coefficient = sums.partition[1] / total
    modified = 1 - clusters / (clusters - 1) * (1 - coefficient) if clusters > 1 else 1.0
    return {
        "partition_coefficient": float(coefficient),
        "modified_partition_coefficient": float(modified),
        "partition_entropy": float(sums.partition[2] / total),
        "xie_beni": float(spread / total / closest) if closest > 0 else float("inf"),
        "fukuyama_sugeno": float((spread - between) / total * scale**2),
        "fuzzy_hypervolume": float(np.exp(np.linalg.slogdet(model.covariance * scale**2)[1] / 2).sum()),
    }


def objective(model: Model, sums: Sums) -> float:
    """Return the sum of w u^m D over pixels and clusters, the noise cluster included, in the units of the layout."""
    moments = moments_of(model, sums)
    about = moments.centres - model.centres
    scatter = moments.covariance + about[:, :, None] * about[:, None, :]
    squares = np.einsum("kij,kjl,kil->k", model.whiteners, scatter, model.whiteners)
    noise = model.noise * sums.partition[0] if np.isfinite(model.noise) else 0.0
    return float(moments.mass @ squares + noise)
