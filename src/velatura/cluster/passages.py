"""The visible passages as the surface alone shows them, and the parts of each that differ in what lies deeper.

Soft X-rays leave only the upper few micrometres of paint: pixels with the same soft spectrum carry the same visible
paint, whatever lies beneath. Within such a passage, harder lines then tell apart what is hidden.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

SURFACE_GROUPS = 12
ALIKE = 0.05  # Hellinger distance below which two soft spectra are one passage
SURFACE_COMPONENTS = 6
LEAST_SURFACE = 5  # mean soft counts a pixel from which passages are sought
ENOUGH_SURFACE, ENOUGH_LINES = 600, 2000  # mean counts a pixel above which pixels are not smoothed
LEAST_WIDTH = 0.3  # pixels
SMOOTHING = 0.7  # pixels
PARTS = 16
SPREAD = 0.25  # of a line's counts within one paint, by tint and thickness
ABSENT = 0.1  # share of the pixels that surely lack a line
PART_PIXELS = 30
SAMPLE = 40_000  # pixels that k-means learns from
STARTS, ROUNDS = 3, 60


def surface_passages(surface: np.ndarray, used: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Group pixels by their soft spectra: int16 [y, x] from 0, and -1 outside `used`.

    surface: counts float32 [bin, y, x]; used: bool [y, x]. k-means on square roots (Poisson counts) of neighbourhoods
    that hold `ENOUGH_SURFACE` counts, then groups whose summed spectra are alike are joined. The photons are dealt into
    two halves by chance: those whose spectra are compared had no say in the grouping, so that groups made by noise
    alone are seen to be alike.
    """
    counts = surface[:, used].sum(0, dtype=np.float64).mean() if used.any() else 0.0
    if len(surface) < 2 or counts < LEAST_SURFACE:
        return np.where(used, 0, -1).astype(np.int16)  # too few soft counts to tell: one passage
    width = float(np.sqrt(ENOUGH_SURFACE / counts / (4 * np.pi)))
    half = rng.binomial(surface.astype(np.int64), 0.5)
    features, first = (_surface_features(images, used, width=width) for images in (surface, 2.0 * half))
    mean = features.mean(0)
    axes = np.linalg.eigh((features - mean).T @ (features - mean))[1][:, ::-1][:, :SURFACE_COMPONENTS]
    features, first = (features - mean) @ axes, (first - mean) @ axes
    centres = _k_means(features, min(SURFACE_GROUPS, int(used.sum())), rng=rng)
    other, groups = (surface - half)[:, used], _nearest(first, centres)
    spectra = [other[:, groups == k].sum(1, dtype=np.float64) for k in range(len(centres))]
    passages = np.full(used.shape, -1, np.int16)
    passages[used] = _join_alike(spectra)[_nearest(features, centres)]
    return passages


def deeper_parts(
    net: np.ndarray, variance: np.ndarray, passages: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """Divide each passage by the counts of its lines: int16 [y, x], numbered through all passages; -1 outside.

    net, variance: counts of the lines and their Poisson variance, float32 [line, y, x]; passages: as
    `surface_passages` gives them. Compared is `levelled`, so that a strong line of the paint itself, whose strength
    follows tint and thickness, has no more say than a weak one that is there or not.
    """
    used = passages >= 0
    features, owner = _line_features(net, variance, used), passages[used]
    labels, count = np.zeros(len(owner), np.int16), 0
    for passage in range(owner.max() + 1):
        here = np.flatnonzero(owner == passage)
        wanted = min(PARTS, max(1, len(here) // PART_PIXELS))
        nearest = _nearest(features[here], _k_means(features[here], wanted, rng=rng))
        labels[here] = count + np.unique(nearest, return_inverse=True)[1]
        count = int(labels[here].max()) + 1
    parts = np.full(passages.shape, -1, np.int16)
    parts[used] = labels
    return parts


def levelled(net: np.ndarray, floor: np.ndarray | float) -> np.ndarray:
    """Return 2/r asinh(r sqrt(net + floor)): of variance one for counts of variance floor + net + (r net)^2.

    r is `SPREAD`, how much a line of one paint varies with tint and thickness; floor: variance where there is no line.
    """
    return 2 / SPREAD * np.arcsinh(SPREAD * np.sqrt(np.maximum(net, 0) + floor))


def _line_features(net: np.ndarray, variance: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Levelled counts of the used pixels, smoothed where counts are few: float64 [n, line]."""
    floor = np.quantile(variance[:, used], ABSENT, axis=1)[:, None] + 0.5
    if net[:, used].sum(0).mean() > ENOUGH_LINES:
        return levelled(net[:, used], floor).T.astype(np.float64)
    area = 4 * np.pi * SMOOTHING**2
    return levelled(_smoothed(net, used, width=SMOOTHING) * area, floor * area).T.astype(np.float64) / np.sqrt(area)


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


def _surface_features(surface: np.ndarray, used: np.ndarray, *, width: float) -> np.ndarray:
    """Square roots of the soft counts around each used pixel: float64 [n, bin]. width: of the mean [pixels]."""
    return np.sqrt(_smoothed(surface, used, width=width).T + 0.1, dtype=np.float64)


def _smoothed(images: np.ndarray, used: np.ndarray, *, width: float) -> np.ndarray:
    """Means [image, n] around each used pixel, over used pixels. width: standard deviation of the weights [pixels]."""
    if width < LEAST_WIDTH:
        return images[:, used]
    weight = np.maximum(gaussian_filter(used.astype(np.float32), width), 1e-6)
    return np.stack([gaussian_filter(image * used, width)[used] / weight[used] for image in images])


def _k_means(features: np.ndarray, groups: int, *, rng: np.random.Generator) -> np.ndarray:
    """Centres [group, feature] of pixels [n, feature]: the best of three runs from k-means++ starts (Arthur 2007)."""
    sample = features if len(features) <= SAMPLE else features[rng.choice(len(features), SAMPLE, replace=False)]
    runs = [_lloyd(sample, _spread_start(sample, groups, rng)) for _ in range(STARTS)]
    return min(runs, key=lambda run: run[1])[0]


def _nearest(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Labels of pixels: the number of the nearest centre."""
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
