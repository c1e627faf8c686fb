"""The formula for escape peaks against photons followed one by one through the crystal."""

import json
from pathlib import Path

import pytest

from velatura.physics.detector import escape_ratio

CASES = json.loads((Path(__file__).parents[1] / "oracles" / "escape.json").read_text())["cases"]


@pytest.mark.parametrize("case", [case for case in CASES if case["energy"] < 9], ids=lambda case: str(case["energy"]))
def test_escape_is_that_of_a_monte_carlo(case):
    """4 %: the formula has one silicon line; Kb, 0.1 keV above, escapes from a little deeper."""
    assert escape_ratio(case["energy"]) == pytest.approx(case["front"][0], rel=0.04)


def test_where_the_formula_leaves_out_the_rear_face_the_peak_is_too_small_to_matter():
    hard = [case for case in CASES if case["energy"] > 9]
    assert all(abs(float(escape_ratio(case["energy"])) - case["both_faces"][0]) < 6e-4 for case in hard)
