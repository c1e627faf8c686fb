"""Refined columns stand beside the rows that they belong to, and nowhere else."""

import numpy as np
import pytest
import xarray as xr

from velatura.physics.instrument import Instrument
from velatura.physics.material import Paint
from velatura.physics.simulate import expected_counts, prepare
from velatura.physics.stack import Stack, elements_of, pack
from velatura.tasks.pigment_evidence import Evidence
from velatura.tasks.pigment_refinement import COLUMNS, refined_rows
from velatura.tasks.pigment_regions import Regions

INSTRUMENT = Instrument(channels=1024, gain=0.04)


def row(region: str, paint: str, name: str, probability: float) -> Evidence:
    return Evidence(region, 12, paint, name, name, probability, 1.0, probability, "", "", 0.5, 0.1, 1.0, "group")


@pytest.mark.slow
def test_a_region_of_known_paint_is_refined() -> None:
    stack = Stack().paint(Paint("canvas", {"linen_canvas": 1.0}, loading=0.95), thickness=500.0)
    stack = stack.paint(Paint("ground", {"chalk": 1.0}, loading=0.5), thickness=100.0)
    stack = stack.paint(Paint("red", {"lead_white": 0.5, "vermilion": 0.5}), thickness=15.0)
    scanner = prepare(INSTRUMENT, elements_of([stack]))
    spectrum = expected_counts(pack([stack], scanner.elements), scanner)[0]
    sums = np.random.default_rng(0).poisson(spectrum * (3e5 / spectrum.sum()))[None]
    names = ["Pb", "Hg", "Cu"]
    maps = xr.Dataset(
        {
            "amount": (("paint", "y", "x"), np.full((2, 3, 4), 3.0, np.float32)),
            "answered": (("y", "x"), np.ones((3, 4), bool)),
        },
        coords={
            "xrf_class": names,
            "members": ("xrf_class", ["lead_white, red_lead", "vermilion", "azurite"]),
            "threshold": (("paint", "xrf_class"), np.full((2, 3), 0.5, np.float32)),
        },
    )
    rows = [row("A1", "visible", "Pb", 0.9), row("A1", "visible", "Hg", 0.9), row("A1", "visible", "Cu", 0.1)]
    regions = Regions(np.zeros((3, 4), np.int16), ("A1",))
    found = refined_rows(maps, regions, sums, rows=rows, instrument=INSTRUMENT, energy=INSTRUMENT.axis())
    lead, mercury, copper = found
    assert set(COLUMNS) <= set(lead)
    assert lead["refined_share"] + mercury["refined_share"] == pytest.approx(1.0, abs=0.02)
    true = 0.5 * 8.18 / (0.5 * 8.18 + 0.5 * 6.75)  # densities of both, g/cm3
    assert mercury["refined_share_low"] - 0.05 < true < mercury["refined_share_high"] + 0.05
    assert lead["reduced_chi2"] == mercury["reduced_chi2"] == copper["reduced_chi2"] < 5
    assert copper["refined_share"] == ""
    assert lead["hidden_layer"] == ""
    assert lead["flags"] == "group"
