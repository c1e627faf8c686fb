"""The demo's panel: a landscape painted over a bust, as a scanner would count it, with its truth beside it."""

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from velatura.base.cube import make_cube
from velatura.physics.instrument import Instrument
from velatura.physics.material import Paint
from velatura.physics.stack import Stack, elements_of, pack
from velatura.scene.composition import RETOUCH, VISIBLE
from velatura.scene.layerings import lagrange
from velatura.scene.panel import COVER_RANGE, FIGURE_RANGE, TONING, VARNISH, Panel, looks, paint_panel, thinned
from velatura.scene.portrait import HIDDEN, NONE
from velatura.scene.recipes import COVERS, FIGURE, TONE

INSTRUMENT = Instrument("simulated panel", channels=1024, gain=0.04)  # up to the tube voltage: Sn K is on it
CANVAS = Paint("canvas", {"linen_canvas": 1.0}, loading=0.95), 500.0  # um
GROUND = Paint("ground", {"lead_white": 0.15, "chalk": 0.85}, loading=0.5), 100.0  # um
DAMMAR = Paint("varnish", {"dammar": 1.0}, loading=1.0)
COVERS_AT = np.array([COVER_RANGE[0], 20.0, COVER_RANGE[1]])  # um, computed; polynomials between
FIGURES_AT = np.array([FIGURE_RANGE[0], 29.0, FIGURE_RANGE[1]])  # um, likewise
TINTS_AT = np.array([0.0, 0.5, 1.0])  # shares of the light paint, likewise
BEAM = 0.42  # pixels, standard deviation of the beam: as wide (FWHM) as the step
OVERSAMPLING = 2  # points painted each way for a pixel


class Phantom(NamedTuple):
    """A simulated scan and what is true about it."""

    cube: xr.Dataset
    """As `make_cube` builds it, uint16 [y, x, 1024], 0.04 keV a channel."""
    truth: xr.Dataset
    """`visible`, `hidden` int8 [y, x] (names in the attribute `names`; hidden 0 is none), `cover` and `figure` [um]
    float32 [y, x], `cover_light`, `figure_light` (share of the light paint) float32 [y, x],
    `rgb`, `hidden_rgb` float32 [y, x, colour] (sRGB, 0 to 1)."""


def phantom(
    *, counts: float = 5000, hidden: bool = True, rng: np.random.Generator, shape: tuple[int, int] = (120, 96)
) -> Phantom:
    """Paint and scan the panel; another `rng` paints the same motif differently.

    counts: mean counts a pixel; hidden: False leaves the bust out and everything else as it was (a null control);
    shape: (height, width) [pixels].
    """
    fine = paint_panel((OVERSAMPLING * shape[0], OVERSAMPLING * shape[1]), hidden=hidden, rng=rng)
    panel = thinned(fine, OVERSAMPLING)
    expected = gaussian_filter(expected_panel(panel), (BEAM, BEAM, 0))
    expected *= counts / expected.sum(axis=-1, dtype=np.float64).mean()
    geometry, tube = INSTRUMENT.geometry, INSTRUMENT.tube
    cube = make_cube(
        rng.poisson(expected).astype(np.uint16), zero=INSTRUMENT.zero, gain=INSTRUMENT.gain, calibration="simulated",
        anode=tube.anode, tube_voltage=tube.voltage, incidence_angle=geometry.incidence_angle,
        take_off_angle=geometry.take_off_angle, pitch=2.0, instrument=INSTRUMENT.name,
    )  # fmt: skip
    rgb, hidden_rgb = (_binned(picture) for picture in looks(fine))
    return Phantom(cube, _truth(panel, rgb=rgb, hidden_rgb=hidden_rgb))


def expected_panel(panel: Panel) -> np.ndarray:
    """Expected relative counts float32 [y, x, channel]: each pair of passages over its knots, then between them."""
    spectra = knot_spectra()
    expected = np.empty((*panel.visible.labels.shape, INSTRUMENT.channels), np.float32)
    for pair, knots in spectra.items():
        here = (panel.visible.labels == pair[0]) & (panel.figure.labels == pair[1])
        if not here.any():
            continue
        weights = [
            lagrange(TINTS_AT, panel.visible.light[here]),
            lagrange(COVERS_AT, panel.cover_thickness[here]),
            lagrange(TINTS_AT, panel.figure.light[here]),
            lagrange(FIGURES_AT, panel.figure_thickness[here]),
        ][: 2 if pair[1] == NONE else 4]
        joint = weights[0]
        for weight in weights[1:]:
            joint = (joint[:, :, None] * weight[:, None, :]).reshape(len(joint), -1)
        expected[here] = np.maximum(joint.astype(np.float32) @ knots, 0)
    return expected


@cache
def knot_spectra() -> dict[tuple[int, int], np.ndarray]:
    """Relative counts float32 [knot, channel] for each pair (visible, hidden); knots as `lagrange` weighs them.

    The same for every panel: computed once, with secondary fluorescence.
    """
    from velatura.physics.simulate import expected_counts, prepare

    stacks = {
        (over, under): _knot_stacks(VISIBLE[over], HIDDEN[under])
        for over, under in product(range(len(VISIBLE)), range(len(HIDDEN)))
        if over != RETOUCH or under == NONE
    }
    every = [stack for knots in stacks.values() for stack in knots]
    scanner = prepare(INSTRUMENT, elements_of(every))
    counts = expected_counts(pack(every, scanner.elements), scanner)
    ends = np.cumsum([len(knots) for knots in stacks.values()])[:-1]
    return dict(zip(stacks, np.split(counts, ends), strict=True))


def _knot_stacks(name: str, under: str) -> list[Stack]:
    """Stacks of one pair of passages for all knots: tint and thickness of the cover, then of the figure."""
    covers, figures = product(TINTS_AT, COVERS_AT), product(TINTS_AT, FIGURES_AT)
    below = [(0.0, 0.0)] if under == "none" else list(figures)
    return [stack_at(name, under, cover=cover, figure=figure) for cover, figure in product(covers, below)]


def stack_at(name: str, under: str, *, cover: tuple[float, float], figure: tuple[float, float]) -> Stack:
    """Return the layers at a point, from its passages' names and their (share of light paint, thickness [um])."""
    stack = Stack().paint(CANVAS[0], thickness=CANVAS[1]).paint(GROUND[0], thickness=GROUND[1])
    if under != "none":
        stack = stack.paint(FIGURE[under].paint(under, light=figure[0]), thickness=figure[1])
    if name != "retouch":  # which lies on the ground: the loss took figure and toning with it
        stack = stack.paint(TONE.paint("toning", light=0.0), thickness=TONING)
    stack = stack.paint(COVERS[name].paint(name, light=cover[0]), thickness=cover[1])
    return stack.paint(DAMMAR, thickness=VARNISH)


def _truth(panel: Panel, *, rgb: np.ndarray, hidden_rgb: np.ndarray) -> xr.Dataset:
    return xr.Dataset({
        "visible": (("y", "x"), panel.visible.labels, {"names": list(VISIBLE)}),
        "hidden": (("y", "x"), panel.figure.labels, {"names": list(HIDDEN)}),
        "cover": (("y", "x"), panel.cover_thickness, {"units": "um"}),
        "figure": (("y", "x"), panel.figure_thickness, {"units": "um"}),
        "cover_light": (("y", "x"), panel.visible.light),
        "figure_light": (("y", "x"), panel.figure.light),
        "rgb": (("y", "x", "colour"), rgb),
        "hidden_rgb": (("y", "x", "colour"), hidden_rgb),
    })  # fmt: skip


def _binned(picture: np.ndarray) -> np.ndarray:
    """Mean over the painted points of each pixel: float32 [y, x, colour]."""
    height, width, colours = picture.shape
    blocks = picture.reshape(height // OVERSAMPLING, OVERSAMPLING, width // OVERSAMPLING, OVERSAMPLING, colours)
    return blocks.mean(axis=(1, 3))
