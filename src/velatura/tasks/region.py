"""Which pixels a task looks at: valid ones, inside the user's mask and region."""

import numpy as np
import xarray as xr

from velatura.base.errors import InputError

Region = tuple[int, int, int, int]


def chosen_pixels(cube: xr.Dataset, *, mask: np.ndarray | None = None, region: Region | None = None) -> np.ndarray:
    """Return bool [y, x]: valid pixels inside the mask and the region.

    mask: bool [y, x], True where to look; region: (x0, y0, x1, y1) in pixels, x1 and y1 not included.
    Raises InputError when shapes do not fit or no pixel is left.
    """
    chosen = cube.valid.values.copy()
    height, width = chosen.shape
    if mask is not None:
        if np.shape(mask) != chosen.shape:
            raise InputError(f"the mask must have one value a pixel, {chosen.shape} (y, x); found {np.shape(mask)}")
        chosen &= np.asarray(mask, bool)
    if region is not None:
        x0, y0, x1, y1 = region
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise InputError(
                f"the region must be x0,y0,x1,y1 with 0 <= x0 < x1 <= {width} and 0 <= y0 < y1 <= {height}; "
                f"found {','.join(map(str, region))}"
            )
        inside = np.zeros_like(chosen)
        inside[y0:y1, x0:x1] = True
        chosen &= inside
    if not chosen.any():
        valid = int(cube.valid.values.sum())
        raise InputError(f"no pixel is left of {height} x {width} ({valid} valid). Widen the mask or the region")
    return chosen
