"""How much matter scatters into one direction, and where Compton scattering puts the photon's energy.

Form factors, incoherent scattering functions (Hubbell et al., J. Phys. Chem. Ref. Data 4 (1975) 471) and Compton
profiles (Biggs, Mendelsohn & Mann, At. Data Nucl. Data Tables 16 (1975) 201), all of free atoms; beam unpolarised.
"""

import numpy as np
from numpy.typing import ArrayLike

from velatura.atomic.attenuation import Composition, scaled_shares
from velatura.atomic.elements import atomic_number, atomic_weight
from velatura.atomic.stored import table
from velatura.base.errors import InputError

ELECTRON_REST = 510.99895  # keV (CODATA 2018, as the next three)
ELECTRON_RADIUS2 = 7.940788e-26  # cm2, square of the classical electron radius
AVOGADRO = 6.02214076e23  # 1/mol
WAVELENGTH = 12.39841984  # keV angstrom, energy times wavelength


def compton_energy(energy: ArrayLike, angle: ArrayLike) -> np.ndarray:
    """Return the energy [keV] after Compton scattering by a free electron at rest through `angle` [deg], float64.

    energy: [keV]; both broadcast. Source: Compton, Phys. Rev. 21 (1923) 483.
    """
    energy = np.asarray(energy, np.float64)
    return energy / (1 + energy / ELECTRON_REST * (1 - np.cos(np.radians(angle))))


def differential_coherent(composition: Composition, energy: ArrayLike, angle: ArrayLike) -> np.ndarray:
    """Return the Rayleigh cross section per mass and solid angle, float64 [cm2/g/sr]: Thomson's times F(q)^2.

    composition: mass shares or a formula as in `mass_attenuation`; energy: [keV], up to 60; angle: of scattering, 0 to
    180 [deg]; both broadcast. Raises InputError for unknown elements, bad shares and energies outside the table.
    """
    thomson = ELECTRON_RADIUS2 / 2 * (1 + np.cos(np.radians(angle)) ** 2)
    return thomson * _electrons(composition, _transfer(energy, angle), "form_factor")


def differential_incoherent(composition: Composition, energy: ArrayLike, angle: ArrayLike) -> np.ndarray:
    """Return the Compton cross section per mass and solid angle, float64 [cm2/g/sr]: Klein-Nishina's times S(q).

    Arguments and errors as in `differential_coherent`. Source: Klein & Nishina, Z. Phys. 52 (1929) 853.
    """
    ratio = compton_energy(energy, angle) / np.asarray(energy, np.float64)
    klein_nishina = ELECTRON_RADIUS2 / 2 * ratio**2 * (ratio + 1 / ratio - np.sin(np.radians(angle)) ** 2)
    return klein_nishina * _electrons(composition, _transfer(energy, angle), "incoherent_function")


def compton_profile(element: str, momentum: ArrayLike) -> np.ndarray:
    """Return the density of the electrons' momentum along one axis, J(pz), float64 [electrons per atomic unit].

    momentum: pz [atomic units], either sign; the integral over all pz is the number of electrons; 0 beyond 100.
    Raises InputError for an unknown element.
    """
    stored, size = table("scatter"), np.abs(np.asarray(momentum, np.float64))
    values = np.log(stored["compton_profile"][atomic_number(element) - 1].astype(np.float64))
    found = np.exp(np.interp(np.log1p(size), np.log1p(stored["momentum"]), values))
    return np.where(size <= stored["momentum"][-1], found, 0.0)


def _transfer(energy: ArrayLike, angle: ArrayLike) -> np.ndarray:
    """Momentum transfer q = E/hc sin(angle/2) [1/angstrom]."""
    q = np.asarray(energy, np.float64) / WAVELENGTH * np.sin(np.radians(angle) / 2)
    highest = table("scatter")["transfer"][-1]
    if not np.all((q >= 0) & (q <= highest)):
        raise InputError(f"energy x sin(angle / 2) must lie in 0 to {highest * WAVELENGTH:.0f} keV; found others")
    return q


def _electrons(composition: Composition, transfer: np.ndarray, name: str) -> np.ndarray:
    """Electrons per mass [1/g] that scatter: F^2 or S over the atom's mass, log-log between stored points.

    Below the first one F stays and S falls with q^2.
    """
    stored, result = table("scatter"), np.zeros(transfer.shape)
    grid, coherent = stored["transfer"], name == "form_factor"
    small = 1.0 if coherent else np.minimum(transfer / grid[0], 1) ** 2
    for element, share in scaled_shares(composition).items():
        values = np.log(stored[name][atomic_number(element) - 1].astype(np.float64))
        found = np.exp(np.interp(np.log(np.maximum(transfer, grid[0])), np.log(grid), values))
        result += share * AVOGADRO / atomic_weight(element) * small * (found**2 if coherent else found)
    return result
