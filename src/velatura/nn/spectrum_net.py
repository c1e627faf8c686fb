"""Networks that name the pigments of one spectrum: three designs of equal rank, and a small one for previews.

A trunk turns counts [channel] on a fixed energy grid and a vector that tells the instrument into an embedding; the
heads read the embedding. Which channels and which entries of the vector there are is the business of the task.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.base.errors import InputError, did_you_mean
from velatura.nn.layers import (
    AttentionBlock,
    Convolution,
    ConvolutionBlock,
    DenseBlock,
    dose,
    each,
    features,
    in_turn,
    line_evidence,
)

PAINTS = 2  # visible, hidden
EMBEDDING = 256
CONTEXT = 32
DROP = 0.05


class Prediction(NamedTuple):
    """What a network says of one spectrum; first axis: visible paint, hidden paint."""

    presence: Float[Array, "2 classes"]
    """Logits: sigmoid gives the probability that a class is in the paint."""
    log_shares: Float[Array, "2 classes"]
    """Natural logarithm of the volume shares; the shares of a paint sum to 1."""
    hidden: Float[Array, ""]
    """Logit: a second paint lies beneath."""
    log_mass: Float[Array, " 2"]
    """Natural logarithm of the mass of pigments per area [mg/cm2]."""


@dataclass(frozen=True)
class Shapes:
    """Sizes that a network is made for. Raises InputError unless all are positive and channels a multiple of 64."""

    channels: int = 1024
    instrument: int = 16
    """Entries of the vector that tells the instrument."""
    classes: int = 46

    def __post_init__(self) -> None:
        if min(self.instrument, self.classes) < 1:
            raise InputError(f"a network needs classes and an instrument; found {self.classes} and {self.instrument}")
        if self.channels < 64 or self.channels % 64:
            raise InputError(f"channels must be a multiple of 64; found {self.channels}. Choose another energy grid")


class Context(eqx.Module):
    """Instrument and dose as one vector of 32."""

    layer: eqx.nn.Linear

    def __init__(self, shapes: Shapes, *, key: PRNGKeyArray) -> None:
        """Draw the weights."""
        self.layer = eqx.nn.Linear(shapes.instrument + 1, CONTEXT, key=key)

    def __call__(
        self, counts: Float[Array, " channel"], instrument: Float[Array, " instrument"]
    ) -> Float[Array, " context"]:
        """Return the vector."""
        return jax.nn.selu(self.layer(jnp.concatenate([instrument, dose(counts)])))


class ResidualTrunk(eqx.Module):
    """One-dimensional residual network: 256, 128, 64 and 32 positions (for 1024 channels), wider at each step.

    A learnt vector at each of the 256 positions tells filters where they are: lines are known by their energy.
    """

    context: Context
    tell: eqx.nn.Linear
    stem: Convolution
    position: Float[Array, "position width"]
    stages: tuple[tuple[Convolution | None, ConvolutionBlock], ...]
    last: eqx.nn.Linear

    def __init__(self, shapes: Shapes, *, widths: tuple[int, ...] = (32, 48, 64, 96), key: PRNGKeyArray) -> None:
        """Draw the weights; widths: of the four stages."""
        keys = iter(jax.random.split(key, 4 + 2 * len(widths)))
        positions = shapes.channels // 4
        self.context = Context(shapes, key=next(keys))
        self.tell = eqx.nn.Linear(CONTEXT, widths[0], key=next(keys))
        self.stem = Convolution(2, widths[0], taps=9, stride=4, key=next(keys))
        self.position = jnp.zeros((positions, widths[0]))
        stages, before = [], None
        for width in widths:
            down = before and Convolution(before, width, taps=3, stride=2, key=next(keys))
            stages.append((down, ConvolutionBlock(width, taps=3, drop=DROP, key=next(keys))))
            before = width
        self.stages = tuple(stages)
        flat = positions // 2 ** (len(widths) - 1) * widths[-1]
        self.last = eqx.nn.Linear(flat + CONTEXT, EMBEDDING, key=next(keys))

    def __call__(
        self, counts: Float[Array, " channel"], instrument: Float[Array, " instrument"], *, key: PRNGKeyArray | None
    ) -> Float[Array, " embedding"]:
        """Return the embedding."""
        context = self.context(counts, instrument)
        values = self.stem(features(counts)) + self.position + self.tell(context)[None]
        keys = [None] * len(self.stages) if key is None else jax.random.split(key, len(self.stages))
        for (down, block), own in zip(self.stages, keys, strict=True):
            values = block(values if down is None else down(values), key=own)
        return self.last(jnp.concatenate([jax.nn.selu(values).ravel(), context]))


class TransformerTrunk(eqx.Module):
    """Transformer on patches of 32 channels: 32 tokens (for 1024 channels) and one that gathers the answer."""

    context: Context
    tell: eqx.nn.Linear
    patch: eqx.nn.Linear
    position: Float[Array, "token width"]
    blocks: tuple[AttentionBlock, ...]
    norm: eqx.nn.LayerNorm
    last: eqx.nn.Linear
    channels_per_patch: int = eqx.field(static=True)

    def __init__(
        self, shapes: Shapes, *, width: int = 64, depth: int = 4, channels_per_patch: int = 32, key: PRNGKeyArray
    ) -> None:
        """Draw the weights."""
        one, two, three, four, five, six = jax.random.split(key, 6)
        self.context = Context(shapes, key=one)
        self.tell = eqx.nn.Linear(CONTEXT, width, key=two)
        self.patch = eqx.nn.Linear(2 * channels_per_patch, width, key=three)
        self.position = 0.5 * jax.random.normal(four, (shapes.channels // channels_per_patch, width))
        keys = jax.random.split(five, depth)
        self.blocks = tuple(AttentionBlock(width, heads=4, drop=DROP, key=own) for own in keys)
        self.norm = eqx.nn.LayerNorm(width)
        self.last = eqx.nn.Linear(width + CONTEXT, EMBEDDING, key=six)
        self.channels_per_patch = channels_per_patch

    def __call__(
        self, counts: Float[Array, " channel"], instrument: Float[Array, " instrument"], *, key: PRNGKeyArray | None
    ) -> Float[Array, " embedding"]:
        """Return the embedding."""
        context = self.context(counts, instrument)
        patches = features(counts).reshape(-1, 2 * self.channels_per_patch)
        tokens = each(self.patch, patches) + self.position
        tokens = in_turn(self.blocks, jnp.concatenate([self.tell(context)[None], tokens]), key=key)
        return self.last(jnp.concatenate([self.norm(tokens[0]), context]))


class PerceptronTrunk(eqx.Module):
    """Residual layers of matrices on the square-root spectrum and on how clearly lines stand out."""

    context: Context
    first: eqx.nn.Linear
    blocks: tuple[DenseBlock, ...]
    norm: eqx.nn.LayerNorm
    last: eqx.nn.Linear

    def __init__(self, shapes: Shapes, *, width: int, depth: int, key: PRNGKeyArray) -> None:
        """Draw the weights; depth: blocks of two matrices each."""
        one, two, three, four = jax.random.split(key, 4)
        self.context = Context(shapes, key=one)
        self.first = eqx.nn.Linear(2 * shapes.channels + CONTEXT, width, key=two)
        self.blocks = tuple(
            DenseBlock(width, inner=width, drop=DROP, key=own) for own in jax.random.split(three, depth)
        )
        self.norm = eqx.nn.LayerNorm(width)
        self.last = eqx.nn.Linear(width, EMBEDDING, key=four)

    def __call__(
        self, counts: Float[Array, " channel"], instrument: Float[Array, " instrument"], *, key: PRNGKeyArray | None
    ) -> Float[Array, " embedding"]:
        """Return the embedding."""
        inputs = jnp.concatenate([features(counts)[:, 0], line_evidence(counts), self.context(counts, instrument)])
        return self.last(self.norm(in_turn(self.blocks, self.first(inputs), key=key)))


class Heads(eqx.Module):
    """Everything that is read from an embedding: SELU and one matrix."""

    layer: eqx.nn.Linear
    classes: int = eqx.field(static=True)

    def __init__(self, classes: int, *, key: PRNGKeyArray) -> None:
        """Draw the weights."""
        self.layer = eqx.nn.Linear(EMBEDDING, 2 * PAINTS * classes + 1 + PAINTS, key=key)
        self.classes = classes

    def __call__(self, embedding: Float[Array, " embedding"]) -> Prediction:
        """Return the prediction."""
        values = self.layer(jax.nn.selu(embedding))
        ends = [PAINTS * self.classes, 2 * PAINTS * self.classes, 2 * PAINTS * self.classes + 1]
        presence, shares, hidden, thickness = jnp.split(values, ends)
        log_shares = jax.nn.log_softmax(shares.reshape(PAINTS, self.classes), axis=-1)
        return Prediction(presence.reshape(PAINTS, self.classes), log_shares, hidden[0], thickness)


class SpectrumNet(eqx.Module):
    """A trunk and its heads."""

    trunk: ResidualTrunk | TransformerTrunk | PerceptronTrunk
    heads: Heads

    def embed(
        self, counts: Float[Array, " channel"], instrument: Float[Array, " instrument"], *, key: PRNGKeyArray | None
    ) -> Float[Array, " embedding"]:
        """Return the vector [256] from which the heads read; spectra that the network takes for alike lie close."""
        return self.trunk(counts, instrument, key=key)

    def __call__(
        self, counts: Float[Array, " channel"], instrument: Float[Array, " instrument"], *, key: PRNGKeyArray | None
    ) -> Prediction:
        """Return the prediction for one spectrum.

        counts: float32, 0 or more; instrument: float32; key: None for a prediction, a key while training.
        """
        return self.heads(self.embed(counts, instrument, key=key))


def _residual(shapes: Shapes, *, key: PRNGKeyArray) -> ResidualTrunk:
    return ResidualTrunk(shapes, key=key)


def _transformer(shapes: Shapes, *, key: PRNGKeyArray) -> TransformerTrunk:
    return TransformerTrunk(shapes, key=key)


def _perceptron(shapes: Shapes, *, key: PRNGKeyArray) -> PerceptronTrunk:
    return PerceptronTrunk(shapes, width=704, depth=3, key=key)


def _fast(shapes: Shapes, *, key: PRNGKeyArray) -> PerceptronTrunk:
    return PerceptronTrunk(shapes, width=256, depth=2, key=key)


DESIGNS: Mapping[str, Callable] = MappingProxyType(
    {"residual": _residual, "transformer": _transformer, "perceptron": _perceptron, "fast": _fast}
)


def build(design: str, shapes: Shapes, *, key: PRNGKeyArray) -> SpectrumNet:
    """Make a network with random weights, float32; raises InputError for an unknown design.

    Parameters at the default shapes and millions of operations for one spectrum: residual 986,635 and 19,
    transformer 280,827 and 20, perceptron 4,677,691 and 9, fast 911,867 and 1.8. A perceptron of equal cost would not
    fit into 10 MB; benchmarks/spectrum_net.py measures the speeds.
    """
    if design not in DESIGNS:
        raise InputError(f"no design {design!r}; known are {', '.join(DESIGNS)}{did_you_mean(design, DESIGNS)}")
    one, two = jax.random.split(key)
    return SpectrumNet(DESIGNS[design](shapes, key=one), Heads(shapes.classes, key=two))
