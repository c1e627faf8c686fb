"""Colours as the eye sees them, differentiable: CIELAB (D65, 2 degrees) of sRGB, and CIEDE2000. JAX, [..., 3].

The same numbers as `velatura.imaging.colour`, for losses: every gradient is finite, also at black, at greys, at equal
colours, and a little outside the screen (a network's raw answer).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

LINEAR_TO_XYZ = (  # primaries of ITU-R BT.709, white D65
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)  # XYZ of D65, 2 degrees (CIE 15:2004)
TINY = 1e-12  # squares below this count as zero


def root(square: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the square root; at and below TINY it is 0, and so is its gradient."""
    shows = square > TINY
    return jnp.where(shows, jnp.sqrt(jnp.where(shows, square, 1.0)), 0.0)


def cielab(rgb: Float[Array, "*place 3"]) -> Float[Array, "*place 3"]:
    """Return lightness (0 to 100), a and b of sRGB colours 0 to 1 (IEC 61966-2-1:1999; CIE 15:2004).

    Values outside 0 to 1 are not clipped: below 0 both curves go on as straight lines.
    """
    bright = rgb > 0.04045
    curve = ((jnp.where(bright, rgb, 1.0) + 0.055) / 1.055) ** 2.4
    linear = jnp.where(bright, curve, rgb / 12.92)
    to_white = np.array(LINEAR_TO_XYZ, np.float32) / np.array(WHITE, np.float32)[:, None]
    relative = sum(linear[..., part, None] * to_white[:, part] for part in range(3))
    bright = relative > 0.008856
    cube_root = jnp.where(bright, jnp.cbrt(jnp.where(bright, relative, 1.0)), 7.787 * relative + 16 / 116)
    x, y, z = cube_root[..., 0], cube_root[..., 1], cube_root[..., 2]
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_difference(one: Float[Array, "*place 3"], other: Float[Array, "*place 3"]) -> Float[Array, "*place"]:
    """Return CIEDE2000 between CIELAB colours, kL = kC = kH = 1; black to white is 100.

    The formula and its branches for the mean hue are those of Sharma, Wu and Dalal (Color Res. Appl. 30 (2005) 21).
    The gradient is 0 at equal colours, where the difference has a kink.
    """
    lightness = one[..., 0], other[..., 0]
    chroma_seen = (root(one[..., 1] ** 2 + one[..., 2] ** 2) + root(other[..., 1] ** 2 + other[..., 2] ** 2)) / 2
    stretch = 1 + 0.5 * (1 - _strong(chroma_seen))
    a, b = (one[..., 1] * stretch, other[..., 1] * stretch), (one[..., 2], other[..., 2])
    chroma = root(a[0] ** 2 + b[0] ** 2), root(a[1] ** 2 + b[1] ** 2)
    hue = _angle(a[0], b[0]), _angle(a[1], b[1])
    turn = hue[1] - hue[0]
    far = jnp.abs(turn) > jnp.pi
    turn = turn - jnp.where(far, 2 * jnp.pi * jnp.sign(turn), 0.0)
    coloured = (chroma[0] > 0) & (chroma[1] > 0)
    mean_hue = jnp.where(coloured, (hue[0] + hue[1]) / 2 + jnp.where(far, jnp.pi, 0.0), hue[0] + hue[1])
    mean_l, mean_c = (lightness[0] + lightness[1]) / 2, (chroma[0] + chroma[1]) / 2
    hue_weight = (
        1
        - 0.17 * jnp.cos(mean_hue - np.pi / 6)
        + 0.24 * jnp.cos(2 * mean_hue)
        + 0.32 * jnp.cos(3 * mean_hue + np.radians(6))
        - 0.20 * jnp.cos(4 * mean_hue - np.radians(63))
    )
    apart = (mean_l - 50) ** 2
    in_l = (lightness[1] - lightness[0]) / (1 + 0.015 * apart / jnp.sqrt(20 + apart))
    in_c = (chroma[1] - chroma[0]) / (1 + 0.045 * mean_c)
    in_h = 2 * root(chroma[0] * chroma[1]) * jnp.sin(turn / 2) / (1 + 0.015 * mean_c * hue_weight)
    degrees = jnp.degrees(mean_hue) % 360
    twist = -2 * _strong(mean_c) * jnp.sin(np.radians(60) * jnp.exp(-(((degrees - 275) / 25) ** 2)))
    return root(in_l**2 + in_c**2 + in_h**2 + twist * in_c * in_h)


def _strong(chroma: Float[Array, "..."]) -> Float[Array, "..."]:
    """sqrt(C^7 / (C^7 + 25^7)), written so that no power overflows."""
    seventh = (chroma / 25) ** 7
    return root(seventh / (1 + seventh))


def _angle(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """Hue 0 to 2 pi; 0 for greys, with a gradient of 0."""
    coloured = a**2 + b**2 > TINY
    angle = jnp.arctan2(jnp.where(coloured, b, 0.0), jnp.where(coloured, a, 1.0))
    return jnp.where(angle < 0, angle + 2 * jnp.pi, angle)
