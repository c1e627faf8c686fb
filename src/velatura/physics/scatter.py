"""The beam scattered once by a stack of layers: Rayleigh at its own energy, Compton below it with its Doppler width.

Array axes: j layer (top first), z element, e entry of the beam, d Doppler group. Mass thickness in g/cm2, keV.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from velatura.atomic.elements import atomic_number
from velatura.physics.doppler import DOPPLER_GROUPS, DopplerGroup, doppler_density, entry_densities
from velatura.physics.excitation import Excitation
from velatura.physics.fluorescence import mean_decay

__all__ = [
    "DOPPLER_GROUPS",
    "DopplerGroup",
    "ScatterBins",
    "doppler_density",
    "doppler_groups",
    "entry_densities",
    "scattered",
]


class ScatterBins(NamedTuple):
    """Scattered photons per sr and per photon of the beam."""

    coherent: Float[Array, " e"]
    """Rayleigh, at the energy of the entry."""
    incoherent: Float[Array, "e d"]
    """Compton, by group of elements."""


def doppler_groups(elements: Sequence[str]) -> Float[Array, "z d"]:
    """Return float32 [z, d]: 1 where an element belongs to a group of `DOPPLER_GROUPS`, else 0."""
    heaviest = np.array([group.heaviest for group in DOPPLER_GROUPS])
    group = np.searchsorted(heaviest, [atomic_number(element) for element in elements])
    return jnp.asarray(np.eye(len(heaviest), dtype=np.float32)[group])


def scattered(
    mass: Float[Array, " j"], shares: Float[Array, "j z"], excitation: Excitation, *, groups: Float[Array, "z d"]
) -> ScatterBins:
    """Return the photons that a stack scatters once towards the detector, per sr and per photon of the beam.

    mass: mass thickness of each layer, 0 for an unused one; shares: mass share of each element; groups: of
    `doppler_groups`. For each layer beam / sin(in) m DCS exp(-above) (1 - exp(-x)) / x, with x the optical depth of the
    way in and out, out at the Compton energy for Compton scatter. Second order adds 1 to 3 % for paint on canvas.
    """
    inward = shares @ excitation.attenuation_in / excitation.sin_in
    coherent_path = mass[:, None] * (inward + shares @ excitation.attenuation_in / excitation.sin_out)
    incoherent_path = mass[:, None] * (inward + shares @ excitation.attenuation_softened / excitation.sin_out)
    amount = mass / excitation.sin_in
    coherent = amount @ (shares @ excitation.coherent * _escaping(coherent_path))
    by_group = jnp.moveaxis(shares[:, :, None] * groups, 2, 1) @ excitation.incoherent
    incoherent = jnp.einsum("j,jde,je->ed", amount, by_group, _escaping(incoherent_path))
    return ScatterBins(excitation.beam * coherent, excitation.beam[:, None] * incoherent)


def _escaping(path: Float[Array, "j e"]) -> Float[Array, "j e"]:
    """Share of the photons scattered in each layer that absorption leaves, for optical depths `path`."""
    above = jnp.concatenate([jnp.zeros_like(path[:1]), jnp.cumsum(path[:-1], axis=0)])
    return jnp.exp(-above) * mean_decay(path)
