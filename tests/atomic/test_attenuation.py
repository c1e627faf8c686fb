import numpy as np
import pytest

from velatura.atomic.attenuation import (
    coherent,
    fluorescence_production,
    incoherent,
    mass_attenuation,
    photoabsorption,
)
from velatura.atomic.elements import atomic_number
from velatura.atomic.stored import table
from velatura.base.errors import InputError

GRID = np.geomspace(0.6, 59, 317)


@pytest.mark.parametrize(
    ("element", "values"),
    [  # Hubbell & Seltzer, NISTIR 5632 (1995), at 5, 10, 20 keV [cm2/g]
        ("C", (19.12, 2.373, 0.4420)), ("O", (47.90, 5.952, 0.8651)), ("Ca", (602.7, 93.41, 13.06)),
        ("Fe", (139.8, 170.6, 25.68)), ("Pb", (730.4, 130.6, 86.36)),
    ],
)  # fmt: skip
def test_attenuation_equals_published_values(element, values):
    assert mass_attenuation(element, [5.0, 10.0, 20.0]) == pytest.approx(values, rel=0.01)


@pytest.mark.parametrize("element", ["C", "O", "Al", "S", "Ca", "Cr", "Fe", "Sn", "Ba", "Pb"])
def test_interpolation_agrees_with_the_library_between_stored_points(element):
    xraylib = pytest.importorskip("xraylib")
    z = atomic_number(element)
    photo = xraylib.CS_Photo_Total if z >= 14 else xraylib.CS_Photo
    assert photoabsorption(element, GRID) == pytest.approx([photo(z, e) for e in GRID], rel=5e-3)
    assert coherent(element, GRID) == pytest.approx([xraylib.CS_Rayl(z, e) for e in GRID], rel=5e-3)
    assert incoherent(element, GRID) == pytest.approx([xraylib.CS_Compt(z, e) for e in GRID], rel=5e-3)


def test_attenuation_is_the_sum_of_its_parts_and_linear_in_mass_shares():
    parts = photoabsorption("Fe2O3", GRID) + coherent("Fe2O3", GRID) + incoherent("Fe2O3", GRID)
    assert mass_attenuation("Fe2O3", GRID) == pytest.approx(parts, rel=1e-12)
    mixed = 0.3 * mass_attenuation("Fe", GRID) + 0.7 * mass_attenuation("O", GRID)
    assert mass_attenuation({"Fe": 0.3, "O": 0.7}, GRID) == pytest.approx(mixed, rel=1e-12)
    assert mass_attenuation({"Fe": 3, "O": 7}, GRID) == pytest.approx(mixed, rel=1e-12)
    assert mass_attenuation("Fe", 6.4).shape == ()


@pytest.mark.parametrize(("element", "shell"), [("Fe", 0), ("Ca", 0), ("Pb", 3), ("Pb", 1), ("Sn", 0), ("Ba", 3)])
def test_an_edge_is_a_step_at_its_own_energy(element, shell):
    edge = table("lines")["edge_energy"][atomic_number(element) - 1, shell]
    before, after = photoabsorption(element, [edge * 0.9999, edge * 1.0001])
    assert after / before > 1.1


@pytest.mark.parametrize(
    ("element", "shell"), [("Fe", "K"), ("Cu", "K"), ("Sn", "K"), ("Pb", "L3"), ("Pb", "L1"), ("Pb", "M5")]
)
def test_production_is_that_of_the_library_with_its_full_cascade(element, shell):
    xraylib = pytest.importorskip("xraylib")
    z, code = atomic_number(element), getattr(xraylib, f"{shell}_SHELL")
    energies = GRID[xraylib.EdgeEnergy(z, code) * 1.02 < GRID]
    made = [xraylib.CS_FluorShell_Kissel_Cascade(z, code, e) for e in energies]
    assert fluorescence_production(element, shell, energies) == pytest.approx(made, rel=0.01)


def test_production_opens_at_the_edge():
    assert np.all(fluorescence_production("Fe", "K", [1.0, 7.0, 7.111]) == 0)
    assert fluorescence_production("Fe", "K", 7.113) > 50


def test_production_of_iron_is_photoabsorption_times_jump_share_times_yield():
    """By hand at 10 keV: jump ratio 7.893, yield 0.3546 (Elam 2002; Krause 1979)."""
    by_hand = photoabsorption("Fe", 10.0) * (1 - 1 / 7.893) * 0.3546
    assert fluorescence_production("Fe", "K", 10.0) == pytest.approx(by_hand, rel=0.02)


def test_a_family_is_the_sum_of_its_sub_shells():
    parts = sum(fluorescence_production("Pb", shell, GRID) for shell in ("L1", "L2", "L3"))
    assert fluorescence_production("Pb", "L", GRID) == pytest.approx(parts)
    assert np.all(fluorescence_production("Pb", "L", GRID) <= photoabsorption("Pb", GRID))


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: mass_attenuation("Fe", 0.1), "0.5 to 60"), (lambda: mass_attenuation("Fe", [5, np.nan]), "0.5 to 60"),
        (lambda: mass_attenuation({}, 5), "positive"), (lambda: mass_attenuation({"Fe": -1, "O": 2}, 5), "positive"),
        (lambda: mass_attenuation({"Xx": 1}, 5), "no element"),
        (lambda: fluorescence_production("Fe", "Q", 5), "family"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(call, hint):
    with pytest.raises(InputError, match=hint):
        call()
