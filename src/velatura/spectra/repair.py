"""Put a scan right before it is analysed: snake rows, live times, stripes, orientation, crop.

All functions return a new cube and leave the old one alone; `valid`, `live_time` and attributes go along, dask cubes
stay lazy. Counts stay whole and Poisson: brighter pixels are thinned (each count is kept with the same chance,
independently), never scaled, because a scaled count is no Poisson count any more and every statistic after it would be
wrong.
"""

from collections.abc import Callable
from typing import NamedTuple

import dask.array as da
import numpy as np
import xarray as xr

from velatura.base.blocks import bands
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent

BANDS = 24  # energy bands that tell rows apart
FURTHEST = 5  # pixels: largest shift between neighbouring rows that is looked for
LEAST = 0.5  # share of the median live time or gain below which a pixel is not corrected but left out
NEIGHBOURS = 3  # lines on each side that a line's gain is compared with


class SnakeScore(NamedTuple):
    """How alike neighbouring rows are, as they are and with every second row turned round."""

    as_is: float
    """Mean correlation of neighbouring rows, -1 to 1."""
    turned: float
    """The same with every second row turned round."""
    error: float
    """Standard error of turned - as_is."""
    shift: int
    """Pixels by which the second row lies to the right of the first, in the better of the two ways."""

    @property
    def serpentine(self) -> bool:
        """Whether rows are clearly (three standard errors, and 0.02) more alike when turned round."""
        return self.turned - self.as_is > max(3 * self.error, 0.02)


def turn_serpentine(cube: xr.Dataset) -> xr.Dataset:
    """Turn round every second row (1, 3, 5 ...), which a snaking scanner recorded backwards.

    Twice gives the cube back.
    """
    return _by_rows(cube, lambda row, y: row[::-1] if y % 2 else row)


def shift_rows(cube: xr.Dataset, shift: int) -> xr.Dataset:
    """Move every second row (1, 3, 5 ...) by `shift` pixels to the right (negative: left).

    Pixels that move in from outside hold no counts and are not valid; those that move out are lost.
    """
    width = cube.sizes["x"]
    if abs(shift) >= width:
        raise InputError(f"shift must be smaller than the {width} pixels of a row; found {shift}")

    def moved(row: np.ndarray, y: int) -> np.ndarray:
        if y % 2 == 0 or shift == 0:
            return row
        out = np.zeros_like(row)
        if shift > 0:
            out[shift:] = row[:-shift]
        else:
            out[:shift] = row[-shift:]
        return out

    return _by_rows(cube, moved)


def detect_serpentine(cube: xr.Dataset, *, progress: Progress = silent) -> SnakeScore:
    """Compare neighbouring rows, in 24 bands of energy, as they are and with one of the two turned round.

    Correlations of square roots of counts (Poisson noise of one size), each band about its own mean. One pass over the
    cube. Raises InputError for fewer than four rows or columns.
    """
    height, width = cube.sizes["y"], cube.sizes["x"]
    if min(height, width) < 4:
        raise InputError(f"snake rows need at least 4 x 4 pixels to be seen; found {height} x {width}")
    image = np.sqrt(_band_image(cube, progress))
    image -= image.mean((0, 1))
    image[~cube.valid.values] = 0
    straight = np.array([_correlations(image[y], image[y + 1]) for y in range(height - 1)])
    turned = np.array([_correlations(image[y], image[y + 1, ::-1]) for y in range(height - 1)])
    gain = turned.max(1) - straight.max(1)
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    rows, snake = (turned, True) if gain.mean() > 0 else (straight, False)
    # the second row of every other pair is an even one: its shift against the odd row counts the other way round
    signed = rows.copy()
    signed[1::2] = rows[1::2] if snake else rows[1::2, ::-1]
    shift = int(signed.mean(0).argmax()) - FURTHEST
    return SnakeScore(float(straight.max(1).mean()), float(turned.max(1).mean()), error, shift)


def correct_live_time(cube: xr.Dataset, *, rng: np.random.Generator) -> xr.Dataset:
    """Thin all pixels to one live time, the shortest of the usable ones; the mean rate of each pixel is conserved.

    Pixels with less than half the median live time were hardly measured: they keep their counts and become invalid.
    The result does not depend on how the cube is cut into blocks. Raises InputError without live times.
    """
    if "live_time" not in cube:
        raise InputError("the scan has no live times; found only counts. Leave the correction out")
    live = cube.live_time.values.astype(np.float64)
    measured = cube.valid.values & np.isfinite(live) & (live > 0)
    if not measured.any():
        raise InputError("live times must be positive in some valid pixel; found none. Leave the correction out")
    usable = measured & (live >= LEAST * np.median(live[measured]))
    target = live[usable].min()
    corrected = thin(cube, np.where(usable, target / np.where(usable, live, 1), 1.0), rng=rng)
    return corrected.assign(
        valid=corrected.valid.copy(data=usable),
        live_time=corrected.live_time.copy(data=np.where(usable, target, live).astype(np.float32)),
    )


def thin(cube: xr.Dataset, keep: np.ndarray, *, rng: np.random.Generator) -> xr.Dataset:
    """Keep each count with the chance `keep[y, x]` (0 to 1), independently; Poisson counts stay Poisson.

    Each row has a random stream of its own, so that blocks may be read in any order. Live times are not changed.
    """
    keep = np.broadcast_to(np.asarray(keep, np.float64), (cube.sizes["y"], cube.sizes["x"]))
    if not (np.all(keep >= 0) and np.all(keep <= 1)):
        raise InputError(f"chances to keep a count must lie from 0 to 1; found {keep.min():g} to {keep.max():g}")
    seeds = rng.integers(2**63, size=len(keep))

    def thinned(row: np.ndarray, y: int) -> np.ndarray:
        out, filled = row.copy(), row > 0
        chance = np.broadcast_to(keep[y][:, None], row.shape)[filled]
        out[filled] = np.random.default_rng(seeds[y]).binomial(row[filled].astype(np.int64), chance)
        return out

    return cube.assign(counts=cube.counts.copy(data=_mapped(cube.counts.data, thinned)))


def stripe_gains(cube: xr.Dataset, *, along: str = "y", progress: Progress = silent) -> np.ndarray:
    """Return the gain of each row (along "y") or column ("x") against its neighbours, float64.

    The median over a line of the log ratio of total counts to the three lines before, and to the three after, in the
    same place; the smaller of the two where both have one sign, else none: slopes and edges of the painting, and
    details that do not fill a line, do not count. The first and last line have gain 1. One pass over the cube.
    """
    if along not in ("x", "y"):
        raise InputError(f'stripes run along "y" (rows differ) or "x" (columns differ); found {along!r}')
    image = np.log(_band_image(cube, progress).sum(-1) + 1)
    image = np.ma.masked_array(image, ~cube.valid.values)
    image = image if along == "y" else image.T
    log = np.zeros(len(image))
    for line in range(1, len(image) - 1):
        before, after = image[max(0, line - NEIGHBOURS) : line], image[line + 1 : line + 1 + NEIGHBOURS]
        sides = [np.ma.median(image[line] - np.ma.median(side, axis=0)) for side in (before, after)]
        if not any(np.ma.is_masked(side) for side in sides) and sides[0] * sides[1] > 0:
            log[line] = min((float(side) for side in sides), key=abs)
    return np.exp(log)


def correct_stripes(cube: xr.Dataset, *, rng: np.random.Generator, along: str = "y") -> xr.Dataset:
    """Thin rows (along "y") or columns ("x") to the gain of the faintest usable line; see `stripe_gains` and `thin`.

    Lines below half the median gain keep their counts and become invalid. Live times stay: afterwards all lines have
    the same rate. Correct recorded live times first, they may explain the stripes.
    """
    gains = stripe_gains(cube, along=along)
    usable = gains >= LEAST * np.median(gains)
    keep = np.where(usable, gains[usable].min() / gains, 1.0)
    shape = (-1, 1) if along == "y" else (1, -1)
    image = np.broadcast_to(keep.reshape(shape), (cube.sizes["y"], cube.sizes["x"]))
    corrected = thin(cube, image, rng=rng)
    lines = np.broadcast_to(usable.reshape(shape), image.shape)
    return corrected.assign(valid=corrected.valid.copy(data=corrected.valid.values & lines))


def flip(cube: xr.Dataset, *, along: str = "x") -> xr.Dataset:
    """Mirror the scan along "x" (left and right change places) or "y" (top and bottom). Twice gives the cube back."""
    if along not in ("x", "y"):
        raise InputError(f'flip goes along "x" or "y"; found {along!r}')
    return cube.isel({along: slice(None, None, -1)})


def rotate(cube: xr.Dataset, degrees: int) -> xr.Dataset:
    """Turn the scan anticlockwise by 0, 90, 180 or 270 degrees; four quarter turns give the cube back."""
    if degrees % 90:
        raise InputError(f"rotate by a multiple of 90 degrees; found {degrees}")
    for _ in range(degrees // 90 % 4):
        cube = cube.rename(x="y", y="x").transpose("y", "x", "energy").isel(y=slice(None, None, -1))
    return cube


def crop(cube: xr.Dataset, *, rows: tuple[int, int], columns: tuple[int, int]) -> xr.Dataset:
    """Return rows[0] to rows[1] - 1 and columns likewise.

    Raises InputError when nothing is left or they lie outside.
    """
    for name, (start, stop), size in (("rows", rows, cube.sizes["y"]), ("columns", columns, cube.sizes["x"])):
        if not 0 <= start < stop <= size:
            raise InputError(f"{name} must rise within 0 to {size}; found {start} to {stop}")
    return cube.isel(y=slice(*rows), x=slice(*columns))


def _by_rows(cube: xr.Dataset, function: Callable[[np.ndarray, int], np.ndarray]) -> xr.Dataset:
    """Apply function(row, y) -> row to each row of counts and of all images beside them."""
    images = {
        str(name): image.copy(data=np.stack([function(row, y) for y, row in enumerate(image.values)]))
        for name, image in cube.data_vars.items()
        if image.dims == ("y", "x")
    }
    return cube.assign({"counts": cube.counts.copy(data=_mapped(cube.counts.data, function)), **images})


def _mapped(counts: np.ndarray | da.Array, function: Callable[[np.ndarray, int], np.ndarray]):
    """Apply function(row [x, channel], y) to each row, lazily where counts are lazy."""
    if not isinstance(counts, da.Array):
        return np.stack([function(row, y) for y, row in enumerate(np.asarray(counts))])

    def block(rows: np.ndarray, block_info: dict) -> np.ndarray:
        start = block_info[0]["array-location"][0][0]
        return np.stack([function(row, start + y) for y, row in enumerate(rows)])

    whole = counts.rechunk({1: -1, 2: -1})
    return da.map_blocks(block, whole, dtype=counts.dtype, meta=np.empty((0, 0, 0), counts.dtype))


def _band_image(cube: xr.Dataset, progress: Progress) -> np.ndarray:
    """Return counts summed into at most 24 bands of energy, float64 [y, x, band]."""
    channels = cube.sizes["energy"]
    starts = np.unique(np.linspace(0, channels, min(BANDS, channels), endpoint=False).astype(int))
    image = np.empty((cube.sizes["y"], cube.sizes["x"], len(starts)))
    for rows, counts in bands(cube.counts.data, stage="comparing rows", progress=progress):
        image[rows] = np.add.reduceat(counts, starts, axis=-1, dtype=np.float64)
    return image


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the correlation of two rows [x, band] for second shifted by -5 ... 5 pixels to the right of first."""
    width, found = len(first), np.zeros(2 * FURTHEST + 1)
    for i, shift in enumerate(range(-FURTHEST, FURTHEST + 1)):
        if abs(shift) < width - 2:
            a, b = first[max(0, -shift) : width - max(0, shift)], second[max(0, shift) : width - max(0, -shift)]
            norm = np.sqrt((a**2).sum() * (b**2).sum())
            found[i] = (a * b).sum() / norm if norm > 0 else 0.0
    return found
