import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.scene.palette import Paint, material, materials


@pytest.mark.parametrize("name", materials())
def test_rows_are_whole(name: str) -> None:
    row = material(name)
    assert sum(row.mass_fractions.values()) == pytest.approx(1, abs=1e-4)
    assert row.density > 0
    assert all(0 <= value <= 1 for value in row.rgb)


def test_mixture_conserves_mass_and_volume() -> None:
    paint = Paint("flesh", {"lead_white": 0.92, "vermilion": 0.08}, loading=0.4)
    assert sum(paint.volumes().values()) == pytest.approx(1)
    grams = 0.4 * 0.08 * material("vermilion").density * material("vermilion").mass_fractions["Hg"]
    assert paint.mass_fractions()["Hg"] * paint.density() == pytest.approx(grams)
    assert sum(paint.mass_fractions().values()) == pytest.approx(1, abs=1e-4)


def test_colour_lies_between_its_pigments() -> None:
    colour = Paint("sky", {"smalt": 1.0, "lead_white": 1.0}).rgb()
    assert np.all((colour > material("smalt").rgb) & (colour < material("lead_white").rgb))


def test_unknown_material_has_a_hint() -> None:
    with pytest.raises(InputError, match='did you mean "azurite"'):
        material("azurit")
