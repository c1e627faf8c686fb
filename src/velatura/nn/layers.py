"""Pieces of networks for spectra. Features lie last, [position, width]: on processors twice as fast as the reverse.

Every piece takes one spectrum and `key`, keyword-only: a key while training, None for a prediction without chance.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

TOP = 5  # channels of the top-hat filter, about the width of a line on the grid of 0.04 keV
USUAL_DOSE = 1e4  # counts of a spectrum whose dose feature is 0


def features(counts: Float[Array, " channel"]) -> Float[Array, "channel 2"]:
    """Return what the networks see of each channel: its share, and its counts.

    First sqrt((c + 3/8) / (mean + 3/8)), in which every channel is equally noisy (Anscombe, Biometrika 35 (1948) 246);
    second log10(1 + c), in which weak lines weigh as much as strong ones. Finite, with finite gradients, at 0 counts.
    """
    share = jnp.sqrt((counts + 0.375) / (jnp.mean(counts) + 0.375))
    return jnp.stack([share, jnp.log1p(counts) / jnp.log(10.0)], axis=-1)


def line_evidence(counts: Float[Array, " channel"]) -> Float[Array, " channel"]:
    """Return asinh of how far each channel's neighbourhood stands above both its sides, in standard deviations.

    The top-hat filter of peak search (Phillips and Marlow, Nucl. Instrum. Methods 137 (1976) 525): TOP channels less as
    many on the sides, over the square root of its variance plus one. The asinh is linear for weak lines and compresses
    strong ones.
    """
    sides, channels = TOP // 2, counts.shape[0]
    padded = jnp.pad(counts, 2 * sides)
    near = [padded[shift : shift + channels] for shift in range(TOP + 2 * sides)]
    top, beside = sum(near[sides:-sides]), sum(near[:sides]) + sum(near[-sides:])
    share = TOP / (2 * sides)
    return jnp.arcsinh((top - share * beside) / jnp.sqrt(top + share**2 * beside + 1))


def dose(counts: Float[Array, " channel"]) -> Float[Array, " 1"]:
    """Return the sum of a spectrum in decades from 10,000 counts: the noise that its shape carries."""
    return jnp.log10((jnp.sum(counts) + 1) / USUAL_DOSE)[None]


def each(layer, values: Float[Array, "position width"]) -> Float[Array, "position outputs"]:
    """Apply a layer for vectors at each position."""
    return jax.vmap(layer)(values)


class Convolution(eqx.Module):
    """Convolution along the positions; positions outside count as zero."""

    weight: Float[Array, "taps inputs outputs"]
    bias: Float[Array, " outputs"]
    stride: int = eqx.field(static=True)

    def __init__(self, inputs: int, outputs: int, *, taps: int, stride: int = 1, key: PRNGKeyArray) -> None:
        """Draw weights of variance 1 / (taps x inputs), as SELU needs (Klambauer et al., NeurIPS 2017)."""
        self.weight = jax.random.normal(key, (taps, inputs, outputs)) / (taps * inputs) ** 0.5
        self.bias = jnp.zeros(outputs)
        self.stride = stride

    def __call__(self, values: Float[Array, "position inputs"]) -> Float[Array, "fewer outputs"]:
        """Return one vector for every `stride` positions."""
        axes = ("NHC", "HIO", "NHC")
        sums = jax.lax.conv_general_dilated(values[None], self.weight, (self.stride,), "SAME", dimension_numbers=axes)
        return sums[0] + self.bias[None]


class DropPath(eqx.Module):
    """Leaves a whole branch out of a random share of the spectra (Huang et al., ECCV 2016)."""

    rate: float = eqx.field(static=True)

    def __call__(self, branch: Float[Array, "*shape"], *, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
        """Return zeros, or the branch made larger so that its mean stays; without a key the branch itself."""
        if key is None or self.rate == 0:
            return branch
        kept = jax.random.bernoulli(key, 1 - self.rate)
        return jnp.where(kept, branch / (1 - self.rate), 0.0)


class ConvolutionBlock(eqx.Module):
    """Residual block along the positions: norm, convolution, SELU, convolution, added to what came in."""

    norm: eqx.nn.LayerNorm
    first: Convolution
    second: Convolution
    drop: DropPath

    def __init__(self, width: int, *, taps: int, drop: float, key: PRNGKeyArray) -> None:
        """Make a block whose input and output have the same width; `drop`: share of spectra that skip it."""
        one, two = jax.random.split(key)
        self.norm = eqx.nn.LayerNorm(width)
        self.first = Convolution(width, width, taps=taps, key=one)
        self.second = Convolution(width, width, taps=taps, key=two)
        self.drop = DropPath(drop)

    def __call__(
        self, values: Float[Array, "position width"], *, key: PRNGKeyArray | None
    ) -> Float[Array, "position width"]:
        """Return values of the same shape."""
        branch = self.second(jax.nn.selu(self.first(each(self.norm, values))))
        return values + self.drop(branch, key=key)


class DenseBlock(eqx.Module):
    """Residual block for a vector: norm, matrix, SELU, matrix, added to what came in."""

    norm: eqx.nn.LayerNorm
    first: eqx.nn.Linear
    second: eqx.nn.Linear
    drop: DropPath

    def __init__(self, width: int, *, inner: int, drop: float, key: PRNGKeyArray) -> None:
        """Make a block whose input and output have the same width; `inner`: width between the two matrices."""
        one, two = jax.random.split(key)
        self.norm = eqx.nn.LayerNorm(width)
        self.first = eqx.nn.Linear(width, inner, key=one)
        self.second = eqx.nn.Linear(inner, width, key=two)
        self.drop = DropPath(drop)

    def branch(self, vector: Float[Array, " width"]) -> Float[Array, " width"]:
        """Return what is to be added."""
        return self.second(jax.nn.selu(self.first(self.norm(vector))))

    def __call__(self, vector: Float[Array, " width"], *, key: PRNGKeyArray | None) -> Float[Array, " width"]:
        """Return a vector of the same width."""
        return vector + self.drop(self.branch(vector), key=key)


class AttentionBlock(eqx.Module):
    """Transformer block, norm first (Xiong et al., ICML 2020): every token looks at all, then each goes its own way."""

    norm: eqx.nn.LayerNorm
    attention: eqx.nn.MultiheadAttention
    dense: DenseBlock
    drop: DropPath

    def __init__(self, width: int, *, heads: int, drop: float, key: PRNGKeyArray) -> None:
        """Make a block whose input and output have the same width; `heads` must divide it."""
        one, two = jax.random.split(key)
        self.norm = eqx.nn.LayerNorm(width)
        self.attention = eqx.nn.MultiheadAttention(heads, width, key=one)
        self.dense = DenseBlock(width, inner=4 * width, drop=drop, key=two)
        self.drop = DropPath(drop)

    def __call__(self, tokens: Float[Array, "token width"], *, key: PRNGKeyArray | None) -> Float[Array, "token width"]:
        """Return as many tokens."""
        one, two = (None, None) if key is None else jax.random.split(key)
        seen = each(self.norm, tokens)
        tokens = tokens + self.drop(self.attention(seen, seen, seen), key=one)
        return tokens + self.drop(each(self.dense.branch, tokens), key=two)


def in_turn(blocks: tuple, values: Float[Array, "*shape"], *, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
    """Apply residual blocks one after the other, each with a key of its own."""
    keys = [None] * len(blocks) if key is None else jax.random.split(key, len(blocks))
    for block, own in zip(blocks, keys, strict=True):
        values = block(values, key=own)
    return values


def count_parameters(model: eqx.Module) -> int:
    """Return the number of trainable values."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
