"""The pictures of a recoloured scan: its surface, what lies beneath, and how far each is to be trusted."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from velatura.report.drawing import place, styled
from velatura.report.map_figures import displayed, map_sheet
from velatura.report.panels import MapPanel
from velatura.report.raster import data_uri, scale_bar
from velatura.report.recolour_files import WORST
from velatura.report.recolour_picture import SHORT, as_picture, enlargement, stamped, with_texts
from velatura.report.views import MapView

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABOVE, LETTERS = 12.0, 7.5  # points: height of the strip over a picture of a sheet, and of its letters
LETTER = 0.55  # of their height, as wide as a letter is on average


def surface_panels(maps: xr.Dataset) -> list[MapPanel]:
    """Return the recoloured surface, its trust and its expected error."""
    there = np.isfinite(maps.rgb.values[..., 0])
    trust = np.where(there, maps.trust.values, np.nan)
    heading = f"mean {np.nanmean(trust):.2f}" if there.any() else "no pixel"
    said = "how likely a colour is right by name (CIEDE2000 of 15 or less); less where spectra are strange"
    high = f"{WORST:.0f} or more"
    return [
        MapPanel("Recoloured", as_picture(maps.rgb.values), ends=None, heading="as it may have looked"),
        MapPanel("Trust", trust, heading=heading, lines=(said,)),
        MapPanel("Expected error", maps.error.values, high=WORST, ends=("0", high), heading="CIEDE2000"),
    ]


def hidden_panels(maps: xr.Dataset) -> list[MapPanel]:
    """Return the colours of the paint beneath and their trust; none where nothing was found beneath."""
    if "hidden_rgb" not in maps or not np.isfinite(maps.hidden_rgb.values[..., 0]).any():
        return []
    there = np.isfinite(maps.hidden_rgb.values[..., 0])
    trust = np.where(there, maps.hidden_trust.values, np.nan)
    said = "of the pigments found beneath, and of how alike those look that have the same elements"
    return [
        MapPanel("Beneath, recoloured", as_picture(maps.hidden_rgb.values), ends=None, heading="without its cover"),
        MapPanel("Trust beneath", trust, heading=f"mean {np.nanmean(trust):.2f}", lines=(said,)),
    ]


def stamped_view(panel: MapPanel, anchor: str, *, longest: int, pitch: float | None = None) -> MapView:
    """Encode one panel with the stamp in its pixels, ready for the page."""
    picture = displayed(panel, longest)
    height, width = panel.image.shape[:2]
    factor, whole = enlargement(picture.shape), stamped(picture)
    down, across = (whole.shape[axis] / (factor * picture.shape[axis]) for axis in (0, 1))
    bar = scale_bar(width, pitch)
    return MapView(
        anchor=anchor,
        panel=panel,
        source=data_uri(with_texts(whole)),
        width=round(width * across),
        height=round(height * down),
        bar_percent=100 * bar.pixels / (width * across),
        bar_label=bar.label,
        smooth=True,
    )


@styled
def stamped_sheet(panels: list[MapPanel], *, pitch: float | None = None, most: int = 3) -> "Figure":
    """Draw panels as `map_sheet` does, with the stamp in a strip over each picture."""
    figure = map_sheet(panels, pitch=pitch, most=most)
    across, up = figure.get_size_inches() * 72
    for axes in list(figure.axes):
        box = axes.get_position()
        left, bottom, width = box.x0 * across, box.y1 * up, box.width * across
        strip = place(figure, (left, bottom, width, ABOVE))
        strip.set_facecolor("#1d1b18")
        strip.set(xticks=[], yticks=[])
        strip.spines[:].set_visible(False)
        size = min(LETTERS, 0.94 * width / (LETTER * len(SHORT)))
        strip.text(0.5, 0.46, SHORT, color="white", size=size, ha="center", va="center", transform=strip.transAxes)
    return figure
