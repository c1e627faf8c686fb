"""What the eye sees of a layered painting: two-flux light in red, green and blue, from the support up to the varnish.

Each layer absorbs (K) and scatters (S); two diffuse fluxes, down and up, give its reflectance over what lies beneath
(Kubelka and Munk, Z. techn. Phys. 12 (1931) 593, in the hyperbolic form of Kubelka, J. Opt. Soc. Am. 38 (1948) 448).
The surface turns light back, from outside and much more from inside (Saunderson, J. Opt. Soc. Am. 32 (1942) 727).
A pigment's S comes from its refractive index in oil and its grain, its K/S from the colour of its thick paint-out.
Three bands (linear red, green, blue) cannot know spectra: mixtures are right in kind, not for colour matching.
Checked against the measured K and S of eight acrylic paints (380 to 750 nm, in the data of Unicolour): the median
colour difference CIEDE2000 is 12 for masstones, whose colours were judged by eye, and 7 for tints with white.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from velatura.base.errors import InputError, did_you_mean

OIL = 1.48  # refractive index of an aged oil film, between 1.48 and 1.52 (Gettens and Stout 1942)
OUTSIDE, INSIDE = 0.04, 0.60  # turned back at the surface: light from air at 1.5, and diffuse light from within
SCATTERING = 5.2  # 1/um for squared contrast 1 and pure fine pigment: rutile, 20 % by volume: 0.2/um (assumed)
GRAIN = {"fine": 1.0, "medium": 0.45, "coarse": 0.18}  # share of the scattering of a fine pigment (assumed)
STAINING = 0.15  # 1/um, scattering of pure staining pigments: Prussian blue then absorbs 6/um of red light (assumed)
METAL = 40.0  # 1/um: leaf hides wherever it lies
DISPERSION = 0.2  # added in quadrature to the contrast of coloured pigments: absorption bends the index (assumed)
VARNISH = np.array([0.0008, 0.0022, 0.0075])  # 1/um, absorption of an aged natural resin varnish (assumed)


@dataclass(frozen=True)
class Coat:
    """One layer as light meets it: `absorption`, `scattering` [..., band] (1/um) and `thickness` [...] (um)."""

    absorption: np.ndarray
    scattering: np.ndarray
    thickness: np.ndarray | float


@cache
def pigment_coefficients(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Absorption and scattering float64 [3] (1/um) of one pure pigment, as at loading 1; the arrays are read-only.

    Scattering goes as the squared Lorentz-Lorenz contrast ((m^2 - 1) / (m^2 + 2))^2 of small grains, m = n / OIL
    (van de Hulst, Light Scattering by Small Particles, 1957), times the share of GRAIN. Raises InputError for a name
    without a row in `appearance.csv`.
    """
    rows, colours = _rows("appearance.csv"), _rows("pigments.csv")
    if name not in rows:
        raise InputError(f"no appearance is known for pigment {name!r}{did_you_mean(name, rows)}")
    code, white = colours[name]["srgb_hex"], colours[name]["colour"] == "white"
    inner = below_surface(linear(np.array([int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)])))
    scattering = np.full(3, _scattering(float(rows[name]["refractive_index"]), rows[name]["grain"], white=white))
    absorption = scattering * (1 - inner) ** 2 / (2 * inner)
    absorption.flags.writeable = scattering.flags.writeable = False
    return absorption, scattering


def coefficients(pigments: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Absorption and scattering float64 [pigment, 3] (1/um) of pure pigments; see `pigment_coefficients`."""
    pairs = [pigment_coefficients(name) for name in pigments]
    return np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])


def coat(pigments: Mapping[str, float | np.ndarray], *, thickness: np.ndarray | float, loading: float = 0.35) -> Coat:
    """Return a layer of paint: pigments by volume share (numbers or maps [...], scaled to sum 1).

    thickness: [...] (um); loading: volume share of pigment in the film. The binder neither absorbs nor scatters; K and
    S of a mixture are sums over its pigments by volume (Duncan, Proc. Phys. Soc. 52 (1940) 390).
    """
    absorption, scattering = coefficients(tuple(pigments))
    shares = np.stack(np.broadcast_arrays(*pigments.values()), axis=-1)
    shares = loading * shares / shares.sum(axis=-1, keepdims=True)
    return Coat(shares @ absorption, shares @ scattering, thickness)


def varnish(thickness: np.ndarray | float) -> Coat:
    """Return a coat of aged, slightly yellow natural resin varnish; thickness [...] (um)."""
    return Coat(VARNISH, np.zeros(3), thickness)


def appearance(coats: Sequence[Coat], *, support: np.ndarray) -> np.ndarray:
    """Diffuse reflectance float64 [..., 3], linear rgb 0 to 1, of coats listed support first.

    support: diffuse reflectance of the bare support [..., 3], below the surface. Gloss looks away from the eye, so that
    light turned back from the outside is lost to it.
    """
    below = np.asarray(support, np.float64)
    for layer in coats:
        below = over(layer, below)
    return above_surface(below)


def over(layer: Coat, below: np.ndarray) -> np.ndarray:
    """Reflectance [..., 3] of one coat over a background `below` [..., 3], both in diffuse light below the surface.

    With t = tanh(z) / z and z = sqrt(K (K + 2 S)) X, the coat alone reflects R = S X t / (1 + (K + S) X t) and lets
    T = sech(z) / (1 + (K + S) X t) through; then R + T^2 below / (1 - R below). Exact for K, S or X of zero alike.
    """
    thickness = np.asarray(layer.thickness, np.float64)[..., None]
    absorbed, scattered = layer.absorption * thickness, layer.scattering * thickness
    z = np.sqrt(absorbed * (absorbed + 2 * scattered))
    ratio = np.where(z > 1e-4, np.tanh(z) / np.maximum(z, 1e-4), 1 - z * z / 3)
    whole = 1 + (absorbed + scattered) * ratio
    reflected = scattered * ratio / whole
    passed = 1 / (np.cosh(np.minimum(z, 300.0)) * whole)
    return reflected + passed**2 * below / (1 - reflected * below)


def above_surface(inner: np.ndarray) -> np.ndarray:
    """Reflectance seen from outside, gloss excluded: (1 - k1) (1 - k2) R / (1 - k2 R) (Saunderson 1942)."""
    return (1 - OUTSIDE) * (1 - INSIDE) * inner / (1 - INSIDE * inner)


def below_surface(seen: np.ndarray) -> np.ndarray:
    """Inverse of `above_surface`, kept below 0.995 so that the whitest paint-outs still absorb a little."""
    return np.minimum(seen / ((1 - OUTSIDE) * (1 - INSIDE) + INSIDE * seen), 0.995)


def display(reflectance: np.ndarray) -> np.ndarray:
    """Display colour sRGB 0 to 1 of linear rgb; values outside are clipped (IEC 61966-2-1:1999)."""
    reflectance = np.clip(reflectance, 0, 1)
    return np.where(reflectance <= 0.0031308, 12.92 * reflectance, 1.055 * reflectance ** (1 / 2.4) - 0.055)


def linear(rgb: np.ndarray) -> np.ndarray:
    """Linear rgb of display colours sRGB 0 to 1; inverse of `display` (IEC 61966-2-1:1999)."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


@cache
def _rows(table: str) -> dict[str, dict[str, str]]:
    text = (files("velatura.physics") / "tables" / table).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {row["id"]: row for row in csv.DictReader(lines)}


def _scattering(index: float, grain: str, *, white: bool) -> float:
    if grain in (strong := {"staining": STAINING, "metal": METAL}):
        return strong[grain]
    m2 = (1 + np.hypot(index - OIL, 0.0 if white else DISPERSION) / OIL) ** 2
    return float(SCATTERING * GRAIN[grain] * ((m2 - 1) / (m2 + 2)) ** 2)
