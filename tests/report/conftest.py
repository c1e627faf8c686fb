"""Small results after docs/results.md: a scan of 24 x 18 pixels with three clusters, four lines and two proposals."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from velatura.report.content import Calibration, CalibrationLine, ReportContent

LINES = {"Ca-Ka": 3.69, "Fe-Ka": 6.40, "Hg-La": 9.99, "Pb-La": 10.55}
ENERGY = 0.005 + 0.02 * np.arange(700)


def peaks(heights: dict[str, float]) -> np.ndarray:
    shapes = [height * np.exp(-0.5 * ((ENERGY - LINES[name]) / 0.08) ** 2) for name, height in heights.items()]
    return 0.05 + np.sum(shapes, axis=0)


def make_elements(height: int = 24, width: int = 18, *, lines: int = 4) -> xr.Dataset:
    rng = np.random.default_rng(5)
    names = list(LINES)[:lines]
    intensity = rng.uniform(0, 200, (len(names), height, width)).astype(np.float32)
    total = peaks(dict.fromkeys(names, 900.0)) * height * width
    spectra = {"sum_spectrum": total, "max_spectrum": total / 9, "background": total * 0 + 3, "fit": total * 1.01}
    return xr.Dataset(
        {
            "intensity": (("line", "y", "x"), intensity),
            "uncertainty": (("line", "y", "x"), np.sqrt(intensity + 4)),
            "detection_limit": (("line", "y", "x"), np.full_like(intensity, 20)),
            **{name: ("energy", values) for name, values in spectra.items()},
        },
        {
            "line": names,
            "element": ("line", [name.split("-")[0] for name in names]),
            "line_energy": ("line", [LINES[name] for name in names]),
            "energy": ENERGY,
        },
        {"method": "fit", "warnings": json.dumps(["Pb-La lies on As-Ka."]), "parameters": json.dumps({"snip": 24})},
    )


def make_segment(height: int = 24, width: int = 18, *, clusters: int = 3) -> xr.Dataset:
    rng, proposals = np.random.default_rng(6), 2
    membership = rng.dirichlet(np.full(clusters, 0.4), (height, width)).transpose(2, 0, 1).astype(np.float32)
    used = np.ones((height, width), bool)
    used[0] = height == 1
    membership[:, ~used] = 0
    spectrum = np.array([peaks({"Fe-Ka": 5.0 + k, "Pb-La": 9.0 / (k + 1)}) for k in range(clusters)])
    anomaly = np.where(used, rng.uniform(0, 0.9, (height, width)), np.nan).astype(np.float32)
    anomaly[-1, -1] = 3
    return xr.Dataset(
        {
            "membership": (("cluster", "y", "x"), membership),
            "labels": (("y", "x"), np.where(used, membership.argmax(0), -1).astype(np.int16)),
            "entropy": (("y", "x"), np.where(used, 0.4, np.nan).astype(np.float32)),
            "anomaly": (("y", "x"), anomaly),
            "used": (("y", "x"), used),
            "spectrum": (("cluster", "energy"), spectrum),
            "spectrum_error": (("cluster", "energy"), np.sqrt(spectrum) / 10),
            "mean_spectrum": ("energy", spectrum.mean(0)),
            "composite": (("proposal", "y", "x"), np.stack([membership[:2].sum(0)] * proposals)),
            "composite_spectrum": (("proposal", "energy"), np.stack([spectrum[0] - spectrum[-1]] * proposals)),
        },
        {
            "cluster": [f"C{k + 1}" for k in range(clusters)],
            "colour": ("cluster", [f"#{20 * k % 256:02x}8040" for k in range(clusters)]),
            "share": ("cluster", membership.sum((1, 2)) / used.sum()),
            "elements": ("cluster", ["Pb, Fe"] * clusters),
            "contrast": ("cluster", ["Fe ×2.0"] * clusters),
            "energy": ENERGY,
            "proposal": [f"P{k + 1}" for k in range(proposals)],
            "members": ("proposal", ["C1+C2"] * proposals),
            "signature": ("proposal", ["Hg-La"] * proposals),
            "significance": ("proposal", np.linspace(20, 5, proposals)),
            "coherence": ("proposal", [0.5] * proposals),
            "hidden": ("proposal", np.arange(proposals) == 0),
        },
        {"parameters": json.dumps({"clusters": clusters, "fuzzifier": 1.5}), "iterations": 31, "converged": 1},
    )


CLASSES = {  # of XRF: members, markers
    "Pb": ("lead_white, massicot, red_lead", "Pb"),
    "Hg": ("cinnabar, vermilion", "Hg, S"),
    "Ti": ("titanium_white, titanium_white_anatase", "Ti"),
    "Cu": ("azurite, malachite", "Cu"),
}


def make_identify(height: int = 24, width: int = 18, *, classes: int = 4) -> xr.Dataset:
    """After docs/results.md, maps/identify: every class fills a column of its own, the second one only beneath."""
    names = [*CLASSES, *(f"C{k}" for k in range(4, classes))][:classes]
    told = [CLASSES.get(name, ("my_blue", "Co")) for name in names]
    probability = np.full((2, classes, height, width), 0.05, np.float16)
    for k in range(classes):
        probability[int(k == 1), k, :, k * width // max(classes, 1) :] = 0.9
    share = np.where(probability > 0.5, 0.2 + 0.1 * np.arange(classes)[:, None, None], 0).astype(np.float16)
    answered = np.ones((height, width), bool)
    answered[0] = height == 1
    image = np.where(answered, 0.2, np.nan).astype(np.float32)
    unknown = image.copy()
    unknown[-1, -1] = 0.9
    rows = [
        {
            "region": "A1", "pixels": 40, "paint": ("visible", "hidden")[k == 1], "xrf_class": name, "pigments": name,
            "probability": 0.9, "found": 0.8, "probability_of_sum": 0.97, "deciding_lines": "Pb-La +4.2, Hg-La -0.4",
            "net_counts": "Pb-La 12300 (85 sigma)", "share": 0.5, "share_deviation": 0.1, "flags": "group",
        }
        for k, name in enumerate(names)
    ]  # fmt: skip
    nothing = {"probability_of_sum": float("nan"), "share": float("nan"), "deciding_lines": "", "flags": "unknown"}
    rows += [{**row, "paint": "", "xrf_class": "unknown", "pigments": "none of them", **nothing} for row in rows[:1]]
    return xr.Dataset(
        {
            "probability": (("paint", "xrf_class", "y", "x"), probability),
            "share": (("paint", "xrf_class", "y", "x"), share),
            "amount": (("paint", "y", "x"), np.stack([image, image])),
            **dict.fromkeys(("strangeness", "hidden"), (("y", "x"), image)),
            "unknown": (("y", "x"), unknown),
            "answered": (("y", "x"), answered),
            "unexplained": (("y", "x"), unknown > 0.5),
            "regions": (("y", "x"), np.where(answered, 0, -1).astype(np.int16)),
            "region_spectrum": (("region", "energy"), peaks({"Pb-La": 900.0, "Hg-La": 400.0})[None] * 40),
        },
        {
            "paint": ["visible", "hidden"],
            "xrf_class": names,
            "members": ("xrf_class", np.array([members for members, _ in told], str)),
            "markers": ("xrf_class", np.array([markers for _, markers in told], str)),
            "outside_period": ("xrf_class", np.array([name == "Ti" for name in names], bool)),
            "threshold": (("paint", "xrf_class"), np.full((2, classes), 0.6, np.float32)),
            "region": ["A1"],
            "energy": ENERGY,
        },
        {
            "evidence": json.dumps(rows), "unknown_threshold": 0.5, "invisible": "madder lake, carbon black",
            "parameters": json.dumps({"model": "best", "period": "1600-1650"}), "notes": "[]",
        },
    )  # fmt: skip


@pytest.fixture
def identify() -> Callable[..., xr.Dataset]:
    return make_identify


@pytest.fixture
def elements() -> Callable[..., xr.Dataset]:
    return make_elements


@pytest.fixture
def segment() -> Callable[..., xr.Dataset]:
    return make_segment


@pytest.fixture
def content() -> ReportContent:
    lines = (CalibrationLine("Fe-Ka", 6.404, 1.5, 0.4), CalibrationLine("Pb-La", 10.551, -12.0, 2.0))
    return ReportContent(
        title="Portrait of a lady",
        facts=(("File", "scan.rpl"), ("SHA-256", "ab12")),
        pitch=0.5,
        calibration=Calibration(0.005, 0.02, origin="Automatic", fwhm=0.142, lines=lines),
        elements=make_elements(),
        segment=make_segment(),
        identify=make_identify(),
        provenance=({"verb": "segment", "version": "0.1.0", "seed": 0, "parameters": {"clusters": 3}},),
    )
