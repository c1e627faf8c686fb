"""A little scanner for tests of scenes: primary fluorescence of a few lines, closed form, no detector."""

import numpy as np
import pytest

from velatura.atomic.attenuation import mass_attenuation

BEAM = 20.0  # keV
LINES = (
    ("Ca", 3.692),
    ("Fe", 6.404),
    ("Cu", 8.047),
    ("Hg", 9.989),
    ("Pb", 10.551),
    ("Pb", 2.346),
    ("Hg", 2.195),
    ("C", 19.0),
)


@pytest.fixture
def simulate():
    """From stacks to expected counts [stack, line]: Sherman's equation at one energy, beam upright, 45 deg out."""
    energies = np.array([BEAM, *(energy for _, energy in LINES)])

    def attenuation(paint):
        return mass_attenuation(paint.mass_fractions(), energies)

    def one(stack):
        counts, above_in, above_out = np.full(len(LINES), 1e-6), 0.0, np.zeros(len(LINES))
        for layer in reversed(stack.layers):
            mass, mu, shares = layer.mass_thickness(), attenuation(layer.paint), layer.paint.mass_fractions()
            down, up = mu[0] * mass, mu[1:] * mass * np.sqrt(2)
            whole = np.maximum(down + up, 1e-12)
            share = np.array([shares.get(element, 0.0) for element, _ in LINES])
            counts += share * mass * np.exp(-above_in - above_out) * -np.expm1(-whole) / whole
            above_in, above_out = above_in + down, above_out + up
        return counts

    return lambda stacks: np.stack([one(stack) for stack in stacks]).astype(np.float32)
