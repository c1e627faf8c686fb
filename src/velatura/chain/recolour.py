"""From a workspace to its colours: how the painting may have looked, stored as maps/recolour."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import xarray as xr

from velatura.base.progress import Progress, silent
from velatura.base.workspace import Workspace, list_maps, read_cube, read_maps
from velatura.chain.identify import pigments_of
from velatura.chain.steps import axis_of, file_hash, settled
from velatura.tasks.recolour_cube import Recolouring, recolour_cube

RESULT = "recolour"


def map_colours(
    workspace: Workspace,
    config: Recolouring = Recolouring(),  # noqa: B008
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> xr.Dataset:
    """Return the colours of a workspace's cube (docs/results.md, maps/recolour), with those of a hidden paint.

    What lies beneath, and what no scan can show, comes from the workspace's `identify`, where there is one. An earlier
    result of the same inputs is returned. Raises InputError where there are no weights.
    """
    cube, pigments = read_cube(workspace), pigments_of(workspace)
    inputs = inputs_of(cube, pigments, config, seed=seed)
    options = {"pigments": pigments, "seed": seed, "progress": progress}
    return settled(workspace, RESULT, inputs, make=lambda: recolour_cube(cube, config, **options))


def inputs_of(cube: xr.Dataset, pigments: xr.Dataset | None, config: Recolouring, *, seed: int) -> dict[str, Any]:
    """Return what the colours of a cube are made from, by which an earlier result is known to be of the same."""
    return {
        "config": asdict(config),
        "weights": [file_hash(path) for path in weights_of(config)],
        "seed": seed,
        "axis": axis_of(cube),
        "pigments": None if pigments is None else pigments.attrs.get("inputs"),
    }


def weights_of(config: Recolouring) -> list[Path]:
    """Return the files of weights of the model and its embedding, as far as they are there."""
    from velatura.tasks.embedding_model import shipped_embedder
    from velatura.tasks.recolour_model import shipped
    from velatura.train.weights import read_card

    model = shipped(config.model) or Path(config.model)
    if not model.is_file():
        return []
    name = config.embedding or str(read_card(model).architecture.get("embedder", ""))
    embedding = shipped_embedder(name) or Path(name)
    return [model, embedding] if embedding.is_file() else [model]


def can_recolour(config: Recolouring) -> bool:
    """Tell whether there are weights: those asked for by name may have been left out of a package."""
    from velatura.tasks.recolour_model import SHIPPED

    return len(weights_of(config)) == 2 or config.model not in SHIPPED


def colours_of(workspace: Workspace) -> xr.Dataset | None:
    """Return the stored colours of a workspace; None where there are none."""
    return read_maps(workspace, RESULT) if RESULT in list_maps(workspace) else None
