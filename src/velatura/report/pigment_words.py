"""What is said of pigments: findings, the words beside a group's maps, the table of evidence as CSV."""

import csv
import io
import json
from collections.abc import Sequence

import numpy as np
import xarray as xr

from velatura.report.findings import counted
from velatura.report.panels import number, opened, percent, sentences, text
from velatura.report.pigment_names import plain_title
from velatura.report.pigment_result import Evidence, PigmentGroup, listed, looked_at

MOST_TOLD = 6
"""Groups named in the first sentence."""
UNSEEN = "ultramarine, lakes, indigo and carbon black"


def pigment_finding(identify: xr.Dataset, groups: Sequence[PigmentGroup]) -> str:
    """Return which pigments were found, which of them beneath, and how much is unknown."""
    visible = [group for group in groups if group.pixels[0]]
    hidden = sorted((group for group in groups if group.pixels[1]), key=lambda group: -group.pixels[1])
    told = f"{counted(len(visible), 'group', 'groups')} of pigments {'was' if len(visible) == 1 else 'were'} found"
    told += f" in the visible paint{_named([group.title for group in visible])}."
    if hidden:
        told += f" Beneath it: {_listing([group.title for group in hidden])}."
    else:
        told += " None was found beneath it."
    asked = max(1, int(looked_at(identify).sum()))
    strange = float(identify.unexplained.values.sum()) / asked if "unexplained" in identify else 0.0
    return f"{told} In {percent(strange)} of the pixels something fits no pigment of the table." if strange else told


def group_words(group: PigmentGroup, best: Evidence | None, *, asked: int) -> tuple[str, ...]:
    """Return what stands beside the maps of a group; asked: pixels that were identified."""
    extents = [
        f"in {percent(pixels / max(1, asked))} of the pixels {where}"
        for pixels, where in zip(group.pixels, ("in the visible paint", "beneath"), strict=True)
        if pixels
    ]
    said = [f"Found {' and '.join(extents)}."]
    names = dict.fromkeys(map(plain_title, group.members))
    if len(names) > 1:
        said.append(f"X-rays do not tell these apart: {', '.join(names)}.")
    if best:
        lines = " and ".join(name for name, weight in best.lines[:2] if weight > 0)
        sure = (
            "" if np.isnan(best.probability_of_sum) else f"; the sum of the region says {best.probability_of_sum:.2f}"
        )
        said.append(
            f"In region {best.region} ({best.pixels:,} pixels) it is {best.paint} in {percent(best.found)} of the "
            f"pixels{sure}{f', decided by {lines}' if lines else ''}."
        )
        if np.isfinite(best.mass[0]):
            layer = f"; a paint beneath is {best.hidden_layer}" if best.hidden_layer.endswith("needed") else ""
            said.append(f"A fit of the region's whole spectrum finds {mass_words(best)} mg/cm² of it{layer}.")
    return tuple(said)


def mass_words(row: Evidence) -> str:
    """Return the fitted mass with the ends of its interval, "1.2 (0.9 to 1.6)"; empty where nothing was fitted."""
    value, low, high = row.mass
    if not np.isfinite(value):
        return ""
    return f"{number(value)} ({number(low)} to {number(high)})" if np.isfinite([low, high]).all() else number(value)


def unseen_words(identify: xr.Dataset) -> str:
    """Return what no scan in air can show, as far as it may occur in the painting."""
    names = [name for name in listed(text(identify.attrs.get("invisible", ""))) if name]
    return _listing(list(dict.fromkeys(_short(name) for name in names))) if names else UNSEEN


def notes_of(identify: xr.Dataset) -> tuple[str, ...]:
    """Return the sentences that a user should know."""
    return sentences(identify.attrs.get("notes", ()))


def evidence_csv(identify: xr.Dataset) -> str:
    """Return the whole table of evidence as CSV; empty where there is none."""
    rows = opened(identify.attrs.get("evidence", "[]"))
    if not isinstance(rows, list) or not rows:
        return ""
    target = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(target, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return target.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _short(name: str) -> str:
    """A title without its variety: "ultramarine, natural" and "yellow lake (weld)"."""
    return name.partition(" (")[0].partition(",")[0]


def _named(titles: Sequence[str]) -> str:
    return f": {_listing(titles)}" if titles else ""


def _listing(titles: Sequence[str]) -> str:
    shown = list(titles[:MOST_TOLD])
    more = f" and {len(titles) - MOST_TOLD} more" if len(titles) > MOST_TOLD else ""
    return "; ".join(shown) + more if any(" or " in title for title in shown) else ", ".join(shown) + more
