"""Tables folded with a beam: means over bins, own cross sections against fisx, merged exciters."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.atomic.attenuation import fluorescence_production, mass_attenuation
from velatura.atomic.lines import lines_of
from velatura.base.errors import InputError
from velatura.physics import excitation as folding
from velatura.physics.excitation import Excitation, emission_of, excite
from velatura.physics.fluorescence import lines, primary
from velatura.physics.tube import Beam, Tube, tube_beam

STACKS = json.loads((Path(__file__).resolve().parents[1] / "oracles" / "fisx" / "stacks.json").read_text())["stacks"]
ELEMENTS = tuple(sorted({z for stack in STACKS for layer in stack["layers"] for z in layer["mass_fractions"]}))
NOTHING = np.zeros(0)
# Lines that a major M edge just below the line, or above it, makes uncertain by 20 to 50 % in every data base.
EDGE_CASES = {("b", "S"), ("c", "S")}


def packed(stack: dict) -> tuple[np.ndarray, np.ndarray]:
    mass, shares = np.zeros(6, np.float32), np.zeros((6, len(ELEMENTS)), np.float32)
    for slot, layer in enumerate(stack["layers"]):
        mass[slot] = layer["mass_thickness_g_cm2"]
        for element, share in layer["mass_fractions"].items():
            shares[slot, ELEMENTS.index(element)] = share
    return mass, shares


def excited(stack: dict) -> Excitation:
    beam = Beam(NOTHING, NOTHING, np.array(stack["beam"]["energy_kev"]), np.array(stack["beam"]["weight"]))
    angles = stack["geometry"]
    return excite(beam, ELEMENTS, incidence_angle=angles["beam_angle_deg"], take_off_angle=angles["takeoff_angle_deg"])


@pytest.fixture(scope="module")
def own() -> list[tuple[Excitation, np.ndarray]]:
    closed = jax.jit(primary)
    return [(x, np.asarray(closed(*packed(stack), x))) for stack in STACKS for x in [excited(stack)]]


def family_of(element: str, x: Excitation) -> np.ndarray:
    """Family letter of each line of an element in the order of the arrays; empty for other elements."""
    shells = emission_of(ELEMENTS).shells
    return np.array([shells[g][1][0] if shells[g][0] == element else "" for g in np.asarray(x.line_shell)])


def test_families_agree_with_fisx(own) -> None:
    """K of Z >= 20 within 1 %, softer K within 3 %, L within 2 %, M within 6 %; families above 1 % of the strongest.

    L of tin within 8 %: fluorescence yields of the L shell around Z = 50 differ so much between data bases.
    """
    tolerance, found = {"K": 0.01, "L": 0.02, "M": 0.06}, {}
    for stack, (x, values) in zip(STACKS, own, strict=True):
        strongest = max(row["primary"] for row in stack["families"])
        for row in stack["families"]:
            if row["primary"] < 0.01 * strongest or (stack["id"], row["element"]) in EDGE_CASES:
                continue
            here = (family_of(row["element"], x) == row["family"]) & (np.asarray(x.line_energy) > 1)
            limit = 0.03 if row["element"] in ["Al", "Si", "P", "S", "Cl", "Ar", "K"] else tolerance[row["family"]]
            limit = 0.08 if (row["element"], row["family"]) == ("Sn", "L") else limit
            found[stack["id"], row["element"], row["family"]] = (values[here].sum() / row["primary"] - 1, limit)
    wrong = {key: value for key, value in found.items() if abs(value[0]) > value[1]}
    assert not wrong
    assert len(found) > 40


def test_single_lines_agree_with_fisx(own) -> None:
    """L3 lines above 5 % of the strongest within 7 %, L2 within 10 %, L1 within 45 %; L of tin left out.

    The yield of L1 differs between data bases (Pb 0.128 and 0.093). One energy of the beam lies 39 (Hg) and 48 eV (Pb)
    above the L2 edge, where our cross section is half.
    """
    limits = {"L1": 0.45, "L2": 0.10, "L3": 0.07}
    shells, compared = emission_of(ELEMENTS).shells, 0
    for stack, (x, values) in zip(STACKS, own, strict=True):
        strongest, energy = max(row["primary"] for row in stack["lines"]), np.asarray(x.line_energy)
        found: dict[int, float] = {}
        for row in stack["lines"]:
            if row["family"] == "L" and row["element"] != "Sn":
                shell = shells.index((row["element"], row["line"][:2]))
                mine = np.flatnonzero(np.asarray(x.line_shell) == shell)
                nearest = int(mine[np.argmin(np.abs(energy[mine] - row["energy_kev"]))])
                if abs(energy[nearest] - row["energy_kev"]) < 0.03:
                    found[nearest] = found.get(nearest, 0.0) + row["primary"]
        for line, expected in found.items():
            if expected > 0.05 * strongest:
                limit = limits[shells[int(x.line_shell[line])][1]]
                assert values[line] == pytest.approx(expected, rel=limit), (stack["id"], energy[line])
                compared += 1
    assert compared > 20


def test_merged_exciters_excite_like_single_lines(own, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 0.2 percentage points of the primary for lines above 0.1 % of the strongest; stacks of all beams."""
    merged, single = emission_of(ELEMENTS), emission_of(ELEMENTS, same_exciter=1.000001)
    assert len(merged.exciter_energy) < 0.4 * len(single.exciter_energy)
    evaluate = jax.jit(partial(lines, cells=2))
    names = [name for name in merged._fields if name.startswith("exciter")]
    for number in (1, 3, 6, 11):
        x, closed = own[number]
        every = x._replace(**{name: jnp.asarray(getattr(single, name), jnp.float32) for name in names})
        mass, shares = packed(STACKS[number])
        difference = np.asarray(evaluate(mass, shares, x)) - np.asarray(evaluate(mass, shares, every))
        strong = closed > 1e-3 * closed.max()
        assert np.abs(difference[strong] / closed[strong]).max() < 0.002


def test_bins_of_half_a_kev_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against bins of 0.025 keV: lines above 1 % of the strongest within 1 %."""
    beam, closed, found = tube_beam(Tube()), jax.jit(primary), []
    for width in (0.5, 0.025):
        monkeypatch.setattr(folding, "BIN", width)
        monkeypatch.setattr(folding, "STEP", min(0.01, width / 5))
        x = excite(beam, ELEMENTS)
        found.append(np.stack([closed(*packed(stack), x) for stack in STACKS]))
    strong = found[1] > 0.01 * found[1].max(axis=1, keepdims=True)
    np.testing.assert_allclose(found[0][strong], found[1][strong], rtol=0.01)


def test_entries_hold_the_beam_and_its_mean_tables() -> None:
    beam = Beam(np.arange(5.05, 20, 0.1), np.ones(150), np.array([20.2, 22.7]), np.array([30.0, 0.0]))
    x = excite(beam, ("Ca", "Fe"))
    bins, line = np.flatnonzero(x.width > 0), int(np.flatnonzero(np.asarray(x.energy) == np.float32(20.2))[0])
    assert len(x.energy) % folding.MULTIPLE == 0
    assert float(x.beam.sum()) == pytest.approx(1, rel=1e-6)
    assert float(x.beam[line]) == pytest.approx(30 / 180, rel=1e-4)
    np.testing.assert_allclose(x.low[bins], np.arange(5, 20, 0.5), rtol=1e-6)
    np.testing.assert_allclose(x.energy[bins], np.arange(5.25, 20, 0.5), rtol=1e-5)
    fine = np.arange(7.0005, 7.5, 0.001)  # the K edge of iron, 7.112 keV, lies inside
    np.testing.assert_allclose(x.attenuation_in[1, bins[4]], mass_attenuation("Fe", fine).mean(), rtol=0.005)
    shell = emission_of(("Ca", "Fe")).shells.index(("Fe", "K"))
    np.testing.assert_allclose(x.production[bins[4], shell], fluorescence_production("Fe", "K", fine).mean(), rtol=0.01)
    np.testing.assert_allclose(x.attenuation_in[0, line], mass_attenuation("Ca", 20.2), rtol=1e-5)
    assert np.all(np.asarray(x.beam)[line + 1 :] == 0)
    assert float(x.compton_energy[line]) == pytest.approx(20.2 / (1 + 20.2 / 511 * (1 + np.sqrt(0.5))), rel=1e-5)


def test_lines_keep_their_photons() -> None:
    emission = emission_of(("Pb", "Ca"))
    known = {(line.element, line.edge) for z in ("Pb", "Ca") for line in lines_of(z) if line.rate >= folding.WEAKEST}
    assert set(emission.shells) == known
    for g, (element, edge) in enumerate(emission.shells):
        kept = [line for line in lines_of(element) if line.edge == edge and line.rate >= folding.WEAKEST]
        assert emission.line_rate[emission.line_shell == g].sum() == pytest.approx(sum(line.rate for line in kept))
        hard = [line.rate for line in kept if line.energy >= folding.SOFTEST_EXCITER]
        assert emission.exciter_rate[g].sum() == pytest.approx(sum(hard))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elements": ("Fe", "Xx")}, "no element"),
        ({"elements": ("Fe", "Fe")}, "different symbols"),
        ({"elements": ()}, "found none"),
        ({"incidence_angle": 0.0}, "incidence angle must be above 0 and up to 90 deg"),
        ({"take_off_angle": 91.0}, "take-off angle must be above 0"),
        ({"beam": Beam(NOTHING, NOTHING, NOTHING, NOTHING)}, "found no photons"),
        ({"beam": Beam(NOTHING, NOTHING, np.array([80.0]), np.array([1.0]))}, "found 80 to 80 keV"),
    ],
)
def test_refuses_nonsense(change: dict, message: str) -> None:
    whole = {"beam": Beam(NOTHING, NOTHING, np.array([20.0]), np.array([1.0])), "elements": ("Fe",), **change}
    with pytest.raises(InputError, match=message):
        excite(whole.pop("beam"), whole.pop("elements"), **whole)


def test_elements_without_lines_are_allowed() -> None:
    x = excite(Beam(NOTHING, NOTHING, np.array([20.0]), np.array([1.0])), ("H", "C", "O"))
    evaluate = jax.jit(partial(lines, cells=2))
    assert evaluate(jnp.ones(1), jnp.full((1, 3), 1 / 3), x).shape == (0,)


def test_the_scattering_angle_changes_scatter_alone() -> None:
    beam = Beam(NOTHING, NOTHING, np.array([20.0]), np.array([1.0]))
    angles = {"incidence_angle": 50.0, "take_off_angle": 50.0}
    plane, turned = excite(beam, ("C", "Fe"), **angles), excite(beam, ("C", "Fe"), **angles, scattering_angle=125.93)
    changed = {name for name, here, there in zip(plane._fields, plane, turned, strict=True)
               if not np.array_equal(here, there)}  # fmt: skip
    assert changed == {"coherent", "incoherent", "compton_energy", "attenuation_softened"}
    assert np.asarray(turned.compton_energy)[0] == pytest.approx(
        20 / (1 + 20 / 511 * (1 + np.sin(np.radians(50)) ** 2))
    )
