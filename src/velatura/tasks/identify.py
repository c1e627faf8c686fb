"""Pigments in every pixel of a scan: probabilities in the visible paint and beneath it, and what is unknown.

The counts of each pixel come onto the network's energy grid as whole numbers, the network answers, and the rules of
`pigment_rules` read its answers. All is done in bands of rows, so that memory is bounded by a block.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import xarray as xr

from velatura.base.axis import channel_edges
from velatura.base.blocks import bands
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.tasks.pigment_maps import PigmentMaps
from velatura.tasks.pigment_rules import read_answers, rules_for, years

if TYPE_CHECKING:
    from velatura.tasks.pigment_model import Answers, PigmentModel

PIXELS = 8192  # that are worked on together, in whole rows
MOST_COUNTS = 100_000  # of the spectra of the training
T = TypeVar("T")
SLACK = 0.2  # keV by which a scan's axis may miss the ends of the grid


@dataclass(frozen=True)
class Identification:
    """How to identify pigments. The defaults take whatever has ever been in use."""

    model: str = "best"
    """best, fast (for previews), or a file of weights from `velatura train pigments`."""
    period: str | None = None
    """Years of painting, like 1880-1905: pigments that were not in use need more evidence, and are flagged."""
    palette: tuple[str, ...] = ()
    """Pigments or XRF classes that may occur, e.g. lead_white,vermilion,Cu; by default all."""
    exclude: tuple[str, ...] = ()
    """Pigments or XRF classes that cannot occur; pixels that speak for them count as unknown."""
    neighbours: bool = False
    """Let neighbouring pixels with the same spectrum decide together."""
    least_counts: int = 200
    """Counts from 0.5 to 41 keV below which a pixel gets no answer."""

    def __post_init__(self) -> None:
        years(self.period)
        if self.least_counts < 1:
            raise InputError(f"least counts must be 1 or more; found {self.least_counts}")


def identify(
    cube: xr.Dataset,
    model: "PigmentModel",
    config: Identification = Identification(),
    *,
    condition: np.ndarray | None = None,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = silent,
) -> xr.Dataset:
    """Return maps of the pigments of a cube: a Dataset as docs/results.md describes `maps/identify`, without regions.

    cube: see `make_cube`; condition: the instrument as `scene.training.described` tells it, float32 [8], None: not
    known; seed: of the draws that bring counts onto the grid; folder: where a temporary file of 368 bytes a pixel may
    lie. Of `config`, the model is not loaded here. Raises InputError for unknown pigments and a palette without any.
    """
    asked = {"palette": names_in(config.palette), "exclude": names_in(config.exclude)}
    rules = rules_for(model, period=years(config.period), **asked)
    told = np.zeros(8, np.float32) if condition is None else np.asarray(condition, np.float32)
    height, width = cube.valid.shape
    with tempfile.TemporaryFile(dir=folder) as file:
        maps = PigmentMaps((height, width), rules, file=file)
        parts = _bands(cube, model, told, config=config, seed=seed, progress=progress)
        for rows, answers, *_, answered in parts if not config.neighbours else _with_neighbours(parts):
            flat = type(answers)(*(a.reshape(-1, *a.shape[2:]) for a in answers))
            maps.take(rows, *read_answers(flat, rules), answered=answered.ravel())
        result = maps.dataset()
    left_out = int((~result.answered.values).sum())
    notes = axis_notes(cube)
    notes += [f"{left_out} pixels without data or with fewer than {config.least_counts} counts got no answer"] * bool(
        left_out
    )
    parameters = {**asdict(config), "seed": seed, "instrument": None if condition is None else told.tolist()}
    card = json.dumps(asdict(model.card), default=dict)
    return result.assign_attrs(parameters=json.dumps(parameters), notes=json.dumps(notes), card=card)


def axis_notes(
    cube: xr.Dataset,
    window: tuple[float, float] | None = None,
    *,
    so: str = "pigments known by lines outside are not seen, and others may be taken for them",
) -> list[str]:
    """Return a sentence when the scan's axis does not cover the energies that a network was trained on.

    window: these energies [keV], by default those of `scene.training`; so: what follows from it, in words.
    """
    from velatura.scene.training import HIGH, LOW

    least, most = window or (LOW, HIGH)
    edges = channel_edges(cube.energy.values)
    low, high = float(edges[0]), float(edges[-1])
    needed = min(most, cube.counts.attrs.get("tube_voltage") or most)
    if low <= least + SLACK and high >= needed - SLACK:
        return []
    return [f"the scan covers {low:.1f} to {high:.1f} keV, the network was trained on {least:g} to {most:g} keV: {so}"]


def names_in(asked: Sequence[str]) -> tuple[str, ...]:
    """Return single names from a list in which some may stand together with commas between.

    >>> names_in(["lead_white, Cu", "vermilion"])
    ('lead_white', 'Cu', 'vermilion')
    """
    return tuple(name.strip() for part in asked for name in part.split(",") if name.strip())


def on_grid(
    counts: np.ndarray, energy: np.ndarray, target: np.ndarray | None = None, *, seed: int, first: int = 0
) -> np.ndarray:
    """Return counts [spectrum, channel] on a network's grid as whole numbers, float32 [spectrum, new].

    energy: of the channels [keV]; target: of the grid [keV], by default that of `scene.training`; first: number of the
    first spectrum, by which it is drawn.
    """
    import jax

    from velatura.scene.training import grid
    from velatura.spectra.regrid import regrid

    whole, target = np.asarray(counts, np.uint32), grid() if target is None else target
    return regrid(whole, energy, target, key=jax.random.key(seed), first=first).astype(np.float32)


def at_most(features: np.ndarray, *, seed: int, first: int = 0, most: int = MOST_COUNTS) -> np.ndarray:
    """Return counts [spectrum, channel], those of spectra with more than `most` thinned to about so many.

    Each count is kept with the same chance, so that Poisson counts stay Poisson; spectrum i is drawn from (seed,
    first + i). The networks have seen no better statistics, in which traces and faults of a detector stand out.
    """
    total = features.sum(axis=1)
    thinned = features.copy() if (total > most).any() else features
    for number in np.flatnonzero(total > most).tolist():
        rng = np.random.default_rng([seed, first + number])
        thinned[number] = rng.binomial(features[number].astype(np.int64), most / total[number])
    return thinned


def rows_on_grid(
    cube: xr.Dataset, target: np.ndarray | None = None, *, seed: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, their spectra as `on_grid` and `at_most` give them): whole rows of a few thousand pixels."""
    counts, energy = cube.counts.data, cube.energy.values
    width, channels = counts.shape[1:]
    step = max(1, PIXELS // width)
    for rows, band in bands(counts):
        for start in range(rows.start, rows.stop, step):
            part = slice(start, min(start + step, rows.stop))
            flat = band[part.start - rows.start : part.stop - rows.start].reshape(-1, channels)
            numbers = {"seed": seed, "first": start * width}
            yield part, at_most(on_grid(flat, energy, target, **numbers), **numbers)


def ahead(parts: Iterator[T]) -> Iterator[T]:
    """Yield the same parts, each made while the one before is worked on."""
    with ThreadPoolExecutor(1) as worker:
        waiting = worker.submit(next, parts, None)
        while (part := waiting.result()) is not None:
            waiting = worker.submit(next, parts, None)
            yield part


def _bands(
    cube: xr.Dataset, model: "PigmentModel", told: np.ndarray, *, config: Identification, seed: int, progress: Progress
) -> Iterator[tuple[slice, "Answers", np.ndarray, np.ndarray]]:
    """Rows with the network's answers as images, coarse spectra for neighbours, and whether there is an answer."""
    from velatura.tasks.neighbours import coarse
    from velatura.tasks.pigment_model import Answers, predict

    valid = cube.valid.values
    width = valid.shape[1]
    for rows, features in ahead(rows_on_grid(cube, seed=seed)):
        progress("identifying", rows.start * width, valid.size)
        shape = rows.stop - rows.start, width
        answers = predict(model, features, np.broadcast_to(told, (len(features), len(told))))
        enough = (features.sum(axis=1) >= config.least_counts).reshape(shape) & valid[rows]
        bins = coarse(features).reshape(*shape, -1) if config.neighbours else enough
        yield rows, Answers(*(a.reshape(*shape, *a.shape[1:]) for a in answers)), bins, enough
    progress("identifying", valid.size, valid.size)


def _with_neighbours(parts: Iterator) -> Iterator:
    from velatura.tasks.neighbours import with_rows_around

    return with_rows_around(parts)
