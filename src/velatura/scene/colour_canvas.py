"""Canvases: a picture of a painting whose every pixel knows from which X-ray spectrum it draws its counts.

Two kinds. "library" is ganX as published: clusters of colours, mixtures of library spectra. "layers" is paint: each
colour becomes a mixture of pigments that looks like it, on a ground and a support, thick here and thin there, and the
forward model says what a scanner sees of it. A canvas has at most 256 spectra, so that data sets stay small and counts
can be drawn anew at any time (`canvas_counts`).
"""

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from velatura.base.errors import InputError
from velatura.physics.instrument import PRESETS, Instrument, random_instrument
from velatura.scene.canvas_paint import painted_picture
from velatura.scene.classes import class_matrix, xrf_classes
from velatura.scene.ganx import Palette, choose_colours, mixture
from velatura.scene.image_paint import TWELVE, library_of, named_palette
from velatura.scene.seed_images import SPLITS, window
from velatura.scene.training import CHANNELS, HIGH, LOW, grid

if TYPE_CHECKING:
    from velatura.physics.simulate import Scanner

KINDS = ("library", "layers")
LIBRARY_HEAD = "infn-chnet"  # the preset whose spectra make the library
POOLS = dict(zip(SPLITS, (24, 4, 4), strict=True))  # different scanners of each split
POOL_SEED = 20241
ORGANIC = 0.05  # volume share of pigments no X-ray shows from which a pixel's colour is called organic
CELLS = 2  # slices of a layer for secondary fluorescence


class Canvas(NamedTuple):
    """A picture and the spectra of its pixels."""

    rgb: np.ndarray
    """The truth: colours of the original picture, sRGB, uint8 [y, x, 3]."""
    entry: np.ndarray
    """Which spectrum each pixel draws from, int32 [y, x]."""
    rates: np.ndarray
    """Expected share of the counts in each channel of `training.grid()`, float32 [entry, channel]; rows sum to 1."""
    brightness: np.ndarray
    """Expected counts of an entry over the mean of all pixels, float32 [entry]; 1 for a library's."""
    visible: np.ndarray
    """Mass shares of the XRF classes (`xrf_classes()`) among the pigments of the visible paint, float32
    [entry, class]; rows sum to 1."""
    hidden: np.ndarray
    """The same of an earlier paint beneath; zeros where there is none. float32 [entry, class]."""
    unseen: np.ndarray
    """Volume share of pigments no X-ray shows in the visible paint, float32 [entry]."""
    painted: np.ndarray
    """Colour of the visible paint, sRGB, uint8 [entry, 3]."""
    instrument: Instrument
    kind: str
    """One of KINDS."""

    @property
    def organic(self) -> np.ndarray:
        """Whether a pixel's colour comes in part from pigments that no X-ray shows, bool [y, x]."""
        return (self.unseen >= ORGANIC)[self.entry]


def library_canvas(
    image: np.ndarray, *, rng: np.random.Generator, instrument: Instrument | None = None, palette: str = TWELVE,
    colours: int = 10, threshold: float = 0.2,
) -> Canvas:  # fmt: skip
    """Return a picture as ganX makes a scan of it (Bombini et al., 2023): an entry is a cluster of colours.

    image: uint8 [y, x, 3]; instrument: whose library of thick samples it is, by default INFN-CHNet's; palette: as in
    `named_palette`; colours: K is this or one less, whichever has the better silhouette; threshold: likeness below
    which a pigment is left out of a mixture.
    """
    instrument = instrument or PRESETS[LIBRARY_HEAD]
    library = _library(palette, instrument)
    found = choose_colours(_picture(image), start=colours, rng=rng)
    shares = mixture(found.rgb, library, threshold=threshold)
    rates = shares @ library.spectra.astype(np.float64)
    entries = len(rates)
    classes = xrf_classes()
    visible = (shares @ class_matrix(library.names, classes)).astype(np.float32)
    hidden_from_xrays = [not row.visible for row in classes]
    return Canvas(
        image, found.labels.astype(np.int32), (rates / rates.sum(axis=1, keepdims=True)).astype(np.float32),
        np.ones(entries, np.float32), visible, np.zeros_like(visible), visible[:, hidden_from_xrays].sum(axis=1),
        np.rint(found.rgb * 255).astype(np.uint8), instrument, "library",
    )  # fmt: skip


def layers_canvas(
    image: np.ndarray, *, rng: np.random.Generator, instrument: Instrument | None = None, died: int | None = None,
    beneath: np.ndarray | None = None, colours: int = 64,
) -> Canvas:  # fmt: skip
    """Return a picture painted with a random palette of its time, as a scanner sees the paint.

    image: uint8 [y, x, 3]; instrument: by default one of the pool for training; died: year in which the artist died,
    None: any year from 1400 to 1900; beneath: another picture uint8 [v, u, 3], remains of which lie under a part of
    this one; colours: clusters of the picture's colours. Same rng, same canvas on one machine.
    """
    from velatura.physics.simulate import expected_counts
    from velatura.physics.stack import pack

    instrument = instrument or pool_instrument("train", int(rng.integers(POOLS["train"])))
    found = painted_picture(_picture(image), died=died, beneath=beneath, colours=colours, rng=rng)
    scanner = _scanner(instrument)
    counts = expected_counts(pack(found.stacks, scanner.elements, slots=found.slots), scanner, cells=CELLS)
    covered = instrument.axis()
    counts = counts.astype(np.float64) * ((grid() >= covered[0]) & (grid() <= covered[-1]))
    total = counts.sum(axis=1)
    pixels = np.bincount(found.entry.ravel(), minlength=len(total))
    return Canvas(
        image, found.entry, (counts / total[:, None]).astype(np.float32),
        (total * pixels.sum() / (total @ pixels)).astype(np.float32), found.visible, found.hidden, found.unseen,
        found.painted, instrument, "layers",
    )  # fmt: skip


def pool_instrument(split: str, number: int) -> Instrument:
    """Return one of the random scanners of a split; those of different splits have nothing in common."""
    if split not in POOLS or not 0 <= number < POOLS[split]:
        raise InputError(f"the pools of scanners are {POOLS}; asked for {split} {number}")
    return random_instrument(rng=np.random.default_rng((POOL_SEED, SPLITS.index(split), number)))


def cropped(canvas: Canvas, size: int) -> Canvas:
    """Return the middle of a canvas, `size` pixels square; `seed_images.window` cuts any other part."""
    height, width = canvas.entry.shape
    if size > min(height, width):
        raise InputError(f"a part of {size} pixels does not fit into {height} x {width}; make larger canvases")
    part = window((height, width), (size, size), rng=None)
    return canvas._replace(rgb=canvas.rgb[part], entry=canvas.entry[part])


def _picture(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"a picture must be uint8 [y, x, 3]; found {image.dtype} {image.shape}. Use read_seed")
    return image


@lru_cache(maxsize=4)
def _library(palette: str, instrument: Instrument) -> Palette:
    return library_of(named_palette(palette), instrument, window=(LOW, HIGH), channels=CHANNELS)


@lru_cache(maxsize=2)
def _scanner(instrument: Instrument) -> "Scanner":
    """Prepare a scanner whose counts fall on the grid of all features."""
    from velatura.physics.simulate import prepare

    gain = (HIGH - LOW) / CHANNELS
    return prepare(replace(instrument, channels=CHANNELS, zero=LOW + gain / 2, gain=gain))
