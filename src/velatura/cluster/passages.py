"""The visible passages as the surface alone shows them, and the parts of each that differ in what lies deeper.

Soft X-rays leave only the upper few micrometres of paint: pixels with the same soft spectrum carry the same visible
paint, whatever lies beneath. Within such a passage, harder lines then tell apart what is hidden.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

SURFACE_GROUPS = 12
ALIKE = 0.08  # Hellinger distance below which two soft spectra are one passage
SURFACE_COMPONENTS = 6
ENOUGH_SURFACE, ENOUGH_LINES = 300, 2000  # mean counts a pixel above which pixels are not smoothed
SMOOTHING = 0.7  # pixels
PARTS = 10
PART_PIXELS = 30
SAMPLE = 40_000  # pixels that k-means learns from
STARTS, ROUNDS = 3, 60


def surface_passages(surface: np.ndarray, used: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Group pixels by their soft spectra: int16 [y, x] from 0, and -1 outside `used`.

    surface: counts float32 [bin, y, x]; used: bool [y, x]. k-means on square roots (Poisson counts), then groups whose
    summed spectra are alike are joined.
    """
    if len(surface) < 2 or surface[:, used].sum() < 10 * used.sum():
        return np.where(used, 0, -1).astype(np.int16)  # too few soft counts to tell: one passage
    features = _features(surface, used, enough=ENOUGH_SURFACE)
    features -= features.mean(0)
    axes = np.linalg.eigh(features.T @ features)[1][:, ::-1][:, :SURFACE_COMPONENTS]
    labels = _k_means(features @ axes, min(SURFACE_GROUPS, int(used.sum())), rng=rng)
    spectra = [surface[:, used][:, labels == k].sum(1, dtype=np.float64) for k in range(labels.max() + 1)]
    passages = np.full(used.shape, -1, np.int16)
    passages[used] = _join_alike(spectra)[labels]
    return passages


def deeper_parts(lines: np.ndarray, passages: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Divide each passage by its line counts: int16 [y, x], numbered through all passages; -1 outside.

    lines: counts float32 [line, y, x]; passages: as `surface_passages` gives them.
    """
    used = passages >= 0
    features, owner = _features(lines, used, enough=ENOUGH_LINES), passages[used]
    labels, count = np.zeros(len(owner), np.int16), 0
    for passage in range(owner.max() + 1):
        here = np.flatnonzero(owner == passage)
        wanted = min(PARTS, max(1, len(here) // PART_PIXELS))
        labels[here] = count + _k_means(features[here], wanted, rng=rng)
        count += wanted
    parts = np.full(passages.shape, -1, np.int16)
    parts[used] = labels
    return parts


def hellinger(first: np.ndarray, second: np.ndarray) -> float:
    """Distance 0 to 1 of the shapes of two spectra in counts, less what Poisson noise alone would make.

    sqrt(1 - sum sqrt(p q)) with p, q of sum 1 (Hellinger, 1909); the noise of each spectrum adds bins / (8 counts).
    """
    total = first.sum(), second.sum()
    if min(total) <= 0:
        return 1.0
    affinity = np.sqrt(first / total[0] * second / total[1]).sum()
    noise = len(first) / 8 * (1 / total[0] + 1 / total[1])
    return float(np.sqrt(max(0.0, 1 - affinity - noise)))


def _features(counts: np.ndarray, used: np.ndarray, *, enough: float) -> np.ndarray:
    """Square roots of the counts of the used pixels, smoothed where counts are few: float64 [n, bin]."""
    if counts[:, used].sum(0).mean() > enough:
        return np.sqrt(counts[:, used].T + 0.375, dtype=np.float64)
    weight = np.maximum(gaussian_filter(used.astype(np.float32), SMOOTHING), 1e-6)
    smooth = [gaussian_filter(image * used, SMOOTHING)[used] / weight[used] for image in counts]
    return np.sqrt(np.stack(smooth, axis=1) + 0.1, dtype=np.float64)


def _k_means(features: np.ndarray, groups: int, *, rng: np.random.Generator) -> np.ndarray:
    """Labels 0 to groups - 1 of pixels [n, feature]: the best of three runs from k-means++ starts (Arthur 2007)."""
    if groups < 2:
        return np.zeros(len(features), int)
    sample = features if len(features) <= SAMPLE else features[rng.choice(len(features), SAMPLE, replace=False)]
    runs = [_lloyd(sample, _spread_start(sample, groups, rng)) for _ in range(STARTS)]
    centres = min(runs, key=lambda run: run[1])[0]
    return _squares(features, centres).argmin(1)


def _squares(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances [n, group], less the squared length of each pixel, which no comparison needs."""
    return (centres**2).sum(1) - 2 * features @ centres.T


def _spread_start(sample: np.ndarray, groups: int, rng: np.random.Generator) -> np.ndarray:
    """Draw centres one by one, each with a chance that grows with the squared distance to those before."""
    centres = [sample[rng.integers(len(sample))]]
    nearest = np.full(len(sample), np.inf)
    while len(centres) < groups:
        nearest = np.minimum(nearest, ((sample - centres[-1]) ** 2).sum(1))
        total = nearest.sum()
        chance = nearest / total if total > 0 else None
        centres.append(sample[rng.choice(len(sample), p=chance)])
    return np.array(centres)


def _lloyd(sample: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, float]:
    """Move centres to the means of their pixels until nothing changes: (centres, sum of squares up to a constant)."""
    labels = np.zeros(len(sample), int)
    for _ in range(ROUNDS):
        squares = _squares(sample, centres)
        nearest = squares.argmin(1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        member = np.eye(len(centres))[labels]
        count = member.sum(0)[:, None]
        centres = np.where(count > 0, member.T @ sample / np.maximum(count, 1), centres)
    return centres, float(_squares(sample, centres).min(1).sum())


def _join_alike(spectra: list[np.ndarray]) -> np.ndarray:
    """Join the two most alike groups until none are alike: new number of each old group."""
    spectra, owner = list(spectra), np.arange(len(spectra))
    while len(alive := np.unique(owner)) > 1:
        pairs = [(hellinger(spectra[i], spectra[j]), i, j) for n, i in enumerate(alive) for j in alive[n + 1 :]]
        distance, i, j = min(pairs)
        if distance > ALIKE:
            break
        spectra[i] = spectra[i] + spectra[j]
        owner[owner == j] = i
    return np.unique(owner, return_inverse=True)[1]
