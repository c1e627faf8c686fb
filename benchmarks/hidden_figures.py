"""Hidden passages of the simulated panel: what each method shows of them in the ten maps that it proposes by itself.

    python benchmarks/hidden_figures.py --seeds 5 --null-seeds 10 --first 6000

Prints one table for 5,000 and one for 500 counts a pixel: the adjusted Rand index of the labels against visible x
hidden, and for each hidden passage the best |correlation| and area under the curve among the first ten maps, means over
passages and seeds; then how many maps are announced as hidden with and without the bust. About 10 minutes on 2 cores.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import xarray as xr

from velatura.reduce.bins import make_bins, rebin
from velatura.reduce.pca import principal_components
from velatura.scene.phantom import phantom
from velatura.scene.truth import score_labels, score_maps
from velatura.tasks.composites import measure_lines
from velatura.tasks.segment import Segmentation, segment

FIRST, CLUSTERS, MORE_CLUSTERS = 10, 10, 14
COUNTS = (5000, 500)
FRESH = 3000  # first seed; none below was looked at while the method was made


def element_maps(cube: xr.Dataset, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The ten strongest elements that the scan shows: net counts of their main lines by a linear fit."""
    signals = measure_lines(cube)
    assert signals is not None
    return signals.net[np.argsort(-signals.net.sum((1, 2)))[:FIRST]], None


def factorisation(cube: xr.Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative matrix factorisation of rebinned counts, scaled for Poisson noise (Keenan and Kotula 2004)."""
    from sklearn.decomposition import NMF

    counts = rebin(cube.counts.values.reshape(-1, cube.sizes["energy"]), make_bins(cube.energy.values))
    counts = counts[:, counts.sum(0) > 50]
    pixel, channel = counts.mean(1), counts.mean(0)
    scaled = counts / np.sqrt(np.maximum(pixel, 1e-3)[:, None] * channel / channel.mean())
    model = NMF(CLUSTERS, init="nndsvda", max_iter=400, random_state=seed)
    weights = model.fit_transform(scaled) * np.linalg.norm(model.components_, axis=1)
    return _images(weights.T, cube), weights.argmax(1).reshape(cube.valid.shape)


def k_means(cube: xr.Dataset, seed: int, clusters: int = CLUSTERS) -> tuple[np.ndarray, np.ndarray]:
    """k-means, ten starts, on the same scores as ours."""
    from sklearn.cluster import KMeans

    labels = KMeans(clusters, n_init=10, random_state=seed).fit_predict(_scores(cube).T)
    return _images(np.eye(clusters)[labels].T, cube), labels.reshape(cube.valid.shape)


def fuzzy_means(cube: xr.Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fuzzy c-means at its usual fuzzifier of 2, on the same scores as ours."""
    import jax

    from velatura.cluster import ClusterOptions, fit, memberships

    scores = _scores(cube)
    options = ClusterOptions(method="fuzzy-means", clusters=CLUSTERS, fuzzifier=2.0)
    found = np.asarray(memberships(fit(scores, options, key=jax.random.key(seed)), scores))
    return _images(found, cube), found.argmax(0).reshape(cube.valid.shape)


def ours(
    cube: xr.Dataset, seed: int, clusters: int | str = Segmentation.clusters, *, stacks: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """`segment` as a user runs it: composites first, then memberships; labels of clusters, or of passage x hidden."""
    maps = segment(cube, Segmentation(clusters=clusters), seed=seed)
    shown = np.concatenate([maps.composite.values, maps.membership.values])
    return shown, (maps.stacks if stacks else maps.labels).values


METHODS: dict[str, Callable] = {
    "element maps": element_maps,
    "NMF, 10": factorisation,
    "k-means, 10": k_means,
    "fuzzy c-means, 10": fuzzy_means,
    "ours, defaults": ours,
    "ours, stacks": lambda cube, seed: ours(cube, seed, stacks=True),
    "k-means, 14": lambda cube, seed: k_means(cube, seed, MORE_CLUSTERS),
    "ours, 10": lambda cube, seed: ours(cube, seed, CLUSTERS),
}


def _scores(cube: xr.Dataset) -> np.ndarray:
    return principal_components(cube.counts.values, cube.energy.values, scaling=Segmentation.scaling)[1].scores


def _images(rows: np.ndarray, cube: xr.Dataset) -> np.ndarray:
    return rows.reshape(-1, *cube.valid.shape)


def compare(counts: int, seeds: list[int]) -> None:
    """Print the table of all methods on the same panels."""
    rows = {name: [] for name in METHODS}
    spent = dict.fromkeys(METHODS, 0.0)
    for seed in seeds:
        cube, truth = phantom(counts=counts, rng=np.random.default_rng(seed))
        for name, method in METHODS.items():
            begin = time.process_time()
            maps, labels = method(cube, seed)
            spent[name] += time.process_time() - begin
            passages = score_maps(maps[:FIRST], truth).values()
            agreement = np.nan if labels is None else score_labels(labels, truth)
            shown = [[row[key] for row in passages] for key in ("correlation", "area_under_curve")]
            rows[name].append([agreement, *np.mean(shown, axis=1), *shown[0]])
    print(f"\n{counts} counts a pixel, {len(seeds)} panels (seeds {seeds[0]} to {seeds[-1]})")
    print("| method | ARI | correlation | AUC | flesh | robe | hair | collar | CPU s |\n|" + " --- |" * 9)
    for name, found in rows.items():
        means = " | ".join("-" if np.isnan(value) else f"{value:.3f}" for value in np.mean(found, axis=0))
        print(f"| {name} | {means} | {spent[name] / len(seeds):.1f} |", flush=True)


def announce(counts: int, seeds: list[int]) -> None:
    """Print how many panels with and without the bust have maps announced as hidden, and which."""
    for hidden in (True, False):
        named = []
        for seed in seeds:
            cube, _ = phantom(counts=counts, hidden=hidden, rng=np.random.default_rng(seed))
            maps = segment(cube, Segmentation(), seed=seed)
            named.append([str(name) for name in maps.signature.values[maps.hidden.values]])
        what = "with the bust" if hidden else "without"
        print(
            f"{counts} counts, {what}: announced on {sum(map(bool, named))} of {len(seeds)} panels; {named}", flush=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--null-seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=FRESH, help="first seed")
    asked = parser.parse_args()
    for level in COUNTS:
        compare(level, list(range(asked.first, asked.first + asked.seeds)))
    for level in COUNTS:
        announce(level, list(range(asked.first, asked.first + asked.null_seeds)))
