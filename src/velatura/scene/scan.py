"""A painting under a scanner: noiseless spectra of a few stacks, interpolated and counted at each pixel when read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from threadpoolctl import threadpool_limits

from velatura.base.cube import lazy_counts, make_cube
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.physics.instrument import Instrument
from velatura.physics.stack import SLOTS, Stack, pack
from velatura.scene.detectability import detectability_maps
from velatura.scene.inventory import inventory
from velatura.scene.layerings import Layering, Simulate, fine_layerings, from_roots, roots
from velatura.scene.painting import Painting

if TYPE_CHECKING:
    from velatura.physics.simulate import Scanner

CHUNK = 2**23  # values of one lazy piece of the cube
FWHM = float(np.sqrt(8 * np.log(2)))  # of a Gaussian, in standard deviations


class Simulated(NamedTuple):
    """A simulated scan and what is true about it."""

    cube: xr.Dataset
    """As `make_cube` builds it, uint16 or uint32 [y, x, channel]; drawn when read, the same bytes however it is cut."""
    truth: xr.Dataset
    """As `inventory` and `detectability_maps` build it."""


def scan_painting(
    painting: Painting,
    instrument: Instrument,
    *,
    counts: float,
    rng: np.random.Generator,
    channels: int | None = None,
    beam: float = 0.0,
    cells: int = 3,
    detectability: bool = True,
    simulate: Simulate | None = None,
    progress: Progress = silent,
) -> Simulated:
    """Scan a painting; the same `rng` and arguments give the same bytes on one machine.

    counts: mean counts a pixel (within 0.1 %; bright and dark pixels keep their ratio); channels: neighbours are summed
    to so many, None keeps the instrument's; beam: FWHM [mm] of the spot, 0 for none; cells: as in `expected_counts`;
    detectability: False leaves these maps out; simulate: another source of noiseless spectra (tests).
    Raises InputError for a painting without layers and counts that no detector gives.
    """
    if not painting.sheets:
        raise InputError("a painting without layers sends nothing. Give it a support and a paint")
    if not (0 < counts < 1e9 and 0 <= beam < np.inf):
        raise InputError(f"counts must be above 0 and the beam 0 mm or more; found {counts:g} and {beam:g}")
    instrument = instrument if channels is None else instrument.rebinned(channels)
    simulate = simulate or simulator(painting, instrument, cells=cells, progress=progress)
    with threadpool_limits(1):
        expected = _expected(painting, simulate, counts=counts, sigma=beam / painting.pitch / FWHM)
    source = DrawnCounts(expected, _width(expected), int(rng.integers(2**63)))
    rows = max(1, CHUNK // (source.shape[1] * source.shape[2]))
    cube = make_cube(lazy_counts(source, rows=rows), **_acquisition(painting, instrument))
    truth = inventory(painting)
    if detectability:
        with threadpool_limits(1):
            truth = truth.merge(detectability_maps(painting, simulate, counts=counts))
    facts = {"instrument": instrument.name, "counts": float(counts), "beam": float(beam)}
    return Simulated(cube, truth.assign_attrs(facts))


def simulator(painting: Painting, instrument: Instrument, *, cells: int = 3, progress: Progress = silent) -> Simulate:
    """Prepare an instrument for the paints of a painting; the result turns stacks of these into noiseless counts."""
    from velatura.physics.simulate import expected_counts

    scanner = painting_scanner(painting, instrument)

    def simulate(stacks: Sequence[Stack]) -> np.ndarray:
        packed = pack(stacks, scanner.elements, slots=slots_of(painting))
        return expected_counts(packed, scanner, cells=cells, progress=progress)

    return simulate


def painting_scanner(painting: Painting, instrument: Instrument) -> "Scanner":
    """Prepare an instrument for every element of a painting."""
    from velatura.physics.simulate import prepare

    paints = {paint for sheet in painting.sheets for paint in sheet.paints}
    return prepare(instrument, tuple(sorted({element for paint in paints for element in paint.mass_fractions()})))


def slots_of(painting: Painting) -> int:
    """Layers that programs are compiled for: few different numbers, so that paintings share them."""
    return max(SLOTS, len(painting.sheets))


@dataclass(frozen=True, eq=False)
class ExpectedCounts:
    """Noiseless counts of a painting, row by row."""

    painting: Painting
    layerings: Sequence[Layering]
    roots: Sequence[np.ndarray]
    """Fourth roots of the counts at each layering's stacks, float32 [stack, channel]."""
    places: np.ndarray
    """Number of each pixel's layering, int32 [y, x]."""
    sigma: float
    """Standard deviation of the beam [pixels]."""

    def rows(self, chosen: Sequence[int]) -> dict[int, np.ndarray]:
        """Counts float32 [x, channel] of some rows, blurred by the beam; borders are mirrored."""
        if not self.sigma:
            return {row: self.sharp_row(row) for row in chosen}
        height, reach = len(self.places), int(np.ceil(4 * self.sigma))
        taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / self.sigma) ** 2)
        taps = (taps / taps.sum()).astype(np.float32)
        around = {row: _mirrored(np.arange(row - reach, row + reach + 1), height) for row in chosen}
        sharp: dict[int, np.ndarray] = {}
        blurred = {}
        for row, near in around.items():
            sharp = {k: sharp[k] if k in sharp else self._blurred_row(k) for k in sorted(set(near))}
            blurred[row] = np.sum([tap * sharp[k] for tap, k in zip(taps, near, strict=True)], axis=0)
        return blurred

    def _blurred_row(self, row: int) -> np.ndarray:
        return gaussian_filter1d(self.sharp_row(row), self.sigma, axis=0, mode="reflect")

    def sharp_row(self, row: int) -> np.ndarray:
        """Counts float32 [x, channel] of one row: whole rows are always computed alike."""
        width = self.places.shape[1]
        counts = np.empty((width, self.roots[0].shape[1]), np.float32)
        for number in np.unique(self.places[row]):
            here = np.flatnonzero(self.places[row] == number)
            layering = self.layerings[number]
            counts[here] = from_roots(layering.interpolate(self.roots[number], row * width + here, self.painting))
        return counts


@dataclass(frozen=True, eq=False)
class DrawnCounts:
    """Array-like counts [y, x, channel], drawn from Poisson's law when read; each row has random numbers of its own."""

    expected: ExpectedCounts
    dtype: np.dtype
    seed: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, channel)."""
        height, width = self.expected.places.shape
        return height, width, self.expected.roots[0].shape[1]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 3

    def __getitem__(self, index: Any) -> np.ndarray:
        """Draw the rows of `index`, then take the rest of it from them."""
        first, *others = index if isinstance(index, tuple) else (index,)
        chosen = np.arange(self.shape[0])[first]
        rows = [int(row) for row in np.atleast_1d(chosen)]
        drawn = np.empty((len(rows), *self.shape[1:]), self.dtype)
        with threadpool_limits(1):  # many small products: threads would wait for each other, and change the last bits
            expected = self.expected.rows(rows)
        for place, (row, counts) in enumerate(expected.items()):
            rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence([self.seed, row])))
            drawn[place] = rng.poisson(counts)
        return drawn[(0 if chosen.ndim == 0 else slice(None), *others)]


def _expected(painting: Painting, simulate: Simulate, *, counts: float, sigma: float) -> ExpectedCounts:
    """Compute all layerings' stacks in one batch, scaled so that the pixels' totals have the mean `counts`."""
    parts = fine_layerings(painting)
    stacks = [part.stacks(painting) for part in parts]
    spectra = simulate([stack for part in stacks for stack in part])
    pieces = np.split(spectra, np.cumsum([len(part) for part in stacks])[:-1])
    places, total = np.empty(painting.shape[0] * painting.shape[1], np.int32), 0.0
    for number, (part, piece) in enumerate(zip(parts, pieces, strict=True)):
        places[part.pixels] = number
        sums = roots(piece.sum(axis=1, keepdims=True, dtype=np.float64))
        total += float(from_roots(part.interpolate(sums, part.pixels, painting)).sum())
    scale = np.float32((counts * len(places) / total) ** 0.25)
    scaled = [scale * roots(piece) for piece in pieces]
    return ExpectedCounts(painting, parts, scaled, places.reshape(painting.shape), sigma)


def _width(expected: ExpectedCounts) -> np.dtype:
    """Narrowest type of 16 bits or more that holds ten standard deviations above what can be expected."""
    largest = 1.2 * max(float(piece.max()) for piece in expected.roots) ** 4
    most = largest + 10 * np.sqrt(largest) + 30
    if most >= 2**32:
        raise InputError(f"the brightest channel would hold {largest:.3g} counts, more than 32 bits. Lower the counts")
    return np.dtype(np.uint16 if most < 2**16 else np.uint32)


def _acquisition(painting: Painting, instrument: Instrument) -> dict[str, Any]:
    names = ", ".join(sheet.name for sheet in painting.sheets)
    return {
        "zero": instrument.zero,
        "gain": instrument.gain,
        "anode": instrument.tube.anode,
        "tube_voltage": instrument.tube.voltage,
        "incidence_angle": instrument.geometry.incidence_angle,
        "take_off_angle": instrument.geometry.take_off_angle,
        "pitch": painting.pitch,
        "instrument": instrument.name,
        "calibration": "simulated",
        "source": f"simulated painting ({names})",
    }


def _mirrored(rows: np.ndarray, height: int) -> list[int]:
    """Rows beyond the borders as their mirror images, the border rows twice."""
    folded = rows % (2 * height)
    return np.where(folded < height, folded, 2 * height - 1 - folded).tolist()
