"""Random forests: on the spectrum in windows, and on the line measurements of `line_rules`."""

import numpy as np

LEAF, SEED = 2, 0
WINDOWS = 256
TRIED = 0.08  # share of the features tried at each branch


def windows(features: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """Square roots of the counts in 256 windows, each spectrum scaled to its total, dose and instrument appended."""
    summed = features.reshape(len(features), WINDOWS, -1).sum(axis=2)
    total = np.maximum(summed.sum(axis=1, keepdims=True), 1)
    return np.concatenate([np.sqrt(summed / total), np.log10(total), condition], axis=1).astype(np.float32)


def train_forest(table: np.ndarray, target: np.ndarray, *, trees: int) -> object:
    """Fit a forest to a table [spectrum, feature] and labels bool [spectrum, paint, class], all outputs in each tree.

    Regression of 0 and 1 splits by the same impurity as Gini, in half of the memory.
    """
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        trees, min_samples_leaf=LEAF, max_features=TRIED, n_jobs=2, random_state=SEED, max_samples=0.8
    )
    return forest.fit(table, target.reshape(len(target), -1).astype(np.float32))


def forest_scores(forest: object, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities [spectrum, paint, class], and of unknown [spectrum]: the larger of both paints."""
    found = forest.predict(table).reshape(len(table), 2, -1).astype(np.float32)
    return found[..., :-1], found[..., -1].max(axis=1)
