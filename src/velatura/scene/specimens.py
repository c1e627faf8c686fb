"""Real materials that are no pigments: alloys, minerals, stone, glass, ceramics, soil, with published compositions.

They test the answer "unknown": no network is trained on them, and none is made up as those of `strangers` are. Some
hold nothing but elements of pigments; what lines alone cannot tell from library pigments is named, not hidden.
"""

import csv
from functools import cache
from importlib.resources import as_file, files
from typing import NamedTuple

from velatura.physics.material import Material, Materials, material, read_materials

TABLE = files("velatura.scene") / "tables" / "specimens.csv"


class Specimen(NamedTuple):
    """One such material."""

    material: Material
    """Of kind pigment, so that it can be drawn as one, or as a piece, by the sampler."""
    family: str
    """alloy, mineral, stone, glass, ceramic or soil."""
    twins: tuple[str, ...]
    """XRF classes which, together, show the same lines in an ordinary scan; none: nothing in the library does."""
    source: str
    """Where the composition is from."""

    @property
    def mixes(self) -> bool:
        """Whether it can be ground and stirred into paint; alloys lie by themselves."""
        return self.family != "alloy"


@cache
def specimens() -> tuple[Specimen, ...]:
    """Return all specimens, in the order of scene/tables/specimens.csv."""
    table, rows = specimen_table(), csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines())
    return tuple(
        Specimen(
            material(row["id"], table), row["family"], tuple(name for name in row["twins"].split(";") if name),
            row["source"],
        )
        for row in rows
    )  # fmt: skip


@cache
def specimen_table() -> Materials:
    """Return our table of materials with the specimens added, for `Sampling.table` and `Paint.table`."""
    with as_file(TABLE) as path:
        return read_materials(path)
