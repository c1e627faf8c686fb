"""Whole counts onto another energy axis, fast: what `base.axis.redistribute` does, compiled, for millions of spectra.

Each edge of the new axis lies in one channel of the old one, and only the counts of that channel have to be shared
between the two sides, by a binomial draw; all other counts move as they are.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt

from velatura.base.axis import channel_edges

CHUNK = 1024  # spectra drawn at once: the program is compiled for this number alone
SMALL = 8.0  # expected counts up to which the binomial law is inverted term by term
TERMS = 24  # P(more | 8) = 2e-6
LEAST = 2.0**-23  # spacing of the uniform numbers
SLACK = 1e-9  # of a channel: rounding of edges that coincide


class Cuts(NamedTuple):
    """Where the edges of the new axis lie on the old one."""

    channel: np.ndarray
    """int [edge]"""
    share: np.ndarray
    """Of that channel below the edge, float32 [edge], 0 to 1."""
    turn: np.ndarray
    """How many edges before it lie in the same channel, int [edge]."""


def cuts_of(energy: np.ndarray, target: np.ndarray) -> Cuts:
    """Return the cuts; energy, target: channel centres [keV], rising. Edges beyond an end of `energy` lie on it."""
    edges = channel_edges(energy)
    place = np.interp(channel_edges(target), edges, np.arange(len(edges)))
    place = np.where(np.abs(place - np.rint(place)) < SLACK, np.rint(place), place)
    channel = np.minimum(place.astype(int), len(energy) - 1)
    turn = np.arange(len(place)) - np.searchsorted(channel, channel)
    return Cuts(channel, (place - channel).astype(np.float32), turn)


def regrid(
    counts: UInt[np.ndarray, "spectrum channel"],
    energy: np.ndarray,
    target: np.ndarray,
    *,
    key: PRNGKeyArray,
    first: int = 0,
) -> UInt[np.ndarray, "spectrum new"]:
    """Move whole counts to another axis: each count of a channel falls on a random energy within that channel.

    counts: below 2^32 in a spectrum, on `energy`; energy, target: channel centres [keV], rising. Counts outside the new
    axis are left out, and what the old one does not cover holds 0. Spectrum i is drawn with fold_in(key, first + i): it
    gives the same counts in whatever company it comes. Returns uint32. Every count is kept, and Poisson counts stay
    Poisson and independent (splitting property of the Poisson process; Kingman 1993), with cumulative probabilities of
    the shares right within 1e-3.
    """
    cuts = cuts_of(energy, target)
    moved = np.empty((len(counts), len(target)), np.uint32)
    for start in range(0, len(counts), CHUNK):
        rows = counts[start : start + CHUNK]
        below = np.zeros((len(rows), len(energy) + 1), np.uint32)
        np.cumsum(rows, axis=1, dtype=np.uint32, out=below[:, 1:])
        drawn = _drawn(np.take(rows, cuts.channel, axis=1), cuts, key=key, first=first + start)
        below = np.take(below, cuts.channel, axis=1) + drawn
        np.subtract(below[:, 1:], below[:, :-1], out=moved[start : start + CHUNK])
    return moved


def _drawn(cut: np.ndarray, cuts: Cuts, *, key: PRNGKeyArray, first: int) -> np.ndarray:
    """Counts of the cut channels below the edges, uint32 [spectrum, edge]; edges of one channel draw one by one."""
    filled = np.zeros((CHUNK, cut.shape[1]), np.uint32)
    filled[: len(cut)] = cut
    numbers = np.arange(first, first + CHUNK, dtype=np.uint32)
    alone = np.where(cuts.turn == 0, cuts.share, 0).astype(np.float32)
    drawn = np.asarray(_binomial(filled, alone, jax.random.fold_in(key, 0), numbers))
    for turn in range(1, int(cuts.turn.max()) + 1):
        here = np.flatnonzero(cuts.turn == turn)
        before = cuts.share[here - 1]
        rest = np.where(before < 1, (cuts.share[here] - before) / np.maximum(1 - before, LEAST), 0)
        share, left = np.zeros_like(alone), np.zeros_like(filled)
        share[here], left[:, here] = np.clip(rest, 0, 1), filled[:, here] - drawn[:, here - 1]
        more = np.asarray(_binomial(left, share, jax.random.fold_in(key, turn), numbers))
        drawn = drawn.copy()
        drawn[:, here] = drawn[:, here - 1] + more[:, here]
    return drawn[: len(cut)]


@jax.jit
def _binomial(
    number: UInt[Array, "spectrum edge"], share: Float[Array, " edge"], key: PRNGKeyArray, own: UInt[Array, " spectrum"]
) -> UInt[Array, "spectrum edge"]:
    """Draw how many of `number` counts fall below, each with the probability `share`; own: of each spectrum's key.

    Up to 8 expected counts (of the rarer side) the law is inverted term by term; above, the Cornish-Fisher expansion
    of its quantiles to third order is rounded (Abramowitz and Stegun 26.2.49; Sheppard's correction for the rounding).
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, own)
    bits = jax.vmap(lambda one: jax.random.bits(one, share.shape, jnp.uint32))(keys)
    uniform = ((bits >> 9).astype(jnp.float32) + 0.5) * LEAST
    counts, rare = number.astype(jnp.float32), jnp.minimum(share, 1 - share)
    mean = counts * rare
    drawn = jnp.where(mean > SMALL, _many(uniform, mean, rare), _few(uniform, jnp.where(mean > SMALL, 0, counts), rare))
    drawn = jnp.clip(drawn, 0, counts)
    drawn = jnp.where(share > 0.5, counts - drawn, drawn)
    return jnp.minimum(drawn.astype(jnp.uint32), number)


def _few(uniform: Array, counts: Array, rare: Array) -> Array:
    """Quantile of a binomial law of a mean of at most 8."""
    odds = rare / (1 - rare)
    term = below = jnp.exp(counts * jnp.log1p(-rare))
    found = jnp.zeros_like(counts)
    for more in range(1, TERMS + 1):
        found = found + (uniform > below)
        term = term * ((counts - (more - 1)) * (odds * (1 / more)))
        below = below + term
    return found


def _many(uniform: Array, mean: Array, rare: Array) -> Array:
    """Quantile of a binomial law of a mean above 8, rounded."""
    variance = jnp.maximum(mean, SMALL) * (1 - rare)
    width = jnp.sqrt(variance - 1 / 12)
    skew, peaked = (1 - 2 * rare) / width, (1 - 6 * rare * (1 - rare)) / variance
    deviate = jnp.sqrt(2.0) * jax.lax.erf_inv(2 * uniform - 1)
    square = deviate * deviate
    bent = (square - 1) * skew / 6 + deviate * ((square - 3) * peaked / 24 - (2 * square - 5) * skew * skew / 36)
    return jnp.round(mean + width * (deviate + bent))
