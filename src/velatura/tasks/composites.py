"""Composite maps beside a segmentation: joins of clusters that share a signature, and what they announce as hidden."""

import json
from typing import Any

import numpy as np
import xarray as xr

from velatura.atomic.lines import group
from velatura.base.progress import Progress, silent
from velatura.cluster.composite import Composite, Proposals, propose
from velatura.cluster.signals import SURFACE_BAND, Signals, measure_signals
from velatura.spectra.families import Family
from velatura.spectra.line_fit import plan_fit
from velatura.spectra.pixel_model import pixel_model
from velatura.spectra.proposal import propose as propose_elements
from velatura.spectra.response import Detector
from velatura.spectra.summary import summarise
from velatura.tasks.cluster_spectra import cluster_spectra

HALF_WIDTH = 0.6  # of the FWHM, each side of a line
MOST_LINES = 20


def composite_maps(
    cube: xr.Dataset, maps: xr.Dataset, *, proposals: int = 10, seed: int = 0, progress: Progress = silent
) -> xr.Dataset:
    """Return the result of `segment` with composite maps beside it, as docs/results.md describes.

    cube: the scan that `maps` were made from; proposals: at most that many. Where the scan shows no line above the
    soft band there are none. Besides: `passage` int16 [y, x], the visible passages as soft lines tell them apart, and
    `stacks` int16 [y, x], numbers of a passage with what is announced as hidden under it; -1 outside the used pixels.
    """
    energy, used = cube.energy.values, maps.used.values
    signals = measure_lines(cube, progress=progress)
    proposed = Proposals((), np.where(used, 0, -1).astype(np.int16))
    if signals is not None:
        proposed = propose(
            maps.membership.values,
            signals,
            used=used,
            fuzzifier=float(json.loads(maps.attrs.get("clustering", "{}")).get("fuzzifier", 1.5)),
            proposals=proposals,
            rng=np.random.default_rng(seed),
        )
    found = proposed.composites
    images = np.array([one.image for one in found], np.float32).reshape(-1, *used.shape)
    references = np.array([one.reference for one in found], np.float32).reshape(-1, *used.shape)
    difference = np.zeros((0, len(energy)))
    if found:
        weights = np.concatenate([images, references])[:, used]
        inside, outside = np.split(cluster_spectra(cube.counts.data, weights, used=used, progress=progress).spectrum, 2)
        difference = inside - outside
    return (
        maps.drop_dims("proposal", errors="ignore")
        .assign(composite=(("proposal", "y", "x"), images), composite_spectrum=(("proposal", "energy"), difference))
        .assign(passage=(("y", "x"), proposed.passages), stacks=(("y", "x"), proposed.stacks()))
        .assign_coords(_columns(found, [str(name) for name in maps.cluster.values]))
    )


def measure_lines(cube: xr.Dataset, *, progress: Progress = silent) -> Signals | None:
    """Return the counts of the elements that the scan shows, at their main lines above the soft band; None without.

    Net counts come from a linear fit of all lines, scatter and background together, so that neighbours, tails and
    escape peaks of stronger lines are not taken for a weak one.
    """
    energy, summary = cube.energy.values, summarise(cube, progress=progress)
    attributes = cube.counts.attrs
    detector = Detector(**{name: attributes[name] for name in ("noise", "fano") if attributes.get(name)})
    proposal = propose_elements(
        cube,
        summary,
        detector=detector,
        anode=attributes.get("anode"),
        tube_voltage=attributes.get("tube_voltage"),
        progress=progress,
    )
    explained = proposal.explanation
    highest = min(float(energy[-1]), float(explained.energy[-1]))
    channels = slice(*(int(place) for place in np.searchsorted(energy, (explained.energy[0], highest))))
    model = pixel_model(
        summary.sum_spectrum[channels].astype(np.float64),
        energy[channels],
        tuple(found.element for found in proposal.found),
        explained=explained,
        detector=detector,
        limit=highest,
    )
    windows = _windows(model.families, proposal.symbols(), detector=detector, highest=highest)
    if not windows:
        return None
    plan = plan_fit(
        tuple(group(name) for name in windows),
        model.families,
        model.rows,
        channels=channels,
        expected=model.fit / summary.pixels,
        background=model.smooth / summary.pixels,
    )
    estimator = np.zeros((len(energy), len(windows)))
    estimator[channels] = plan.estimator[:, plan.column]
    return measure_signals(cube.counts.data, energy, windows, estimator=estimator, progress=progress)


def _windows(
    families: tuple[Family, ...], elements: tuple[str, ...], *, detector: Detector, highest: float
) -> dict[str, tuple[float, float]]:
    """Windows [keV] at the main line of each element above the soft band, the most significant elements first."""
    windows = {}
    for element in elements:
        for main in [family.main for family in families if family.element == element]:
            half = HALF_WIDTH * float(detector.fwhm(main.energy))
            if SURFACE_BAND[1] < main.energy - half and main.energy + half < highest:
                windows[main.name] = (main.energy - half, main.energy + half)
                break
    return dict(list(windows.items())[:MOST_LINES])


def _columns(found: tuple[Composite, ...], clusters: list[str]) -> dict[str, tuple[str, Any]]:
    """The coordinates along `proposal`."""
    columns = {
        "proposal": [f"P{number}" for number in range(1, len(found) + 1)],
        "members": ["+".join(clusters[k] for k in one.members) for one in found],
        "signature": [one.signature for one in found],
        "significance": [one.significance for one in found],
        "coherence": [one.coherence for one in found],
        "passages": [one.passages for one in found],
        "outline": [one.outline for one in found],
        "hidden": np.array([one.hidden for one in found], bool),
    }
    return {name: ("proposal", values) for name, values in columns.items()}
