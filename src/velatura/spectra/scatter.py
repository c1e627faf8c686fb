"""Tube lines or a beam scattered by the sample into the detector: Rayleigh at their own energy, Compton below it."""

import numpy as np

from velatura.atomic.lines import lines_of
from velatura.atomic.scattering import compton_energy
from velatura.spectra.response import Detector, line_matrix

ANGLES = (80.0, 95.0, 115.0, 135.0, 155.0)  # deg, of scattering: heads differ and see a range of angles
DOPPLER = 0.022  # FWHM of Compton broadening per energy: 0.45 keV at 20 keV for light matter
BREAK_OFF = 5.0  # times the counts well before the end that lie at the end of a monochromatic spectrum
STRONG = 0.02  # share of the family of tube lines that are drawn


def scatter_matrix(source: str | float, axis: np.ndarray, detector: Detector) -> np.ndarray:
    """Return float64 [row, channel] of unit area each: Compton peaks of a tube or beam, one row per angle of `ANGLES`.

    source: symbol of an anode, whose hardest family is drawn, or the energy of a monochromatic beam [keV], whose
    Rayleigh peak is one row more. Rows outside the axis are left out.
    """
    if isinstance(source, str):
        lines = [line for line in lines_of(source, ("K", "L")) if line.weight > STRONG]
        lines = [line for line in lines if line.edge[0] == lines[0].edge[0]]
        energy, weight = (np.array([getattr(line, name) for line in lines]) for name in ("energy", "weight"))
    else:
        energy, weight = np.array([source]), np.ones(1)
    owners = np.zeros(len(energy), int)
    peaks = [(compton_energy(energy, angle), DOPPLER * energy) for angle in ANGLES]
    peaks += [] if isinstance(source, str) else [(energy, np.zeros(1))]
    rows = [
        line_matrix(centre, weight / weight.sum(), owners, axis=axis, detector=detector, broadening=width)
        for centre, width in peaks
    ]
    seen = [row for row in rows if row.sum() > 0.5]
    return np.concatenate(seen) if seen else np.zeros((0, len(axis)))


def monochromatic_energy(counts: np.ndarray, axis: np.ndarray, end: float) -> float | None:
    """Return the energy [keV] of a monochromatic beam, when the spectrum breaks off right above a strong peak.

    counts, axis: [channel]; end: where the spectrum ends [keV]. A tube's spectrum falls off slowly towards its voltage.
    """
    near, before = (axis > 0.92 * end) & (axis <= 1.02 * end), (axis > 0.7 * end) & (axis <= 0.78 * end)
    if counts[near].sum() < BREAK_OFF * max(counts[before].sum(), 1) or counts[near].sum() < 0.03 * counts.sum():
        return None
    smooth = np.convolve(counts, np.ones(3) / 3, "same")
    tops = np.flatnonzero((smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:])) + 1
    high = tops[near[tops] & (smooth[tops] > 0.25 * smooth[near].max())]
    return float(axis[high[-1]]) if len(high) else None
