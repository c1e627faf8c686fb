"""The maps of pigments: probabilities of each group, the strongest one of each pixel, what is unknown or beneath."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from velatura.report.colour_scale import ProbabilityScale
from velatura.report.legend_colours import legend_colours
from velatura.report.panels import MapPanel, along, percent, rgb_of
from velatura.report.pigment_result import PAINTS, USUAL_THRESHOLD, PigmentGroup, found_pixels, looked_at, probability
from velatura.report.raster import LEFT_OUT
from velatura.tasks.colours import cluster_colours

NOTHING, STRANGE = "#14110e", "#ff4fe0"
"""Colours of the map of the strongest pigments where none was found, and where something unknown is."""
MOST_IN_LEGEND = 24


def probability_panels(identify: xr.Dataset, group: PigmentGroup) -> tuple[MapPanel, MapPanel]:
    """Return the maps of one group, visible and hidden; amber is where it counts as found."""
    asked = max(1, int(looked_at(identify).sum()))
    visible, hidden = (
        MapPanel(
            ("Visible", "Hidden")[paint],
            probability(identify, group.number, paint),
            heading=_extent(group.pixels[paint], asked),
            scale=ProbabilityScale(group.thresholds[paint]),
            lines=(f"amber: found, probability {group.thresholds[paint]:.2f} or more",),
        )
        for paint in range(len(PAINTS))
    )
    return visible, hidden


def evidence_panels(identify: xr.Dataset) -> list[MapPanel]:
    """Return the maps of a hidden paint's probability, of unknown materials, and of how strange the spectra are."""
    asked, panels = looked_at(identify), []
    level = float(identify.attrs.get("unknown_threshold", USUAL_THRESHOLD))
    shown = (
        ("hidden", "A paint beneath", USUAL_THRESHOLD, "amber: more likely than not that a second paint shows"),
        ("unknown", "Unknown material", level, "amber: something that is none of the pigments of the table"),
    )
    for name, title, threshold, words in shown:
        if name in identify:
            image = np.where(asked, np.asarray(identify[name].values, np.float32), np.nan)
            extent = _extent(int(np.sum(image >= threshold)), max(1, int(asked.sum())))
            panels.append(MapPanel(title, image, heading=extent, scale=ProbabilityScale(threshold), lines=(words,)))
    if "strangeness" in identify:
        image = np.where(asked, np.asarray(identify.strangeness.values, np.float32), np.nan)
        words = "white: unlike every spectrum of the training; read its pigments with care"
        panels.append(MapPanel("Strangeness", image, ends=("usual", "strange"), lines=(words,)))
    return panels


def strongest_panels(identify: xr.Dataset, groups: Sequence[PigmentGroup]) -> list[MapPanel]:
    """Return the maps of the strongest pigment of each pixel, visible and, where any was found, hidden.

    The strongest has the largest share among those found; colours are the same in both maps.
    """
    colours = legend_colours([group.colour for group in groups], reserved=(NOTHING, STRANGE))
    panels = []
    for paint, title in enumerate(("Visible paint", "Hidden paint")):
        if any(group.pixels[paint] for group in groups):
            panels.append(_strongest_panel(identify, groups, colours, paint=paint, title=title))
    return panels


def region_panel(identify: xr.Dataset) -> MapPanel:
    """Return the map of the regions of the table of evidence, each in a colour of its own."""
    labels, names = identify.regions.values.astype(int), along(identify, "region", "region")
    table = np.array([*map(rgb_of, cluster_colours(len(names))), LEFT_OUT], np.uint8)
    return MapPanel("Regions", table[np.where(labels < 0, len(names), labels)], ends=None, heading="of the table")


def region_spots(identify: xr.Dataset) -> list[tuple[str, float, float]]:
    """Return (name, x, y) in pixels of a point well inside each region."""
    from scipy.ndimage import distance_transform_edt

    labels, spots = np.pad(identify.regions.values.astype(int), 1, constant_values=-1), []
    for number, name in enumerate(along(identify, "region", "region")):
        if (labels == number).any():
            depth = np.asarray(distance_transform_edt(labels == number))
            y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
            spots.append((name, float(x) - 0.5, float(y) - 0.5))
    return spots


def _strongest_panel(
    identify: xr.Dataset, groups: Sequence[PigmentGroup], colours: Sequence[str], *, paint: int, title: str
) -> MapPanel:
    asked = looked_at(identify)
    best, label = np.zeros(asked.shape, np.float32), np.full(asked.shape, len(groups))
    for place, group in enumerate(groups):
        strength = _strength(identify, group, paint)
        label = np.where(strength > best, place, label)
        best = np.maximum(strength, best)
    if paint == 0 and "unknown" in identify:
        level = float(identify.attrs.get("unknown_threshold", USUAL_THRESHOLD))
        label = np.where(identify.unknown.values >= level, len(groups) + 1, label)
    label = np.where(asked, label, len(groups) + 2)
    table = np.array([*map(rgb_of, (*colours, NOTHING, STRANGE)), LEFT_OUT], np.uint8)
    area = np.bincount(label.ravel(), minlength=len(table)) / max(1, asked.sum())
    rows = [
        (colour, f"{group.title} {percent(float(area[place]))}")
        for place, (group, colour) in enumerate(zip(groups, colours, strict=True))
        if area[place] > 0
    ]
    rest = ((NOTHING, "none found" if paint == 0 else "none beneath", 0), (STRANGE, "unknown material", 1))
    rows = rows[:MOST_IN_LEGEND]
    rows += [(colour, f"{words} {percent(float(area[len(groups) + k]))}") for colour, words, k in rest
             if area[len(groups) + k] > 0]  # fmt: skip
    return MapPanel(title, table[label], ends=None, heading="the strongest pigment", legend=tuple(rows))


def _strength(identify: xr.Dataset, group: PigmentGroup, paint: int) -> np.ndarray:
    """Share of a group where it was found, float32 [y, x]; its probability where shares are not known; else 0."""
    found = found_pixels(identify, group.number)[paint]
    if "share" in identify:
        values = np.asarray(identify.share[paint, group.number].values, np.float32)
    else:
        values = probability(identify, group.number, paint)
    return np.where(found, np.maximum(np.nan_to_num(values), 1e-6), 0.0).astype(np.float32)


def _extent(pixels: int, asked: int) -> str:
    return f"found in {percent(pixels / asked)}" if pixels else "not found"
