"""Clusterings of simulated flat paintings against their truth: twelve paints, two rare, blurred edges, uneven paint.

    python benchmarks/simulated_paintings.py --seeds 5 --first 8000

Prints the mean adjusted Rand index outside the frame in four regimes of edge blur and thickness, for Gustafson-Kessel
with its defaults or other options, k-means (10 starts), fuzzy c-means and a full Gaussian mixture, all with twelve
clusters on the same scores. About 10 minutes on 2 cores.
"""

import argparse

import numpy as np
from scipy.ndimage import gaussian_filter

from velatura.reduce.pca import principal_components
from velatura.tasks.clustering import softness
from velatura.tasks.segment import Segmentation

CHANNELS, SPAN, SIZE, CLUSTERS = 1024, 20.0, 150, 12
FRESH = 4000
REGIMES = {  # (edge blur [pixels], spread of the thickness, counts a pixel): ARI to be held
    (0.5, 0.25, 2500): 0.98,
    (0.5, 0.6, 2500): 0.90,
    (1.0, 0.25, 2500): 0.88,
    (1.0, 0.6, 500): 0.78,
}
# Lines [keV] and relative heights, drawn for this simulation and no table of physics.
LINES = {
    "K": {3.31: 1}, "Ca": {3.69: 1, 4.01: 0.13}, "Ti": {4.51: 1, 4.93: 0.14}, "Mn": {5.90: 1, 6.49: 0.14},
    "Fe": {6.40: 1, 7.06: 0.14}, "Co": {6.93: 1, 7.65: 0.14}, "Cu": {8.05: 1, 8.90: 0.14}, "Zn": {8.64: 1, 9.57: 0.14},
    "Hg": {9.99: 1, 11.82: 0.8, 13.83: 0.15, 2.2: 0.2}, "Pb": {10.55: 1, 12.61: 0.8, 14.76: 0.15, 2.35: 0.25},
    "As": {10.54: 1, 11.73: 0.15}, "Sr": {14.16: 1, 15.83: 0.15}, "Sn": {3.44: 0.7, 3.66: 0.4},
    "Ba": {4.47: 0.8, 4.83: 0.5}, "S": {2.31: 0.5}, "Ar": {2.96: 0.5},
}  # fmt: skip
PAINTS = {
    "lead white": {"Pb": 1.0, "Ca": 0.05},
    "vermilion": {"Hg": 0.8, "Pb": 0.25, "S": 0.1},
    "azurite": {"Cu": 0.9, "Pb": 0.2, "Fe": 0.03},
    "malachite": {"Cu": 0.7, "Pb": 0.45, "Sn": 0.08},
    "lead-tin yellow": {"Pb": 0.9, "Sn": 0.3},
    "ochre": {"Fe": 0.8, "Ca": 0.25, "Ti": 0.03, "Pb": 0.2},
    "umber": {"Fe": 0.6, "Mn": 0.25, "Ca": 0.2},
    "smalt": {"Co": 0.35, "As": 0.25, "K": 0.2, "Fe": 0.1, "Pb": 0.2},
    "chalk": {"Ca": 0.6, "Fe": 0.06, "Sr": 0.08, "Pb": 0.1},
    "zinc retouch": {"Zn": 0.9, "Ba": 0.3, "Pb": 0.1},
    "titanium retouch": {"Ti": 0.6, "Zn": 0.2, "Ca": 0.1, "Pb": 0.1},
    "frame": {"Fe": 0.04, "Ar": 0.06, "Cu": 0.02},
}
MAIN, RARE, RARE_SHARE, FRAME_SHARE, PATCHES = 9, (9, 10), 0.01, 0.15, 60


def paint_spectra() -> np.ndarray:
    """Relative spectra float64 [paint, channel]: Gaussian lines on a smooth background, the brightest of sum 1."""
    energy = (np.arange(CHANNELS) + 0.5) * SPAN / CHANNELS
    background = 0.03 * np.exp(-0.5 * ((energy - 7.5) / 4.5) ** 2) + 0.02 * np.exp(-energy / 3)

    def drawn(element: str, amount: float) -> np.ndarray:
        peaks = np.zeros(CHANNELS)
        for line, height in LINES[element].items():
            sigma = np.sqrt(0.045**2 + 0.0005 * line)
            peaks += amount * height / (sigma * np.sqrt(2 * np.pi)) * np.exp(-0.5 * ((energy - line) / sigma) ** 2)
        return peaks

    spectra = np.array([
        sum(drawn(element, amount) for element, amount in paint.items())
        + background * (0.6 if name == "frame" else 1.0)
        + drawn("Ar", 0.03)
        for name, paint in PAINTS.items()
    ])  # fmt: skip
    return spectra / spectra.sum(1).max()


def painting_labels(rng: np.random.Generator) -> np.ndarray:
    """Voronoi patches of nine paints, blobs of two rare ones (1 % each), and a frame: int [y, x]."""
    points, paints = rng.random((PATCHES, 2)) * SIZE, rng.integers(0, MAIN, PATCHES)
    paints[:MAIN] = np.arange(MAIN)
    y, x = np.mgrid[:SIZE, :SIZE]
    labels = paints[((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2).argmin(-1)]
    border = round((1 - np.sqrt(1 - FRAME_SHARE)) * SIZE / 2)
    for paint in RARE:
        while np.mean(labels == paint) < RARE_SHARE:
            (row, column), radius = rng.integers(border, SIZE - border, 2), rng.uniform(2, 6)
            labels[np.hypot(y - row, x - column) < radius] = paint
    edge = np.minimum.reduce([y, x, SIZE - 1 - y, SIZE - 1 - x]) < border
    return np.where(edge, len(PAINTS) - 1, labels)


def painting(*, blur: float, spread: float, counts: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (counts uint16 [y, x, channel], label of the strongest paint int [y, x])."""
    labels = painting_labels(rng)
    shares = np.stack([gaussian_filter((labels == paint).astype(float), blur) for paint in range(len(PAINTS))], -1)
    shares /= shares.sum(-1, keepdims=True)
    relief = gaussian_filter(rng.normal(size=labels.shape), 3) / 0.094
    expected = counts * np.exp(spread * relief - spread**2 / 2)[..., None] * (shares @ paint_spectra())
    return rng.poisson(expected).astype(np.uint16), shares.argmax(-1)


def methods(scores: np.ndarray, seed: int, shape: dict[str, float]) -> dict[str, np.ndarray]:
    """Labels of each method, int [n]; scores float32 [component, n]; shape: options of Gustafson-Kessel."""
    import jax
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture

    from velatura.cluster import ClusterOptions, fit, memberships

    def fuzzy(options: ClusterOptions) -> np.ndarray:
        return np.asarray(memberships(fit(scores, options, key=jax.random.key(seed)), scores)).argmax(0)

    pixels = scores.T.astype(np.float64)
    return {
        "Gustafson-Kessel": fuzzy(ClusterOptions(clusters=CLUSTERS, **shape)),
        "k-means": KMeans(CLUSTERS, n_init=10, random_state=seed).fit_predict(pixels),
        "fuzzy c-means": fuzzy(ClusterOptions(method="fuzzy-means", fuzzifier=2.0, clusters=CLUSTERS)),
        "Gaussian mixture": GaussianMixture(CLUSTERS, random_state=seed).fit_predict(pixels),
    }


def main(seeds: range, config: Segmentation) -> None:
    from sklearn.metrics import adjusted_rand_score

    energy = (np.arange(CHANNELS) + 0.5) * SPAN / CHANNELS
    means = []
    print("| edge blur, thickness, counts | bar | method: mean ARI (every seed) |\n| --- | --- | --- |")
    for (blur, spread, counts), bar in REGIMES.items():
        found: dict[str, list[float]] = {}
        for seed in seeds:
            cube, truth = painting(blur=blur, spread=spread, counts=counts, rng=np.random.default_rng(seed))
            _, scores = principal_components(cube, energy, scaling=config.scaling)
            fuzzifier, shrinkage = softness(config, scores.counts)
            scored = (truth != len(PAINTS) - 1)[scores.used]
            for name, labels in methods(scores.scores, seed, {"fuzzifier": fuzzifier, "shrinkage": shrinkage}).items():
                value = adjusted_rand_score(truth[scores.used][scored], labels[scored])
                found.setdefault(name, []).append(float(value))
        means.append({name: np.mean(values) for name, values in found.items()})
        told = "; ".join(
            f"{name} {np.mean(values):.3f} ({' '.join(f'{v:.2f}' for v in values)})" for name, values in found.items()
        )
        print(f"| {blur}, {spread}, {counts} | {bar:.2f} | {told} |", flush=True)
    print("| mean | | " + "; ".join(f"{name} {np.mean([row[name] for row in means]):.3f}" for name in means[0]) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=FRESH, help="first seed")
    parser.add_argument("--scaling", default=Segmentation.scaling)
    parser.add_argument("--fuzzifier", type=float, help="by default as the product chooses")
    parser.add_argument("--shrinkage", type=float, help="by default as the product chooses")
    asked = parser.parse_args()
    options = Segmentation(scaling=asked.scaling, fuzzifier=asked.fuzzifier, shrinkage=asked.shrinkage)
    main(range(asked.first, asked.first + asked.seeds), options)
