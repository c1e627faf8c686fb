"""How well maps show what is known to be hidden, and labels what is known to be there."""

import numpy as np
import xarray as xr
from scipy.stats import rankdata


def correlation(image: np.ndarray, mask: np.ndarray) -> float:
    """Absolute Pearson correlation of a map [y, x] with a mask bool [y, x]; 0 where either is constant."""
    image, mask = np.asarray(image, np.float64).ravel(), np.asarray(mask, np.float64).ravel()
    spread = image.std() * mask.std()
    return float(abs(np.mean((image - image.mean()) * (mask - mask.mean()))) / spread) if spread > 0 else 0.0


def area_under_curve(image: np.ndarray, mask: np.ndarray) -> float:
    """Share of pairs (pixel inside, pixel outside) that the map [y, x] orders alike, 0.5 (chance) to 1.

    Area under the receiver operating curve by ranks (Mann and Whitney, 1947), whichever way round it is larger.
    """
    ranks, mask = rankdata(image, axis=None), np.asarray(mask, bool).ravel()
    inside, outside = int(mask.sum()), int((~mask).sum())
    if not inside or not outside:
        return 0.5
    area = (ranks[mask].sum() - inside * (inside + 1) / 2) / (inside * outside)
    return float(max(area, 1 - area))


def score_maps(maps: np.ndarray, truth: xr.Dataset) -> dict[str, dict[str, float]]:
    """For each hidden passage in `truth`: the best `correlation` and `area_under_curve` among maps [n, y, x].

    `map` is the number of the map with the best correlation. Passages that are absent are left out.
    """
    scores = {}
    for number, name in enumerate(truth.hidden.attrs["names"]):
        mask = truth.hidden.values == number
        if number == 0 or not mask.any():
            continue
        correlations = [correlation(image, mask) for image in maps]
        areas = [area_under_curve(image, mask) for image in maps]
        best = int(np.argmax(correlations))
        scores[name] = {"correlation": correlations[best], "area_under_curve": max(areas), "map": best}
    return scores


def score_labels(labels: np.ndarray, truth: xr.Dataset) -> float:
    """Adjusted Rand index (Hubert and Arabie, 1985) of labels int [y, x] with visible x hidden; -1 is left out."""
    from sklearn.metrics import adjusted_rand_score

    both = truth.visible.values.astype(int) * len(truth.hidden.attrs["names"]) + truth.hidden.values
    used = labels >= 0
    return float(adjusted_rand_score(both[used], labels[used]))


def score(maps: xr.Dataset, truth: xr.Dataset, *, first: int = 10) -> dict:
    """Score a result of `segment` (docs/results.md) against a phantom's truth.

    Returns `ari`, `hidden` (for each passage, over the first `first` maps: composites, then memberships), `correlation`
    and `area_under_curve` (means over the passages; NaN without any), and `announced`: how many maps are called hidden.
    """
    composites = maps.composite.values if "composite" in maps else np.zeros((0, *truth.hidden.shape))
    candidates = np.concatenate([composites, maps.membership.values])[:first]
    hidden = score_maps(candidates, truth)
    means = {
        name: float(np.mean([row[name] for row in hidden.values()])) if hidden else float("nan")
        for name in ("correlation", "area_under_curve")
    }
    announced = int(maps.hidden.values.sum()) if "hidden" in maps.coords else 0
    return {"ari": score_labels(maps.labels.values, truth), "hidden": hidden, **means, "announced": announced}
