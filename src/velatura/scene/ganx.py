"""ganX: a synthetic MA-XRF cube from a picture and a palette of spectra (Bombini et al., 2023, arXiv 2304.14078).

The picture's colours are clustered; each cluster becomes a mixture of pigments by the likeness of their colours; each
pixel draws its counts from the spectrum of its mixture. There is no physics here: a palette's spectra are taken as
they are. Four defects of the published package (ganX 0.0.2) are mended: a black cluster gets a spectrum too, the
scale of colours follows their type and not their values, every spectrum is brought to one energy axis first, and
counts are drawn only where they are needed, row by row.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr

from velatura.base.axis import channel_edges
from velatura.base.cube import energy_axis, lazy_counts, make_cube
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.imaging.colour import as_srgb, colour_difference, srgb_to_lab
from velatura.io.library import LibrarySpectrum
from velatura.scene.draws import MixtureCounts

WINDOW, CHANNELS = (0.5, 38.5), 1024  # keV and bins, as published
SCORED = 1024  # pixels of the silhouette, as published
LEARNED = 2**17  # pixels from which the colours are learned
BLOCK = 2**16  # colours compared with the palette at once
MOST_COUNTS = 50_000  # a pixel; its largest channel must fit 16 bits


@dataclass(frozen=True)
class GanxOptions:
    """How a picture becomes a cube. The defaults are those of ganX."""

    colours: int = 10
    """Middle of the numbers of colours that are tried; 0 lets every pixel keep its own colour."""
    spread: int = 1
    """Numbers from `colours - spread` to `colours + spread - 1` are tried, and at least 2."""
    threshold: float = 0.2
    """Pigments less alike than this (0 to 1) are left out of a mixture; 0.7 to 0.9 makes sparse ones."""
    counts: int = 400
    """Counts a pixel."""
    poisson: bool = False
    """False: exactly `counts` in each pixel, as published. True: a Poisson number with this mean."""

    def __post_init__(self) -> None:
        if self.colours < 0 or self.spread < 1 or self.colours == 1:
            raise InputError(
                f"colours must be 0 (keep all) or at least 2, spread at least 1; found {self.colours} and {self.spread}"
            )
        if not 0 < self.threshold < 1:
            raise InputError(f"threshold must lie between 0 and 1; found {self.threshold}. As published: 0.2")
        if not 1 <= self.counts <= MOST_COUNTS:
            raise InputError(f"counts must be 1 to {MOST_COUNTS} a pixel; found {self.counts}. As published: 400")


@dataclass(frozen=True)
class Palette:
    """Pigments with their colour and their spectrum, all on one energy axis. `make_palette` checks and builds it."""

    names: tuple[str, ...]
    rgb: np.ndarray
    """Colour (sRGB, 0 to 1), float32 [pigment, 3]."""
    spectra: np.ndarray
    """Share of the counts in each channel, float32 [pigment, channel]; each row sums to 1."""
    energy: np.ndarray
    """Channel centres [keV], evenly spaced, float64 [channel]."""


class Colours(NamedTuple):
    """Colours of a picture."""

    labels: np.ndarray
    """Cluster of each pixel, the narrowest unsigned integers [y, x]."""
    rgb: np.ndarray
    """Mean colour of each cluster (sRGB, 0 to 1), float32 [cluster, 3]."""
    silhouette: dict[int, float]
    """Mean silhouette (Rousseeuw, 1987) of each number of colours that was tried; empty where none was."""


class GanxScan(NamedTuple):
    """A synthetic scan and what is true about it."""

    cube: xr.Dataset
    """As `make_cube` builds it, uint16 [y, x, channel]; drawn when read, the same bytes however it is cut."""
    truth: xr.Dataset
    """`labels` [y, x], `shares` float32 [cluster, pigment] (rows sum to 1), `rgb` float32 [cluster, colour],
    `spectra` float32 [pigment, energy], and `silhouette` [candidate]; the options as attributes."""


def make_palette(names: Sequence[str], rgb: np.ndarray, spectra: np.ndarray, *, energy: np.ndarray) -> Palette:
    """Check pigments that share one axis and scale their spectra to sum 1.

    rgb: 0 to 1 (floating point) or 0 to 255 (whole numbers), [pigment, 3]; spectra: any intensity, not negative,
    [pigment, channel]; energy: channel centres [keV], evenly spaced, [channel].
    Raises InputError for shapes that differ and for a spectrum that is empty, negative or not finite.
    """
    spectra, energy = np.asarray(spectra, np.float64), np.asarray(energy, np.float64)
    shape = (len(names), len(energy))
    if np.shape(rgb) != (len(names), 3) or spectra.shape != shape or 0 in shape:
        raise InputError(
            f"{len(names)} pigments on {len(energy)} channels need rgb ({len(names)}, 3) and spectra {shape}; "
            f"found {np.shape(rgb)} and {spectra.shape}"
        )
    steps = np.diff(energy)
    if len(energy) < 2 or not np.all(steps > 0) or np.ptp(steps) > 1e-6 * steps.mean():
        raise InputError("the energies of a palette must rise in even steps. Build it with `resample`")
    for name, spectrum in zip(names, spectra, strict=True):
        if not (np.all(np.isfinite(spectrum)) and spectrum.min() >= 0 and spectrum.sum() > 0):
            raise InputError(
                f"the spectrum of {name!r} must be zero or more and hold counts between "
                f"{energy[0]:.4g} and {energy[-1]:.4g} keV; found a sum of {spectrum.sum():g}"
            )
    shares = spectra / spectra.sum(axis=1, keepdims=True)
    return Palette(tuple(names), as_srgb(rgb), shares.astype(np.float32), energy)


def resample(
    library: Sequence[LibrarySpectrum], *, window: tuple[float, float] = WINDOW, channels: int = CHANNELS
) -> Palette:
    """Bring the spectra of a library to one axis: each channel shares its counts by overlap, so they are conserved.

    window: energy from and to [keV], the outer edges of the axis; what lies outside it is left out.
    """
    low, high = window
    if not (low < high and channels >= 2):
        raise InputError(f"the window must rise and hold 2 channels or more; found {low:g} to {high:g} keV, {channels}")
    gain = (high - low) / channels
    edges = np.linspace(low, high, channels + 1)
    spectra = []
    for pigment in library:
        below = np.concatenate([[0.0], np.cumsum(pigment.counts)])
        spectra.append(np.diff(np.interp(edges, channel_edges(pigment.energy), below)))
    rgb = np.array([pigment.rgb for pigment in library], np.uint8).reshape(-1, 3)
    axis = energy_axis(channels, zero=low + gain / 2, gain=gain)
    return make_palette([p.name for p in library], rgb, np.array(spectra).reshape(-1, channels), energy=axis)


def choose_colours(rgb: np.ndarray, *, start: int = 10, spread: int = 1, rng: np.random.Generator) -> Colours:
    """Cluster the colours of a picture by k-means; among some numbers of clusters the best silhouette wins.

    rgb: sRGB [y, x, 3], 0 to 1 (floating point) or 0 to 255 (whole numbers). Numbers from max(2, start - spread) to
    start + spread - 1 are tried (MiniBatchKMeans; silhouette of 1,024 pixels drawn at random). A picture of fewer
    colours than that keeps them all.
    """
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    pixels = as_srgb(rgb).reshape(-1, 3)
    learned = pixels if len(pixels) <= LEARNED else rng.choice(pixels, LEARNED, replace=False, shuffle=False)
    scored = learned if len(learned) <= SCORED else rng.choice(learned, SCORED, replace=False)
    distinct = len(np.unique(scored, axis=0))
    if distinct < start + spread:
        few = every_colour(rgb)
        if len(few.rgb) < start + spread:
            return few
    models, scores = {}, {}
    with threadpool_limits(1):  # sums of threads come in any order: the same seed must give the same colours
        for number in range(max(2, start - spread), start + spread):
            model = MiniBatchKMeans(number, n_init=3, random_state=int(rng.integers(2**31))).fit(learned)
            labels = model.predict(scored)
            found = len(np.unique(labels))
            scores[number] = float(silhouette_score(scored, labels)) if 1 < found < len(scored) else -1.0
            models[number] = model
        best = max(scores, key=lambda number: scores[number])
        labels = np.concatenate([models[best].predict(pixels[at : at + BLOCK]) for at in range(0, len(pixels), BLOCK)])
    return _means(pixels, labels, rgb.shape[:2])._replace(silhouette=scores)


def every_colour(rgb: np.ndarray) -> Colours:
    """Take each distinct 8-bit colour of a picture [y, x, 3] as a cluster of its own."""
    eight_bit = np.rint(as_srgb(rgb) * 255).astype(np.uint32)
    codes, labels = np.unique(eight_bit @ np.array([2**16, 2**8, 1], np.uint32), return_inverse=True)
    colours = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=1).astype(np.uint8)
    return Colours(_narrow(labels, len(codes)).reshape(rgb.shape[:2]), as_srgb(colours), {})


def mixture(colours: np.ndarray, palette: Palette, *, threshold: float = 0.2) -> np.ndarray:
    """Shares of the pigments in each colour, float64 [cluster, pigment], rows sum to 1.

    colours: sRGB [cluster, 3]. Likeness is alpha = (101 - dE00) / 101 with CIEDE2000; pigments below the threshold
    are left out, and where none remains the most alike one stands alone. The spectrum of a colour, the published pdf
    f_k, is `shares @ palette.spectra`.
    """
    pigments = srgb_to_lab(palette.rgb)
    shares = np.empty((len(colours), len(palette.names)))
    for at in range(0, len(colours), BLOCK):
        lab = srgb_to_lab(as_srgb(colours[at : at + BLOCK]))
        alpha = (101 - colour_difference(lab[:, None], pigments)) / 101
        kept = np.where(alpha >= threshold, alpha, 0.0)
        alone = ~kept.any(axis=1)
        kept[alone, np.argmax(alpha[alone], axis=1)] = 1.0
        shares[at : at + BLOCK] = kept / kept.sum(axis=1, keepdims=True)
    return shares


def ganx_cube(
    rgb: np.ndarray,
    palette: Palette,
    options: GanxOptions | None = None,
    *,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> GanxScan:
    """Turn a picture into a synthetic scan of it.

    rgb: sRGB [y, x, 3], 8-bit whole numbers or floating point of 0 to 1. The cube is drawn when it is read, in bands
    of rows, so that a picture of any size needs the memory of one band; each row has its own stream of random
    numbers, so the same rng gives the same bytes however the cube is read. Raises InputError for what is no picture.
    """
    options = options or GanxOptions()
    rgb = np.asarray(rgb)
    if rgb.ndim != 3 or 0 in rgb.shape:
        raise InputError(f"a picture must be [y, x, 3]; found the shape {rgb.shape}. Convert it to RGB first")
    progress("colours", 0, 1)
    keep_all = options.colours == 0
    found = (
        every_colour(rgb) if keep_all else choose_colours(rgb, start=options.colours, spread=options.spread, rng=rng)
    )
    shares = mixture(found.rgb, palette, threshold=options.threshold)
    progress("colours", 1, 1)
    counts = MixtureCounts(
        found.labels, shares, palette.spectra, options.counts, options.poisson, int(rng.integers(2**63))
    )
    gain = (palette.energy[-1] - palette.energy[0]) / (len(palette.energy) - 1)
    cube = make_cube(
        lazy_counts(counts), zero=palette.energy[0], gain=gain, calibration="simulated", instrument="synthetic (ganX)"
    )
    return GanxScan(cube, _truth(found, shares, palette).assign_attrs(asdict(options)))


def _truth(found: Colours, shares: np.ndarray, palette: Palette) -> xr.Dataset:
    return xr.Dataset(
        {
            "labels": (("y", "x"), found.labels),
            "shares": (("cluster", "pigment"), shares.astype(np.float32)),
            "rgb": (("cluster", "colour"), found.rgb),
            "spectra": (("pigment", "energy"), palette.spectra),
            "silhouette": ("candidate", np.array(list(found.silhouette.values()), np.float64)),
        },
        coords={
            "pigment": list(palette.names),
            "colour": ["red", "green", "blue"],
            "energy": ("energy", palette.energy, {"units": "keV"}),
            "candidate": np.array(list(found.silhouette), np.int64),
        },
    )


def _means(pixels: np.ndarray, labels: np.ndarray, shape: tuple[int, ...]) -> Colours:
    """Mean colour of each cluster; those without a pixel are dropped."""
    sizes = np.bincount(labels)
    used = sizes > 0
    sums = [np.bincount(labels, weights=pixels[:, part])[used] for part in range(3)]
    rgb = (np.array(sums) / sizes[used]).T.astype(np.float32)
    numbers = _narrow(np.cumsum(used) - 1, int(used.sum()))
    return Colours(numbers[labels].reshape(shape), np.clip(rgb, 0, 1), {})


def _narrow(labels: np.ndarray, clusters: int) -> np.ndarray:
    return labels.astype(np.min_scalar_type(clusters - 1))
