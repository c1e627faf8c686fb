import pytest

from velatura.atomic.elements import atomic_number, atomic_weight, mass_shares, symbol, symbols
from velatura.base.errors import InputError


def test_symbols_and_numbers_are_inverse():
    assert len(symbols()) == 92
    assert [atomic_number(name) for name in symbols()] == list(range(1, 93))
    assert [symbol(z) for z in (1, 20, 26, 82, 92)] == ["H", "Ca", "Fe", "Pb", "U"]
    assert atomic_weight("Pb") == pytest.approx(207.2, abs=0.05)


@pytest.mark.parametrize(("word", "hint"), [("fe", '"Fe"'), ("PB", '"Pb"'), ("Xx", "no element")])
def test_an_unknown_symbol_is_refused_with_a_near_miss(word, hint):
    with pytest.raises(InputError, match=hint):
        atomic_number(word)


@pytest.mark.parametrize("z", [0, 93, -1])
def test_an_atomic_number_outside_the_table_is_refused(z):
    with pytest.raises(InputError, match="1 to 92"):
        symbol(z)


@pytest.mark.parametrize(
    ("formula", "shares"),
    [  # from the standard atomic weights (IUPAC)
        ("Pb3C2O8H2", {"Pb": 0.80141, "O": 0.16502, "C": 0.03097, "H": 0.00260}),
        ("(PbCO3)2(Pb(OH)2)", {"Pb": 0.80141, "O": 0.16502, "C": 0.03097, "H": 0.00260}),
        ("CaSO4(H2O)2", {"Ca": 0.23278, "S": 0.18626, "O": 0.55755, "H": 0.02341}),
        ("CdS0.6Se0.4", {"Cd": 0.68742, "S": 0.11765, "Se": 0.19314}),
        ("Fe", {"Fe": 1.0}),
    ],
)
def test_mass_shares_of_formulas(formula, shares):
    assert mass_shares(formula) == pytest.approx(shares, abs=2e-3)
    assert sum(mass_shares(formula).values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("formula", ["", "Ca(OH", "caco3", "Pb CO3", "2PbO", "Fe0", "O2-"])
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(InputError, match="no chemical formula"):
        mass_shares(formula)


def test_brackets_must_match():
    with pytest.raises(InputError, match="brackets"):
        mass_shares("Ca)2")
