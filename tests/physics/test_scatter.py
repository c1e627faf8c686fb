import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from velatura.atomic.attenuation import mass_attenuation
from velatura.atomic.scattering import compton_energy, differential_coherent, differential_incoherent
from velatura.physics.excitation import Excitation
from velatura.physics.scatter import (
    DOPPLER_GROUPS,
    DopplerGroup,
    doppler_density,
    doppler_groups,
    entry_densities,
    scattered,
)

ORACLE = json.loads((Path(__file__).parents[1] / "oracles" / "scatter.json").read_text())
ELEMENTS = ("Ca", "Pb", "H", "O", "C")
GROUPS = doppler_groups(ELEMENTS)
GRID = np.arange(0.3, 45, 0.02)
SPREAD = np.array([1.5, 5.0, 11.0, 20.2, 40.0])
LIGHT, MIDDLE, HEAVY = DOPPLER_GROUPS
compiled = jax.jit(scattered)


def monochromatic(energies, elements=ELEMENTS, *, incidence: float = 90.0, take_off: float = 45.0) -> Excitation:
    """Tables of equally strong lines; what only fluorescence needs stays empty."""
    angle, energies = 180.0 - incidence + take_off, np.asarray(energies)
    softened = compton_energy(energies, angle)
    known = {
        "energy": energies, "beam": np.full(len(energies), 1 / len(energies)),
        "attenuation_in": [mass_attenuation(z, energies) for z in elements],
        "attenuation_softened": [mass_attenuation(z, softened) for z in elements],
        "coherent": [differential_coherent(z, energies, angle) for z in elements],
        "incoherent": [differential_incoherent(z, energies, angle) for z in elements],
        "sin_in": np.sin(np.radians(incidence)), "sin_out": np.sin(np.radians(take_off)),
    }  # fmt: skip
    empty = dict.fromkeys(Excitation._fields, 0)
    return Excitation(**{name: jnp.asarray(value, jnp.float32) for name, value in (empty | known).items()})


def packed(stack: dict):
    """A stack of the oracle in six slots, and so of one shape for the compiler."""
    mass, shares = np.zeros(6, np.float32), np.full((6, len(ELEMENTS)), 0.2, np.float32)
    for slot, (amount, fractions) in enumerate(zip(stack["mass_thickness"], stack["mass_fractions"], strict=True)):
        mass[slot], shares[slot] = amount, [fractions.get(element, 0.0) for element in ELEMENTS]
    return mass, shares


def stack_named(title: str):
    return packed(next(stack for stack in ORACLE["stacks"] if stack["title"] == title))


@pytest.mark.parametrize("stack", ORACLE["stacks"], ids=lambda stack: stack["title"])
def test_single_scatter_is_the_first_order_of_the_monte_carlo(stack):
    """1 % holds three standard errors, of 0.3 % at most, and the interpolation of the tables; found: 0.15 %."""
    energies = np.array([case["energy"] for case in stack["cases"]])
    excitation = monochromatic(energies, incidence=ORACLE["incidence"], take_off=ORACLE["take_off"])
    ours = compiled(*packed(stack), excitation, groups=GROUPS)
    first = [case["order 1"] for case in stack["cases"]]
    assert np.array(ours.coherent) * len(energies) == pytest.approx([f["coherent"][0] for f in first], rel=0.01)
    incoherent = np.array(ours.incoherent).sum(axis=1) * len(energies)
    assert incoherent == pytest.approx([f["incoherent"][0] for f in first], rel=0.01)


def test_the_rayleigh_share_of_the_rhodium_line_grows_with_the_mean_atomic_number():
    """Shares of an independent Monte Carlo: canvas, chalk ground and lead white, at 20.2 keV."""
    excitation, shares = monochromatic(SPREAD), []
    for title in ("canvas", "chalk on canvas", "lead white on canvas"):
        coherent, incoherent = compiled(*stack_named(title), excitation, groups=GROUPS)
        shares.append(float(coherent[3] / (coherent[3] + incoherent[3].sum())))
    assert shares == pytest.approx([0.09, 0.15, 0.74], rel=0.1)
    assert shares == sorted(shares)


def test_layers_may_be_split_moved_apart_and_their_elements_reordered():
    mass, shares = stack_named("lead white on chalk on canvas")
    excitation = monochromatic(SPREAD)
    whole = compiled(mass, shares, excitation, groups=GROUPS)

    halves = compiled(np.repeat(mass[:3] / 2, 2), np.repeat(shares[:3], 2, axis=0), excitation, groups=GROUPS)
    for a, b in zip(whole, halves, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-20)

    apart = np.array([3, 0, 4, 1, 5, 2])
    for a, b in zip(whole, compiled(mass[apart], shares[apart], excitation, groups=GROUPS), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-20)

    order = np.array([3, 0, 4, 2, 1])
    names = tuple(ELEMENTS[i] for i in order)
    other = compiled(mass, shares[:, order], monochromatic(SPREAD, names), groups=doppler_groups(names))
    for a, b in zip(whole, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-20)


def test_thin_layers_scatter_by_their_mass_and_thick_ones_reach_a_limit():
    """Thin: beam m DCS / sin(in); thick: beam DCS / (mu + mu' sin(in) / sin(out)), here at 70 and 40 deg."""
    groups, shares = doppler_groups(("C",)), np.ones((1, 1), np.float32)
    excitation = monochromatic(SPREAD, ("C",), incidence=70.0, take_off=40.0)
    thin, thick = (compiled(np.array([m], np.float32), shares, excitation, groups=groups) for m in (1e-7, 1e3))
    expected = 1e-7 * differential_coherent("C", SPREAD, 150.0) / np.sin(np.radians(70)) / len(SPREAD)
    assert np.array(thin.coherent) == pytest.approx(expected, rel=1e-3)
    leaving = mass_attenuation("C", compton_energy(SPREAD, 150.0)) * np.sin(np.radians(70)) / np.sin(np.radians(40))
    expected = differential_incoherent("C", SPREAD, 150.0) / (mass_attenuation("C", SPREAD) + leaving) / len(SPREAD)
    assert np.array(thick.incoherent[:, 0]) == pytest.approx(expected, rel=1e-4)
    assert np.all(np.array(thick.incoherent[:, 1:]) == 0)


def test_stacks_run_in_batches():
    mass, shares = stack_named("lead white on canvas")
    excitation = monochromatic(SPREAD)
    batch = jax.jit(jax.vmap(lambda m: scattered(m, shares, excitation, groups=GROUPS)))(np.stack([mass, 0 * mass]))
    assert batch.incoherent.shape == (2, 5, 3)
    assert batch.incoherent.dtype == jnp.float32
    np.testing.assert_allclose(batch.coherent[0], compiled(mass, shares, excitation, groups=GROUPS).coherent, rtol=1e-5)
    assert np.all(np.array(batch.coherent[1]) == 0)


def test_gradients_are_finite_and_right():
    mass, shares = stack_named("lead white on canvas")
    excitation = monochromatic(SPREAD)

    def total(mass, shares):
        return sum(part.sum() for part in compiled(mass, shares, excitation, groups=GROUPS))

    slopes = jax.jit(jax.grad(total, argnums=(0, 1)))
    for start in (mass, 0 * mass):
        by_mass, by_share = slopes(start, shares)
        assert np.all(np.isfinite(by_mass))
        assert np.all(np.isfinite(by_share))
    step = np.eye(6, dtype=np.float32)[0] * 0.02 * mass[0]
    slope = (total(mass + step, shares) - total(mass - step, shares)) / (2 * step[0])
    assert slopes(mass, shares)[0][0] == pytest.approx(float(slope), rel=0.01)


def test_elements_fall_into_three_groups():
    table = np.array(doppler_groups(("H", "Ne", "Na", "Ca", "Sc", "U")))
    assert table.argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2]
    assert np.all(table.sum(axis=1) == 1)


@pytest.mark.parametrize(("element", "profile_width"), [("H", 1.02), ("C", 1.43), ("O", 2.10)])
def test_a_compton_line_is_as_wide_as_the_momenta_of_its_electrons(element, profile_width):
    """By hand: FWHM = q / 137 E'/E x width of J, q = 36.1 keV at 20.2 keV and 135 deg; C 0.35 and O 0.52 keV."""
    group, grid = DopplerGroup(element, 10, {element: 1.0}), np.arange(17.5, 20.2, 0.002)
    density = doppler_density(20.2, grid, group=group, angle=135.0, acceptance=0.1)[0]
    high = grid[density > density.max() / 2]
    assert high[-1] - high[0] == pytest.approx(36.1 / 137 * 18.92 / 20.2 * profile_width, rel=0.04)
    assert (high[-1] + high[0]) / 2 == pytest.approx(float(compton_energy(20.2, 135.0)), abs=0.02)


@pytest.mark.parametrize("group", DOPPLER_GROUPS, ids=lambda group: group.name)
@pytest.mark.parametrize("twice", [0.0, 0.1])
def test_compton_profiles_keep_their_photons_below_the_incident_energy(group, twice):
    energies, widths = np.array([1.6, 5.25, 20.2, 39.75]), np.array([0.5, 0.5, 0.0, 0.5])
    density = doppler_density(energies, GRID, group=group, angle=135.0, width=widths, twice=twice)
    assert np.all(density >= 0)
    assert density.sum(axis=1) * 0.02 == pytest.approx(1 + twice, rel=2e-3)
    above = (energies + widths / 2)[:, None] + 0.02 < GRID
    assert np.all(np.where(above, density, 0) == 0)


def test_acceptance_bin_width_and_second_scatter_broaden():
    def width(**options) -> float:
        density = doppler_density(20.2, GRID, group=LIGHT, angle=110.0, **options)[0]
        density /= density.sum()
        return float(np.sqrt(density @ (GRID - density @ GRID) ** 2))

    narrow = width(acceptance=0.1)
    assert width(acceptance=15.0) > width(acceptance=8.0) > narrow
    bin_width = 0.5 * (compton_energy(20.2, 110.0) / 20.2) ** 2  # after the energy loss, which grows with the energy
    assert width(width=0.5) == pytest.approx(np.hypot(width(), bin_width / np.sqrt(12)), rel=3e-3)
    assert width(twice=0.15) > width()


def test_heavier_groups_have_longer_tails():
    tails = [
        doppler_density(20.2, GRID, group=group, angle=135.0)[0][GRID < 18].sum() for group in (LIGHT, MIDDLE, HEAVY)
    ]
    assert tails == sorted(tails)


def test_a_sloping_continuum_shows_no_steps_and_keeps_its_photons() -> None:
    """Bins of 0.5 keV whose photons fall by a fifth from one to the next, seen on a fine grid."""
    low = np.arange(3.0, 12.0, 0.5)
    width, photons = np.full(len(low), 0.5), 0.8 ** np.arange(len(low))
    found = entry_densities(low, width, GRID, angle=135.0, acceptance=8.0, twice=0.0)
    assert found.shape == (len(low), len(DOPPLER_GROUPS), len(GRID))
    cell = np.gradient(GRID)
    np.testing.assert_allclose((found * cell).sum(axis=-1), 1, atol=2e-3)
    inside = (GRID > 4.0) & (GRID < 10.5)
    seen = np.log(gaussian_filter1d(photons @ found[:, 0], 0.05 / cell[0])[inside])
    smooth = np.polynomial.Polynomial.fit(GRID[inside], seen, 5)(GRID[inside])
    assert np.abs(seen - smooth).max() < 0.02


def test_lines_among_the_entries_have_their_groups_profile() -> None:
    low, width = np.array([10.0, 10.5, 20.2]), np.array([0.5, 0.5, 0.0])
    found = entry_densities(low, width, GRID, angle=135.0, acceptance=8.0, twice=0.1)
    for number, group in enumerate(DOPPLER_GROUPS):
        expected = doppler_density(20.2, GRID, group=group, angle=135.0, acceptance=8.0, twice=0.1)[0]
        np.testing.assert_allclose(found[2, number], expected)
