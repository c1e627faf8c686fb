"""What spectra say of an embedder: its calibration from those of training, its scores from unseen paintings."""

from collections import deque
from itertools import islice
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from velatura.imaging.colour import colour_difference
from velatura.nn.embedding_net import AnswersNet, ComponentNet, answers, log_shape
from velatura.tasks.embedding_model import (
    FEATURES,
    KNOTS,
    RANKS,
    SHAPES,
    Calibration,
    Embedder,
    bin_shape,
    embed,
    evidence_of_strangeness,
    ranks_by_dose,
    uncalibrated,
    uncalibrated_embedder,
)
from velatura.tasks.embedding_training import FIFTIETH, Pool, drawn_counts
from velatura.tasks.pigment_model import load_pigments
from velatura.train.loop import fit, start

WIDE_DOSES = (10 ** (KNOTS[0] - 0.25), 10 ** (KNOTS[-1] + 0.25))  # counts, at which strangeness is learned
CALIBRATION = 8192  # spectra from which strangeness is learned
REGRESSOR_STEPS, REGRESSOR_BATCH = 600, 512
CLUSTERS = range(4, 13)
SILHOUETTE_SPECTRA = 2000
SAME = 1e-4  # of the largest variance: directions in which features do not vary


class Held(NamedTuple):
    """Spectra of a pool with what is known of them."""

    counts: np.ndarray
    """float32 [n, channel]"""
    lab: np.ndarray
    """Of the pixel, CIELAB [n, 3]."""
    pigment: np.ndarray
    """XRF class that makes up most of what is visible, int [n]; -1 where none is."""


def held_spectra(
    pool: Pool, number: int, *, counts: tuple[float, float], exact: bool, rng: np.random.Generator
) -> Held:
    """Draw noisy spectra of random pixels of a pool."""
    pixel = rng.integers(len(pool.entry), size=number)
    entry = pool.entry[pixel]
    parts = [
        drawn_counts(pool.rates[entry[at : at + 1024]], counts, exact=exact, rng=rng) for at in range(0, number, 1024)
    ]
    seen = pool.visible[entry]
    pigment = np.where(seen.any(axis=1), seen.argmax(axis=1), -1)
    return Held(np.concatenate(parts), pool.colour[pixel] * FIFTIETH + [50.0, 0.0, 0.0], pigment)


def components(counts: np.ndarray, features: int = FEATURES["pca3"]) -> ComponentNet:
    """Return the principal components of spectra [n, channel] as the published network sees them."""
    seen = np.asarray(jax.jit(jax.vmap(log_shape))(counts), np.float64)
    centre = seen.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(seen - centre, rowvar=False))
    return ComponentNet(jnp.asarray(centre, jnp.float32), jnp.asarray(axes[:, ::-1][:, :features], jnp.float32))


def answer_components(counts: np.ndarray, name: str = "fast") -> AnswersNet:
    """Return the principal components of what the identification network `name` answers to spectra [n, channel].

    Each answer is divided by its deviation first. Raises InputError where that network is not there.
    """
    net = load_pigments(name).net
    told = jnp.zeros(net.trunk.context.layer.weight.shape[1] - 1)
    ask = eqx.filter_jit(lambda rows: jax.vmap(lambda row: answers(net, row, told, key=None))(rows))
    said = np.concatenate([np.asarray(ask(counts[at : at + 512])) for at in range(0, len(counts), 512)])
    centre, deviation = said.mean(axis=0, dtype=np.float64), said.std(axis=0, dtype=np.float64) + 1e-3
    _, axes = np.linalg.eigh(np.cov((said - centre) / deviation, rowvar=False))
    axes = axes[:, ::-1][:, : FEATURES["pigments"]] / deviation[:, None]
    return AnswersNet(net, jnp.asarray(centre, jnp.float32), jnp.asarray(axes, jnp.float32))


def calibrated(kind: str, net: PyTree, pool: Pool, *, usual: np.ndarray, rng: np.random.Generator) -> Embedder:
    """Return an embedder whose features are standardised on `usual` spectra [n, channel] of its training.

    pool: of training, from which spectra of all doses are drawn to learn what is strange.
    """
    bare = uncalibrated_embedder(kind, net)
    raw = embed(bare, usual).astype(np.float64)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0) + 1e-6
    wide = held_spectra(pool, CALIBRATION, counts=WIDE_DOSES, exact=False, rng=rng).counts
    shape = np.asarray(bin_shape(jnp.asarray(wide)), np.float64)
    _, axes = np.linalg.eigh(np.cov(shape, rowvar=False))
    found = uncalibrated(FEATURES[kind])._replace(
        mean=mean, deviation=deviation, whiten=_whitening((raw - mean) / deviation), usual=shape.mean(axis=0),
        shapes=axes[:, ::-1][:, :SHAPES],
    )  # fmt: skip
    embedder = bare._replace(calibration=_as_float32(found))
    far, decades = evidence_of_strangeness(embedder, wide)
    quantiles = quantiles_by_dose(far, decades)
    worst = np.quantile(ranks_by_dose(far, decades, quantiles), np.linspace(0, 1, RANKS))
    return embedder._replace(calibration=_as_float32(found._replace(far=quantiles, worst=worst)))


def quantiles_by_dose(far: np.ndarray, decades: np.ndarray) -> np.ndarray:
    """Return quantiles [2, knot, rank] of both kinds of evidence [2, n] among spectra nearest each dose of KNOTS."""
    nearest = np.abs(decades[:, None] - KNOTS).argmin(axis=1)
    shares = np.linspace(0, 1, RANKS)
    rows = [far[:, nearest == knot] if (nearest == knot).any() else far for knot in range(len(KNOTS))]
    return np.stack([np.quantile(row, shares, axis=1).T for row in rows], axis=1)


def colour_score(
    taught: tuple[np.ndarray, np.ndarray], asked: tuple[np.ndarray, np.ndarray], *, key: PRNGKeyArray
) -> float:
    """Return the mean CIEDE2000 of colours that a small network reads from single spectra of unseen paintings.

    taught, asked: features [n, f] and CIELAB [n, 3] to learn from and to be scored on. Two layers of 64, 600 steps: the
    same for every embedder, so that only what the features hold makes a difference.
    """
    one, two = jax.random.split(key)
    net = eqx.nn.MLP(taught[0].shape[1], 3, 64, 2, jax.nn.selu, key=one)
    features, colours = (jnp.asarray(values, jnp.float32) for values in taught)
    middle, spread = colours.mean(axis=0), colours.std(axis=0) + 1e-3
    colours = (colours - middle) / spread

    def draw(step: int) -> Array:
        return jax.random.randint(jax.random.fold_in(two, step), (REGRESSOR_BATCH,), 0, len(features))

    def wrong(model: PyTree, rows: Array, *, key: PRNGKeyArray) -> Float[Array, ""]:
        del key
        return jnp.mean(jnp.abs(jax.vmap(model)(features[rows]) - colours[rows]) * spread)

    rule = optax.adam(optax.cosine_decay_schedule(5e-3, REGRESSOR_STEPS))
    states = islice(fit(start(net, rule), wrong, draw, optimiser=rule, key=two), REGRESSOR_STEPS)
    net = deque(states, maxlen=1)[0].model
    said = jax.vmap(net)(jnp.asarray(asked[0], jnp.float32)) * spread + middle
    return float(colour_difference(np.asarray(said, np.float64), asked[1]).mean())


def pigment_score(taught: tuple[np.ndarray, np.ndarray], asked: tuple[np.ndarray, np.ndarray]) -> float:
    """Return how often the main visible XRF class of a spectrum is that of most of its 15 nearest neighbours.

    taught, asked: features [n, f] and classes int [n], -1 for none: such spectra do not count.
    """
    from sklearn.neighbors import KNeighborsClassifier

    (near, truth), (features, known) = ([v[labels >= 0] for v in (x, labels)] for x, labels in (taught, asked))
    return float((KNeighborsClassifier(15).fit(near, truth).predict(features) == known).mean())


def cluster_scores(features: np.ndarray, pigment: np.ndarray, *, seed: int = 0) -> dict[str, float]:
    """Return how well k-means on features [n, f] finds clusters, and whether they are pigments (int [n], -1: none).

    silhouette: of the best of 4 to 12 clusters; silhouette_pigments: of the pigments themselves; ari: adjusted Rand
    index (Hubert and Arabie 1985) between the pigments and as many clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    kept = np.flatnonzero(pigment >= 0)[:SILHOUETTE_SPECTRA]
    points, truth = np.asarray(features[kept], np.float64), pigment[kept]

    def clusters(number: int) -> np.ndarray:
        return KMeans(number, n_init=3, random_state=seed).fit_predict(points)

    number, most = len(np.unique(truth)), len(np.unique(points, axis=0))
    return {
        "silhouette": max((float(silhouette_score(points, clusters(k))) for k in CLUSTERS if k < most), default=0.0),
        "silhouette_pigments": float(silhouette_score(points, truth)) if number > 1 else float("nan"),
        "ari": float(adjusted_rand_score(truth, clusters(number))) if number > 1 else float("nan"),
    }


def rebuilding_score(embedder: Embedder, counts: np.ndarray) -> float:
    """Return the mean squared difference of spectra, as prepared, and of what comes back; NaN without a decoder."""
    net = embedder.net
    if not hasattr(net, "decode"):
        return float("nan")

    def one(row: Array) -> Array:
        seen = net.prepared(row)
        return jnp.mean((net.decode(net.project(net.penultimate(seen, key=None)), key=None) - seen) ** 2)

    return float(np.mean(jax.jit(jax.vmap(one))(jnp.asarray(counts, jnp.float32))))


def tested(embedder: Embedder, taught: Held, asked: Held, *, key: PRNGKeyArray) -> dict[str, float]:
    """Return all scores of an embedder, to four decimals; taught: spectra of training, asked: of unseen paintings."""
    near, far = embed(embedder, taught.counts), embed(embedder, asked.counts)
    found = {
        "ciede2000": colour_score((near, taught.lab), (far, asked.lab), key=key),
        "pigment_accuracy": pigment_score((near, taught.pigment), (far, asked.pigment)),
        "reconstruction": rebuilding_score(embedder, asked.counts),
        **cluster_scores(far, asked.pigment),
    }
    return {name: float(f"{value:.4g}") for name, value in found.items() if np.isfinite(value)}


def _whitening(features: np.ndarray) -> np.ndarray:
    """Matrix that gives features [n, f] of zero mean unit covariance."""
    sizes, axes = np.linalg.eigh(np.atleast_2d(np.cov(features, rowvar=False)))
    kept = sizes > SAME * sizes[-1]
    return axes * np.where(kept, 1 / np.sqrt(np.where(kept, sizes, 1.0)), 0.0)


def _as_float32(calibration: Calibration) -> Calibration:
    return Calibration(*(np.asarray(values, np.float32) for values in calibration))
