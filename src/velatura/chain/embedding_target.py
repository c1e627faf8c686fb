"""Spectra of a scan for an embedder to adapt to while it is trained."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from velatura.base.blocks import bands
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.chain.finetune_pigments import scan_with_axis

if TYPE_CHECKING:
    from velatura.chain.train_embedding import Recipe

MOST = 20_000  # spectra of a scan
LEAST_COUNTS = 50  # on the embedder's energies, as recolouring asks for


def target_counts(scan: Path, recipe: "Recipe", *, progress: Progress = silent) -> np.ndarray:
    """Return spectra of a scan as whole counts on the grid of a recipe's embedder, float32 [pixel, channel].

    scan: a file with an energy axis, or a workspace. At most 20,000 valid pixels with at least 50 counts on the grid's
    energies, drawn at random by the recipe's seed: the same scan and recipe give the same counts. Raises InputError
    where there are no such pixels.
    """
    from velatura.tasks.embedding_model import uncalibrated_embedder
    from velatura.tasks.identify import at_most, on_grid

    cube, grid = scan_with_axis(Path(scan)), uncalibrated_embedder(recipe.kind, None)
    energy = cube.energy.values
    usable = _usable(cube, slice(*np.searchsorted(energy, [grid.low, grid.high])), progress=progress)
    if not len(usable):
        raise InputError(
            f"{Path(scan).name} has no pixel with {LEAST_COUNTS} counts from {grid.low:g} to {grid.high:g} keV. "
            "Check its energy axis: velatura calibrate"
        )
    rng = np.random.default_rng((recipe.seed, 2))
    chosen = np.sort(rng.choice(usable, min(MOST, len(usable)), replace=False))
    spectra = _spectra(cube, chosen, progress=progress)
    return at_most(on_grid(spectra, energy, grid.energies, seed=recipe.seed), seed=recipe.seed)


def _usable(cube: xr.Dataset, window: slice, *, progress: Progress) -> np.ndarray:
    """Flat numbers of the valid pixels with enough counts in a window of channels."""
    enough = cube.valid.values.copy()
    for rows, band in bands(cube.counts.data, stage="counts of the scan", progress=progress):
        enough[rows] &= band[..., window].sum(axis=-1, dtype=np.int64) >= LEAST_COUNTS
    return np.flatnonzero(enough)


def _spectra(cube: xr.Dataset, pixels: np.ndarray, *, progress: Progress) -> np.ndarray:
    """Counts of some pixels [pixel, channel] by their flat numbers, which rise; each band is read once."""
    width, channels = cube.sizes["x"], cube.sizes["energy"]
    parts = []
    for rows, band in bands(cube.counts.data, stage="spectra of the scan", progress=progress):
        first, last = np.searchsorted(pixels, [rows.start * width, rows.stop * width])
        parts.append(band.reshape(-1, channels)[pixels[first:last] - rows.start * width])
    return np.concatenate(parts)
