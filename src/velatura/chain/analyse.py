"""The main job on a workspace: energy axis, elements, clusters, pigments, colours, from the first that is missing."""

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from velatura.base.progress import Progress, silent
from velatura.base.workspace import Workspace, read_cube
from velatura.chain.axis import axis_is_trusted, settle_axis
from velatura.chain.identify import can_identify, map_pigments
from velatura.chain.recolour import can_recolour, map_colours
from velatura.chain.steps import map_elements, map_segments
from velatura.tasks.elements import Elements
from velatura.tasks.identify import Identification
from velatura.tasks.recolour_cube import Recolouring
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
    recolouring: Recolouring = field(default_factory=Recolouring)
    seed: int = 0
    """Start of all chance; the same seed gives the same result."""


def analyse(
    workspace: Workspace,
    plan: Analysis = Analysis(),
    *,
    mask: np.ndarray | None = None,
    progress: Progress = silent,
) -> xr.Dataset:
    """Calibrate, map elements, segment, identify, recolour; returns the result of `segment`. Steps that are done stay.

    Where no energy axis can be found the clusters are still made, on the nominal axis; elements, pigments and colours
    are then left out. So are pigments and colours in a package without weights.
    """
    settle_axis(workspace, plan.calibration, anode=plan.anode, progress=progress)
    trusted = axis_is_trusted(read_cube(workspace))
    if trusted:
        map_elements(workspace, plan.elements, progress=progress)
    segments = map_segments(workspace, plan.segmentation, seed=plan.seed, mask=mask, progress=progress)
    if trusted and can_identify(plan.identification):
        map_pigments(workspace, plan.identification, seed=plan.seed, progress=progress)
    if trusted and can_recolour(plan.recolouring):
        map_colours(workspace, plan.recolouring, seed=plan.seed, progress=progress)
    return segments
