"""The demo's panel: a landscape painted over a bust, as a scanner would count it, with its truth beside it."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from velatura.base.cube import energy_axis, make_cube
from velatura.scene.composition import HIDDEN, VISIBLE, bust, landscape, smooth_field
from velatura.scene.detector import expected_spectrum, response
from velatura.scene.emission import INCIDENCE, TAKE_OFF, TUBE_VOLTAGE, Layer, Optics, emit, prepare
from velatura.scene.palette import Paint

COVERS = {
    "sky": Paint("sky", {"smalt": 0.6, "lead_white": 0.4}),
    "hills": Paint("hills", {"ultramarine": 0.6, "lead_white": 0.4}),
    "foliage": Paint("foliage", {"green_earth": 0.6, "malachite": 0.4}),
    "meadow": Paint("meadow", {"yellow_ochre": 0.85, "chalk": 0.15}),
    "path": Paint("path", {"red_ochre": 0.3, "lead_white": 0.4, "chalk": 0.3}),
    "water": Paint("water", {"smalt": 0.85, "bone_black": 0.05, "lead_white": 0.1}),
    "sun": Paint("sun", {"orpiment": 1.0}),
    "retouch": Paint("retouch", {"titanium_white": 0.7, "zinc_white": 0.3}),
}
FIGURE = {
    "flesh": Layer(Paint("flesh", {"lead_white": 0.92, "vermilion": 0.08}), 30.0),
    "robe": Layer(Paint("robe", {"azurite": 1.0}), 35.0),
    "hair": Layer(Paint("hair", {"burnt_umber": 1.0}), 30.0),
    "collar": Layer(Paint("collar", {"lead_tin_yellow_i": 1.0}), 30.0),
}
GROUND = Layer(Paint("ground", {"lead_white": 0.15, "chalk": 0.85}, loading=0.5), 100.0)
CANVAS = Layer(Paint("canvas", {"linen_canvas": 1.0}, loading=0.95), 500.0)
AIR = Layer(Paint("air", {"air": 1.0}, loading=1.0), 10_000.0)
COVER, VARIATION = 23.0, 0.35  # um, and its largest relative change: 15 to 31 um
KNOTS = np.linspace(14.0, 32.0, 10)  # um, cover thicknesses that are computed; between them, linear
BEAM = 0.42  # pixels, standard deviation of the beam: as wide (FWHM) as the step


class Phantom(NamedTuple):
    """A simulated scan and what is true about it."""

    cube: xr.Dataset
    """As `make_cube` builds it, uint16 [y, x, 1024], 0.02 keV a channel."""
    truth: xr.Dataset
    """`visible`, `hidden` int8 [y, x] (names in the attribute `names`; hidden 0 is none), `cover` [um] float32 [y, x],
    `rgb`, `hidden_rgb` float32 [y, x, colour] (sRGB, 0 to 1)."""


def phantom(
    *, counts: float = 5000, hidden: bool = True, rng: np.random.Generator, shape: tuple[int, int] = (120, 96)
) -> Phantom:
    """Paint and scan the panel; another `rng` paints the same motif differently.

    counts: mean counts a pixel; hidden: False leaves the bust out and everything else as it was (a null control);
    shape: (height, width) [pixels].
    """
    visible, figure = landscape(shape, rng=rng), bust(shape, rng=rng)
    figure = figure if hidden else np.zeros_like(figure)
    scale = shape[0] / 120
    cover = COVER * (1 + VARIATION * np.tanh(smooth_field(shape, scale=7 * scale, rng=rng)))
    brush = 1 + 0.06 * smooth_field(shape, scale=0.8, rng=rng)
    axis = energy_axis(1024, zero=0.0, gain=0.02)
    expected = gaussian_filter(_expected(visible, figure, cover, axis), (BEAM, BEAM, 0))
    expected *= counts / expected.sum(axis=-1, dtype=np.float64).mean()
    cube = make_cube(
        rng.poisson(expected).astype(np.uint16), zero=0.0, gain=0.02, calibration="simulated", anode="Rh",
        tube_voltage=TUBE_VOLTAGE, incidence_angle=float(np.rad2deg(INCIDENCE)),
        take_off_angle=float(np.rad2deg(TAKE_OFF)), pitch=2.0, instrument="simulated panel",
    )  # fmt: skip
    return Phantom(cube, _truth(visible, figure, cover, brush))


def _expected(visible: np.ndarray, figure: np.ndarray, cover: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Expected relative counts float32 [y, x, channel]: each pair of passages over the knots, then between them."""
    optics = prepare([*COVERS.values(), *(layer.paint for layer in (*FIGURE.values(), GROUND, CANVAS, AIR))])
    matrices = response(optics, axis)
    place = np.clip((cover - KNOTS[0]) / (KNOTS[1] - KNOTS[0]), 0, len(KNOTS) - 1 - 1e-6)
    knot, rest = place.astype(int), (place % 1).astype(np.float32)
    expected = np.empty((*visible.shape, len(axis)), np.float32)
    for over, under in np.unique(np.stack([visible.ravel(), figure.ravel()]), axis=1).T:
        here = (visible == over) & (figure == under)
        spectra = _knot_spectra(VISIBLE[over], HIDDEN[under], optics, matrices=matrices)
        low, high = spectra[knot[here]], spectra[knot[here] + 1]
        expected[here] = low + rest[here][:, None] * (high - low)
    return expected


def _knot_spectra(over: str, under: str, optics: Optics, *, matrices: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Spectra of one pair of passages at every cover thickness of KNOTS: float32 [knot, channel]."""
    below = (CANVAS, GROUND) if under == "none" else (CANVAS, GROUND, FIGURE[under])
    stacks = [(*below, Layer(COVERS[over], thickness), AIR) for thickness in KNOTS]
    return np.stack([expected_spectrum(emit(stack, optics), matrices) for stack in stacks]).astype(np.float32)


def _truth(visible: np.ndarray, figure: np.ndarray, cover: np.ndarray, brush: np.ndarray) -> xr.Dataset:
    under = [GROUND.paint, *(FIGURE[name].paint for name in HIDDEN[1:])]
    shade = (brush * (1.06 - 0.12 * np.linspace(0, 1, len(brush))[:, None]))[..., None]
    pictures = [np.array([paint.rgb() for paint in paints]) for paints in ((COVERS[n] for n in VISIBLE), under)]
    rgb, hidden_rgb = (np.clip(p[i] * shade, 0, 1) for p, i in zip(pictures, (visible, figure), strict=True))
    return xr.Dataset({
        "visible": (("y", "x"), visible, {"names": list(VISIBLE)}),
        "hidden": (("y", "x"), figure, {"names": list(HIDDEN)}),
        "cover": (("y", "x"), cover.astype(np.float32), {"units": "um"}),
        "rgb": (("y", "x", "colour"), rgb.astype(np.float32)),
        "hidden_rgb": (("y", "x", "colour"), hidden_rgb.astype(np.float32)),
    })  # fmt: skip
