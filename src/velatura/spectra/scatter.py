"""Tube lines scattered by the sample into the detector: Rayleigh at their own energy, Compton below it."""

import numpy as np

from velatura.atomic.lines import lines_of
from velatura.spectra.response import Detector, line_matrix

ELECTRON_REST = 510.999  # keV
ANGLES = (95.0, 115.0, 135.0, 155.0)  # deg, of scattering: heads differ and see a range of angles
DOPPLER = 0.022  # FWHM of Compton broadening per energy: 0.45 keV at 20 keV for light matter
STRONG = 0.02  # share of the family of tube lines that are drawn


def compton_energy(energy: np.ndarray, angle: float) -> np.ndarray:
    """Return the energy [keV] after Compton scattering through `angle` [deg] (Compton, 1923)."""
    return energy / (1 + energy / ELECTRON_REST * (1 - np.cos(np.radians(angle))))


def compton_matrix(
    anode: str, axis: np.ndarray, detector: Detector, *, tube_voltage: float | None = None
) -> np.ndarray:
    """Return float64 [angle, channel]: Compton peaks of the anode, unit area each, one row per angle."""
    limit = tube_voltage or np.inf
    lines = [line for line in lines_of(anode, ("K", "L")) if line.weight > STRONG and line.edge_energy < limit]
    if not lines:
        return np.zeros((0, len(axis)))
    families = {line.edge[0] for line in lines}
    kept = [line for line in lines if line.edge[0] == ("K" if "K" in families else "L")]
    energy, weight = (np.array([getattr(line, name) for line in kept]) for name in ("energy", "weight"))
    rows = []
    for angle in ANGLES:
        shifted, owners = compton_energy(energy, angle), np.zeros(len(kept), int)
        rows.append(
            line_matrix(
                shifted, weight / weight.sum(), owners, axis=axis, detector=detector, broadening=DOPPLER * shifted
            )
        )
    return np.concatenate(rows)
