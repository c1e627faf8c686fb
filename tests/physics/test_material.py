import csv
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.material import Paint, material, materials, read_materials, varied


def rows():
    for name in ("pigments.csv", "materials.csv"):
        text = (files("velatura.physics") / "tables" / name).read_text(encoding="utf-8")
        yield from csv.DictReader(text.splitlines())


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row["id"])
def test_components_give_the_mass_fractions_of_the_table(row: dict) -> None:
    found = material(row["id"]).mass_fractions()
    expected = {element: float(share) for element, share in (e.split(":") for e in row["mass_fractions"].split(";"))}
    assert found == pytest.approx(expected, abs=2e-3)
    assert sum(found.values()) == pytest.approx(1)


def test_the_twelve_of_the_recolouring_paper() -> None:
    assert sum(row.recolouring for row in materials().values()) == 12


def test_mixture_conserves_mass_and_volume() -> None:
    paint = Paint("flesh", {"lead_white": 0.92, "vermilion": 0.08}, loading=0.4)
    assert sum(paint.volumes().values()) == pytest.approx(1)
    assert sum(paint.mass_shares().values()) == pytest.approx(1)
    grams = 0.4 * 0.08 * material("vermilion").density * material("vermilion").mass_fractions()["Hg"]
    assert paint.mass_fractions()["Hg"] * paint.density() == pytest.approx(grams)


def test_leaving_a_pigment_out_keeps_the_mass_of_the_others() -> None:
    paint = Paint("flesh", {"lead_white": 0.9, "vermilion": 0.1})
    without = paint.without("vermilion")
    assert without.mass_fractions()["Pb"] * without.density() == pytest.approx(
        paint.mass_fractions()["Pb"] * paint.density()
    )
    assert Paint("pure", {"vermilion": 1.0}).without("vermilion").volumes() == {"linseed_oil": 1.0}


@pytest.mark.parametrize(
    ("pigments", "loading", "message"),
    [
        ({"azurit": 1.0}, 0.4, 'did you mean "azurite"'),
        ({"azurite": 0.5, "chalk": 0.2}, 0.4, r"sum to 1; found azurite 0\.5, chalk 0\.2 \(sum 0\.7\)"),
        ({"azurite": 1.5, "chalk": -0.5}, 0.4, "must be positive"),
        ({}, 0.4, "found none"),
        ({"azurite": 1.0}, 1.4, "loading of paint 'x' must lie in 0 to 1; found 1.4"),
    ],
)
def test_bad_paints_are_refused(pigments: dict, loading: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Paint("x", pigments, loading)


def test_paints_of_different_tables_differ() -> None:
    ochre = varied(material("red_ochre"), rng=np.random.default_rng(1))
    other = Paint("red", {"red_ochre": 1.0}, table={**materials(), "red_ochre": ochre})
    assert other != Paint("red", {"red_ochre": 1.0})
    assert sum(ochre.mass_fractions().values()) == pytest.approx(1)
    assert ochre.mass_fractions()["Fe"] != pytest.approx(material("red_ochre").mass_fractions()["Fe"], rel=1e-3)
    assert varied(material("azurite"), rng=np.random.default_rng(1)) is material("azurite")


def test_own_materials(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("id,formula,density_g_cm3\nmy_blue,CuCO3,3.5\nazurite,CuO,6.3\n")
    table = read_materials(path)
    assert len(table) == len(materials()) + 1
    assert Paint("x", {"my_blue": 1.0}, table=table).mass_fractions()["Cu"] > 0
    assert material("azurite", table).density == 6.3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,formula\nx,CuO\n", "density_g_cm3 is missing"),
        ("id,formula,density_g_cm3\nx,CuO,-1\n", r"line 2 \(x\).*density"),
        ("id,formula,density_g_cm3\nx,CuXo,1\n", "line 2.*Xo"),
        ("id,mass_fractions,density_g_cm3\nx,Cu:0.5,1\n", "sum to 1"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_materials(path)
