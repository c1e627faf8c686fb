"""The loop: lay out, start, pass after pass until the watched memberships rest, then the record.

One engine serves the four methods; they differ in how distances become memberships (`membership.py`) and in which
frames follow from the statistics (`frames.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.cluster.assignment import WATCHED, assign_all
from velatura.cluster.frames import Model, finish, shape
from velatura.cluster.membership import Rule, memberships_of, rule_of
from velatura.cluster.options import ClusterOptions
from velatura.cluster.pixels import Pixels, arithmetic, lay_out
from velatura.cluster.record import Clusters
from velatura.cluster.start import memberships_at, seed_centres, weighted_moments
from velatura.cluster.statistics import Sums
from velatura.cluster.validity import indices, objective

NOISE_QUANTILE = 0.99


@dataclass(frozen=True)
class Run:
    """Where the loop ended: the clusters, the sums of the partition that they make, and how it got there."""

    model: Model
    sums: Sums
    iterations: int
    change: float


def fit(
    scores: Any,
    options: ClusterOptions,
    *,
    key: jax.Array,
    start: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    devices: Sequence[jax.Device] | None = None,
    capacity: int | None = None,
    progress: Progress = silent,
) -> Clusters:
    """Cluster pixels.

    scores: float [d, n], feature-major (numpy or JAX), or a function that starts a new iterator over parts [d, n_i]
    for scores larger than memory; key: JAX key of the starting centres and of the watched sample; start: memberships
    [k, n] (scores in one array) or centres [k, d] instead of k-means++; weights: [n], 0 for pixels that do not count;
    devices: JAX devices over which the pixels are spread, by default the first; capacity: number of clusters to compile
    for, so that fits with different numbers of clusters share one compilation.
    One iteration makes centres and covariances from memberships, and memberships from these.
    Raises InputError for values that are not finite, shapes that do not fit and fewer pixels than clusters.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32).ravel())
    with arithmetic(options.precision):
        pixels = lay_out(scores, weights, dtype=np.dtype(options.precision), rng=rng, devices=devices)
        if (found := pixels.survey.sample.shape[1]) < options.clusters:
            raise InputError(
                f"{options.clusters} clusters need as many pixels; found {found}. "
                "Ask for fewer clusters or check the mask"
            )
        model = begin(pixels, options, start=start, rng=rng)
        run = iterate(pixels, model, options, capacity=capacity, progress=progress)
        if options.noise:
            noise = noise_distance(pixels, run.model, rule_of(options.method, options.fuzzifier))
            model = replace(run.model, noise=noise)
            run = iterate(pixels, model, options, capacity=capacity, progress=progress)
        progress("clustering", options.iterations, options.iterations)
        return record(pixels, run, options)


def whole_covariance(pixels: Pixels) -> np.ndarray:
    """Return the covariance of all pixels in the units of the layout, [d, d]."""
    return pixels.survey.covariance / pixels.layout.units.scale**2


def begin(pixels: Pixels, options: ClusterOptions, *, start: np.ndarray | None, rng: np.random.Generator) -> Model:
    """Return the first clusters: from given memberships, from given centres, or from k-means++; shapes in float64."""
    units, seen = pixels.layout.units, pixels.survey
    rule, weights = rule_of(options.method, options.fuzzifier), seen.weights
    sample = units.place(seen.sample)[:-1]
    if start is None:
        centres = seed_centres(sample.astype(np.float32), options.clusters, weights=weights, rng=rng)
        start = memberships_at(sample, centres, hard=rule.kind != "fuzzy")
    elif start.shape == (options.clusters, seen.pixels):
        scores, weights = next(pixels.parts())
        sample = units.place(scores)[:-1]
    elif start.shape == (options.clusters, len(sample)):
        centres = (np.asarray(start, np.float64) - units.shift) / units.scale
        start = memberships_at(sample, centres, hard=rule.kind != "fuzzy")
    else:
        shapes = f"{(options.clusters, seen.pixels)} or centres {(options.clusters, len(sample))}"
        raise InputError(f"start must be memberships {shapes}; found {start.shape}")
    moments = weighted_moments(sample, start**rule.power * weights)
    return shape(moments, options, whole=whole_covariance(pixels), dtype=units.dtype)


def iterate(pixels: Pixels, model: Model, options: ClusterOptions, *, capacity: int | None, progress: Progress) -> Run:
    """Pass over the pixels until no watched membership changes by more than the tolerance."""
    rule, whole = rule_of(options.method, options.fuzzifier), whole_covariance(pixels)
    sample = pixels.layout.units.place(pixels.survey.sample[:, :WATCHED])
    watched = jax.device_put(sample[:, np.arange(WATCHED) % sample.shape[1]])
    before, change, iterations = None, np.inf, 1
    while True:
        progress("clustering", iterations, options.iterations)
        frames = model.frames(capacity)
        now = memberships_of(watched, frames, rule=rule)[0]
        sums = pixels.sums(frames, rule)
        if before is not None:
            change = float(np.abs(np.asarray(now) - before).max())
        if change <= options.tolerance or iterations == options.iterations:
            return Run(model, sums, iterations, change)
        model, before, iterations = finish(model, sums, options, whole=whole), np.asarray(now), iterations + 1


def noise_distance(pixels: Pixels, model: Model, rule: Rule) -> float:
    """Return the 0.99 quantile of the squared distances of the pixels to their nearest cluster."""
    frames, units = model.frames(), pixels.layout.units
    nearest = [assign_all(scores, units, frames, rule=rule)[2][weights > 0] for scores, weights in pixels.parts()]
    return float(np.quantile(np.concatenate(nearest), NOISE_QUANTILE))


def record(pixels: Pixels, run: Run, options: ClusterOptions) -> Clusters:
    """Return the result in the units of the scores, clusters ordered by the first component of their centres."""
    units, model = pixels.layout.units, run.model
    order = np.lexsort(model.centres.T[::-1])
    mixture, volume = options.method == "gaussian-mixture", len(units.shift) * np.log(units.scale)
    return Clusters(
        method=options.method,
        fuzzifier=options.fuzzifier,
        centres=(model.centres * units.scale + units.shift)[order],
        covariance=(model.covariance * units.scale**2)[order],
        whiteners=model.whiteners[order] / (units.scale if mixture else 1.0),
        log_volumes=np.linalg.slogdet(model.covariance)[1][order] / 2 + volume,
        log_weights=model.log_weights[order] - (volume if mixture else 0.0),
        noise_distance=model.noise * units.scale**2,
        scale=units.scale,
        iterations=run.iterations,
        converged=run.change <= options.tolerance,
        change=run.change,
        objective=objective(model, run.sums) * (1.0 if mixture else units.scale**2),
        validity=indices(model, run.sums, pixels.survey.total, scale=units.scale),
    )
