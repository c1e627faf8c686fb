"""The demo panel as an object: which paint lies where and how thick, and what the eye sees of it."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from velatura.scene.brush import Brushwork, grid
from velatura.scene.composition import RETOUCH, VISIBLE, landscape, smooth_field
from velatura.scene.portrait import HIDDEN, NONE, bust
from velatura.scene.recipes import COVERS, FIGURE, TONE, Recipe
from velatura.scene.render import above_surface, below_surface, display, over, varnish

COVER, SWELL = 20.0, 0.25  # um, and its largest relative change from place to place, besides the relief of the brush
COVER_RANGE = (10.0, 36.0)  # um
FIGURE_THICKNESS, FIGURE_RANGE = 30.0, (18.0, 45.0)  # um
TONING, VARNISH = 12.0, 8.0  # um
GROUND_COLOUR = below_surface(np.array([0.72, 0.68, 0.58]))  # warm white, judged by eye
RAKING = 0.35  # how strongly relief turns to a lamp at the upper left
WEAVE, THREADS = 0.012, 110  # relief of the canvas, and its threads over the panel's height


class Panel(NamedTuple):
    """Both pictures, and how thick they lie [um], float32 [y, x]."""

    visible: Brushwork
    figure: Brushwork
    cover_thickness: np.ndarray
    figure_thickness: np.ndarray
    """0 where there is no figure."""


def paint_panel(shape: tuple[int, int], *, hidden: bool, rng: np.random.Generator) -> Panel:
    """Paint both pictures at a shape; hidden: False leaves the bust out. A small loss took the bust with it."""
    visible, figure = landscape(shape, rng=rng), bust(shape, rng=rng)
    kept = (visible.labels != RETOUCH) & hidden
    figure = figure._replace(labels=np.where(kept, figure.labels, NONE).astype(np.int8))
    swell = 1 + SWELL * np.tanh(smooth_field(shape, scale=7 * shape[0] / 120, rng=rng))
    cover = np.clip(COVER * swell * visible.relief, *COVER_RANGE)
    below = np.clip(FIGURE_THICKNESS * figure.relief, *FIGURE_RANGE) * (figure.labels != NONE)
    return Panel(visible, figure, cover.astype(np.float32), below.astype(np.float32))


def thinned(panel: Panel, step: int) -> Panel:
    """Keep every `step`-th point each way."""
    every = np.s_[::step, ::step]
    visible, figure = (Brushwork(*(part[every] for part in work)) for work in (panel.visible, panel.figure))
    return Panel(visible, figure, panel.cover_thickness[every], panel.figure_thickness[every])


def looks(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """What the eye sees, and what it would see without the landscape: sRGB float32 [y, x, colour], 0 to 1."""
    ground = np.broadcast_to(GROUND_COLOUR, (*panel.visible.labels.shape, 3))
    bust = _painted(ground, panel.figure, HIDDEN, recipes=FIGURE, thickness=panel.figure_thickness)
    toned = over(TONE.coat(np.zeros(1), thickness=np.array([TONING])), bust)
    toned = np.where(panel.visible.labels[..., None] == RETOUCH, ground, toned)
    visible = _painted(toned, panel.visible, VISIBLE, recipes=COVERS, thickness=panel.cover_thickness)
    return _lit(visible, panel.visible.relief), _lit(bust, panel.figure.relief)


def _painted(
    below: np.ndarray, work: Brushwork, names: tuple[str, ...], *, recipes: dict[str, Recipe], thickness: np.ndarray
) -> np.ndarray:
    """Reflectance below the surface [y, x, band] of brushwork over a background [y, x, band]."""
    painted = below.copy()
    for label, name in enumerate(names):
        here = work.labels == label
        if name in recipes and here.any():
            layer = recipes[name].coat(work.light[here], thickness=thickness[here])
            painted[here] = over(layer, below[here])
    return painted


def _lit(reflectance: np.ndarray, relief: np.ndarray) -> np.ndarray:
    """Display colour float32 [y, x, colour] under varnish, in raking light on the relief and the canvas."""
    v, u = grid(relief.shape)
    threads = 2 * np.pi * THREADS * np.stack([v, u * relief.shape[1] / relief.shape[0]])
    height = gaussian_filter(relief.astype(np.float64), 0.5) + WEAVE * (np.sin(threads[0]) + np.sin(threads[1]))
    slope = np.gradient(height, axis=0) + np.gradient(height, axis=1)
    seen = above_surface(over(varnish(VARNISH), reflectance))
    return display(seen * np.clip(1 - RAKING * slope, 0.7, 1.35)[..., None]).astype(np.float32)
