"""A scan as blocks of rebinned counts: read in bands of rows, pixels without signal left out, small scans kept."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from velatura.base.blocks import bands, read_band
from velatura.base.progress import Progress
from velatura.reduce.bins import Bins, rebin

KEPT_BYTES = 512 * 2**20  # rebinned counts up to this size stay in memory and the cube is read once
BLOCK_BYTES = 32 * 2**20  # float32 block of pixels worked on at once
EMPTY = 0.01  # a pixel with fewer counts than this share of the typical pixel's is left out
SAMPLED_ROWS = 5


class BinnedCounts:
    """Rebinned counts of the used pixels of a scan, block by block; small scans are kept and read only once."""

    def __init__(self, counts: Any, bins: Bins, used: np.ndarray, progress: Progress) -> None:
        self.source, self.bins, self.candidates, self.progress = counts, bins, used, progress
        self.sample = _sampled_rows(counts, bins, used)
        total = self.sample.sum(1)
        self.threshold = max(1.0, EMPTY * float(np.median(total[total > 0]))) if total.any() else 1.0
        self.used = np.zeros(counts.shape[:2], bool)
        size = 4 * int(used.sum()) * len(bins.centres)
        self.kept: list[np.ndarray] | None = [] if size <= KEPT_BYTES else None

    def blocks(self, stage: str) -> Iterator[np.ndarray]:
        """Yield float32 [n, bin] in row order; after the first round `used` is complete."""
        if self.kept and self.used.any():
            yield from self.kept
            return
        step = max(64, BLOCK_BYTES // (4 * max(len(self.bins.centres), 1)))
        for rows, band in bands(self.source, stage=stage, progress=self.progress):
            flat, candidates = band.reshape(-1, band.shape[-1]), self.candidates[rows].ravel()
            for start in range(0, len(flat), step):
                block = rebin(flat[start : start + step], self.bins)
                good = candidates[start : start + step] & (block.sum(1) >= self.threshold)
                self.used[rows].reshape(-1)[start : start + step] = good
                block = block if good.all() else block[good]
                if self.kept is not None:
                    self.kept.append(block)
                if len(block):
                    yield block


def _sampled_rows(counts: Any, bins: Bins, used: np.ndarray) -> np.ndarray:
    """Rebinned counts of a few rows spread over the scan, float32 [n, bin], to know what a typical pixel holds."""
    rows = np.unique(((np.arange(SAMPLED_ROWS) + 0.5) / SAMPLED_ROWS * len(used)).astype(int))
    return np.concatenate([rebin(read_band(counts, slice(r, r + 1))[0][used[r]], bins) for r in rows])
