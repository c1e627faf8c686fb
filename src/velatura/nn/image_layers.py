"""Pieces of networks for images. Features lie last: tokens [token, width], images [y, x, feature]; float32 throughout.

Every piece takes one image; `jax.vmap` over a batch makes one matrix product of each, for all images at once. `key`,
keyword-only: a key while training, None for a prediction without chance.
"""

from math import log

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from velatura.nn.layers import DropPath

EPSILON = 1e-5  # added to the variance, as PyTorch's layers do


class Linear(eqx.Module):
    """Matrix applied to the last axis."""

    weight: Float[Array, "inputs outputs"]
    bias: Float[Array, " outputs"] | None

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, scale: float = 1.0, key: PRNGKeyArray) -> None:
        """Draw weights uniformly within scale / sqrt(inputs), PyTorch's default; the bias starts at zero."""
        bound = scale * inputs**-0.5
        self.weight = jax.random.uniform(key, (inputs, outputs), minval=-bound, maxval=bound)
        self.bias = jnp.zeros(outputs) if bias else None

    def __call__(self, values: Float[Array, "*shape inputs"]) -> Float[Array, "*shape outputs"]:
        """Return as many vectors."""
        products = values @ self.weight
        return products if self.bias is None else products + over(self.bias, products)


class LayerNorm(eqx.Module):
    """Mean 0 and variance 1 along the last axis, then a learnt scale and shift (Ba et al., arXiv 1607.06450)."""

    weight: Float[Array, " width"]
    bias: Float[Array, " width"]

    def __init__(self, width: int) -> None:
        """Start with scale 1 and shift 0."""
        self.weight, self.bias = jnp.ones(width), jnp.zeros(width)

    def __call__(self, values: Float[Array, "*shape width"]) -> Float[Array, "*shape width"]:
        """Return values of the same shape."""
        centred = values - jnp.mean(values, axis=-1, keepdims=True)
        variance = jnp.mean(centred**2, axis=-1, keepdims=True)
        scaled = centred * jax.lax.rsqrt(variance + EPSILON)
        return scaled * over(self.weight, scaled) + over(self.bias, scaled)


class ImageConvolution(eqx.Module):
    """Convolution of an image; pixels outside count as zero."""

    weight: Float[Array, "taps taps inputs outputs"]
    bias: Float[Array, " outputs"]
    stride: int = eqx.field(static=True)

    def __init__(
        self, inputs: int, outputs: int, *, taps: int = 3, stride: int = 1, scale: float = 1.0, key: PRNGKeyArray
    ) -> None:
        """Draw weights uniformly within scale / sqrt(taps x taps x inputs), PyTorch's default; the bias starts at 0."""
        bound = scale * (taps * taps * inputs) ** -0.5
        self.weight = jax.random.uniform(key, (taps, taps, inputs, outputs), minval=-bound, maxval=bound)
        self.bias = jnp.zeros(outputs)
        self.stride = stride

    def __call__(self, image: Float[Array, "y x inputs"]) -> Float[Array, "fewer_y fewer_x outputs"]:
        """Return one vector for every `stride` x `stride` pixels."""
        axes, strides = ("NHWC", "HWIO", "NHWC"), (self.stride, self.stride)
        sums = jax.lax.conv_general_dilated(image[None], self.weight, strides, "SAME", dimension_numbers=axes)[0]
        return sums + over(self.bias, sums)


class Dropout(eqx.Module):
    """Sets a random share of the values to zero and the others larger, so that the mean stays.

    Four values share one random word, as drawing words would take a fifth of a training step; so the rate is rounded to
    a multiple of 1/256.
    """

    rate: float = eqx.field(static=True)

    def __call__(self, values: Float[Array, "*shape"], *, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
        """Return values of the same shape; without a key the values themselves."""
        left_out = round(256 * self.rate)
        if key is None or left_out == 0:
            return values
        words = jax.random.bits(key, (-(-values.size // 4),), jnp.uint32)
        chance = jax.lax.bitcast_convert_type(words, jnp.uint8).ravel()[: values.size].reshape(values.shape)
        return jnp.where(chance >= left_out, values * (256 / (256 - left_out)), 0.0)


class FeedForward(eqx.Module):
    """Linear, dropout, GELU, linear, dropout: each token by itself."""

    first: Linear
    second: Linear
    drop: Dropout

    def __init__(self, width: int, *, inner: int, drop: float, key: PRNGKeyArray) -> None:
        """Draw the weights; inner: width between the two matrices."""
        one, two = jax.random.split(key)
        self.first = Linear(width, inner, key=one)
        self.second = Linear(inner, width, key=two)
        self.drop = Dropout(drop)

    def __call__(
        self, tokens: Float[Array, "*shape width"], *, key: PRNGKeyArray | None
    ) -> Float[Array, "*shape width"]:
        """Return as many tokens."""
        one, two = keys_for(2, key=key)
        return self.drop(self.second(jax.nn.gelu(self.drop(self.first(tokens), key=one))), key=two)


class Attention(eqx.Module):
    """Each token gathers from the others what resembles it; local where it may not look at itself (`local`).

    Locality Self-Attention (Lee et al., arXiv 2112.13492): no token sees itself, and the temperature is learnt, kept as
    its logarithm, one for the block or one for each head. Without `local` the usual attention of Vaswani et al. (2017),
    the temperature fixed at 1 / sqrt(width of a head).
    """

    gather: Linear
    spread: Linear
    log_temperature: Float[Array, " one_or_heads"] | None
    heads: int = eqx.field(static=True)

    def __init__(
        self, width: int, *, heads: int, head: int, local: bool, each_head: bool = False, key: PRNGKeyArray
    ) -> None:
        """Draw the weights; head: width of one head; each_head: a temperature for each head."""
        one, two = jax.random.split(key)
        self.gather = Linear(width, 3 * heads * head, bias=not local, key=one)
        self.spread = Linear(heads * head, width, key=two)
        self.log_temperature = jnp.full(heads if each_head else 1, -0.5 * log(head)) if local else None
        self.heads = heads

    def __call__(self, tokens: Float[Array, "token width"]) -> Float[Array, "token width"]:
        """Return as many tokens."""
        count = tokens.shape[0]
        query, look, value = jnp.split(self.gather(tokens).reshape(count, 3 * self.heads, -1), 3, axis=1)
        if self.log_temperature is None:
            query = query * query.shape[-1] ** -0.5
        else:
            query = query * jnp.exp(self.log_temperature)[None, :, None]
        scores = jnp.einsum("qhd,khd->hqk", query, look)
        if self.log_temperature is not None:
            scores = jnp.where(jnp.eye(count, dtype=bool)[None], -jnp.inf, scores)
        gathered = jnp.einsum("hqk,khd->qhd", jax.nn.softmax(scores, axis=-1), value)
        return self.spread(gathered.reshape(count, -1))


class TokenBlock(eqx.Module):
    """Transformer block, norm first (Xiong et al., ICML 2020); each half may be left out while training."""

    before: LayerNorm
    attention: Attention
    between: LayerNorm
    forward: FeedForward
    path: DropPath

    def __init__(self, width: int, *, attention: Attention, inner: int, drop: float, key: PRNGKeyArray) -> None:
        """Make a block around an attention; drop: share of dropped values and of branches left out."""
        self.before, self.between = LayerNorm(width), LayerNorm(width)
        self.attention = attention
        self.forward = FeedForward(width, inner=inner, drop=drop, key=key)
        self.path = DropPath(drop)

    def __call__(self, tokens: Float[Array, "token width"], *, key: PRNGKeyArray | None) -> Float[Array, "token width"]:
        """Return as many tokens."""
        one, two, three = keys_for(3, key=key)
        tokens = tokens + self.path(self.attention(self.before(tokens)), key=one)
        return tokens + self.path(self.forward(self.between(tokens), key=two), key=three)


def over(vector: Float[Array, " width"], like: Float[Array, "*shape width"]) -> Float[Array, "*ones width"]:
    """Return the vector with as many axes as `like` has."""
    return vector.reshape((1,) * (like.ndim - 1) + (-1,))


def keys_for(count: int, *, key: PRNGKeyArray | None) -> list[PRNGKeyArray] | list[None]:
    """Return that many keys, or None as often where there is no key."""
    return [None] * count if key is None else list(jax.random.split(key, count))


def shifted(image: Float[Array, "y x feature"], down: int, right: int) -> Float[Array, "y x feature"]:
    """Return the image moved by whole pixels; what comes in from outside is zero."""
    height, width, _ = image.shape
    padded = jnp.pad(image, ((max(down, 0), max(-down, 0)), (max(right, 0), max(-right, 0)), (0, 0)))
    top, left = max(-down, 0), max(-right, 0)
    return padded[top : top + height, left : left + width]


def doubled(image: Float[Array, "y x feature"]) -> Float[Array, "twice_y twice_x feature"]:
    """Return the image with twice the pixels on each side, interpolated bilinearly: no edge where blocks meet."""
    height, width, features = image.shape
    return jax.image.resize(image, (2 * height, 2 * width, features), "bilinear")


def patches(image: Float[Array, "y x feature"], *, patch: int) -> Float[Array, "row column content"]:
    """Return square patches of an image, each as one vector (y, x, feature)."""
    height, width, features = image.shape
    grid = image.reshape(height // patch, patch, width // patch, patch, features)
    return grid.transpose(0, 2, 1, 3, 4).reshape(height // patch, width // patch, -1)


def from_patches(grid: Float[Array, "row column content"], *, patch: int) -> Float[Array, "y x feature"]:
    """Return the image of which `patches` makes these vectors."""
    rows, columns, content = grid.shape
    parts = grid.reshape(rows, columns, patch, patch, content // patch**2)
    return parts.transpose(0, 2, 1, 3, 4).reshape(rows * patch, columns * patch, -1)
