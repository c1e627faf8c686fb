"""The demonstration: a simulated panel with a hidden figure goes through the whole chain and is scored by its truth."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.base.workspace import Workspace, create_workspace, is_workspace, open_workspace, read_cube
from velatura.chain.analyse import Analysis, analyse
from velatura.chain.identify import pigments_of
from velatura.chain.page import ReportFiles, make_report
from velatura.chain.recolour import colours_of
from velatura.report.content import DemoTruth, FoundColours, TruthPassage
from velatura.scene.phantom import Phantom, phantom
from velatura.scene.truth import score

FIRST_MAPS = 10  # maps that a user looks at: the proposals, then the clusters


class Demonstration(NamedTuple):
    """What the demo made and how well it did."""

    report: ReportFiles
    maps: xr.Dataset
    """The result of `segment`."""
    scores: dict
    """As `scene.truth.score` returns them."""
    pigments: xr.Dataset | None
    """The result of `identify`; None in a package without weights."""
    colours: xr.Dataset | None
    """The result of `recolour`; None in a package without weights."""
    colour_scores: tuple[str, ...]
    """How near the colours come to the true ones, in words."""


def demonstrate(
    folder: Path, *, counts: float = 5000, hidden: bool = True, seed: int = 0, progress: Progress = silent
) -> Demonstration:
    """Simulate the panel, analyse it without its truth, score the maps with it, and write the report into `folder`.

    counts: mean counts a pixel; hidden: False paints no figure underneath. Raises InputError when `folder` holds a
    panel with other settings.
    """
    panel = phantom(counts=counts, hidden=hidden, rng=np.random.default_rng(seed))
    workspace = panel_workspace(folder, panel, f"simulated panel, {counts:g} counts a pixel, seed {seed}, {hidden=}")
    maps = analyse(workspace, Analysis(seed=seed), progress=progress)
    scores = score(maps, panel.truth, first=FIRST_MAPS)
    colours = colours_of(workspace)
    beside = truth_beside(panel.truth, maps, scores, colours=colours)
    report = make_report(workspace, truth=beside)
    told = tuple(f"recoloured {one.name.lower()}: {one.score}" for one in beside.colours)
    return Demonstration(report, maps, scores, pigments_of(workspace), colours, told)


def panel_workspace(folder: Path, panel: Phantom, source: str) -> Workspace:
    """Return the workspace of the panel, made when it is not there."""
    path = folder / "panel.zarr"
    if not is_workspace(path):
        folder.mkdir(parents=True, exist_ok=True)
        return create_workspace(path, panel.cube.assign(counts=panel.cube.counts.assign_attrs(source=source)))
    workspace = open_workspace(path)
    if (found := read_cube(workspace).counts.attrs.get("source")) != source:
        raise InputError(f"asked for a {source}; {folder} holds a {found}. Choose another folder: -o another-demo")
    return workspace


def truth_beside(truth: xr.Dataset, maps: xr.Dataset, scores: dict, *, colours: xr.Dataset | None = None) -> DemoTruth:
    """Return the truth beside what was found, for the report."""
    names = [*(maps.proposal.values if "proposal" in maps.dims else ()), *maps.cluster.values]
    labels = list(truth.hidden.attrs["names"])
    passages = tuple(
        TruthPassage(
            name=name,
            truth=(truth.hidden.values == labels.index(name)).astype(np.float32),
            found=str(names[found["map"]]),
            score=f"correlation {found['correlation']:.2f}, area under curve {found['area_under_curve']:.2f}",
        )
        for name, found in scores["hidden"].items()
    )
    rows = [("agreement of clusters with visible x hidden (adjusted Rand index)", f"{scores['ari']:.2f}")]
    if passages:
        rows += [
            ("hidden passages, mean best correlation", f"{scores['correlation']:.2f}"),
            ("hidden passages, mean area under curve", f"{scores['area_under_curve']:.2f}"),
        ]
    rows += [("maps announced as hidden", str(scores["announced"]))]
    return DemoTruth(truth.rgb.values, truth.hidden_rgb.values, passages, tuple(rows), colours_beside(truth, colours))


def colours_beside(truth: xr.Dataset, colours: xr.Dataset | None) -> tuple[FoundColours, ...]:
    """Return true colours beside recoloured ones, with their scores in words; beneath, only where a figure lies."""
    if colours is None:
        return ()
    found = [colour_score("Surface", truth.rgb.values, colours.rgb.values)]
    figure = truth.hidden.values > 0
    if "hidden_rgb" in colours and figure.any():
        beneath = np.where(figure[..., None], colours.hidden_rgb.values, np.float32(np.nan))
        one = colour_score("Figure beneath", truth.hidden_rgb.values, beneath, where=figure)
        found.append(replace(one, found=colours.hidden_rgb.values))
    return tuple(found)


def colour_score(name: str, truth: np.ndarray, found: np.ndarray, *, where: np.ndarray | None = None) -> FoundColours:
    """Return colours [y, x, 3] beside the true ones with their mean CIEDE2000, and that of the one mean true colour.

    where: pixels that are scored, bool [y, x]; None: all.
    """
    from velatura.imaging.colour import colour_difference, srgb_to_lab

    asked = np.ones(truth.shape[:2], bool) if where is None else where
    there = asked & np.isfinite(found).all(axis=-1)
    if not there.any():
        return FoundColours(name, truth, found, "no pixel has a colour")
    true = srgb_to_lab(truth[there])
    error = colour_difference(true, srgb_to_lab(found[there])).mean()
    flat = colour_difference(true, true.mean(axis=0)).mean()
    words = f"mean CIEDE2000 {error:.1f} (one mean colour everywhere: {flat:.1f})"
    share = there.sum() / asked.sum()
    return FoundColours(name, truth, found, words if share > 0.995 else f"{words}, in {share:.0%} of its pixels")
