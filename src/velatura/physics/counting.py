"""From an expected spectrum to counts: pile-up, drift of the calibration, smooth background, Poisson noise; in JAX.

Written for one spectrum [channel] (vmap outside), except `poisson`, which draws arrays of any shape. All but the draw
are differentiable.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

SMALL = 12.0  # counts up to which the Poisson law is inverted term by term
TERMS = 32  # P(more | 12) = 2e-7
LEAST = 2.0**-23  # spacing of the uniform numbers
PASSES = 8  # of the three-point kernel that blurs


@jax.jit
def pile_up(
    spectrum: Float[Array, " channel"], probability: float | Array, *, zero_channel: float | Array = 0.0
) -> Float[Array, " channel"]:
    """Return the spectrum with pairs of photons counted as one of their summed energy: S (1 - 2 p) + p (S * S) / sum S.

    probability p: pairs per photon, about counting rate x resolving time, 0 to 0.03; zero_channel: (fractional) channel
    of zero energy, -zero / gain, since energies add and not channels. Of N counts N (1 - p) stay, and the mean energy
    of all photons is kept, less what falls off the axis. First order in p: triples are left out.
    Source: Gardner and Wielopolski, Nucl. Instrum. Methods 140 (1977) 289.
    """
    channels = spectrum.shape[-1]
    total = jnp.sum(spectrum)
    waves = jnp.fft.rfft(spectrum, 2 * channels)
    pairs = jnp.fft.irfft(waves * waves / jnp.where(total > 0, total, 1.0), 2 * channels)
    whole = jnp.floor(zero_channel)
    place = jnp.arange(channels + 1) + whole.astype(jnp.int32)
    pairs = jnp.where((place >= 0) & (place < 2 * channels), pairs[jnp.clip(place, 0, 2 * channels - 1)], 0.0)
    share = zero_channel - whole
    pairs = (1 - share) * pairs[:-1] + share * pairs[1:]
    return spectrum * (1 - 2 * probability) + probability * jnp.maximum(pairs, 0.0)


@jax.jit
def jitter(
    spectrum: Float[Array, " channel"], gain: float | Array, offset: float | Array, *, blur: float | Array = 0.0
) -> Float[Array, " channel"]:
    """Return the spectrum as a drifted calibration would have it: counts at channel x move to gain x + offset, blurred.

    gain: factor near 1, at least 0.5; offset: channels; blur: standard deviation [channels], at most 2. Counts below an
    energy are interpolated by monotone cubics (Fritsch and Carlson, SIAM J. Numer. Anal. 17 (1980) 238), so that no
    count turns negative, the total is kept, less what leaves the axis, and lines keep their width. The blur is a kernel
    of 17 channels with exactly that variance.
    """
    channels = spectrum.shape[-1]
    place = jnp.clip((jnp.arange(channels + 1) - 0.5 - offset) / gain + 0.5, 0, channels)  # edges as they were
    left = jnp.minimum(place.astype(jnp.int32), channels - 1)
    part, around = place - left, jnp.pad(spectrum, 1)
    before, here, after = (around.at[left + shift].get(mode="promise_in_bounds") for shift in range(3))
    rising, falling = (
        jnp.minimum((here + other) / 2, 3 * jnp.minimum(here, other)) for other in (before, after)
    )  # counts per channel at both edges
    share = part**2 * (3 - 2 * part) * here + part * (1 - part) * ((1 - part) * rising - part * falling)
    steps = jnp.diff(left)  # 0, 1 or 2 whole channels between two edges
    moved = jnp.diff(share) + jnp.where(steps > 0, here[:-1], 0.0) + jnp.where(steps > 1, after[:-1], 0.0)
    return _blurred(moved, blur)


def _blurred(spectrum: Array, blur: float | Array) -> Array:
    """Convolve eight times with (a, 1 - 2 a, a), of variance 2 a = blur^2 / 8; the kernel by its Fourier series."""
    points, channels = jnp.arange(-PASSES, PASSES + 1), spectrum.shape[-1]
    waves = jnp.cos(2 * jnp.pi / (2 * PASSES + 1) * (points[:, None] * points))
    kernel = jnp.mean(waves * (1 - blur**2 / PASSES * (1 - waves[PASSES + 1])) ** PASSES, axis=1)
    around = jnp.pad(spectrum, PASSES)
    return sum((kernel[shift] * around[shift : shift + channels] for shift in range(2 * PASSES + 1)), jnp.zeros(()))


def smooth_background(
    axis: Float[Array, " channel"], *, decay: float | Array, constant: float | Array = 0.0
) -> Float[Array, " channel"]:
    """Return a background of sum 1: an exponential of the given decay [keV] and a constant, above zero energy.

    axis: channel centres [keV]; constant: share of the counts that is spread evenly, 0 to 1. It stands for what is
    not modelled (incomplete charge, surroundings): 0 to 30 % of the measured background.
    """
    seen = jnp.where(axis > 0, 1.0, 0.0)
    falling = seen * jnp.exp(-jnp.maximum(axis, 0.0) / decay)
    return (1 - constant) * falling / jnp.sum(falling) + constant * seen / jnp.sum(seen)


@partial(jax.jit, static_argnames="dtype")
def poisson(expected: Float[Array, "..."], *, key: PRNGKeyArray, dtype: DTypeLike = jnp.uint32) -> Array:
    """Return Poisson counts of the shape of `expected` (float32; negative values count as 0).

    key: one for the whole array; the same key and shape give the same counts. Give a cube's blocks keys of their own.
    dtype: an unsigned integer; counts beyond its largest value are held there (uint16: expected < 64,000).
    Up to 12 expected counts the law is inverted term by term; above, the Cornish-Fisher expansion of its quantiles to
    third order is rounded (Abramowitz and Stegun 26.2.49; Sheppard's correction for the rounding). Cumulative
    probabilities are right within 2e-4.
    """
    words = jax.random.bits(key, (2,), jnp.uint32)
    bits = threefry_2x32(words, jax.lax.iota(jnp.uint32, expected.size)).reshape(expected.shape)
    uniform = ((bits >> 9).astype(jnp.float32) + 0.5) * LEAST
    counts = _quantile(uniform, expected)
    most = min(int(jnp.iinfo(dtype).max), 2**31 - 128)  # through int32, which converts fastest
    return jnp.minimum(counts, most).astype(jnp.int32).astype(dtype)


def _quantile(uniform: Array, expected: Array) -> Array:
    """Poisson counts whose cumulative probability first reaches `uniform`, float32."""
    mean = jnp.clip(expected, 0.0, SMALL)
    term = below = jnp.exp(-mean)
    few = jnp.zeros_like(mean)
    for number in range(1, TERMS + 1):
        few = few + (uniform > below)
        term = term * (mean * (1 / number))
        below = below + (term + LEAST)  # rounding may leave the sum short of 1, and all terms would be counted
    mean = jnp.maximum(expected, SMALL)
    deviate = jnp.sqrt(2.0) * jax.lax.erf_inv(2 * uniform - 1)
    width = jnp.sqrt(mean - 1 / 12)
    square = deviate * deviate
    many = mean + width * deviate + (square - 1) / 6 + deviate * (1 - square) / (72 * width)
    return jnp.where(expected > SMALL, jnp.maximum(jnp.round(many), 0.0), few)
