"""Tables of cross sections folded with the beam of one instrument, ready for the forward model."""

from typing import NamedTuple

from jax import Array
from jaxtyping import Float, Int


class Excitation(NamedTuple):
    """What one instrument and one list of elements need of the tables; float32 arrays, integers int32.

    Axes: e entry of the beam (bins of the continuum, then anode lines, then entries without photons), z element,
    g sub-shell of an element, l emission line, x exciter (lines of an element merged for secondary fluorescence).
    """

    energy: Float[Array, " e"]
    """Mean energy of a bin, energy of a line [keV]."""
    low: Float[Array, " e"]
    """Lower end of a bin [keV]; the energy of a line."""
    width: Float[Array, " e"]
    """Width of a bin [keV]; 0 for a line."""
    beam: Float[Array, " e"]
    """Share of the photons that reach the sample; sums to 1."""
    attenuation_in: Float[Array, "z e"]
    """Total mass attenuation of the beam [cm2/g]."""
    attenuation_out: Float[Array, "z l"]
    """Total mass attenuation of the lines [cm2/g]."""
    attenuation_softened: Float[Array, "z e"]
    """Total mass attenuation at the Compton energy [cm2/g]."""
    coherent: Float[Array, "z e"]
    """Rayleigh scatter towards the detector [cm2/g/sr]."""
    incoherent: Float[Array, "z e"]
    """Compton scatter towards the detector [cm2/g/sr]."""
    compton_energy: Float[Array, " e"]
    """Energy after Compton scatter towards the detector [keV]."""
    production: Float[Array, "e g"]
    """Photons of a sub-shell per photon and mass of the element [cm2/g]."""
    shell_element: Int[Array, " g"]
    """Index of the element of each sub-shell."""
    line_energy: Float[Array, " l"]
    """[keV]"""
    line_rate: Float[Array, " l"]
    """Share of the line in the photons of its sub-shell."""
    line_element: Int[Array, " l"]
    """Index of the element of each line."""
    line_shell: Int[Array, " l"]
    """Index g of each line."""
    exciter_energy: Float[Array, " x"]
    """Mean energy [keV]."""
    exciter_rate: Float[Array, "g x"]
    """Photons of an exciter per photon of a sub-shell."""
    exciter_attenuation: Float[Array, "z x"]
    """Total mass attenuation, mean over the merged lines [cm2/g]."""
    exciter_production: Float[Array, "x g"]
    """Photons of a sub-shell per photon of an exciter and mass, mean over the merged lines [cm2/g]."""
    sin_in: Float[Array, ""]
    """Sine of the incidence angle, from the surface."""
    sin_out: Float[Array, ""]
    """Sine of the take-off angle, from the surface."""
