"""From panels and figures to what the page's templates place: encoded pictures, bars in per cent, texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from velatura.report.content import ReportContent
from velatura.report.map_figures import averaging_note, displayed
from velatura.report.panels import MapPanel, opened
from velatura.report.raster import block_factor, data_uri, png_bytes, scale_bar

PIXEL_BUDGET = 4.5e6
"""Pixels of all maps on one page; a grey pixel takes about one byte."""
LONGEST = 1000
"""Pixels of the longer side of one map on the page, at most."""
MOST_VALUES = 12
"""Values of one list in the record."""


@dataclass(frozen=True)
class MapView:
    """One map, ready to be placed."""

    anchor: str
    panel: MapPanel
    source: str
    """The picture itself, as a data address."""
    width: int
    height: int
    """In pixels of the scan, whole blocks."""
    bar_percent: float
    """Length of the scale bar over the map's width."""
    bar_label: str
    note: str = ""
    """How the map was made smaller."""
    plot: str = ""
    """An SVG beside or below the map."""
    smooth: bool = False
    """Shown without hard pixels: it is large enough, and holds letters."""


def longest_side(shape: tuple[int, ...], maps: int) -> int:
    """Return the longest side [pixels] that keeps `maps` maps of one shape within the page's budget."""
    height, width = shape[:2]
    shrink = (PIXEL_BUDGET / max(1, maps) / (height * width)) ** 0.5
    return max(1, min(LONGEST, int(max(height, width) * shrink)))


def view_map(panel: MapPanel, anchor: str, *, longest: int, pitch: float | None, plot: str = "") -> MapView:
    """Encode one panel at no more than about `longest` pixels a side."""
    factor = block_factor(panel.image.shape, longest)
    rgb = displayed(panel, longest)
    width, height = rgb.shape[1] * factor, rgb.shape[0] * factor
    bar = scale_bar(panel.image.shape[1], pitch)
    return MapView(
        anchor=anchor,
        panel=panel,
        source=data_uri(png_bytes(rgb)),
        width=width,
        height=height,
        bar_percent=100 * bar.pixels / width,
        bar_label=bar.label,
        note=averaging_note(panel.image.shape, longest),
        plot=plot,
    )


def encode(
    shown: Sequence[MapPanel], kind: str, *, longest: int, content: ReportContent, plots: Sequence[str] = ()
) -> list[MapView]:
    """Encode panels of one kind, each with its plot where there is one."""
    drawn = [*plots, *[""] * (len(shown) - len(plots))]
    return [
        view_map(panel, f"{kind}-{index}", longest=longest, pitch=content.pitch, plot=plot)
        for index, (panel, plot) in enumerate(zip(shown, drawn, strict=True))
    ]


def side(content: ReportContent, image: xr.DataArray) -> int:
    """Return the longest side [pixels] of each map on the page, so that all maps of the content fit its budget."""
    elements, segment = content.elements, content.segment
    count = 0 if elements is None else elements.sizes["line"]
    count += 0 if segment is None else segment.sizes["cluster"] + segment.sizes.get("proposal", 0) + 4
    count += 0 if content.identify is None else 2 * (2 * content.identify.sizes["xrf_class"] + 5)  # in colours
    return longest_side(image.shape[-2:], count)


def picture_source(rgb: np.ndarray, longest: int = LONGEST) -> str:
    """Encode a colour picture, float [y, x, 3] of 0 to 1, as a data address."""
    image = np.rint(255 * np.clip(np.nan_to_num(rgb), 0, 1)).astype(np.uint8)
    factor = block_factor(image.shape, longest)
    return data_uri(png_bytes(image[::factor, ::factor]))


def record_rows(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten a record to rows (name, value); nested records become "outer: inner"; JSON texts are opened.

    >>> record_rows({"seed": 0, "parameters": '{"clusters": 10}'})
    [('seed', '0'), ('parameters: clusters', '10')]
    """
    rows = []
    for key, value in record.items():
        name, value = f"{prefix}{key}", opened(value)
        if isinstance(value, Mapping):
            rows += record_rows(value, f"{name}: ")
        elif isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
            rows.append((name, spelt(value)))
        else:
            between = "; " if any(isinstance(item, Mapping) for item in value) else ", "
            rest = f" … ({len(value)} values)" if len(value) > MOST_VALUES else ""
            rows.append((name, between.join(spelt(item) for item in value[:MOST_VALUES]) + rest))
    return rows


def spelt(value: Any) -> str:
    """Return a value of a record as text: numbers short, None as a dash, records in a row."""
    if isinstance(value, Mapping):
        return " ".join(f"{key} {spelt(item)}" for key, item in value.items())
    if value is None:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
