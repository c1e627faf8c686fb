"""Parameters that several verbs share, written once."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from velatura.base.workspace import Workspace, read_cube
from velatura.io.mask import read_mask
from velatura.io.options import ReadOptions

Scan = Annotated[Path, Parameter(help="A scan (.rpl/.raw, .bcf, .h5, .npy, .npz, a folder of .mca) or a workspace.")]
Output = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], help="The workspace to make; by default the scan's name with .zarr."),
]
Reading = Annotated[ReadOptions, Parameter(name="*", group="Reading the scan")]
Mask = Annotated[
    Path | None, Parameter(name="--mask", help="Image of the scan's size: bright pixels are used, black ones left out.")
]
Seed = Annotated[int, Parameter(name="--seed", help="Start of all chance; the same seed gives the same result.")]


def mask_for(workspace: Workspace, path: Path | None) -> np.ndarray | None:
    """Read the user's mask for the cube of a workspace; None stays None."""
    return None if path is None else read_mask(path, read_cube(workspace).valid.shape)
