"""What time does to a painting's colours: lakes fade, varnish yellows, paint darkens, and pieces fall out.

Each change is a function of sRGB colours 0 to 1 [y, x, 3] and of where, a strength 0 and up at each pixel [y, x]; where
it is 0 nothing changes, and more is never less. Light is reckoned as in `scene.render`: absorption over scattering K/S
of thick paint, band by band, (1 - R)^2 / 2R of its reflectance below the surface (Kubelka and Munk 1931).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from velatura.base.errors import InputError
from velatura.scene.image_paint import GROUND_COLOUR
from velatura.scene.render import VARNISH, above_surface, below_surface, display, linear

DARKEST = 1e-4  # least reflectance below the surface, so that black has a finite K/S
FEWEST, MOST = 0.0, 0.9  # share of a picture that may be lost
PASSES = 2.0  # of light through a varnish
Change = Callable[[np.ndarray, np.ndarray], np.ndarray]
SCALES = (0.01, 0.05)  # of the shorter side: correlation lengths of small chips and of large losses


def fade(rgb: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return colours of lakes and other dyes after light has bleached them, float32 [y, x, 3].

    strength: of first-order bleaching, the logarithm by which the dye's concentration fell (Johnston-Feller, Feller,
    Bailie and Curran, J. Am. Inst. Conservation 23 (1984) 114): 0 fresh, 3 hardly any left. K/S of the dye falls in
    proportion; the K/S all bands have in common is taken for that of the rest of the paint, and stays.
    """

    def bleached(ratio: np.ndarray, left: np.ndarray) -> np.ndarray:
        rest = ratio.min(axis=-1, keepdims=True)
        return rest + (ratio - rest) * np.exp(-left)

    return _repainted(rgb, strength, bleached)


def darken(rgb: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return colours that soot or a blackening of the paint has darkened, float32 [y, x, 3].

    strength: K/S added in all bands alike: 0 nothing, 1 turns white into a grey of lightness 42.
    """
    return _repainted(rgb, strength, lambda ratio, added: ratio + added)


def yellow(rgb: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return colours under an aged varnish, float32 [y, x, 3]; strength: its thickness [um].

    Light passes it twice: a factor exp(-2 K X) of linear rgb (Beer and Lambert), K that of `render.VARNISH`.
    """
    rgb, strength = _checked(rgb, strength)
    seen = display(linear(rgb) * np.exp(-PASSES * VARNISH * strength[..., None]))
    return np.where(strength[..., None] > 0, seen, rgb).astype(np.float32)


def losses(shape: tuple[int, int], share: float, *, rng: np.random.Generator) -> np.ndarray:
    """Return where paint has fallen out, bool [y, x]: blotches large and small on about `share` of the picture.

    shape: (height, width) [pixels]. From the same state of rng a larger share contains a smaller one.
    """
    if not FEWEST <= share <= MOST:
        raise InputError(f"losses can take {FEWEST:g} to {MOST:g} of a picture; asked for {share:g}")
    field = np.zeros(shape)
    for scale, weight in zip(SCALES, (0.4, 1.0), strict=True):
        part = gaussian_filter(rng.normal(size=shape), scale * min(shape), mode="reflect")
        field += weight * part / max(float(part.std()), 1e-12)
    lost = np.zeros(field.size, bool)
    lost[np.argsort(-field, axis=None, kind="stable")[: round(share * field.size)]] = True
    return lost.reshape(shape)


def lose(rgb: np.ndarray, lost: np.ndarray, *, ground: tuple[float, float, float] = GROUND_COLOUR) -> np.ndarray:
    """Return colours with the bare ground (sRGB 0 to 1) where paint is lost, bool [y, x]; float32 [y, x, 3]."""
    rgb, _ = _checked(rgb, np.asarray(lost, float))
    return np.where(np.asarray(lost, bool)[..., None], np.asarray(ground), rgb).astype(np.float32)


class Aged(NamedTuple):
    """A picture after some hundred years."""

    rgb: np.ndarray
    """sRGB 0 to 1, float32 [y, x, 3]."""
    lost: np.ndarray
    """Where the ground shows, bool [y, x]."""
    changed: np.ndarray
    """Where a dye has faded or paint has darkened, bool [y, x]; a varnish lies everywhere and is not in it."""


def aged(
    rgb: np.ndarray,
    *,
    rng: np.random.Generator,
    faded: float = 0.0,
    darkened: float = 0.0,
    varnish: float = 0.0,
    lost: float = 0.0,
    patches: float = 0.3,
) -> Aged:
    """Return a picture aged in patches of its own: `rgb` sRGB 0 to 1 [y, x, 3].

    faded, darkened: strengths, as for `fade` and `darken`, each in smooth-edged patches on about a share `patches` of
    the picture; varnish: thickness [um] all over; lost: share of the picture. Same state of rng, same patches whatever
    the strengths.
    """
    shape = rgb.shape[:2]
    fields = [_patches(shape, patches, rng=rng) for _ in range(2)]
    holes = losses(shape, lost, rng=rng)
    seen = darken(fade(rgb, faded * fields[0]), darkened * fields[1])
    changed = (faded * fields[0] + darkened * fields[1]) > 0
    seen = yellow(lose(seen, holes), np.full(shape, varnish))
    return Aged(seen, holes, changed)


def _patches(shape: tuple[int, int], share: float, *, rng: np.random.Generator) -> np.ndarray:
    """Smooth patches 0 to 1 [y, x] on about `share` of a picture."""
    field = gaussian_filter(rng.normal(size=shape), min(shape) / 8, mode="reflect")
    above = field - np.quantile(field, 1 - share)
    return np.clip(3 * above / max(float(above.max()), 1e-12), 0, 1)


def _repainted(rgb: np.ndarray, strength: np.ndarray, change) -> np.ndarray:
    """Colours whose K/S [..., 3] was changed, at strengths above zero; the others bit for bit as they were."""
    rgb, strength = _checked(rgb, strength)
    inner = np.maximum(below_surface(linear(rgb)), DARKEST)
    ratio = change((1 - inner) ** 2 / (2 * inner), strength[..., None])
    back = 1 + ratio - np.sqrt(ratio**2 + 2 * ratio)
    return np.where(strength[..., None] > 0, display(above_surface(back)), rgb).astype(np.float32)


def _checked(rgb: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rgb, strength = np.asarray(rgb, np.float64), np.asarray(strength, np.float64)
    if rgb.ndim != 3 or rgb.shape[-1] != 3 or strength.shape != rgb.shape[:2]:
        raise InputError(f"colours [y, x, 3] age at each pixel [y, x]; found shapes {rgb.shape} and {strength.shape}")
    if not (strength >= 0).all() or not np.isfinite(strength).all():
        raise InputError(f"ageing has strengths of 0 and more; found {strength.min():g} to {strength.max():g}")
    return rgb, strength
