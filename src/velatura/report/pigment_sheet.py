"""The maps of all pigments on one sheet: visible and hidden side by side under the name of their group."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import xarray as xr

from velatura.report.drawing import SMALL_PRINT, VERMILION, new_figure, place, styled
from velatura.report.map_figures import (
    GAP,
    MARGIN,
    SHEET_WIDTH,
    TALLEST,
    averaging_note,
    draw_bar,
    draw_key,
    show,
)
from velatura.report.pigment_panels import probability_panels
from velatura.report.pigment_result import PigmentGroup
from velatura.report.raster import scale_bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE_HEIGHT = 13.0  # points of a line of a title
BELOW = 30.0  # points under a map: bar, key and extent
LETTERS_A_POINT = 0.185  # of a bold title


@styled
def pigment_sheet(identify: xr.Dataset, groups: Sequence[PigmentGroup], *, pitch: float | None = None) -> "Figure":
    """Draw one block a group: its name, its flag, and its maps visible and hidden with scale bar and key.

    pitch: [mm], None where it is not known.
    """
    height, width = identify.probability.shape[2:]
    blocks = 1 if width > 1.6 * height else 2
    block = (SHEET_WIDTH - 2 * MARGIN - (blocks - 1) * 1.5 * GAP) / blocks
    across = min((block - GAP) / 2, TALLEST * (block - GAP) / 2 * width / height)
    up = across * height / width
    titles = [textwrap.wrap(f"{group.title} ({group.elements})", int(block * LETTERS_A_POINT)) for group in groups]
    lines = max(len(title) + bool(group.flag) for title, group in zip(titles, groups, strict=True))
    row = lines * TITLE_HEIGHT + up + BELOW + GAP
    total = math.ceil(len(groups) / blocks) * row + 2 * MARGIN
    figure = new_figure(SHEET_WIDTH, total)
    for index, (group, title) in enumerate(zip(groups, titles, strict=True)):
        down, aside = divmod(index, blocks)
        left, top = MARGIN + aside * (block + 1.5 * GAP), total - MARGIN - down * row
        _write_title(figure, title, group.flag, at=(left, top))
        bottom = top - lines * TITLE_HEIGHT - up
        for number, panel in enumerate(probability_panels(identify, group)):
            start = left + number * (across + GAP)
            axes = place(figure, (start, bottom, across, up))
            show(axes, panel)
            draw_bar(axes, scale_bar(width, pitch))
            draw_key(figure, panel, right=start + max(across, 110.0), middle=bottom - 9)
            words = f"{panel.name.lower()}: {panel.heading}"
            figure.text(start / SHEET_WIDTH, (bottom - 24) / total, words, size=7.5, color=SMALL_PRINT)
    if note := averaging_note((height, width)):
        figure.text(MARGIN / SHEET_WIDTH, 6 / total, note, size=7, color=SMALL_PRINT)
    return figure


def _write_title(figure: "Figure", title: Sequence[str], flag: str, *, at: tuple[float, float]) -> None:
    across, up = figure.get_size_inches() * 72
    left, top = at
    for number, line in enumerate(title, 1):
        figure.text(left / across, (top - number * TITLE_HEIGHT + 4) / up, line, size=9, weight="bold")
    if flag:
        figure.text(left / across, (top - (len(title) + 1) * TITLE_HEIGHT + 4) / up, flag, size=8, color=VERMILION)
