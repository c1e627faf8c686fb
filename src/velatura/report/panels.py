"""What each map shows, on which scale and in which words. Figures and page draw the same panels."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from velatura.report.colour_scale import ProbabilityScale
from velatura.report.raster import LEFT_OUT

CLIP = (1.0, 99.5)
"""Percentiles of an element map that become black and white."""
HIDDEN_COLOURS = ("#f3e3b3", "#e8793a", "#3f8fd0", "#e3b62f")
"""Maps announced as hidden are added in these colours, the best first."""
ODD_WHITE = 2.0
"""Anomaly that becomes white; 1 is the scan's 99 % quantile."""


@dataclass(frozen=True)
class MapPanel:
    """One map with its scale and its caption."""

    name: str
    image: np.ndarray
    """float [y, x], NaN where there is no value; or uint8 [y, x, 3], drawn as it is."""
    low: float = 0.0
    high: float = 1.0
    ends: tuple[str, str] | None = ("0", "1")
    """What black and white mean, in words; None for a picture in colours."""
    colour: str | None = None
    """Colour chip of a cluster, "#rrggbb"."""
    heading: str = ""
    """Beside the name: the share, the sort of map."""
    lines: tuple[str, ...] = ()
    """Further lines of the caption."""
    legend: tuple[tuple[str, str], ...] = ()
    """Colours of a picture and what they stand for, ("#rrggbb", words)."""
    scale: ProbabilityScale | None = None
    """Colours of the values where they are not grey; `low` and `high` are then 0 and 1."""


def text(value: Any) -> str:
    """Return a coordinate's value as text, empty where there is none."""
    plain = value.item() if hasattr(value, "item") else value
    return "" if plain is None or plain != plain else str(plain)


def percent(share: float) -> str:
    """Return a share in per cent with as many digits as matter.

    >>> percent(0.314), percent(0.0042)
    ('31 %', '0.4 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def number(value: float) -> str:
    """Return counts or similar with two or more digits that matter and thousands apart.

    >>> number(12345.6), number(7.751), number(0.01234), number(0)
    ('12,346', '7.8', '0.012', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 99.5 else f"{value:.2g}"


def opened(value: Any) -> Any:
    """Return the object or list behind a JSON text; anything else as it is."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def along(result: xr.Dataset, name: str, dim: str) -> list[str]:
    """Return a coordinate along `dim` as texts; empty texts where the result has none."""
    if name not in result.coords and name not in result:
        return [""] * result.sizes[dim]
    return [text(value) for value in result[name].values]


def used_pixels(segment: xr.Dataset) -> np.ndarray:
    """Return which pixels were clustered, bool [y, x]."""
    return segment.used.values.astype(bool) if "used" in segment else segment.labels.values >= 0


def cluster_colours(segment: xr.Dataset) -> list[tuple[int, int, int]]:
    """Return the clusters' colours as whole numbers 0-255."""
    return [rgb_of(colour) for colour in along(segment, "colour", "cluster")]


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Return "#rrggbb" as three whole numbers 0-255; grey for anything else.

    >>> rgb_of("#ff8000"), rgb_of("orange")
    ((255, 128, 0), (128, 128, 128))
    """
    try:
        red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    except ValueError:
        return (128, 128, 128)
    return red, green, blue


@dataclass(frozen=True)
class ClusterWords:
    """What is said of one cluster."""

    name: str
    colour: str
    share: str
    elements: str
    contrast: str


def cluster_words(segment: xr.Dataset) -> list[ClusterWords]:
    """Return name, colour, share, elements and contrast of each cluster as they are shown."""
    columns = [along(segment, name, "cluster") for name in ("cluster", "share", "elements", "contrast")]
    return [
        ClusterWords(name, "#{:02x}{:02x}{:02x}".format(*rgb), share and percent(float(share)), held, spaced(contrast))
        for rgb, (name, share, held, contrast) in zip(cluster_colours(segment), zip(*columns, strict=True), strict=True)
    ]


def spaced(contrast: str) -> str:
    """Return "Hg x6.1, Cu x0.2" with multiplication signs."""
    return contrast.replace(" x", " ×")


def membership_panels(segment: xr.Dataset) -> list[MapPanel]:
    """Return one panel a cluster: memberships on the fixed scale 0 to 1."""
    used, panels = used_pixels(segment), []
    for index, said in enumerate(cluster_words(segment)):
        image = np.where(used, segment.membership[index].values, np.nan)
        lines = tuple(line for line in (said.elements, said.contrast and f"against the mean: {said.contrast}") if line)
        panels.append(MapPanel(said.name, image, colour=said.colour, heading=said.share, lines=lines))
    return panels


def label_panel(segment: xr.Dataset) -> MapPanel:
    """Return the map of the strongest cluster in the clusters' colours; pixels left out are sand."""
    colours = [*cluster_colours(segment), LEFT_OUT]
    labels = segment.labels.values.astype(int)
    labels = np.where((labels < 0) | (labels >= len(colours)), len(colours) - 1, labels)
    return MapPanel("Strongest cluster", np.array(colours, np.uint8)[labels], ends=None, heading="in each pixel")


def confidence_panels(segment: xr.Dataset) -> list[MapPanel]:
    """Return the maps that say where the clustering is sure of itself: ambiguity and, when it is on, noise."""
    used, panels = used_pixels(segment), []
    if "entropy" in segment:
        image = np.where(used, segment.entropy.values, np.nan)
        panels.append(MapPanel("Ambiguity", image, ends=("one cluster", "all alike")))
    if "noise" in segment:
        image = np.where(used, segment.noise.values, np.nan)
        panels.append(MapPanel("Noise cluster", image, ends=("explained", "by no cluster")))
    return panels


def anomaly_panel(segment: xr.Dataset) -> MapPanel:
    """Return the map of the distance to the nearest cluster, white at twice the scan's 99 % quantile."""
    image = np.where(used_pixels(segment), segment.anomaly.values, np.nan)
    return MapPanel(
        "Anomaly", image, high=ODD_WHITE, ends=("0", "2 or more"), lines=("1 is the limit of 99 % of the scan",)
    )


def proposal_panels(segment: xr.Dataset) -> list[MapPanel]:
    """Return one panel a proposal, the join of clusters on the fixed scale 0 to 1; may be empty."""
    if "composite" not in segment or not segment.sizes.get("proposal"):
        return []
    used = used_pixels(segment)
    names, members, signatures = (along(segment, name, "proposal") for name in ("proposal", "members", "signature"))
    images = (np.where(used, image.values, np.nan) for image in segment.composite)
    return [
        MapPanel(name, image, heading=signature, lines=(joined,) if joined else ())
        for name, joined, signature, image in zip(names, members, signatures, images, strict=True)
    ]


def hidden_panel(segment: xr.Dataset) -> MapPanel | None:
    """Return the maps announced as hidden in one picture, each in a colour of its own on black; None without any.

    The best four are shown; where they overlap their colours add.
    """
    announced = [panel for panel, hidden in zip(proposal_panels(segment), hidden_flags(segment), strict=True) if hidden]
    announced = announced[: len(HIDDEN_COLOURS)]
    if not announced:
        return None
    image = blend(np.array([panel.image for panel in announced]), HIDDEN_COLOURS)
    words = [f"{panel.name} {panel.heading}".strip() for panel in announced]
    legend = tuple(zip(HIDDEN_COLOURS, words, strict=False))
    return MapPanel("Possibly hidden", image, ends=None, legend=legend)


def hidden_flags(segment: xr.Dataset) -> list[bool]:
    """Return for each proposal whether it is announced as hidden."""
    if "composite" not in segment:
        return []
    if "hidden" not in segment.coords:
        return [False] * segment.sizes["proposal"]
    return [bool(hidden) for hidden in segment.hidden.values]


def blend(images: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """Add maps [n, y, x] of 0 to 1, each in its colour, on black: uint8 [y, x, 3]."""
    paints = np.array([rgb_of(colour) for colour in colours[: len(images)]], np.float64)
    return np.rint(np.clip(np.einsum("kyx,kc->yxc", np.nan_to_num(images), paints), 0, 255)).astype(np.uint8)


def element_panels(elements: xr.Dataset) -> list[MapPanel]:
    """Return one panel a line: net counts, black and white at the percentiles `CLIP`, never below 0 counts."""
    return [element_panel(elements.isel(line=index)) for index in range(elements.sizes["line"])]


def element_panel(line: xr.Dataset) -> MapPanel:
    """Return the panel of one line; its caption says the clip, the uncertainty and how much lies above the limit."""
    image, name = line.intensity.values, text(line.line.values)
    present = image[np.isfinite(image)]
    if not present.size:
        return MapPanel(name, image, ends=None, lines=("no values",))
    low, high = (max(0.0, float(level)) for level in np.percentile(present, CLIP))
    high = high if high > low else low + 1
    notes = []
    if "uncertainty" in line and np.isfinite(line.uncertainty.values).any():
        notes.append(f"typical uncertainty ± {number(float(np.nanmedian(line.uncertainty.values)))} counts")
    if "detection_limit" in line:
        notes.append(detection_note(image, line.detection_limit.values))
    ends = (number(low), f"{number(high)} counts")
    return MapPanel(name, image, low=low, high=high, ends=ends, lines=tuple(notes))


def detection_note(image: np.ndarray, limit: np.ndarray) -> str:
    """Say which share of the pixels lies above the detection limit [counts]."""
    measured = np.isfinite(image) & np.isfinite(limit)
    if not measured.any():
        return "detection limit not known"
    above = float(np.mean(image[measured] > limit[measured]))
    return f"{percent(above)} of pixels above the detection limit ({number(float(np.median(limit[measured])))} counts)"


def overlap_warnings(elements: xr.Dataset) -> tuple[str, ...]:
    """Return the overlap warnings of an element result as plain sentences."""
    return sentences(elements.attrs.get("warnings", ()))


def sentences(stored: Any) -> tuple[str, ...]:
    """Return sentences that a result stores as a list, as JSON, or as one plain text."""
    found = opened(stored)
    return (found,) if isinstance(found, str) else tuple(str(sentence) for sentence in found)
