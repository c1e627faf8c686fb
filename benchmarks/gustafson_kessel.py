"""One Gustafson-Kessel iteration at 1 Mpx, d = K = 10, default fuzzifier, against NumPy and scikit-learn in float64.

    python benchmarks/gustafson_kessel.py           # about 1 minute on 2 cores, 1 GiB

All rows are measured in turn in the same run, the least of several rounds each; ratios are what counts. The share
of the sgemm limit takes the work of this form of the algorithm: 2 K d (d + 1) twice, and 12 K d elementwise.
"""

import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from velatura.cluster import ClusterOptions
from velatura.cluster.fitting import begin, whole_covariance
from velatura.cluster.frames import finish
from velatura.cluster.membership import rule_of
from velatura.cluster.pixels import lay_out
from velatura.tasks.clustering import MANY_COUNTS

PIXELS, FEATURES, CLUSTERS, ROUNDS = 2**20, 10, 10, 4
FUZZIFIER = MANY_COUNTS[0]


class Cost(NamedTuple):
    """Least wall and least processor time of several rounds [s]; the second is the fairer one on a busy machine."""

    wall: float
    processor: float

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.wall - other.wall, self.processor - other.processor)

    def __truediv__(self, rounds: float) -> "Cost":
        return Cost(self.wall / rounds, self.processor / rounds)


def least(work: Callable[[], object], rounds: int = ROUNDS) -> Cost:
    costs = []
    for _ in range(rounds):
        began = time.perf_counter(), time.process_time()
        work()
        costs.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return Cost(*(min(column) for column in zip(*costs, strict=True)))


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
    return 2 * 2048**3 / least(lambda: square @ square, 8).wall


def mixture_iteration(x: np.ndarray) -> Cost:
    """Return the cost of one iteration of scikit-learn's full mixture: three against one, the start left out."""
    from sklearn.mixture import GaussianMixture

    means = x[: CLUSTERS * FEATURES : FEATURES]

    def run(iterations: int) -> Cost:
        mixture = GaussianMixture(CLUSTERS, tol=0, max_iter=iterations, means_init=means, init_params="random")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return least(lambda: mixture.set_params(random_state=0).fit(x), 2)

    return (run(3) - run(1)) / 2


def main() -> None:
    rng = np.random.default_rng(1)
    scores, options = make_scores(rng), ClusterOptions(clusters=CLUSTERS, fuzzifier=FUZZIFIER)
    pixels = lay_out(scores, None, dtype=np.dtype(np.float32), rng=rng, devices=None)
    model, whole = begin(pixels, options, start=None, rng=rng), whole_covariance(pixels)
    rule = rule_of(options.method, options.fuzzifier)

    def iteration() -> None:
        finish(model, pixels.sums(model.frames(), rule), options, whole=whole)

    first = least(iteration, 1).wall
    early = least(iteration, 3 * ROUNDS)
    sums = pixels.sums(model.frames(), rule)
    small = least(lambda: finish(model, sums, options, whole=whole), 20)
    limit = sgemm_limit(rng)
    wide = scores.T.astype(np.float64)
    u = rng.dirichlet(np.ones(CLUSTERS), size=PIXELS)
    others = {
        "NumPy float64 (mark 8, aim 15)": least(lambda: numpy_iteration(wide, u, options, np.cov(wide.T)), 2),
        "GaussianMixture full (mark 12, aim 25)": mixture_iteration(wide),
    }
    late = least(iteration, 3 * ROUNDS)
    ours = Cost(min(early.wall, late.wall), min(early.processor, late.processor))
    work = PIXELS * (4 * CLUSTERS * FEATURES * (FEATURES + 1) + 12 * CLUSTERS * FEATURES)
    print(f"{jax.devices()[0]}, {PIXELS} pixels, d = {FEATURES}, K = {CLUSTERS}, m = {options.fuzzifier}")
    print(f"small matrices on the host: {small.wall * 1e6:.0f} us an iteration; first call {first:.2f} s")
    print(f"share of the sgemm limit of {limit / 1e9:.0f} GFLOP/s: {work / ours.wall / limit:.0%} (aim 36 %)")
    print(f"{'ns a pixel and iteration':40} {'wall':>8} {'ratio':>6} {'CPU':>8} {'ratio':>6}")
    for name, cost in {"this": ours, **others}.items():
        wall, processor = cost.wall / ours.wall, cost.processor / ours.processor
        nanoseconds = [1e9 * each / PIXELS for each in cost]
        print(f"{name:40} {nanoseconds[0]:8.1f} {wall:6.1f} {nanoseconds[1]:8.1f} {processor:6.1f}")


if __name__ == "__main__":
    main()
