import hashlib

import numpy as np
import pytest

from velatura.atomic.elements import atomic_number, symbols
from velatura.atomic.lines import group, groups_of, lines_of
from velatura.atomic.stored import table
from velatura.base.errors import InputError

EVERYTHING = (0.0, 200.0)


def line(element, name):
    return next(found for found in lines_of(element, window=EVERYTHING) if name in (found.iupac, found.siegbahn))


@pytest.mark.parametrize(
    ("element", "name", "energy"),
    [  # Bearden, Rev. Mod. Phys. 39 (1967) 78 [keV]
        ("Fe", "Ka1", 6.404), ("Fe", "K-L2", 6.391), ("Fe", "Kb1", 7.058), ("Pb", "La1", 10.551), ("Pb", "Lb1", 12.614),
        ("Hg", "La1", 9.989), ("Pb", "Ma1", 2.346), ("Ca", "Ka1", 3.692), ("Cu", "Ka1", 8.048), ("Rh", "Ka1", 20.216),
        ("Ar", "Ka1", 2.957), ("Ba", "La1", 4.466), ("Ti", "Ka1", 4.511), ("As", "Ka1", 10.544), ("S", "Ka1", 2.308),
    ],
)  # fmt: skip
def test_energies_of_well_known_lines(element, name, energy):
    assert line(element, name).energy == pytest.approx(energy, abs=0.003)


def test_rates_sum_to_one_in_each_sub_shell_and_weights_in_each_family():
    for element in symbols():
        rates, weights = {}, {}
        for found in lines_of(element, window=EVERYTHING):
            rates[found.edge] = rates.get(found.edge, 0) + found.rate
            weights[found.edge[0]] = weights.get(found.edge[0], 0) + found.weight
        assert all(total == pytest.approx(1, abs=1e-9) for total in rates.values()), element
        assert all(total == pytest.approx(1, abs=1e-9) or total == 0 for total in weights.values()), element
        assert weights.get("K", 1) == pytest.approx(1)


def test_lines_agree_with_the_library_they_come_from():
    xraylib = pytest.importorskip("xraylib")
    for element in ("Ca", "Fe", "Sn", "Ba", "Au", "Pb"):
        z = atomic_number(element)
        for found in lines_of(element, window=EVERYTHING):
            code = getattr(xraylib, found.iupac.replace("-", "") + "_LINE")
            assert found.energy == xraylib.LineEnergy(z, code)
            if found.energy > 0.9:  # softer shells miss lines without an energy
                assert found.rate == pytest.approx(xraylib.RadRate(z, code), rel=0.02)
            assert found.edge_energy == xraylib.EdgeEnergy(z, getattr(xraylib, f"{found.edge}_SHELL"))


def test_a_line_lies_below_its_edge():
    for element in symbols():
        assert all(found.energy < found.edge_energy * 1.001 for found in lines_of(element))  # valence lines touch it


def test_the_window_and_the_families_select():
    assert all(0.9 <= found.energy <= 45 for name in symbols() for found in lines_of(name))
    assert {found.edge[0] for found in lines_of("Pb")} == {"L", "M"}
    assert {found.edge[0] for found in lines_of("Ba", ("L",), window=EVERYTHING)} == {"L"}
    assert lines_of("C") == ()


@pytest.mark.parametrize("spelling", ["Fe-Ka", "Fe_Ka", "Fe Ka", "FeKa", "fe-ka", "Fe-Kα", " Fe-KA "])
def test_every_usual_spelling_means_the_same_group(spelling):
    assert group(spelling).name == "Fe-Ka"


def test_groups_gather_their_lines():
    assert group("Fe_K").name == "Fe-K"
    assert group("Fe-Ka").energy == pytest.approx(6.399, abs=0.002)
    assert {found.siegbahn for found in group("Pb-La").lines} == {"La1", "La2"}
    assert {found.edge for found in group("Pb-L").lines} == {"L1", "L2", "L3"}
    assert group("Pb-Lb").energy == pytest.approx(12.62, abs=0.02)
    for name in ("Fe-Ka", "Pb-L", "Pb-M"):
        assert group(name).weights.sum() == pytest.approx(1, abs=1e-12)
    energies = [found.energy for found in groups_of("Sn")]
    assert energies == sorted(energies, reverse=True)


def test_kb_to_ka_of_iron_and_lb_to_la_of_lead_are_plausible():
    iron = {name: sum(found.weight for found in group(f"Fe-{name}").lines) for name in ("Ka", "Kb")}
    assert iron["Kb"] / iron["Ka"] == pytest.approx(0.134, abs=0.007)  # Scofield 1974: 0.1339
    lead = {name: sum(found.weight for found in group(f"Pb-{name}").lines) for name in ("La", "Lb")}
    assert 0.55 < lead["Lb"] / lead["La"] < 0.95


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Fe-Kz", "it has"),
        ("Xx-Ka", "no element"),
        ("iron", "write element and line"),
        ("", "write"),
        ("Fe-Ma", "it has"),
    ],
)
def test_what_is_no_line_is_refused(name, hint):
    with pytest.raises(InputError, match=hint):
        group(name)


@pytest.mark.parametrize("name", ["lines", "attenuation"])
def test_the_stored_tables_are_whole(name):
    stored = dict(table(name))
    recorded = str(stored.pop("sha256"))
    source = str(stored.pop("source"))
    whole = hashlib.sha256()
    for key in sorted(stored):
        whole.update(key.encode() + np.ascontiguousarray(stored[key]).tobytes())
    assert whole.hexdigest() == recorded
    assert source.startswith("xraylib")
