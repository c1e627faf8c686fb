"""Fluorescence of layered paint against fisx (its own constants, so only the equations count), and its laws."""

import json
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.physics.excitation import Excitation
from velatura.physics.fluorescence import lines, mean_decay, primary

ORACLE = Path(__file__).resolve().parents[1] / "oracles" / "fisx"
STACKS = json.loads((ORACLE / "stacks.json").read_text())["stacks"]
CONSTANTS = json.loads((ORACLE / "constants.json").read_text())
KEYS = CONSTANTS["lines"]["key"]
ELEMENTS = sorted(CONSTANTS["lines"]["mu_by_element"])
ENTRIES, SLOTS = 90, 6
STEEL = next(number for number, stack in enumerate(STACKS) if stack["id"] == "r")


class Inputs(NamedTuple):
    mass: np.ndarray
    shares: np.ndarray
    excitation: Excitation


def filled(values, empty: float) -> list[float]:
    return [*values, *[empty] * (ENTRIES - len(values))]


def excitation_of(stack: dict) -> Excitation:
    """fisx's constants for one stack: every line is a sub-shell and an exciter of its own; 90 entries of the beam."""
    beam = CONSTANTS["beams"][stack["beam_name"]]
    energy, weight = filled(beam["energy_kev"], 1.0), np.array(filled(beam["weight"], 0.0))
    production = [filled(beam["production_by_line"].get(key, []), 0.0) for key in KEYS]
    inward = np.array([filled(beam["mu_by_element"].get(z, []), 1.0) for z in ELEMENTS])
    outward = np.array([CONSTANTS["lines"]["mu_by_element"][z] for z in ELEMENTS])
    element, number = np.array([ELEMENTS.index(key.split()[0]) for key in KEYS]), len(KEYS)
    excited = np.zeros((number, number))
    for shell, key in enumerate(KEYS):
        for exciter, value in CONSTANTS["lines"]["production_at_line"].get(key, {}).items():
            excited[int(exciter), shell] = value if key in beam["production_by_line"] else 0.0
    line_energy = np.array(CONSTANTS["lines"]["energy_kev"])
    sine = [np.sin(np.radians(stack["geometry"][name])) for name in ("beam_angle_deg", "takeoff_angle_deg")]
    return Excitation(
        energy=energy, low=energy, width=np.zeros(ENTRIES), beam=weight / weight.sum(),
        attenuation_in=inward, attenuation_out=outward, attenuation_softened=inward, coherent=0 * inward,
        incoherent=0 * inward, compton_energy=energy, production=np.transpose(production), shell_element=element,
        line_energy=line_energy, line_rate=np.ones(number), line_element=element, line_shell=np.arange(number),
        exciter_energy=line_energy, exciter_rate=np.eye(number), exciter_attenuation=outward,
        exciter_production=excited, sin_in=sine[0], sin_out=sine[1],
    )  # fmt: skip


def arrays_of(stack: dict) -> Inputs:
    mass, shares = np.zeros(SLOTS), np.zeros((SLOTS, len(ELEMENTS)))
    for slot, layer in enumerate(stack["layers"]):
        mass[slot] = layer["mass_thickness_g_cm2"]
        for element, share in layer["mass_fractions"].items():
            shares[slot, ELEMENTS.index(element)] = share
    return Inputs(mass, shares, excitation_of(stack))


def together(inputs: list[Inputs]) -> Inputs:
    """All stacks along a first axis, in the precision that is on."""
    return jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts)), *inputs)


def listed(stack: dict, values: np.ndarray) -> np.ndarray:
    """Values of the lines that the oracle lists."""
    return values[[KEYS.index(f"{row['element']} {row['line']}") for row in stack["lines"]]]


def column(stack: dict, name: str) -> np.ndarray:
    return np.array([row[name] for row in stack["lines"]], float)


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return together([arrays_of(stack) for stack in STACKS])


@pytest.fixture(scope="module")
def closed(inputs: Inputs) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(primary))(*inputs))


@pytest.fixture(scope="module")
def cells6(inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """Photons of all lines at 6 cells a layer, with and without secondary fluorescence."""
    evaluate = jax.jit(jax.vmap(partial(lines, cells=6)))
    alone = inputs.excitation._replace(exciter_production=0 * inputs.excitation.exciter_production)
    return np.asarray(evaluate(*inputs)), np.asarray(evaluate(*inputs[:2], alone))


def test_primary_is_that_of_fisx_in_float32(closed: np.ndarray) -> None:
    for stack, found in zip(STACKS, closed, strict=True):
        np.testing.assert_allclose(listed(stack, found), column(stack, "primary"), rtol=1e-5, err_msg=stack["id"])


def test_primary_is_that_of_fisx_in_float64() -> None:
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(jax.vmap(primary))(*together([arrays_of(stack) for stack in STACKS])))
    assert found.dtype == np.float64
    assert sum(len(stack["lines"]) for stack in STACKS) == 545
    for stack, values in zip(STACKS, found, strict=True):
        np.testing.assert_allclose(listed(stack, values), column(stack, "primary"), rtol=2e-6, err_msg=stack["id"])


def test_primary_in_cells_is_the_closed_form(closed: np.ndarray, cells6: tuple[np.ndarray, np.ndarray]) -> None:
    strong = closed > 1e-3 * closed.max(axis=1, keepdims=True)
    error = (cells6[1] / np.where(strong, closed, 1) - 1)[strong]
    assert np.sqrt(np.mean(error**2)) < 0.001
    assert np.abs(error).max() < 0.004


def test_secondary_is_that_of_the_plane_kernel(cells6: tuple[np.ndarray, np.ndarray]) -> None:
    """Within 0.3 percentage points at 6 cells; against fisx, where it is exact, as well. Steel has its own test."""
    for number, stack in enumerate(STACKS):
        both, alone = (listed(stack, values[number]) for values in cells6)
        enhancement, exact = both / alone - 1, ~column(stack, "fisx_secondary_simplified").astype(bool)
        if number != STEEL:
            np.testing.assert_allclose(enhancement, column(stack, "enhancement_fluorescence_kernel"), atol=0.003)
            fisx = column(stack, "enhancement_fluorescence")
            np.testing.assert_allclose(enhancement[exact], fisx[exact], atol=0.003)


def test_steel_1155(inputs: Inputs, closed: np.ndarray) -> None:
    """Total over primary by Monte Carlo: Schoonjans et al., Spectrochim. Acta B 70 (2012) 10, Table 1."""
    steel = jax.tree.map(lambda part: part[STEEL], inputs)
    total = jax.jit(partial(lines, cells=24))(steel.mass[:1], steel.shares[:1], steel.excitation)
    enhancement = np.asarray(total)[: len(KEYS)] / np.where(closed[STEEL] > 0, closed[STEEL], 1)
    assert enhancement[KEYS.index("Cr KL3")] == pytest.approx(1.626, rel=0.02)
    assert enhancement[KEYS.index("Fe KL3")] == pytest.approx(1.063, rel=0.02)
    row = next(row for row in STACKS[STEEL]["lines"] if (row["element"], row["line"]) == ("Cr", "KL3"))
    assert enhancement[KEYS.index("Cr KL3")] - 1 == pytest.approx(row["enhancement_fluorescence_kernel"], abs=0.01)


def test_thick_and_thin_limits(inputs: Inputs) -> None:
    """Thick: w S / (mu_in / sin_in + mu_out / sin_out) / sin_in; thin: proportional to the mass; both by hand."""
    x = jax.tree.map(lambda part: part[STEEL], inputs.excitation)
    shares = inputs.shares[STEEL]
    first, emitted = np.asarray(shares[0]), np.asarray(x.beam @ x.production) / float(x.sin_in)
    weight = first[np.asarray(x.line_element)] * emitted
    inward, outward = first @ np.asarray(x.attenuation_in)[:, 0], first @ np.asarray(x.attenuation_out)
    thick = weight / (inward / float(x.sin_in) + outward / float(x.sin_out))
    closed, in_cells = jax.jit(primary), jax.jit(partial(lines, cells=2))
    for mass, expected in ((1e3, thick), (1e-9, weight * 1e-9)):
        np.testing.assert_allclose(closed(jnp.full(1, mass), shares[:1], x), expected, rtol=1e-3)
    np.testing.assert_allclose(in_cells(jnp.full(1, 1e-9), shares[:1], x), weight * 1e-9, rtol=1e-3)


def test_a_layer_cut_in_two_emits_the_same(inputs: Inputs, closed: np.ndarray) -> None:
    """Fifth stack (titanium white on bone black on chalk on canvas); its second layer becomes two."""
    mass, shares, x = jax.tree.map(lambda part: part[4], inputs)
    cut = np.insert(np.asarray(mass), 1, mass[1] / 2)[:SLOTS]
    cut[2] /= 2
    found = jax.jit(primary)(cut, np.insert(np.asarray(shares), 1, shares[1], axis=0)[:SLOTS], x)
    np.testing.assert_allclose(found, closed[4], rtol=1e-5, atol=1e-12)


def test_a_layer_without_mass_and_the_order_of_elements_change_nothing(inputs: Inputs) -> None:
    mass, shares, x = jax.tree.map(lambda part: part[3], inputs)
    evaluate = jax.jit(partial(lines, cells=3))
    expected = evaluate(mass, shares, x)
    for slot in (0, 2):
        masses = np.insert(np.asarray(mass), slot, 0.0)[:SLOTS]
        layers = np.insert(np.asarray(shares), slot, shares[4], axis=0)[:SLOTS]
        found = evaluate(masses, layers, x)
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-15)
        layers[slot] = 0.0
        np.testing.assert_array_equal(evaluate(masses, layers, x), found)
    order = np.roll(np.arange(len(ELEMENTS)), 7)
    place = np.argsort(order)
    turned = x._replace(
        **{name: getattr(x, name)[order] for name in ("attenuation_in", "attenuation_out", "exciter_attenuation")},
        **{name: jnp.asarray(place)[getattr(x, name)] for name in ("shell_element", "line_element")},
    )
    np.testing.assert_allclose(evaluate(mass, shares[:, order], turned), expected, rtol=2e-5)


def test_gradients_are_finite_where_a_layer_has_no_mass(inputs: Inputs) -> None:
    """Second stack: vermilion on lead white on canvas, and a slot without mass."""
    mass, shares, x = jax.tree.map(lambda part: part[1], inputs)
    mass, shares = mass[:4], shares[:4]
    total = jax.jit(lambda mass, shares: jnp.sum(lines(mass, shares, x, cells=1)))
    by_mass, by_share = jax.jit(jax.grad(total, argnums=(0, 1)))(mass, shares)
    assert np.all(np.isfinite(by_mass))
    assert np.all(np.isfinite(by_share))
    step = 1e-2 * float(mass[0])
    difference = (total(mass.at[0].add(step), shares) - total(mass.at[0].add(-step), shares)) / (2 * step)
    assert float(by_mass[0]) == pytest.approx(float(difference), rel=1e-2)


def test_mean_decay() -> None:
    x = np.array([0.0, 1e-6, 0.0999, 0.1001, 1.0, 50.0])
    expected = [1.0, 1 - 5e-7, *(-np.expm1(-x[2:]) / x[2:])]
    np.testing.assert_allclose(mean_decay(jnp.asarray(x)), expected, rtol=1e-6)
