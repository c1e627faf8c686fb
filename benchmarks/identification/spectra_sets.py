"""Sets of simulated spectra with their truth: tests from groups that training never sees, and others for baselines.

A set is drawn once and kept in the folder of the caller; the same bank, numbers and seed give the same set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from velatura.scene.classes import XrfClass, xrf_classes
from velatura.scene.sources import SourceGroup, SourcePlan, read_group, split
from velatura.scene.training import Drawn, decidable, draw

DOSES = {"1e3": (1e3, 1e3), "1e4": (1e4, 1e4), "1e5": (1e5, 1e5), "2e3-5e4": (2e3, 5e4)}
WIDE = (1e3, 1e5)
PER_DETECTOR = 128  # spectra that share one
SEEDS = {"1e3": 101, "1e4": 102, "1e5": 103, "2e3-5e4": 104, "fit": 105, "tune": 106, "bulk": 107, "mixed": 108}
UNKNOWN = -1  # the last column of labels: a material that is none of the classes


class Spectra(NamedTuple):
    """Spectra and what is in them; [paint, class]: visible and hidden paint, the classes and, last, what is none."""

    features: np.ndarray
    """Counts, float32 [spectrum, channel]."""
    condition: np.ndarray
    """float32 [spectrum, 8], zeros where the instrument is not told."""
    truth: np.ndarray
    """bool [spectrum, paint, class]"""
    mask: np.ndarray
    """What counts: absent, or there and detectable. bool [spectrum, paint, class]"""
    loose: np.ndarray
    """The same where other pigments of the library may explain a label as well."""
    share: np.ndarray
    """Volume share among the pigments of the paint, float32 [spectrum, paint, class]."""
    cover: np.ndarray
    """Mass of the visible paint's pigments [mg/cm2], float32 [spectrum]."""
    dose: np.ndarray
    """Expected counts, float32 [spectrum]."""
    group: np.ndarray
    """Number of the group (or, for specimens, of the specimen), int [spectrum]."""
    stack: np.ndarray
    """Number of the stack in its group, int [spectrum]."""

    def rows(self, chosen: np.ndarray) -> "Spectra":
        """Return some of the spectra."""
        return Spectra(*(part[chosen] for part in self))

    def told(self) -> np.ndarray:
        """Return whose instrument is told, bool [spectrum]."""
        return self.condition.any(axis=1)


def groups_there(bank: Path, plan: SourcePlan, *, use: str) -> tuple[int, ...]:
    """Return the numbers of the groups for a use (held_out, calibration, training) that the bank holds so far."""
    return tuple(number for number in getattr(split(plan), use) if (bank / f"{number:04d}.npz").is_file())


def drawn_set(bank: Path, numbers: Sequence[int], *, name: str, per_group: int, cache: Path) -> Spectra:
    """Return a set by its name, from the cache where it is."""
    path = cache / f"set-{name}-{len(numbers)}x{per_group}.npz"
    if path.is_file() and (known := relabelled(read_set(path), bank)) is not None:
        return known
    key, classes, parts = jax.random.key(SEEDS[name]), xrf_classes(), []
    for number in numbers:
        group = read_group(bank / f"{number:04d}.npz")
        for detector in range(-(-per_group // PER_DETECTOR)):
            drawn = draw(
                group, classes, min(per_group, PER_DETECTOR), counts=DOSES.get(name, WIDE),
                key=jax.random.fold_in(jax.random.fold_in(key, number), detector),
            )  # fmt: skip
            parts.append(of_drawn(drawn, np.full(len(drawn.dose), number)))
    return write_set(path, joined(parts))


def relabelled(spectra: Spectra, bank: Path) -> Spectra | None:
    """Return a stored set with the masks that the bank's evidence gives today; None where its stacks are others."""
    mask, loose = np.zeros_like(spectra.mask), np.zeros_like(spectra.mask)
    for number in np.unique(spectra.group):
        rows = spectra.group == number
        labels, stack = read_group(bank / f"{number:04d}.npz").labels, spectra.stack[rows]
        if not np.array_equal(labels.share[stack], spectra.share[rows]):
            return None
        _, mask[rows], loose[rows] = decidable(labels, xrf_classes(), stack, dose=spectra.dose[rows])
    return spectra._replace(mask=mask, loose=loose)


def of_drawn(drawn: Drawn, group: np.ndarray) -> Spectra:
    """Return what is scored of drawn spectra."""
    return Spectra(
        drawn.features, drawn.condition, drawn.labels, drawn.mask, drawn.seen, drawn.share,
        1e3 * drawn.mass_thickness[:, 0].sum(axis=1), drawn.dose, group, drawn.stack,
    )  # fmt: skip


def specimen_draw(group: SourceGroup, classes: Sequence[XrfClass], number: int, *, seed: int) -> Drawn:
    """Draw from a group whose label columns are `classes`, all of them named, at 2,000 to 50,000 counts."""
    return draw(group, tuple(classes[:-1]), number, counts=DOSES["2e3-5e4"], key=jax.random.key(seed))


def joined(parts: Sequence[Spectra]) -> Spectra:
    """Put sets together."""
    return Spectra(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def write_set(path: Path, spectra: Spectra) -> Spectra:
    """Write a set, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part.npz")
    np.savez(aside, **spectra._asdict())
    aside.replace(path)
    return spectra


def read_set(path: Path) -> Spectra:
    """Read a set."""
    with np.load(path) as file:
        return Spectra(*(file[name] for name in Spectra._fields))
