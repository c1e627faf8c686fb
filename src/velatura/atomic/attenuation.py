"""How matter attenuates X-rays of 0.5 to 60 keV, and what it emits: cross sections per mass [cm2/g].

Photo part: Kissel's sums from silicon up, Elam's for lighter elements (Kissel's sums lose these at high energy, Elam's
are 4 to 12 % too high just above some K edges). Rayleigh and Compton: Elam. All via xraylib (Schoonjans et al., 2011).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from velatura.atomic.elements import atomic_number, mass_shares
from velatura.atomic.stored import table
from velatura.base.errors import InputError

NOTHING = 1e-30  # cm2/g, stands for zero in logarithms
Composition = Mapping[str, float] | str


def mass_attenuation(composition: Composition, energy: ArrayLike) -> np.ndarray:
    """Return the total mass attenuation (photo + coherent + incoherent), float64 [cm2/g], of the shape of `energy`.

    composition: mass shares {"Pb": 0.78, ...} (scaled to sum 1) or a formula ("PbCO3", "Fe"); energy: [keV], 0.5 to 60.
    Log-log interpolation between stored points, edges resolved; an edge counts from its own energy upward.
    Raises InputError for unknown elements, empty or negative shares, and energies outside the table.
    """
    return _cross_section(composition, energy, ("photo", "coherent", "incoherent"))


def photoabsorption(composition: Composition, energy: ArrayLike) -> np.ndarray:
    """Return the photoelectric part alone, float64 [cm2/g]; arguments as in `mass_attenuation`."""
    return _cross_section(composition, energy, ("photo",))


def coherent(composition: Composition, energy: ArrayLike) -> np.ndarray:
    """Return the Rayleigh part alone, float64 [cm2/g]; arguments as in `mass_attenuation`."""
    return _cross_section(composition, energy, ("coherent",))


def incoherent(composition: Composition, energy: ArrayLike) -> np.ndarray:
    """Return the Compton part alone, float64 [cm2/g]; arguments as in `mass_attenuation`."""
    return _cross_section(composition, energy, ("incoherent",))


def fluorescence_production(element: str, family: str, energy: ArrayLike) -> np.ndarray:
    """Return the photons that a family emits per photon and mass, float64 [cm2/g]: shell photoabsorption x yield.

    family: "K", "L", "M" (sum of the sub-shells) or one sub-shell such as "L3"; energy: [keV], 0.5 to 60.
    With Coster-Kronig transfers and the full cascade (without them M comes out 30 % low); the photo part is the one of
    `photoabsorption`. Zero below the edge. No secondary fluorescence, which needs the sample's geometry.
    Raises InputError for an unknown element or shell and energies outside the table.
    """
    shells = [str(shell) for shell in table("lines")["shell_name"]]
    columns = [column for column, shell in enumerate(shells) if shell.startswith(family)]
    if not family or not columns:
        raise InputError(f"family must be K, L, M or one of {', '.join(shells)}; found {family!r}")
    energy, production = _checked(energy), table("attenuation")["production"]
    return sum((_interpolate(element, energy, production[:, column]) for column in columns), np.zeros(energy.shape))


def scaled_shares(composition: Composition) -> dict[str, float]:
    """Return mass shares scaled to sum 1, of mass shares in any unit or of a formula; InputError unless positive."""
    shares = mass_shares(composition) if isinstance(composition, str) else dict(composition)
    total = sum(shares.values())
    if not total > 0 or min(shares.values()) < 0:
        raise InputError(f"mass shares must be positive, e.g. {{'Pb': 0.78, 'O': 0.22}}; found {shares}")
    return {name: share / total for name, share in shares.items()}


def _cross_section(composition: Composition, energy: ArrayLike, parts: tuple[str, ...]) -> np.ndarray:
    energy, stored = _checked(energy), table("attenuation")
    result = np.zeros(energy.shape)
    for element, share in scaled_shares(composition).items():
        for part in parts:
            result += share * _interpolate(element, energy, stored[part])
    return result


def _checked(energy: ArrayLike) -> np.ndarray:
    energy, grid = np.asarray(energy, np.float64), table("attenuation")["energy"]
    lowest, highest = grid[0], grid[-1]
    inside = (energy >= lowest * (1 - 1e-9)) & (energy <= highest * (1 + 1e-9))
    if not np.all(inside):
        raise InputError(f"energies must lie in {lowest:g} to {highest:g} keV; found {energy[~inside].ravel()[0]:g}")
    return energy


def _interpolate(element: str, energy: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Interpolate one element's rows of a stored column, log-log."""
    stored, z = table("attenuation"), atomic_number(element)
    rows = slice(stored["start"][z - 1], stored["start"][z])
    values = np.log(np.maximum(column[rows], NOTHING, dtype=np.float64))
    found = np.exp(np.interp(np.log(energy), np.log(stored["energy"][rows]), values))
    return np.where(found > NOTHING * 10, found, 0.0)
