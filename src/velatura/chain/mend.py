"""Repairs in the right order: snake rows and their shift, live time, stripes, crop, then orientation."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import xarray as xr

from velatura.base.progress import Progress, silent
from velatura.spectra import repair


@dataclass(frozen=True)
class Repairs:
    """What to mend. By default only snake rows, and these only where they are clearly seen."""

    serpentine: Literal["auto", "yes", "no"] = "auto"
    """Turn round every second row: auto looks whether neighbouring rows are more alike then."""
    live_time: bool = False
    """Bring all pixels to one live time by thinning, so that dead time leaves no pattern."""
    stripes: Literal["no", "rows", "columns"] = "no"
    """Even out rows or columns that are brighter than their neighbours, by thinning."""
    crop: tuple[int, int, int, int] | None = None
    """Part to keep, x0 y0 x1 y1 in pixels of the scan as it is, x1 and y1 not included."""
    flip: Literal["no", "x", "y"] = "no"
    """Mirror along x (left and right change places) or y."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Turn anticlockwise [deg], after mirroring."""
    seed: int = field(default=0)
    """Start of the chance by which counts are thinned."""


def mend(cube: xr.Dataset, repairs: Repairs, *, progress: Progress = silent) -> tuple[xr.Dataset, list[str]]:
    """Return the mended cube (lazily) and a sentence for each thing that was done."""
    done: list[str] = []
    rng = np.random.default_rng(repairs.seed)
    cube = _straighten(cube, repairs.serpentine, done, progress)
    if repairs.live_time:
        cube = repair.correct_live_time(cube, rng=rng)
        done.append(f"thinned to a live time of {float(cube.live_time.where(cube.valid).max()):.4g} s")
    if repairs.stripes != "no":
        along = "y" if repairs.stripes == "rows" else "x"
        cube = repair.correct_stripes(cube, rng=rng, along=along)
        done.append(f"{repairs.stripes} evened out")
    if repairs.crop is not None:
        x0, y0, x1, y1 = repairs.crop
        cube = repair.crop(cube, rows=(y0, y1), columns=(x0, x1))
        done.append(f"cropped to x {x0} to {x1}, y {y0} to {y1}")
    if repairs.flip != "no":
        cube = repair.flip(cube, along=repairs.flip)
        done.append(f"mirrored along {repairs.flip}")
    if repairs.rotate:
        cube = repair.rotate(cube, repairs.rotate)
        done.append(f"turned by {repairs.rotate} degrees")
    return cube, done


def _straighten(cube: xr.Dataset, wanted: str, done: list[str], progress: Progress) -> xr.Dataset:
    """Turn snake rows when asked, or when they are seen, and take back their shift."""
    if wanted == "no" or (wanted == "auto" and min(cube.sizes["y"], cube.sizes["x"]) < 4):
        return cube
    seen = repair.detect_serpentine(cube, progress=progress)
    if wanted == "auto" and not seen.serpentine:
        return cube
    cube = repair.turn_serpentine(cube)
    done.append(f"every second row turned round (likeness of neighbours {seen.as_is:.2f}, then {seen.turned:.2f})")
    if seen.serpentine and seen.shift:
        cube = repair.shift_rows(cube, -seen.shift)
        done.append(f"and moved by {-seen.shift} pixels")
    return cube
