"""The demonstration: a simulated panel with a hidden figure goes through the whole chain and is scored by its truth."""

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
from velatura.report.content import DemoTruth, TruthPassage
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
    report = make_report(workspace, truth=truth_beside(panel.truth, maps, scores))
    return Demonstration(report, maps, scores, pigments_of(workspace))


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


def truth_beside(truth: xr.Dataset, maps: xr.Dataset, scores: dict) -> DemoTruth:
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
    return DemoTruth(truth.rgb.values, truth.hidden_rgb.values, passages, tuple(rows))
