"""The page that a conservator archives: one HTML file without a single address outside itself."""

import math
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from velatura.base.aside import replace_text
from velatura.report import sections
from velatura.report.content import ReportContent
from velatura.report.panels import percent
from velatura.report.pigment_section import pigments
from velatura.report.pigment_words import mass_words
from velatura.report.raster import known_pitch
from velatura.report.recolour_section import recoloured
from velatura.report.views import record_rows

PACKAGES = ("velatura", "jax", "numpy", "scipy", "scikit-learn", "xarray", "matplotlib")


def write_report(path: str | Path, content: ReportContent) -> Path:
    """Write the report as one self-contained HTML file and return its path; parts that are missing are left out.

    The page replaces an older one only when it is complete: a killed run leaves the old page or none.
    """
    replace_text(Path(path), render(content))
    return Path(path)


def render(content: ReportContent) -> str:
    """Return the page as HTML text; every text of the content is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("velatura.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    digits = max(1, 1 - math.floor(math.log10(known_pitch(content.pitch) or 1.0)))
    environment.filters["millimetres"] = lambda length: f"{length:.{digits}f}"
    environment.filters["share"] = percent
    environment.filters["hundredths"] = hundredths
    environment.filters["mass"] = mass_words
    return environment.get_template("page.html").render(page_parts(content))


def page_parts(content: ReportContent) -> dict[str, Any]:
    """Return everything the templates place, by name; a part that is missing is None or empty."""
    return {
        "title": content.title,
        "made": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
        "style": (Path(__file__).parent / "style.css").read_text(encoding="utf-8"),
        "facts": content.facts,
        "pitch": known_pitch(content.pitch),
        "calibration": content.calibration,
        "glance": sections.glance(content),
        "truth": sections.truth_beside_found(content),
        "segment": sections.segmentation(content),
        "proposals": sections.composites(content),
        "pigments": pigments(content),
        "colours": recoloured(content),
        "elements": sections.element_maps(content),
        "residuals": sections.residuals(content),
        "parameters": sections.parameters(content),
        "steps": [(str(record.get("verb", "record")), record_rows(record)) for record in content.provenance],
        "versions": installed_versions(),
    }


def hundredths(value: float) -> str:
    """Return a number with two places, a dash where it is none.

    >>> hundredths(0.123), hundredths(float("nan"))
    ('0.12', '–')
    """
    return f"{value:.2f}" if math.isfinite(value) else "–"


def installed_versions() -> list[tuple[str, str]]:
    """Return the versions of the packages that made the numbers."""
    found = []
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found
