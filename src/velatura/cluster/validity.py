"""How good a partition is, from the sums of one pass; and how many clusters to ask for.

Symbols: u membership, m fuzzifier, v centre, F covariance, n pixels (sum of the weights), k clusters.
"""

import numpy as np

from velatura.cluster.frames import Model, scatter
from velatura.cluster.statistics import Sums


def indices(model: Model, sums: Sums, total: float) -> dict[str, float]:
    """Return the indices of the partition that `model` makes, in the units of the layout.

    partition_coefficient: sum u^2 / n, 1/k to 1; modified_partition_coefficient: the same from 0 to 1 (Dave 1996);
    partition_entropy: -sum u log u / n (Bezdek 1981), least is best; xie_beni: sum u^m |x - v|^2 / (n min |v - v'|^2)
    (Xie and Beni 1991), least is best; fukuyama_sugeno: sum u^m (|x - v|^2 - |v - mean|^2) / n, least is best, in
    units of the variance of the scaled scores; fuzzy_hypervolume: sum of root det F (Gath and Geva 1989).
    """
    clusters = len(model.centres)
    mass, means, covariance = scatter(model, sums)
    about = means - model.centres
    spread = mass * (np.trace(covariance, axis1=1, axis2=2) + np.square(about).sum(axis=1))  # about the centres used
    between = np.square(model.centres - (mass @ means / mass.sum())).sum(axis=1) @ mass
    apart = np.square(model.centres[:, None, :] - model.centres[None, :, :]).sum(axis=2)
    closest = apart[~np.eye(clusters, dtype=bool)].min(initial=np.inf)
    coefficient = sums.validity[1] / total
    modified = 1 - clusters / (clusters - 1) * (1 - coefficient) if clusters > 1 else 1.0
    return {
        "partition_coefficient": float(coefficient),
        "modified_partition_coefficient": float(modified),
        "partition_entropy": float(sums.validity[2] / total),
        "xie_beni": float(spread.sum() / total / closest) if closest > 0 else float("inf"),
        "fukuyama_sugeno": float((spread.sum() - between) / total),
        "fuzzy_hypervolume": float(np.exp(np.linalg.slogdet(model.covariance)[1] / 2).sum()),
    }
