"""Reading a result of `velatura identify`: which pigments were found, where, and what decided."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.physics.material import materials
from velatura.report.panels import along, opened
from velatura.report.pigment_names import member_colour, spoken_markers, spoken_members

PAINTS = ("visible", "hidden")
DIMS = ("paint", "xrf_class", "y", "x")
USUAL_THRESHOLD = 0.5
DECIDING = re.compile(r"([A-Z][a-z]?-[KLM][abgm]?) ([+-]?\d+(?:\.\d+)?)")
MASS = "refined_mass"  # column of the table
MOST_MARKERS = 3
"""Elements named in a title."""
SHOWN, FEWEST = 0.01, 3
"""Share of the pixels in which a group must be found to be drawn, and groups that are drawn however small."""


@dataclass(frozen=True)
class PigmentGroup:
    """Pigments of one XRF class that were found."""

    number: int
    """Place along `class` in the result."""
    name: str
    """Of the XRF class."""
    title: str
    """Members in words: "azurite or malachite"."""
    elements: str
    """What marks them: "copper"."""
    members: tuple[str, ...]
    colour: tuple[float, float, float]
    """Of the first member, sRGB 0 to 1."""
    thresholds: tuple[float, float]
    """Probability from which it counts as found, visible and hidden."""
    pixels: tuple[int, int]
    """Pixels in which it was found, visible and hidden."""
    flag: str = ""
    """What a reader should know, e.g. that it lies outside the period."""

    @property
    def large(self) -> int:
        """Pixels of the paint in which it was found more often."""
        return max(self.pixels)


@dataclass(frozen=True)
class Evidence:
    """One row of the table of evidence, as it is read."""

    region: str
    paint: str
    """Empty for what is unknown."""
    xrf_class: str
    title: str
    elements: str
    pixels: int
    """Of the region."""
    found: float
    """Share of them in which it is found."""
    probability: float
    """Mean over them."""
    probability_of_sum: float
    """Of the region's summed spectrum; NaN for what is unknown."""
    lines: tuple[tuple[str, float], ...]
    """Deciding lines of the summed spectrum, and by how much the logit falls without each."""
    net_counts: str
    share: float
    share_deviation: float
    flags: str
    mass: tuple[float, float, float]
    """Of the class per area [mg/cm2] by a fit of the whole spectrum, and the ends of its interval; NaN without one."""
    hidden_layer: str
    """Whether that fit needs a paint beneath: needed, not needed, cannot be told; empty without one."""


def check(identify: xr.Dataset) -> None:
    """Raise InputError when this is no result of `velatura identify`."""
    dims = identify.probability.dims if "probability" in identify else ()
    if dims != DIMS:
        raise InputError(
            f"pigment maps need `probability` along paint, xrf_class, y, x; found {tuple(dims) or 'none'}. "
            "Make them again: velatura identify WORKSPACE"
        )
    if identify.sizes["paint"] != len(PAINTS):
        raise InputError(f"pigment maps have two paints, visible and hidden; found {identify.sizes['paint']}")


def probability(identify: xr.Dataset, number: int, paint: int) -> np.ndarray:
    """Return the probabilities of one class in one paint, float32 [y, x], NaN where nothing was asked."""
    image = np.asarray(identify.probability[paint, number].values, np.float32)
    return np.where(looked_at(identify), image, np.nan)


def looked_at(identify: xr.Dataset) -> np.ndarray:
    """Return which pixels were identified, bool [y, x]."""
    return identify.answered.values.astype(bool) if "answered" in identify else np.isfinite(identify.hidden.values)


def found_groups(identify: xr.Dataset) -> list[PigmentGroup]:
    """Return the groups that were found in any pixel, in order of their area; raises InputError for another result."""
    check(identify)
    columns = zip(*(along(identify, name, "xrf_class") for name in ("xrf_class", "members", "markers")), strict=True)
    rows = [
        PigmentGroup(
            number=number,
            name=name,
            title=spoken_members(listed(members)) or name,
            elements=spoken_markers(listed(markers)[:MOST_MARKERS]),
            members=listed(members),
            colour=member_colour(listed(members)),
            thresholds=thresholds(identify, number),
            pixels=pixels_found(identify, number),
            flag=period_flag(identify, number, listed(members)),
        )
        for number, (name, members, markers) in enumerate(columns)
    ]
    return sorted((group for group in rows if group.large), key=lambda group: -group.large)


def by_size(groups: Sequence[PigmentGroup], *, asked: int) -> tuple[list[PigmentGroup], list[PigmentGroup]]:
    """Return the groups that are drawn and those that are only named, largest first; asked: pixels identified.

    What has a flag, such as a pigment outside the period, is drawn however small it is: a retouch is.
    """
    large = [place < FEWEST or bool(group.flag) or group.large >= SHOWN * asked for place, group in enumerate(groups)]
    pairs = list(zip(groups, large, strict=True))
    return [group for group, drawn in pairs if drawn], [group for group, drawn in pairs if not drawn]


def pixels_found(identify: xr.Dataset, number: int) -> tuple[int, int]:
    """Return in how many pixels a class was found, visible and hidden."""
    visible, hidden = (int(image.sum()) for image in found_pixels(identify, number))
    return visible, hidden


def period_flag(identify: xr.Dataset, number: int, members: Sequence[str]) -> str:
    """Return why a class does not belong to the period that was asked for; empty where it does, or none was."""
    if "outside_period" not in identify or not bool(identify.outside_period.values[number]):
        return ""
    asked = opened(identify.attrs.get("parameters", {}))
    period = asked.get("period") if isinstance(asked, dict) else None
    known = [materials()[name].period for name in members if name in materials()]
    first = min((begin for begin, _ in known), default=-np.inf)
    last = max((end for _, end in known), default=np.inf)
    told = f"outside the period{f' {period}' if period else ''}"
    if np.isfinite(first) and first > 0 and (not period or first > _last_year(str(period))):
        return f"not before {first:.0f}, {told}: a retouch?"
    return f"not after {last:.0f}, {told}" if np.isfinite(last) else told


def _last_year(period: str) -> float:
    try:
        return float(period.rsplit("-", 1)[-1])
    except ValueError:
        return np.inf


def evidence_rows(identify: xr.Dataset) -> list[Evidence]:
    """Return the table of evidence in the order of the result; empty where it has none."""
    rows = opened(identify.attrs.get("evidence", ()))
    names = along(identify, "xrf_class", "xrf_class")
    groups = {name: number for number, name in enumerate(names)}
    members, markers = (along(identify, name, "xrf_class") for name in ("members", "markers"))
    told = []
    for row in rows if isinstance(rows, list) else ():
        number = groups.get(str(row.get("xrf_class")))
        told.append(
            Evidence(
                region=str(row.get("region", "")),
                paint=str(row.get("paint", "")),
                xrf_class=str(row.get("xrf_class", "")),
                title=str(row.get("pigments", "")) if number is None else spoken_members(listed(members[number])),
                elements="" if number is None else spoken_markers(listed(markers[number])[:MOST_MARKERS]),
                pixels=int(row.get("pixels", 0)),
                found=_number(row.get("found")),
                probability=_number(row.get("probability")),
                probability_of_sum=_number(row.get("probability_of_sum")),
                lines=deciding(str(row.get("deciding_lines", ""))),
                net_counts=str(row.get("net_counts", "")),
                share=_number(row.get("share")),
                share_deviation=_number(row.get("share_deviation")),
                flags=str(row.get("flags", "")),
                mass=(_number(row.get(MASS)), _number(row.get(f"{MASS}_low")), _number(row.get(f"{MASS}_high"))),
                hidden_layer=str(row.get("hidden_layer", "")),
            )
        )
    return told


def deciding(written: str) -> tuple[tuple[str, float], ...]:
    """Return lines with their weights from a text; what is no line is left out.

    >>> deciding("Hg-La +4.2, Zn-Ka -0.3")
    (('Hg-La', 4.2), ('Zn-Ka', -0.3))
    """
    return tuple((name, float(weight)) for name, weight in DECIDING.findall(written))


def best_evidence(rows: Sequence[Evidence], group: PigmentGroup) -> Evidence | None:
    """Return the row in whose region a group fills most pixels, of the paint in which it is found more often."""
    paint = PAINTS[int(group.pixels[1] > group.pixels[0])]
    own = [row for row in rows if row.xrf_class == group.name and row.paint == paint and row.lines]
    return max(own, key=lambda row: row.found * row.pixels, default=None)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def found_pixels(identify: xr.Dataset, number: int) -> np.ndarray:
    """Return where a class was found, bool [paint, y, x]."""
    images, answered = identify.probability[:, number].values, looked_at(identify)
    levels = np.array(thresholds(identify, number), images.dtype)
    return (images >= levels[:, None, None]) & answered


def thresholds(identify: xr.Dataset, number: int) -> tuple[float, float]:
    """Return the probabilities from which a class counts as found, visible and hidden."""
    if "threshold" not in identify:
        return USUAL_THRESHOLD, USUAL_THRESHOLD
    visible, hidden = identify.threshold.transpose("paint", "xrf_class").values[:, number]
    return float(visible), float(hidden)


def listed(stored: str) -> tuple[str, ...]:
    """Return the names in a text "Cu, As"."""
    return tuple(part.strip() for part in stored.split(",") if part.strip())
