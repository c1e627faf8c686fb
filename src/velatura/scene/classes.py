"""The XRF classes: pigments that an ordinary scan cannot tell apart, as the labels of identification.

Copper blues and greens without a second element are one class, lead whites and reds another, and so on. The classes are
a column of tables/pigments.csv (grouping after Jones et al., Heritage Science 10 (2022) 88, Table 1, and extended).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from velatura.base.errors import InputError, did_you_mean
from velatura.physics.material import Materials, material, materials

INVISIBLE = ("light", "none")  # lakes, ultramarines, clay; organics and carbon: no line of their own in air


class XrfClass(NamedTuple):
    """Pigments that share their lines."""

    name: str
    """As in the table: the elements to look for, joined by hyphens."""
    members: tuple[str, ...]
    """Identifiers of the pigments, in the order of the table."""
    markers: tuple[str, ...]
    """Elements that mark every member; none for what cannot be seen."""
    visible: bool
    """Whether a spectrum taken in air can show it."""


def xrf_classes(table: Materials | None = None) -> tuple[XrfClass, ...]:
    """Return the classes of a table (by default ours: 46), in the order in which it first names them.

    A pigment without a class (a user's own) is a class of its own, after the name of the pigment.
    """
    found: dict[str, list[str]] = {}
    table = materials() if table is None else table
    for name, row in table.items():
        if row.kind == "pigment":
            found.setdefault(row.xrf_class or name, []).append(name)
    return tuple(
        XrfClass(name, tuple(members), _shared_markers(members, table), name not in INVISIBLE)
        for name, members in found.items()
    )


def class_matrix(pigments: Sequence[str], classes: Sequence[XrfClass], *, table: Materials | None = None) -> np.ndarray:
    """Return float32 [pigment, class]: 1 where a pigment belongs to a class, one in each row.

    `amounts @ class_matrix(...)` adds up what the members of each class hold. Raises InputError for a pigment that is
    in none of the classes.
    """
    owner = {member: number for number, row in enumerate(classes) for member in row.members}
    matrix = np.zeros((len(pigments), len(classes)), np.float32)
    for row, name in enumerate(pigments):
        if material(name, table).name not in owner:
            raise InputError(f"the pigment {name!r} is in none of the {len(classes)} XRF classes. Use xrf_classes")
        matrix[row, owner[name]] = 1.0
    return matrix


def restricted(
    classes: Sequence[XrfClass], *, palette: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[XrfClass, ...]:
    """Return the same classes in the same order, with only the members that a user allows; some may have none left.

    palette: pigments or whole classes that may occur; none: all may. exclude: pigments or classes that may not.
    Raises InputError with a near miss for unknown names, and when nothing is left.
    """
    allowed = _named(palette, classes) if palette else _named([row.name for row in classes], classes)
    allowed -= _named(exclude, classes)
    if not allowed:
        raise InputError("the palette leaves no pigment: all of it is excluded. Exclude less, or name more")
    return tuple(row._replace(members=tuple(name for name in row.members if name in allowed)) for row in classes)


def _named(names: Sequence[str], classes: Sequence[XrfClass]) -> set[str]:
    """Pigments that are meant by names of pigments and of classes."""
    groups = {row.name: row.members for row in classes}
    known = {member: (member,) for row in classes for member in row.members} | groups
    for name in names:
        if name not in known:
            raise InputError(f"no pigment or XRF class {name!r}{did_you_mean(name, known)}")
    return {member for name in names for member in known[name]}


def _shared_markers(members: Sequence[str], table: Materials) -> tuple[str, ...]:
    rows = [table[name].markers for name in members]
    return tuple(element for element in rows[0] if all(element in row for row in rows))
