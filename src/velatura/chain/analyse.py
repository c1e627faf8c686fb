"""The main job: energy axis, elements, clusters and pigments of a workspace, in this order, from the first missing."""

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from velatura.base.progress import Progress, silent
from velatura.base.workspace import Workspace, read_cube
from velatura.chain.axis import axis_is_trusted, settle_axis
from velatura.chain.identify import can_identify, map_pigments
from velatura.chain.steps import map_elements, map_segments
from velatura.tasks.elements import Elements
from velatura.tasks.identify import Identification
from velatura.tasks.segment import Segmentation


@dataclass(frozen=True)
class Analysis:
    """What an analysis does. The defaults suit a painting."""

    calibration: str = "auto"
    """Energy axis: auto (the file's, else found), file, find, or points channel=keV such as 640=6.404,1055=10.551."""
    anode: str | None = None
    """Anode of the tube, e.g. Rh, where the file does not say it."""
    elements: Elements = field(default_factory=Elements)
    segmentation: Segmentation = field(default_factory=Segmentation)
    identification: Identification = field(default_factory=Identification)
    seed: int = 0
    """Start of all chance; the same seed gives the same result."""


def analyse(
    workspace: Workspace,
    plan: Analysis = Analysis(),
    *,
    mask: np.ndarray | None = None,
    progress: Progress = silent,
) -> xr.Dataset:
    """Calibrate, map elements, segment and identify; returns the result of `segment`. Steps that are done stay.

    Where no energy axis can be found the clusters are still made, on the nominal axis; elements and pigments are then
    left out.
    """
    settle_axis(workspace, plan.calibration, anode=plan.anode, progress=progress)
    trusted = axis_is_trusted(read_cube(workspace))
    if trusted:
        map_elements(workspace, plan.elements, progress=progress)
    segments = map_segments(workspace, plan.segmentation, seed=plan.seed, mask=mask, progress=progress)
    if trusted and can_identify(plan.identification):
        map_pigments(workspace, plan.identification, seed=plan.seed, progress=progress)
    return segments
