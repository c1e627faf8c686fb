"""What a user knows of a painting, its period and palette, and how the network's answers are read in its light.

The period is a prior, never a filter: a pigment that was not yet, or no longer, in use needs stronger evidence, and is
flagged where it is found all the same (titanium white in a 17th-century painting is a retouch). So is habit: cobalt
green was always rare beside cobalt blue and zinc white, which together show the same elements. Which classes are
seldom met is our reading of Artists' Pigments I-IV (1986-2007) and of Eastaugh et al., Pigment Compendium (2008).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from velatura.base.errors import InputError
from velatura.physics.material import material
from velatura.scene.classes import XrfClass, restricted

if TYPE_CHECKING:
    from velatura.tasks.pigment_model import Answers, PigmentModel

SELDOM = 5.0  # by which the odds of a class are divided whose pigments are seldom met in paintings
RARE = frozenset({"Sb", "Zn-Cr", "Sr-Cr", "Ba-Cr", "Pb-Cr-Mo", "Br", "Cu-Ba", "Ba-Mn", "Fe-P", "Cu-Cl", "Zn-Co", "Sn"})
OUTSIDE = 20.0  # by which the odds of a class are divided when none of its members was in use
STRANGE = 0.99  # share of spectra of pigments that are less strange than what counts as unknown (conformal, 1 %)
NAMED = 4  # members of a group that are named, the others are counted


class Rules(NamedTuple):
    """How answers are read; arrays [class] and [paint, class] in the order of the model's classes."""

    classes: tuple[XrfClass, ...]
    """With only the members that the palette allows."""
    in_use: tuple[tuple[str, ...], ...]
    """Of these, the members that were in use in the period."""
    allowed: np.ndarray
    """Whether a class may be answered at all, bool [class]."""
    outside: np.ndarray
    """Whether none of its members was in use, bool [class]."""
    seldom: np.ndarray
    """Whether its pigments are seldom met in paintings and the palette does not ask for them, bool [class]."""
    thresholds: np.ndarray
    """Probability from which a class counts as found, float32 [paint, class]."""
    sure: np.ndarray
    """The same where nothing else explains the spectrum as well, float32 [paint, class]."""
    unknown_threshold: float


def rules_for(
    model: "PigmentModel",
    *,
    period: tuple[float, float] | None = None,
    palette: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Rules:
    """Return the rules of a painting: period in years, palette and exclude as names of pigments or classes.

    Raises InputError with a near miss for unknown names, and when the palette leaves nothing that can be seen.
    """
    classes = restricted(model.classes, palette=palette, exclude=exclude)
    in_use = tuple(tuple(name for name in row.members if used_in(name, period)) for row in classes)
    allowed = np.array([row.visible and bool(row.members) for row in classes])
    if not allowed.any():
        raise InputError("none of the allowed pigments has an element that a scan shows. Name more of them")
    outside = np.array([not names for names in in_use]) & allowed
    seldom = np.array([row.name in RARE and not palette for row in classes])
    return Rules(classes, in_use, allowed, outside, seldom, model.thresholds, model.sure, model.unknown_threshold)


def read_answers(answers: "Answers", rules: Rules) -> tuple["Answers", np.ndarray]:
    """Return answers in the light of the rules, and whether each spectrum counts as unknown, bool [n].

    The networks were taught with all pigments equally often. So the odds of classes that are seldom met are divided by
    5, and those of classes outside the period by 20; classes that are not allowed get 0, and spectra that speak for one
    of them count as unknown, as do those of which the network says so and those that are stranger than 99 % of the
    spectra of pigments.
    """
    read = np.where(rules.allowed, answers.probability, np.float32(0))
    against_it = np.where(rules.outside, OUTSIDE, 1.0) * np.where(rules.seldom, SELDOM, 1.0)
    read = (read / (read + against_it * (1 - read))).astype(np.float32)
    excluded = np.array([row.visible for row in rules.classes]) & ~rules.allowed
    said = answers.probability[..., excluded]
    against = np.where(said >= rules.thresholds[:, excluded], said, 0).max(axis=(1, 2), initial=0)
    unknown = np.maximum(answers.unknown, against)
    foreign = (answers.unknown >= rules.unknown_threshold) | (against > 0) | (answers.strangeness > STRANGE)
    return answers._replace(probability=read, unknown=unknown), foreign


def group_names(rules: Rules) -> tuple[str, ...]:
    """Return for each class what it can be called: "azurite or malachite: Cu", "vermilion: Hg"."""
    return tuple(
        _joined(used or row.members) + (f": {', '.join(row.markers)}" if row.markers else "")
        for row, used in zip(rules.classes, rules.in_use, strict=True)
    )


def invisible_names(rules: Rules) -> tuple[str, ...]:
    """Return titles of the pigments that no scan in air can show, of those that may occur in the period."""
    pairs = zip(rules.classes, rules.in_use, strict=True)
    return tuple(spoken(name) for row, used in pairs if not row.visible for name in used)


def used_in(name: str, period: tuple[float, float] | None) -> bool:
    """Tell whether a pigment was in use in some year of a period; None: any."""
    first, last = material(name).period
    return period is None or (first <= period[1] and last >= period[0])


def _joined(members: Sequence[str]) -> str:
    titles = [spoken(name) for name in members]
    if len(titles) > NAMED:
        titles = [*titles[: NAMED - 1], f"{len(titles) - NAMED + 1} others"]
    return " or ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def spoken(name: str) -> str:
    """Return a pigment's usual name as it stands inside a sentence."""
    title = material(name).title
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def years(period: str | None) -> tuple[float, float] | None:
    """Read a period such as 1600-1650 or 1880; None stays None. Raises InputError for anything else.

    >>> years("1880-1905")
    (1880.0, 1905.0)
    """
    if period is None:
        return None
    try:
        first, last = (float(part) for part in (period if "-" in period[1:] else f"{period}-{period}").rsplit("-", 1))
    except ValueError:
        raise InputError(f"a period is two years like 1600-1650; found {period!r}") from None
    if not first <= last:
        raise InputError(f"a period runs from the earlier to the later year; found {period!r}")
    return first, last
