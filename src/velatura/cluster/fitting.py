"""The loop: lay out, start, pass after pass until the watched memberships rest, then the record.

One engine serves the four methods; they differ in how distances become memberships (`membership.py`) and in which
frames follow from the statistics (`frames.py`).
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.cluster.frames import Model, finish, scatter, spheres
from velatura.cluster.membership import Rule, memberships_of
from velatura.cluster.options import ClusterOptions
from velatura.cluster.pixels import Pixels, lay_out
from velatura.cluster.record import Clusters
from velatura.cluster.start import seed_centres
from velatura.cluster.validity import indices

WATCHED = 4096
"""Pixels whose memberships are watched for convergence."""
NOISE_QUANTILE = 0.99
START_FUZZIFIER = 1.2
"""Fuzzifier of the memberships that follow from starting centres."""


def rule_of(method: str, fuzzifier: float) -> Rule:
    """Return the rule of membership of a method."""
    if method == "k-means":
        return Rule("hard")
    if method == "gaussian-mixture":
        return Rule("mixture")
    return Rule("fuzzy", round(1 / (fuzzifier - 1), 12), fuzzifier)


def arithmetic(precision: str) -> contextlib.AbstractContextManager:
    """Return the context in which JAX has 64-bit numbers when they are wanted; nothing global is switched."""
    return jax.enable_x64(new_val=True) if precision == "float64" else contextlib.nullcontext()


@dataclass(frozen=True)
class Run:
    """Where the loop stands."""

    model: Model
    iterations: int
    change: float
    converged: bool


def fit(
    scores: Any,
    options: ClusterOptions,
    *,
    key: jax.Array,
    start: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    devices: Sequence[jax.Device] | None = None,
    progress: Progress = silent,
) -> Clusters:
    """Cluster pixels.

    scores: float [d, n], feature-major (numpy or JAX), or a function that starts a new iterator over parts [d, n_i]
    for scores larger than memory; key: JAX key of the starting centres and of the watched sample; start: memberships
    [k, n] (scores in one array) or centres [k, d] instead of k-means++; weights: [n], 0 for pixels that do not count;
    devices: JAX devices over which the pixels are spread, by default the first.
    Raises InputError for values that are not finite, shapes that do not fit and fewer pixels than clusters.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32).ravel())
    with arithmetic(options.precision):
        pixels = lay_out(scores, weights, dtype=np.dtype(options.precision), rng=rng, devices=devices)
        if pixels.survey.sample.shape[1] < options.clusters:
            raise InputError(
                f"{options.clusters} clusters need as many pixels; found {pixels.survey.sample.shape[1]}. "
                "Ask for fewer clusters or check the mask"
            )
        whole = whole_covariance(pixels)
        first = begin(pixels, options, whole, start=start, rng=rng)
        run = iterate(pixels, first, options, whole, progress=progress)
        if options.noise:
            distance = noise_distance(pixels, run.model)
            run = iterate(pixels, replace(run.model, noise=distance), options, whole, progress=progress)
        return record(pixels, run, options)


def whole_covariance(pixels: Pixels) -> np.ndarray:
    """Return the unbiased covariance of all pixels [d, d]; the second pass sees it in its own frame."""
    features = pixels.survey.sample.shape[0]
    one = ClusterOptions(clusters=1, shrinkage=0.0, condition_limit=1e14)
    model = spheres(np.zeros((1, features)), pixels.layout.dtype)
    for _ in range(2):
        sums = pixels.sums(model.frames(), Rule("fuzzy"))
        _, _, covariance = scatter(model, sums)
        model = finish(model, sums, one, covariance[0])
    total, squares = pixels.survey.total, pixels.survey.squares
    degrees = 1 - squares / total**2
    return covariance[0] / degrees if degrees > 0 else covariance[0]


def begin(
    pixels: Pixels, options: ClusterOptions, whole: np.ndarray, *, start: np.ndarray | None, rng: np.random.Generator
) -> Model:
    """Return the first model: from given memberships, from given centres, or from k-means++."""
    rule = rule_of(options.method, options.fuzzifier)
    clusters, (features, _) = options.clusters, pixels.survey.sample.shape
    if start is not None and start.shape == (clusters, pixels.survey.pixels):
        model = spheres(np.zeros((clusters, features)), pixels.layout.dtype)
        for _ in range(2):  # the second time in the clusters' own frames, for the smallest eigenvalues
            model = finish(model, pixels.sums(model.frames(), rule, given=start), options, whole)
        return model
    if start is None:
        sample = pixels.layout.place(pixels.survey.sample)
        centres = seed_centres(sample, clusters, weights=pixels.survey.weights, rng=rng)
    elif start.shape == (clusters, features):
        centres = (np.asarray(start, np.float64) - pixels.layout.shift[None, :]) / pixels.layout.scale
    else:
        raise InputError(
            f"start must be memberships {(clusters, pixels.survey.pixels)} or centres {(clusters, features)}; "
            f"found {start.shape}"
        )
    soft = Rule("fuzzy", round(1 / (START_FUZZIFIER - 1), 12), options.fuzzifier)
    model = spheres(centres, pixels.layout.dtype)
    return finish(model, pixels.sums(model.frames(), soft if rule.kind == "fuzzy" else Rule("hard")), options, whole)


def iterate(pixels: Pixels, model: Model, options: ClusterOptions, whole: np.ndarray, *, progress: Progress) -> Run:
    """Pass over the pixels until no watched membership changes by more than the tolerance."""
    rule = rule_of(options.method, options.fuzzifier)
    watched = jax.device_put(pixels.layout.place(pixels.survey.sample[:, :WATCHED]))
    before = memberships_of(watched, model.frames(), rule=rule)[0]
    change, iterations = np.inf, 1
    while change > options.tolerance and iterations < options.iterations:
        progress("clustering", iterations, options.iterations)
        model = finish(model, pixels.sums(model.frames(), rule), options, whole)
        after = memberships_of(watched, model.frames(), rule=rule)[0]
        change, before, iterations = float(np.abs(after - before).max()), after, iterations + 1
    progress("clustering", options.iterations, options.iterations)
    return Run(model, iterations, change, change <= options.tolerance)


def noise_distance(pixels: Pixels, model: Model) -> float:
    """Return the 0.99 quantile of the squared distances of the pixels to their nearest cluster."""
    nearest = [
        np.asarray(memberships_of(block, model.frames(), rule=Rule("fuzzy"))[2])[np.asarray(counts) > 0]
        for blocks, weights in pixels.loaded()
        for block, counts in zip(blocks, weights, strict=True)
    ]
    return float(np.quantile(np.concatenate(nearest), NOISE_QUANTILE))


def record(pixels: Pixels, run: Run, options: ClusterOptions) -> Clusters:
    """Return the result in the units of the scores, clusters ordered by the first component of their centres."""
    rule, layout, model = rule_of(options.method, options.fuzzifier), pixels.layout, run.model
    sums = pixels.sums(model.frames(), rule)
    order = np.lexsort(model.centres.T[::-1])
    objective = np.trace(sums.moments[:, :-1, :-1], axis1=1, axis2=2).sum()
    noise = model.noise * sums.validity[0] if np.isfinite(model.noise) else 0.0
    features, mixture = len(layout.shift), options.method == "gaussian-mixture"
    return Clusters(
        method=options.method,
        fuzzifier=options.fuzzifier,
        centres=(model.centres * layout.scale + layout.shift)[order],
        covariance=(model.covariance * layout.scale**2)[order],
        whiteners=model.whiteners[order] / (layout.scale if mixture else 1.0),
        log_volumes=np.linalg.slogdet(model.covariance)[1][order] / 2 + features * np.log(layout.scale),
        log_weights=model.log_weights[order] - (features * np.log(layout.scale) if mixture else 0.0),
        noise_distance=model.noise * layout.scale**2,
        scale=layout.scale,
        iterations=run.iterations,
        converged=run.converged,
        change=run.change,
        objective=float((objective + noise) * (1.0 if mixture else layout.scale**2)),
        validity=indices(model, sums, pixels.survey.total),
    )
