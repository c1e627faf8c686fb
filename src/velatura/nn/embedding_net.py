"""Networks that turn one spectrum into a few numbers: the published autoencoder, a taught one, projections.

Each takes counts [channel] of one spectrum on a fixed grid and has the same three steps: `prepared` (what it sees of
the counts), `penultimate` (the vector before the last matrix; `key` while training, None for no chance) and `project`
(the embedding). Those with a decoder also `decode` the embedding back to what was prepared.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from velatura.nn.layers import dose, features, line_evidence
from velatura.nn.spectrum_net import SpectrumNet

DROPPED = -1.7580993408473766  # what SELU tends to for very negative inputs (Klambauer et al., NeurIPS 2017)
NARROW = 32  # width of the encoding space, and the least of a hidden layer
LEVELS = 4  # halvings of the encoder
RATE = 0.1  # of the alpha dropout


def log_shape(counts: Float[Array, " channel"]) -> Float[Array, " channel"]:
    """Return log(1 + c) over its own maximum, 0 to 1; zeros for an empty spectrum (as DeepCluster prepares spectra)."""
    values = jnp.log1p(counts)
    return values / jnp.maximum(jnp.max(values), 1e-6)


def alpha_dropout(values: Float[Array, " width"], *, key: PRNGKeyArray | None) -> Float[Array, " width"]:
    """Set a tenth of the values to SELU's lower limit, so that mean and variance stay (Klambauer et al., 2017)."""
    if key is None:
        return values
    kept = jax.random.bernoulli(key, 1 - RATE, values.shape)
    scale = ((1 - RATE) * (1 + RATE * DROPPED**2)) ** -0.5
    return scale * jnp.where(kept, values, DROPPED) - scale * RATE * DROPPED


class SelfNormalising(eqx.Module):
    """Matrices without bias, each followed by SELU and alpha dropout."""

    layers: tuple[eqx.nn.Linear, ...]

    def __init__(self, widths: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        """Draw weights of variance 1 / inputs between these widths."""
        keys = jax.random.split(key, len(widths) - 1)
        pairs = zip(widths[:-1], widths[1:], keys, strict=True)
        self.layers = tuple(_linear(one, other, bias=False, key=own) for one, other, own in pairs)

    def __call__(self, values: Float[Array, " inputs"], *, key: PRNGKeyArray | None) -> Float[Array, " outputs"]:
        """Apply all."""
        keys = [None] * len(self.layers) if key is None else jax.random.split(key, len(self.layers))
        for layer, own in zip(self.layers, keys, strict=True):
            values = alpha_dropout(jax.nn.selu(layer(values)), key=own)
        return values


class VariationalNet(eqx.Module):
    """The Deep Variational Embedding: encoder 1024-512-256-128-32 (tanh), mean and log variance, decoder.

    Sizes as inferred from the published code of the same group (996,774 parameters at 1024 channels and 3 features).
    """

    hidden: SelfNormalising
    narrow: eqx.nn.Linear
    mean: eqx.nn.Linear
    log_variance: eqx.nn.Linear
    widen: SelfNormalising
    last: eqx.nn.Linear

    def __init__(self, channels: int, features: int = 3, *, key: PRNGKeyArray) -> None:
        """Draw the weights; channels: a multiple of 16, above 32."""
        keys = jax.random.split(key, 6)
        halves = [channels // 2**level for level in range(1, LEVELS)]
        back = [channels // 2**level for level in range(LEVELS, 1, -1)]
        self.hidden = SelfNormalising((channels, *(width for width in halves if width > NARROW)), key=keys[0])
        self.narrow = _linear(min(width for width in (channels, *halves) if width > NARROW), NARROW, key=keys[1])
        self.mean = _linear(NARROW, features, key=keys[2])
        self.log_variance = _linear(NARROW, features, key=keys[3])
        self.widen = SelfNormalising((features, *back), key=keys[4])
        self.last = _linear(back[-1], channels, key=keys[5])

    def prepared(self, counts: Float[Array, " channel"]) -> Float[Array, " channel"]:
        """Return the spectrum that is encoded and decoded."""
        return log_shape(counts)

    def penultimate(self, seen: Float[Array, " channel"], *, key: PRNGKeyArray | None) -> Float[Array, " narrow"]:
        """Return the encoding, -1 to 1."""
        return jnp.tanh(self.narrow(self.hidden(seen, key=key)))

    def project(self, encoding: Float[Array, " narrow"]) -> Float[Array, " feature"]:
        """Return the mean: the embedding."""
        return self.mean(encoding)

    def decode(self, embedding: Float[Array, " feature"], *, key: PRNGKeyArray | None) -> Float[Array, " channel"]:
        """Return the spectrum of an embedding, 0 to 1."""
        return jax.nn.sigmoid(self.last(self.widen(embedding, key=key)))


class Reading(NamedTuple):
    """What a taught embedding says of a pixel."""

    colour: Float[Array, " 3"]
    """CIELAB, in fiftieths, lightness from 50."""
    log_error: Float[Array, " 3"]
    """Natural logarithm of the expected absolute error of each."""
    presence: Float[Array, " class"]
    """Logits that an XRF class is in the paint that is seen."""
    log_shares: Float[Array, " class"]
    """Natural logarithm of the mass shares, which sum to 1."""


class TaughtNet(eqx.Module):
    """Two hidden layers on the square-root spectrum and on how clearly lines stand out, and a few numbers from which
    colour and pigments are read.
    """

    first: eqx.nn.Linear
    norm: eqx.nn.LayerNorm
    second: eqx.nn.Linear
    last: eqx.nn.Linear
    wide: eqx.nn.Linear
    colour: eqx.nn.Linear
    pigments: eqx.nn.Linear

    def __init__(
        self,
        channels: int,
        features: int = 16,
        *,
        classes: int,
        widths: tuple[int, int] = (384, 192),
        key: PRNGKeyArray,
    ) -> None:
        """Draw the weights; widths: of the hidden layers; classes: that the embedding is to tell."""
        keys = jax.random.split(key, 6)
        self.first = _linear(2 * channels + 1, widths[0], key=keys[0])
        self.norm = eqx.nn.LayerNorm(widths[0])
        self.second = _linear(*widths, key=keys[1])
        self.last = _linear(widths[1], features, key=keys[2])
        self.wide = _linear(features, 64, key=keys[3])
        self.colour = _linear(64, 6, key=keys[4])
        self.pigments = _linear(64, 2 * classes, key=keys[5])

    def prepared(self, counts: Float[Array, " channel"]) -> Float[Array, " inputs"]:
        """Return the share of each channel (square root), the evidence for lines, and the dose."""
        return jnp.concatenate([features(counts)[:, 0], line_evidence(counts), dose(counts)])

    def penultimate(self, seen: Float[Array, " inputs"], *, key: PRNGKeyArray | None) -> Float[Array, " width"]:
        """Return the second hidden layer, with dropout while training."""
        one, two = (None, None) if key is None else jax.random.split(key)
        values = alpha_dropout(jax.nn.selu(self.norm(self.first(seen))), key=one)
        return alpha_dropout(jax.nn.selu(self.second(values)), key=two)

    def project(self, hidden: Float[Array, " width"]) -> Float[Array, " feature"]:
        """Return the embedding."""
        return self.last(hidden)

    def read(self, embedding: Float[Array, " feature"]) -> Reading:
        """Return what the embedding says."""
        values = jax.nn.selu(self.wide(embedding))
        colour, log_error = jnp.split(self.colour(values), 2)
        presence, shares = jnp.split(self.pigments(values), 2)
        return Reading(colour, log_error, presence, jax.nn.log_softmax(shares))


class ComponentNet(eqx.Module):
    """Principal components of the spectra that the published network sees."""

    centre: Float[Array, " channel"]
    axes: Float[Array, "channel feature"]

    def prepared(self, counts: Float[Array, " channel"]) -> Float[Array, " channel"]:
        """Return the spectrum as the published network sees it."""
        return log_shape(counts)

    def penultimate(self, seen: Float[Array, " channel"], *, key: PRNGKeyArray | None) -> Float[Array, " channel"]:
        """Return the spectrum less its mean; there is no chance in it."""
        del key
        return seen - self.centre

    def project(self, centred: Float[Array, " channel"]) -> Float[Array, " feature"]:
        """Return the scores."""
        return centred @ self.axes

    def decode(self, embedding: Float[Array, " feature"], *, key: PRNGKeyArray | None) -> Float[Array, " channel"]:
        """Return the spectrum of some scores; there is no chance in it."""
        del key
        return self.centre + self.axes @ embedding


class AnswersNet(eqx.Module):
    """Principal components of what a network of pigment identification answers."""

    net: SpectrumNet
    centre: Float[Array, " answer"]
    axes: Float[Array, "answer feature"]
    """Divided by the deviation of each answer."""

    def prepared(self, counts: Float[Array, " channel"]) -> Float[Array, " channel"]:
        """Return the counts themselves."""
        return counts

    def penultimate(self, seen: Float[Array, " channel"], *, key: PRNGKeyArray | None) -> Float[Array, " answer"]:
        """Return logits and shares of the visible and the hidden paint, less their means; nothing tells the head."""
        unknown = jnp.zeros(self.net.trunk.context.layer.weight.shape[1] - 1)
        return answers(self.net, seen, unknown, key=key) - self.centre

    def project(self, centred: Float[Array, " answer"]) -> Float[Array, " feature"]:
        """Return the scores."""
        return centred @ self.axes


def answers(
    net: SpectrumNet,
    counts: Float[Array, " channel"],
    instrument: Float[Array, " instrument"],
    *,
    key: PRNGKeyArray | None,
) -> Float[Array, " answer"]:
    """Return the logits of presence (visible, hidden), then the square roots of the shares, 0 to 1."""
    said = net(counts, instrument, key=key)
    return jnp.concatenate([said.presence.ravel(), jnp.exp(0.5 * said.log_shares).ravel()])


class DomainHead(eqx.Module):
    """Small network that tells from an embedding which of two sources its spectrum comes from."""

    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def __init__(self, features: int, *, key: PRNGKeyArray) -> None:
        """Draw the weights."""
        one, two = jax.random.split(key)
        self.first = _linear(features, 64, key=one)
        self.second = _linear(64, 1, key=two)

    def __call__(self, embedding: Float[Array, " feature"]) -> Float[Array, ""]:
        """Return the logit of the second source."""
        return self.second(jax.nn.selu(self.first(embedding)))[0]


def embedding_of(net: PyTree, counts: Float[Array, " channel"]) -> Float[Array, " feature"]:
    """Return the embedding of one spectrum, without chance."""
    return net.project(net.penultimate(net.prepared(counts), key=None))


def _linear(inputs: int, outputs: int, *, bias: bool = True, key: PRNGKeyArray) -> eqx.nn.Linear:
    """A matrix of variance 1 / inputs, as SELU needs, and a bias of zeros."""
    made = eqx.nn.Linear(inputs, outputs, use_bias=bias, key=key)
    made = eqx.tree_at(lambda row: row.weight, made, jax.random.normal(key, (outputs, inputs)) / inputs**0.5)
    return eqx.tree_at(lambda row: row.bias, made, jnp.zeros(outputs)) if bias else made
