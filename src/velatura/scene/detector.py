"""From photons to an expected spectrum: silicon detector, Gaussian lines, smooth scatter, a linear axis."""

import numpy as np
from scipy.special import ndtr

from velatura.atomic.attenuation import mass_attenuation
from velatura.scene.emission import STEP, TUBE_LINES, Emission, Optics, compton_energy

SILICON_PAIR_ENERGY = 3.66e-3  # keV per electron-hole pair
FANO = 0.115
COMPTON_FWHM = 0.45  # keV, Doppler width of a tube line scattered by light matter
SILICON, WINDOW = 2.329 * 450e-4, 1.848 * 12.5e-4  # g/cm2 of the crystal and of the beryllium before it
SIGMA = 1 / np.sqrt(8 * np.log(2))


def line_fwhm(energy: np.ndarray, *, noise: float = 0.08) -> np.ndarray:
    """Width [keV] of a line in a silicon detector: sqrt(noise^2 + 8 ln 2 fano pair_energy energy).

    noise: electronic noise as FWHM [keV]. Source: Van Grieken and Markowicz, Handbook of X-Ray Spectrometry (2001).
    """
    return np.sqrt(noise**2 + 8 * np.log(2) * FANO * SILICON_PAIR_ENERGY * np.asarray(energy))


def efficiency(energy: np.ndarray) -> np.ndarray:
    """Share of the photons that the detector counts: through the window, stopped in the crystal."""
    energy = np.asarray(energy)
    stopped = -np.expm1(-mass_attenuation("Si", energy) * SILICON)
    return np.exp(-mass_attenuation("Be", energy) * WINDOW) * stopped


def gaussian_lines(energy: np.ndarray, fwhm: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Share of each line's counts in each channel: float64 [line, channel], integrated over the channel's width.

    energy, fwhm: [line] (keV); axis: channel centres [channel] (keV), evenly spaced.
    """
    edges = np.append(axis, 2 * axis[-1] - axis[-2]) - (axis[1] - axis[0]) / 2
    return np.diff(ndtr((edges - energy[:, None]) / (fwhm[:, None] * SIGMA)), axis=1)


def response(optics: Optics, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices from photons to expected counts: lines float64 [l, channel], scatter float64 [2, e, channel]."""
    lines = gaussian_lines(optics.line_energy, line_fwhm(optics.line_energy), axis)
    lines *= efficiency(optics.line_energy)[:, None]
    smooth = len(optics.excitation) - len(TUBE_LINES)
    scatter = []
    for energy, doppler in ((optics.excitation, 0.0), (compton_energy(optics.excitation), COMPTON_FWHM)):
        fwhm = np.hypot(line_fwhm(energy), doppler * energy / energy[-1])
        fwhm[:smooth] = 2 * STEP  # wide enough that the steps of the continuum do not ripple
        scatter.append(gaussian_lines(energy, fwhm, axis) * efficiency(energy)[:, None])
    return lines, np.stack(scatter)


def expected_spectrum(emission: Emission, matrices: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Expected relative counts float64 [channel] of one stack; `matrices` from `response`."""
    lines, scatter = matrices
    return emission.lines @ lines + np.einsum("ke,kec->c", emission.scatter, scatter)
