import csv
from importlib.resources import files

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.scene.render import (
    Coat,
    above_surface,
    appearance,
    below_surface,
    coat,
    coefficients,
    display,
    linear,
    over,
    varnish,
)

WHITE = below_surface(np.full(3, 0.85))
BLACK = np.full(3, 1e-3)


def rows(table: str) -> dict[str, dict[str, str]]:
    lines = (files("velatura.physics") / "tables" / table).read_text().splitlines()
    return {row["id"]: row for row in csv.DictReader(line for line in lines if not line.startswith("#"))}


def march(absorption: float, scattering: float, thickness: float, below: float) -> float:
    """Kubelka and Munk's differential equation, by small steps: dR/dX = S - 2 (K + S) R + S R^2."""
    reflectance, step = below, thickness / 20_000
    for _ in range(20_000):
        slope = scattering - 2 * (absorption + scattering) * reflectance + scattering * reflectance**2
        reflectance += step * slope
    return reflectance


@pytest.mark.parametrize(("k", "s"), [(0.02, 0.1), (0.0, 0.2), (0.3, 0.0), (0.0, 0.0), (0.5, 1e-3)])
@pytest.mark.parametrize("below", [0.02, 0.8])
def test_layer_obeys_the_differential_equation(k: float, s: float, below: float) -> None:
    layer = Coat(np.full(3, k), np.full(3, s), 12.0)
    assert over(layer, np.full(3, below)) == pytest.approx(march(k, s, 12.0, below), abs=2e-4)


def test_two_halves_are_a_whole() -> None:
    whole, half = (coat({"azurite": 0.7, "lead_white": 0.3}, thickness=x) for x in (30.0, 15.0))
    assert over(half, over(half, WHITE)) == pytest.approx(over(whole, WHITE), rel=1e-12)


def test_every_pigment_has_an_appearance_and_returns_its_masstone() -> None:
    pigments = rows("pigments.csv")
    assert set(rows("appearance.csv")) == set(pigments)
    for name, row in pigments.items():
        seen = display(appearance([coat({name: 1.0}, thickness=1e7)], support=WHITE))
        table = [int(row["srgb_hex"][k : k + 2], 16) / 255 for k in (1, 3, 5)]
        assert seen == pytest.approx(table, abs=0.012), name  # the whitest are held below 0.995


def test_thin_coats_show_the_ground_and_thick_ones_hide_it() -> None:
    thickness = np.array([0.0, 5.0, 20.0, 80.0, 2000.0])
    pair = [appearance([coat({"lead_white": 1.0}, thickness=thickness)], support=s) for s in (WHITE, BLACK)]
    gap = (pair[0] - pair[1]).mean(axis=-1)
    assert np.all(np.diff(gap) < 0)
    assert gap[0] == pytest.approx(0.85, abs=0.01)
    assert gap[-1] < 1e-3


def test_hiding_power_is_ordered_as_painters_know_it() -> None:
    order = ("titanium_white", "lead_white", "chalk", "gypsum")
    scattering = coefficients(order)[1][:, 1]
    assert np.all(np.diff(scattering) < 0)
    assert 3 < scattering[0] / scattering[1] < 7  # in hiding power by volume, rutile counts for about 6 lead whites
    absorption = coefficients(("prussian_blue", "azurite"))[0][:, 0]
    assert absorption[0] > 30 * absorption[1]


def test_mixtures_mix_as_paints_do() -> None:
    blue, yellow, green, tint = (
        appearance([coat(pigments, thickness=200.0)], support=WHITE)
        for pigments in (
            {"prussian_blue": 1.0}, {"cadmium_yellow": 1.0}, {"prussian_blue": 0.1, "cadmium_yellow": 0.9},
            {"prussian_blue": 0.02, "lead_white": 0.98},
        )
    )  # fmt: skip
    assert green[1] > green[0]
    assert green[1] > green[2]
    assert green[1] < yellow[1]
    assert blue[2] < tint[2]
    assert tint[2] > tint[1] > tint[0]


def test_maps_of_shares_and_thickness_are_pixelwise(rng: np.random.Generator) -> None:
    share, thickness = rng.random((4, 5)), rng.uniform(5, 40, (4, 5))
    picture = appearance([coat({"smalt": share, "lead_white": 1 - share}, thickness=thickness)], support=WHITE)
    assert picture.shape == (4, 5, 3)
    one = coat({"smalt": share[2, 3], "lead_white": 1 - share[2, 3]}, thickness=thickness[2, 3])
    assert picture[2, 3] == pytest.approx(appearance([one], support=WHITE), rel=1e-12)


def test_varnish_warms() -> None:
    bare, varnished = appearance([], support=WHITE), appearance([varnish(20.0)], support=WHITE)
    assert bare == pytest.approx(0.85)
    assert np.all(np.diff(varnished / bare) < 0)


def test_inverses(rng: np.random.Generator) -> None:
    values = rng.random((7, 3))
    assert display(linear(values)) == pytest.approx(values, abs=1e-7)
    assert above_surface(below_surface(values * 0.9)) == pytest.approx(values * 0.9)


def test_unknown_pigment_has_a_hint() -> None:
    with pytest.raises(InputError, match='did you mean "azurite"'):
        coefficients(["azurit"])
