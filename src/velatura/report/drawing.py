"""How every figure looks: ink, sizes, fonts; how it becomes PNG or inline SVG. No global state is left behind."""

import functools
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1d1b18"
"""Text and frames; becomes the page's own text colour in SVG."""
SOFT = "#8a8378"
"""Second voice: the painting's mean, leader lines. Readable on white and on dark."""
SMALL_PRINT = "#5d574e"
PRUSSIAN = "#2f6f9f"
"""Data that speak alone. With VERMILION and OCHRE it stays apart in every common colour blindness."""
VERMILION = "#c8452d"
OCHRE = "#b98a1c"
DPI = 160  # pixels an inch of figures as PNG
POINT = 72  # a figure of 340 points is 340 pixels wide on the page
STYLE = {
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.0,
    "lines.solid_joinstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "velatura",
    "savefig.facecolor": "auto",
}
P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function under the house style; matplotlib's own settings are put back afterwards."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> R:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **options)

    return drawn


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty white figure of `width` x `height` points with its own Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / POINT, height / POINT), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def place(figure: "Figure", box: tuple[float, float, float, float]) -> "Axes":
    """Add axes in a box (left, bottom, width, height), in points from the figure's lower left corner."""
    left, bottom, width, height = box
    across, up = figure.get_size_inches() * POINT
    axes = figure.add_axes((left / across, bottom / up, width / across, height / up))
    axes.set_facecolor("none")
    return axes


@styled
def as_png(figure: "Figure") -> bytes:
    """Return the figure as PNG bytes, at its own pixels an inch (1 inch = 72 points)."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=figure.get_dpi(), pil_kwargs={"compress_level": 3})
    return target.getvalue()


@styled
def as_svg(figure: "Figure", *, name: str) -> str:
    """Return the figure as an SVG element for the inside of a page: transparent, in the page's font and text colour.

    name: makes the element's internal names unique on the page; letters and digits.
    """
    target = io.StringIO()
    figure.savefig(target, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = target.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(?<= )(?:width|height)=\"[\d.]+pt\" ", "", svg, count=2)
    svg = re.sub(r"xmlns:xlink=\"[^\"]*\" ?|xmlns=\"[^\"]*\" ?", "", svg).replace("xlink:href", "href")
    svg = re.sub(r"(id=\"|url\(#|href=\"#)", rf"\g<1>{name}-", svg)
    svg = svg.replace("'DejaVu Sans'", "var(--sans)").replace(INK, "currentColor")
    return re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d)\d+", r"\1", tag[0]), svg)


def legible(colour: str) -> str:
    """Return a colour "#rrggbb" made dark or light enough for a line on a white and on a dark page.

    Its luminance (linear sRGB, Rec. 709) is brought into 0.12 to 0.3; colours inside stay as they are.
    """
    from matplotlib.colors import to_hex, to_rgb

    rgb = [((part + 0.055) / 1.055) ** 2.4 if part > 0.04045 else part / 12.92 for part in to_rgb(colour)]
    luminance = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
    if 0.12 <= luminance <= 0.3:
        return colour
    if luminance > 0.3:
        rgb = [part * 0.3 / luminance for part in rgb]
    else:
        white = (0.12 - luminance) / (1 - luminance)
        rgb = [part + (1 - part) * white for part in rgb]
    red, green, blue = (1.055 * part ** (1 / 2.4) - 0.055 if part > 0.0031308 else 12.92 * part for part in rgb)
    return to_hex((red, green, blue))


def count_label(value: float, _position: Any = None) -> str:
    """Return a tick label for counts: 1,000, 0.00001 and 10 M (million) rather than powers.

    >>> count_label(1000.0), count_label(0.00001), count_label(1e7)
    ('1,000', '0.00001', '10 M')
    """
    if value >= 1e6:
        return f"{value / 1e6:,.0f} M"
    return f"{value:,.0f}" if value >= 1 else np.format_float_positional(value, precision=2, fractional=False, trim="-")


def log_counts(axes: "Axes", lowest: float, highest: float) -> None:
    """Give the axes a logarithmic y axis from `lowest` to `highest` counts with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(lowest, highest)
    axes.yaxis.set_major_locator(LogLocator(10, numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(count_label))
    axes.yaxis.set_minor_locator(NullLocator())
