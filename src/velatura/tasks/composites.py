"""Composite maps beside a segmentation: joins of clusters that share a signature, and what they announce as hidden."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from velatura.atomic.lines import groups_of
from velatura.base.progress import Progress, silent
from velatura.cluster.composite import Composite, Proposals, propose
from velatura.cluster.signals import SURFACE_BAND, measure_signals
from velatura.spectra.explain import Found
from velatura.spectra.families import families_of
from velatura.spectra.proposal import propose as propose_elements
from velatura.spectra.response import Detector
from velatura.spectra.summary import summarise
from velatura.tasks.cluster_spectra import cluster_spectra

HALF_WIDTH = 0.6  # of the FWHM, each side of a line
MOST_LINES = 20
FLANK, FAINT = 0.45, 0.02  # keV to a stronger line, and the share of its counts below which a line is left out


def composite_maps(
    cube: xr.Dataset, maps: xr.Dataset, *, proposals: int = 10, seed: int = 0, progress: Progress = silent
) -> xr.Dataset:
    """Return the result of `segment` with composite maps beside it, as docs/results.md describes.

    cube: the scan that `maps` were made from; proposals: at most that many. Where the scan shows no line above the
    soft band there are none. Besides: `passage` int16 [y, x], the visible passages as soft lines tell them apart, and
    `stacks` int16 [y, x], numbers of a passage with what is announced as hidden under it; -1 outside the used pixels.
    """
    energy, used = cube.energy.values, maps.used.values
    windows = line_windows(cube, progress=progress)
    proposed = Proposals((), np.where(used, 0, -1).astype(np.int16))
    if windows:
        proposed = propose(
            maps.membership.values,
            measure_signals(cube.counts.data, energy, windows, progress=progress),
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


def line_windows(cube: xr.Dataset, *, progress: Progress = silent) -> Mapping[str, tuple[float, float]]:
    """Return windows [keV] at the main lines of the elements that the scan shows, above the soft band.

    Of heavy elements (L lines) the second strongest group has a window too, which tells them from their neighbours.
    """
    attributes, energy = cube.counts.attrs, cube.energy.values
    known = {name: attributes[name] for name in ("noise", "fano") if attributes.get(name)}
    detector = Detector(**known)
    proposal = propose_elements(
        cube,
        summarise(cube, progress=progress),
        detector=detector,
        anode=attributes.get("anode"),
        tube_voltage=attributes.get("tube_voltage"),
        progress=progress,
    )
    lowest, highest = SURFACE_BAND[1], float(min(energy[-1], proposal.explanation.energy[-1]))
    windows = {}
    for found in _clear(proposal.found):
        for family in families_of(found.element, window=(lowest, highest))[:1]:
            second = [line for line in groups_of(found.element) if line.name == f"{found.element}-Lb"]
            for line in (family.main, *(second if family.kind == "L" else ())):
                half = HALF_WIDTH * float(detector.fwhm(line.energy))
                if lowest < line.energy - half and line.energy + half < highest:
                    windows[line.name] = (line.energy - half, line.energy + half)
    return dict(list(windows.items())[:MOST_LINES])


def _clear(proposed: tuple[Found, ...]) -> list[Found]:
    """Leave out the tube's own elements, and lines on the flank of one that is far stronger: they carry its signal."""
    sample = [found for found in proposed if found.role == "sample"]
    return [
        found
        for found in sample
        if all(abs(found.energy - near.energy) > FLANK or found.counts > FAINT * near.counts for near in sample)
    ]


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
