"""How alike two pictures are: redmean, CIEDE2000, SSIM, MS-SSIM, UIQI, and a loss that sees as the eye does. JAX.

Pictures are sRGB 0 to 1, [y, x, 3], one at a time (`jax.vmap` for batches); values a little outside are not clipped.
Everything is differentiable, with finite gradients also at equal pictures, at black and at white. Windows, constants
and means of the structural measures are those of torchmetrics with a data range of 1; it pads by reflection and then
crops as much away, so that only windows that lie wholly within the picture count: here they alone are computed.
"""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from velatura.base.errors import InputError
from velatura.imaging.perception import cielab, lab_difference, root

WINDOW, SIGMA = 11, 1.5  # taps and standard deviation [pixels] of the Gaussian window (Wang et al., 2004)
C1, C2 = 0.01**2, 0.03**2  # (k1 x range)^2 and (k2 x range)^2, range 1
BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # importance of each scale, finest first (Wang et al., 2003)
FLAT = float(np.finfo(np.float32).eps)  # added to the denominator of UIQI, as torchmetrics does
WEAK = 0.01  # contrast terms below this have the slope of this one
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16  # generating kernel of the pyramid (Burt and Adelson, 1983; a = 3/8)
COARSEST = 8  # pixels; bands are split off while the rest is at least as wide
PER_DEGREE = 16.0  # pixels to a degree of sight: 128 of them fill 8 degrees, a painting of 50 cm seen from 3.6 m
KINK = 1e-3  # of black to white: differences below it count by their square

Picture = Float[Array, "y x 3"]


def redmean(one: Picture, other: Picture) -> Float[Array, "y x"]:
    """Return the weighted RGB distance of each pixel; white to black is 3 (Riemersma, CompuPhase).

    sqrt((2 + r) dR^2 + 4 dG^2 + (3 - r) dB^2), r being the mean red of both; the gradient is 0 at equal colours. On
    the scale of 0 to 255 white to black is 764.834, for there r is divided by 256.
    """
    red = (one[..., 0] + other[..., 0]) / 2
    squares = (one - other) ** 2
    return root((2 + red) * squares[..., 0] + 4 * squares[..., 1] + (3 - red) * squares[..., 2])


def ciede2000(one: Picture, other: Picture) -> Float[Array, "y x"]:
    """Return the colour difference CIEDE2000 of each pixel; black to white is 100. See `perception.lab_difference`."""
    return lab_difference(cielab(one), cielab(other))


def ssim(one: Picture, other: Picture) -> Float[Array, ""]:
    """Return the mean structural similarity, 1 for equal pictures (Wang et al., IEEE Trans. Image Process. 13, 2004).

    Gaussian window of 11 pixels, standard deviation 1.5, k1 .01, k2 .03; mean over colours and windows. Raises
    InputError for sides below 11 pixels.
    """
    scales_that_fit(min(one.shape[:2]))
    windows = _windows(_colour_first(one), _colour_first(other))
    return jnp.mean(_luminance(windows) * _contrast(windows))


def ms_ssim(one: Picture, other: Picture) -> Float[Array, ""]:
    """Return the multi-scale structural similarity, 0 to 1 (Wang, Simoncelli and Bovik, Asilomar 2003).

    Contrast terms at all scales and the full SSIM at the last, each a mean over the picture, negative ones set to 0,
    raised to BETAS and multiplied; halved by means of 2 x 2 between scales. Five scales where the shorter side is at
    least 176 pixels; below that as many as `scales_that_fit`, their weights scaled to sum 1, which is no longer the
    published measure. Below WEAK the slope is held, also where the value is 0, so that training finds its way out.
    Raises InputError for sides below 11 pixels.
    """
    number = scales_that_fit(min(one.shape[:2]))
    whole = 1.0 if number == len(BETAS) else sum(BETAS[:number])
    one, other, value = _colour_first(one), _colour_first(other), jnp.ones(())
    for scale, weight in enumerate(BETAS[:number]):
        windows = _windows(one, other)
        terms = _contrast(windows)
        if scale == number - 1:
            terms = terms * _luminance(windows)
        value = value * _power(jnp.mean(terms), weight / whole)
        one, other = _halved(one), _halved(other)
    return value


def scales_that_fit(side: int) -> int:
    """Return the number of scales of MS-SSIM for a shorter side of pixels: at most 5, the coarsest at least 11 wide.

    Raises InputError for a side below 11 pixels.
    """
    if side < WINDOW:
        raise InputError(
            f"structure is compared in windows of {WINDOW} pixels; found a side of {side}. Enlarge it, or use redmean"
        )
    return min(len(BETAS), int(np.log2(side // WINDOW)) + 1)


def uiqi(one: Picture, other: Picture) -> Float[Array, ""]:
    """Return the universal image quality index, -1 to 1 (Wang and Bovik, IEEE Signal Process. Lett. 9 (2002) 81).

    Mean of 4 s_xy m_x m_y / ((s_x^2 + s_y^2) (m_x^2 + m_y^2) + eps) in Gaussian windows (11 pixels, 1.5), eps being
    that of float32; the paper has square windows of 8. Windows that are flat or black in both count as about 0, even
    where they are equal. Raises InputError for sides below 11 pixels.
    """
    scales_that_fit(min(one.shape[:2]))
    windows = _windows(_colour_first(one), _colour_first(other))
    squares = windows.mean_one**2 + windows.mean_other**2
    upper = 2 * windows.mean_one * windows.mean_other * (windows.variances - windows.difference)
    return jnp.mean(upper / (squares * windows.variances + FLAT))


def pyramid_difference(one: Picture, other: Picture) -> Float[Array, ""]:
    """Return a perceptual difference: that of the CIELAB colours in octaves, weighted by what the eye resolves.

    The difference of both pictures in CIELAB (scaled by 1/100, so that black to white is about 1) is split into a
    Laplacian pyramid (Burt and Adelson, IEEE Trans. Commun. 31 (1983) 532). In each octave, and in the coarse rest,
    the length of the colour vector, lightness, a and b weighted by the `sensitivity` of the eye there, is averaged
    over the pixels; these means add up. A difference of colour without structure counts once, one of structure in
    each octave that it touches. No trained weights. Near 0 the length is rounded off (KINK), as in Charbonnier et al.
    (ICIP 1994).
    """
    rest = _colour_first(cielab(one) - cielab(other)) / 100
    total, frequency = jnp.zeros(()), PER_DEGREE / 2**1.5
    while min(rest.shape[1:]) >= 2 * COARSEST:
        smaller = _separably(rest, _reducing)
        band = rest - _separably(smaller, _expanding, rest.shape[1:])
        total += _mean_length(band * sensitivity(frequency)[:, None, None])
        rest, frequency = smaller, frequency / 2
    return total + _mean_length(rest)


def sensitivity(frequency: float) -> np.ndarray:
    """Contrast sensitivity for lightness, red-green and blue-yellow at a frequency [cycles per degree], [3], 1 at 0.

    The low-pass curves of S-CIELAB (Zhang and Wandell, 1997) as sums of Gaussians after Andersson et al. (FLIP, Proc.
    ACM Comput. Graph. Interact. Tech. 3 (2020) 15).
    """
    square = frequency**2
    blue_yellow = (34.1 * np.exp(-0.04 * square) + 13.5 * np.exp(-0.025 * square)) / (34.1 + 13.5)
    return np.array([np.exp(-0.0047 * square), np.exp(-0.0053 * square), blue_yellow], np.float32)


class _Windows(NamedTuple):
    """Local statistics, each [colour, y - 10, x - 10]."""

    mean_one: Array
    mean_other: Array
    variances: Array
    """Sum of both variances."""
    difference: Array
    """Variance of the difference: the sum of both less twice the covariance; 0 at equal pictures, whatever rounding."""


def _windows(one: Array, other: Array) -> _Windows:
    """Statistics in windows that lie wholly within. Values are centred at 0.5 first, which keeps their digits."""
    one, other = one - 0.5, other - 0.5
    apart = one - other
    moments = jnp.stack([one, other, one**2 + other**2, apart**2])
    m_one, m_other, squares, apart_squares = _separably(moments, _blurring)
    variances = jnp.maximum(squares - m_one**2 - m_other**2, 0)
    return _Windows(m_one + 0.5, m_other + 0.5, variances, jnp.maximum(apart_squares - (m_one - m_other) ** 2, 0))


def _contrast(windows: _Windows) -> Array:
    """(2 s_xy + C2) / (s_x^2 + s_y^2 + C2)."""
    return 1 - windows.difference / (windows.variances + C2)


def _luminance(windows: _Windows) -> Array:
    """(2 m_x m_y + C1) / (m_x^2 + m_y^2 + C1)."""
    apart = (windows.mean_one - windows.mean_other) ** 2
    return 1 - apart / (windows.mean_one**2 + windows.mean_other**2 + C1)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _power(term: Array, weight: float) -> Array:
    """max(term, 0) ** weight."""
    return jnp.where(term > 0, jnp.where(term > 0, term, 1.0) ** weight, 0.0)


@_power.defjvp
def _power_slope(weight: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (term,) = primals
    return _power(term, weight), weight * jnp.maximum(term, WEAK) ** (weight - 1) * tangents[0]


def _mean_length(colours: Array) -> Array:
    return jnp.mean(jnp.sqrt(jnp.sum(colours**2, axis=0) + KINK**2) - KINK)


def _colour_first(picture: Picture) -> Float[Array, "3 y x"]:
    return jnp.moveaxis(picture, -1, 0)


def _halved(planes: Array) -> Array:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    rows, columns = planes.shape[-2] // 2, planes.shape[-1] // 2
    even = planes[..., : 2 * rows, : 2 * columns]
    return even.reshape(*planes.shape[:-2], rows, 2, columns, 2).mean(axis=(-3, -1))


def _separably(planes: Array, matrix, shape: tuple[int, ...] | None = None) -> Array:
    """Filter rows and columns [..., y, x] by a matrix each: on processors many times faster than sums of shifts."""
    rows, columns = planes.shape[-2:] if shape is None else shape
    planes = jnp.matmul(planes, matrix(columns).T, precision="highest")
    return jnp.matmul(matrix(rows), planes, precision="highest")


@cache
def _blurring(side: int) -> np.ndarray:
    """Gaussian windows that lie wholly within, float32 [side - 10, side]."""
    taps = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA) ** 2)
    matrix = np.zeros((side - WINDOW + 1, side), np.float32)
    for row in range(len(matrix)):
        matrix[row, row : row + WINDOW] = taps / taps.sum()
    return matrix


@cache
def _reducing(side: int) -> np.ndarray:
    """Every second place of the picture smoothed by BINOMIAL and reflected at its ends, float32 [half, side]."""
    matrix = np.zeros(((side + 1) // 2, side))
    for row in range(len(matrix)):
        for tap, share in enumerate(BINOMIAL):
            place = abs(2 * row + tap - 2)
            matrix[row, place if place < side else 2 * (side - 1) - place] += share
    return matrix.astype(np.float32)


@cache
def _expanding(side: int) -> np.ndarray:
    """Back to `side` places: BINOMIAL between the places that are kept, rows summing to 1, float32 [side, half]."""
    matrix = np.zeros((side, (side + 1) // 2))
    for row in range(side):
        for tap, share in enumerate(BINOMIAL):
            place = row + tap - 2
            if place % 2 == 0 and 0 <= place < side:
                matrix[row, place // 2] = share
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
