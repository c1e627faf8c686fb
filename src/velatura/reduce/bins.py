"""Wider energy bins: neighbouring channels summed before the principal components, counts conserved."""

from dataclasses import dataclass

import numpy as np

from velatura.base.axis import channel_edges
from velatura.base.errors import InputError

SNAP = 0.01  # channels; an edge this close to a channel's border is taken to lie on it


@dataclass(frozen=True)
class Bins:
    """Energy bins laid over the channels of one scan."""

    edges: np.ndarray
    """Borders of the bins [keV], float64 [bin + 1], rising."""
    position: np.ndarray
    """The same borders in channels, float64 [bin + 1]; channel i covers i to i + 1."""

    @property
    def centres(self) -> np.ndarray:
        """Middle of each bin [keV], float64 [bin]."""
        return (self.edges[1:] + self.edges[:-1]) / 2


def make_bins(energy: np.ndarray, *, width: float = 0.08, window: tuple[float, float | None] = (0.5, None)) -> Bins:
    """Lay bins of whole channels, each about `width` [keV] wide, over the channels inside `window` [keV].

    energy: channel centres [keV] [channel]; window: lower and upper limit [keV], None is the end of the axis.
    The same number of channels goes into each bin but the last, which takes what is left (half to one and a half).
    Raises InputError where the width is not positive or the window holds fewer than two bins.
    """
    if len(energy) < 2 or not width > 0:
        raise InputError(f"bins need a width above 0 keV and at least 2 channels; found {width} and {len(energy)}")
    borders = channel_edges(np.asarray(energy, np.float64))
    low, high = window[0], borders[-1] if window[1] is None else window[1]
    tolerance = SNAP * (borders[1] - borders[0])
    start = int(np.searchsorted(borders, low - tolerance))
    stop = int(np.searchsorted(borders, high + tolerance, side="right")) - 1
    factor = max(1, round(width / float(np.median(np.diff(energy)))))
    if (whole := round((stop - start) / factor)) < 2:
        raise InputError(
            f"the window {low:g} to {high:g} keV must hold at least two bins of {width:g} keV; "
            f"the scan covers {borders[0]:.2f} to {borders[-1]:.2f} keV. Widen the window or narrow the bins"
        )
    position = np.append(start + factor * np.arange(whole), stop)
    return Bins(borders[position], position.astype(np.float64))


def bins_at(edges: np.ndarray, energy: np.ndarray) -> Bins:
    """Lay bins with given borders [keV] over the channels of another scan; a channel across a border is shared.

    edges: [bin + 1]; energy: channel centres [keV] [channel]. Bins (or parts) off the axis stay without counts.
    """
    borders = channel_edges(np.asarray(energy, np.float64))
    position = np.interp(edges, borders, np.arange(len(borders)))
    whole = np.rint(position)
    return Bins(np.asarray(edges, np.float64), np.where(np.abs(position - whole) < SNAP, whole, position))


def rebin(counts: np.ndarray, bins: Bins) -> np.ndarray:
    """Sum channels into bins: [n, channel] -> float32 [n, bin]. All counts between the outer borders are kept.

    Whole numbers stay exact up to 2**24 counts a bin. Where a border lies inside a channel its counts are shared in
    proportion to the widths.
    """
    whole = bins.position.astype(np.intp)
    share = bins.position - whole
    if not share.any() and np.all(np.diff(whole) > 0):
        return np.add.reduceat(counts[:, : whole[-1]], whole[:-1], axis=1, dtype=np.float32)
    below = np.zeros((len(counts), counts.shape[1] + 2))
    np.cumsum(counts, axis=1, out=below[:, 1:-1])
    below[:, -1] = below[:, -2]
    at_edges = below[:, whole] * (1 - share) + below[:, whole + 1] * share
    return np.diff(at_edges, axis=1).astype(np.float32)
