"""The stored tables (atomic/tables/*.npz); their making and sources are told in tables/README.md."""

from functools import cache
from importlib.resources import files

import numpy as np


@cache
def table(name: str) -> dict[str, np.ndarray]:
    """Return the arrays of tables/`name`.npz, read once and write-protected."""
    with (files("velatura.atomic") / "tables" / f"{name}.npz").open("rb") as stream, np.load(stream) as stored:
        arrays = {key: stored[key] for key in stored.files}
    for array in arrays.values():
        array.flags.writeable = False
    return arrays
