"""What any recolourer must beat: one colour for all, and each pixel alone against the spectra of a palette.

The palette's spectra lie on the axis of the counts: `scene.image_paint.library_of(pigments, instrument, window=(LOW,
HIGH), channels=CHANNELS)` gives them on the grid of `scene.training`. No neighbours, no training.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Real

from velatura.base.errors import InputError
from velatura.imaging.colour import as_srgb
from velatura.scene.render import display, linear

BLOCK = 2**14  # spectra at once: 64 MB of 1024 channels
SWEEPS = 60  # of coordinate descent; each pigment once in a sweep
FLOOR = 0.01  # of the mean channel: least variance taken for a channel
BLACKEST = 1e-3  # least reflectance of a pigment: K/S of a perfect black is infinite

Counts = Real[np.ndarray, "spectrum channel"]
Rates = Float[np.ndarray, "pigment channel"]
Colours = Float[np.ndarray, "pigment 3"]


def mean_colour(pictures: Iterable[np.ndarray]) -> Float[np.ndarray, " 3"]:
    """Return the mean sRGB colour (0 to 1, float32) of pictures [y, x, 3], every pixel weighing the same.

    Raises InputError when there is no picture.
    """
    total, pixels = np.zeros(3), 0
    for picture in pictures:
        rgb = as_srgb(picture).reshape(-1, 3)
        total, pixels = total + rgb.sum(axis=0, dtype=np.float64), pixels + len(rgb)
    if not pixels:
        raise InputError("a mean colour needs a picture; found none. Give those of the training")
    return (total / pixels).astype(np.float32)


def nearest_palette_colour(counts: Counts, rates: Rates, rgb: Colours) -> Float[np.ndarray, "spectrum 3"]:
    """Return for each spectrum the colour of the pigment whose spectrum is most like it, sRGB float32.

    The likeness is the cosine of the square roots (Bhattacharyya, Sankhya 7 (1946) 401), in which every channel is
    equally noisy. counts: of a pixel, any number type; rates: any intensity, not negative; rgb: 0 to 1. A spectrum
    without counts gets the mean of the palette. Raises InputError for shapes that do not match.
    """
    import jax.numpy as jnp

    rates, rgb = _checked(counts, rates, rgb)
    roots = jnp.asarray(np.sqrt(rates / rates.sum(axis=1, keepdims=True)), jnp.float32)
    best = _in_blocks(
        lambda block: jnp.argmax(jnp.matmul(jnp.sqrt(block), roots.T, precision="highest"), axis=1), counts
    )
    return _or_mean(rgb[best], counts, rgb)


def mixed_palette_colour(counts: Counts, rates: Rates, rgb: Colours) -> Float[np.ndarray, "spectrum 3"]:
    """Return for each spectrum the colour of the mixture of pigments that explains it best, sRGB float32.

    `palette_shares` mixed by `mixture_colour`. Arguments and errors as for `nearest_palette_colour`.
    """
    rates, rgb = _checked(counts, rates, rgb)
    return _or_mean(mixture_colour(palette_shares(counts, rates), rgb), counts, rgb)


def palette_shares(counts: Counts, rates: Rates) -> Float[np.ndarray, "spectrum pigment"]:
    """Return non-negative least squares of each spectrum by those of the pigments, scaled to sum 1, float32.

    A channel weighs as the inverse of the palette's mean rate there, about its Poisson variance; shares are of counts,
    each pigment's spectrum scaled to sum 1. SWEEPS sweeps of coordinate descent, which end before pigments that are
    nearly alike (two blacks) are settled between them. All 0 where a spectrum has no counts.
    """
    import jax
    import jax.numpy as jnp

    shapes = rates / rates.sum(axis=1, keepdims=True)
    mean = shapes.mean(axis=0)
    weighted = (shapes / np.maximum(mean, FLOOR * mean.mean())).astype(np.float32)
    gram = jnp.asarray(weighted @ shapes.T, jnp.float32)

    def solve(block):
        target = jnp.matmul(weighted, block.T, precision="highest")  # [pigment, spectrum]

        def improve(step, amounts):
            pigment = step % len(gram)
            excess = jnp.matmul(gram[pigment], amounts, precision="highest") - target[pigment]
            return amounts.at[pigment].set(jnp.maximum(amounts[pigment] - excess / gram[pigment, pigment], 0))

        start = jnp.maximum(target, 0) / gram.sum(axis=1)[:, None]
        amounts = jax.lax.fori_loop(0, SWEEPS * len(gram), improve, start)
        return (amounts / jnp.maximum(amounts.sum(axis=0), 1e-12)).T

    return _in_blocks(solve, counts)


def mixture_colour(shares: Float[np.ndarray, "*place pigment"], rgb: Colours) -> Float[np.ndarray, "*place 3"]:
    """Return the colour of thick paint of pigments mixed, sRGB float32 0 to 1.

    K/S of a mixture is the mean of its pigments' K/S by share, in linear red, green and blue (Kubelka and Munk, 1931;
    Duncan, Proc. Phys. Soc. 52 (1940) 390; all pigments scatter alike). shares: sum 1; rgb: of the pure pigments.
    """
    reflectance = np.maximum(linear(np.asarray(rgb, np.float64)), BLACKEST)
    absorbed = shares @ ((1 - reflectance) ** 2 / (2 * reflectance))
    return display(1 + absorbed - np.sqrt(absorbed * (absorbed + 2))).astype(np.float32)


def _checked(counts: Counts, rates: Rates, rgb: Colours) -> tuple[np.ndarray, np.ndarray]:
    rates, rgb = np.asarray(rates, np.float64), np.asarray(rgb, np.float32)
    if np.ndim(counts) != 2 or rates.ndim != 2 or np.shape(counts)[1] != rates.shape[1] or rgb.shape != (len(rates), 3):
        raise InputError(
            "counts [spectrum, channel], rates [pigment, channel] and rgb [pigment, 3] must match; found "
            f"{np.shape(counts)}, {rates.shape} and {rgb.shape}. Bring the palette to the axis of the counts"
        )
    if not (np.isfinite(rates).all() and rates.min() >= 0 and rates.sum(axis=1).min() > 0):
        raise InputError("the spectra of a palette must be zero or more, each with counts. Leave out empty ones")
    return rates, rgb


def _or_mean(colours: np.ndarray, counts: Counts, rgb: np.ndarray) -> np.ndarray:
    return np.where((np.asarray(counts).max(axis=1, initial=0) > 0)[:, None], colours, rgb.mean(axis=0))


def _in_blocks(work: Callable, counts: Counts) -> np.ndarray:
    """Results of `work` on float32 blocks of equal size (the last one filled up), so that it is compiled once."""
    import jax
    import jax.numpy as jnp

    compiled = jax.jit(lambda block: work(jnp.asarray(block, jnp.float32)))
    size, parts = min(BLOCK, max(len(counts), 1)), []
    for first in range(0, max(len(counts), 1), size):
        block = np.asarray(counts[first : first + size])
        filled = np.pad(block, ((0, size - len(block)), (0, 0)))
        parts.append(np.asarray(compiled(filled))[: len(block)])
    return np.concatenate(parts)
