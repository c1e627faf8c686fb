"""One Gustafson-Kessel iteration at 1 Mpx, d = K = 10, m = 1.5, against NumPy float64 and scikit-learn's mixture.

    python -m benchmarks.gustafson_kessel            # about 1 minute on 2 cores, 1 GiB

All rows are measured in turn in the same run, the least of several rounds each; ratios are what counts. The share
of the sgemm limit takes the work of this form of the algorithm: 2 K d (d + 1) twice, and 12 K d elementwise.
"""

import time
import warnings
from collections.abc import Callable

import jax
import numpy as np

from velatura.cluster import ClusterOptions
from velatura.cluster.fitting import begin, whole_covariance
from velatura.cluster.frames import finish
from velatura.cluster.membership import rule_of
from velatura.cluster.pixels import lay_out

PIXELS, FEATURES, CLUSTERS, ROUNDS = 2**20, 10, 10, 4


def least(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least wall time of several rounds [s]."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def make_scores(rng: np.random.Generator) -> np.ndarray:
    centres = rng.normal(size=(CLUSTERS, FEATURES)) * 2
    labels = rng.integers(CLUSTERS, size=PIXELS)
    return (centres[labels] + rng.normal(size=(PIXELS, FEATURES)) * np.geomspace(1, 0.1, FEATURES)).T.astype(np.float32)


def numpy_iteration(x: np.ndarray, u: np.ndarray, options: ClusterOptions, whole: np.ndarray) -> np.ndarray:
    """The equations in vectorised NumPy, one cluster at a time. x: [n, d], u: [n, k]."""
    features, power = x.shape[1], u**options.fuzzifier
    distances = np.empty_like(u)
    for cluster in range(u.shape[1]):
        weight = power[:, cluster]
        about = x - (weight @ x) / weight.sum()
        covariance = (about * weight[:, None]).T @ about / weight.sum()
        sphere = np.linalg.det(whole) ** (1 / features) * np.eye(features)
        covariance = (1 - options.shrinkage) * covariance + options.shrinkage * sphere
        shape = np.linalg.det(covariance) ** (1 / features) * np.linalg.inv(covariance)
        distances[:, cluster] = np.einsum("ij,ij->i", about @ shape, about)
    share = distances ** (-1 / (options.fuzzifier - 1))
    return share / share.sum(axis=1, keepdims=True)


def sgemm_limit(rng: np.random.Generator) -> float:
    """Return the rate of a large float32 matrix product [FLOP/s]."""
    square = rng.normal(size=(2048, 2048)).astype(np.float32)
    return 2 * 2048**3 / least(lambda: square @ square, 8)


def mixture_iteration(x: np.ndarray) -> float:
    """Return the time of one iteration of scikit-learn's full mixture [s]: three against one, the start left out."""
    from sklearn.mixture import GaussianMixture

    means = x[: CLUSTERS * FEATURES : FEATURES]

    def run(iterations: int) -> float:
        mixture = GaussianMixture(CLUSTERS, tol=0, max_iter=iterations, means_init=means, init_params="random")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return least(lambda: mixture.set_params(random_state=0).fit(x), 2)

    return (run(3) - run(1)) / 2


def main() -> None:
    rng = np.random.default_rng(1)
    scores, options = make_scores(rng), ClusterOptions(clusters=CLUSTERS)
    pixels = lay_out(scores, None, dtype=np.dtype(np.float32), rng=rng, devices=None)
    model, whole = begin(pixels, options, start=None, rng=rng), whole_covariance(pixels)
    rule = rule_of(options.method, options.fuzzifier)

    def iteration() -> None:
        finish(model, pixels.sums(model.frames(), rule), options, whole)

    began = time.perf_counter()
    iteration()
    compiling = time.perf_counter() - began
    ours = least(iteration, 3 * ROUNDS)
    sums = pixels.sums(model.frames(), rule)
    small = least(lambda: finish(model, sums, options, whole), 20)
    limit = sgemm_limit(rng)
    wide = scores.T.astype(np.float64)
    u = rng.dirichlet(np.ones(CLUSTERS), size=PIXELS)
    plain = least(lambda: numpy_iteration(wide, u, options, np.cov(wide.T)), 2)
    mixture = mixture_iteration(wide)
    ours = min(ours, least(iteration, 3 * ROUNDS))
    work = PIXELS * (4 * CLUSTERS * FEATURES * (FEATURES + 1) + 12 * CLUSTERS * FEATURES)
    print(f"{jax.devices()[0]}, {PIXELS} pixels, d = {FEATURES}, K = {CLUSTERS}, m = {options.fuzzifier}")
    pixel = 1e9 / PIXELS
    print(f"iteration            {ours * pixel:8.1f} ns a pixel ({ours * 1e3:.1f} ms; first call {compiling:.2f} s)")
    print(f"small matrices       {small * 1e6:8.0f} us an iteration, on the host in float64")
    print(f"NumPy float64        {plain * pixel:8.1f} ns a pixel   ratio {plain / ours:5.1f}  (mark 8, aim 15)")
    print(f"GaussianMixture full {mixture * pixel:8.1f} ns a pixel   ratio {mixture / ours:5.1f}  (mark 12, aim 25)")
    print(f"share of the sgemm limit of {limit / 1e9:.0f} GFLOP/s: {work / ours / limit:.0%}  (aim 36 %)")


if __name__ == "__main__":
    main()
