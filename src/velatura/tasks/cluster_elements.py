"""Which elements a cluster's mean spectrum shows, and how it differs from the painting's mean."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from velatura.spectra.background import estimate_background
from velatura.spectra.families import Family, families_of, family_matrix
from velatura.spectra.response import Detector
from velatura.tasks.cluster_spectra import ClusterSpectra

CANDIDATES = (
    *("Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga"),
    *("Ge", "As", "Se", "Br", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Ag", "Cd", "In", "Sn", "Sb", "I", "Ba", "La", "Ce"),
    *("W", "Au", "Hg", "Tl", "Pb", "Bi", "Th", "U"),
)
SIGNIFICANT = 5.0  # standard deviations
LOWEST = 1.0  # keV; below, lines and background are too uncertain
MODEL_ERROR = 0.03  # of the counts under a line: shapes and ratios of lines are not known better
FAINT = 0.02  # of the strongest element's counts: weaker ones are not named
CHANGE = 1.5  # a ratio to the mean nearer to 1 is not named
MOST_ELEMENTS, MOST_MORE, MOST_LESS = 6, 3, 2


class ElementLines(NamedTuple):
    """Counts a pixel in the strongest family of lines of each element that the scan shows."""

    elements: tuple[str, ...]
    counts: np.ndarray
    """float64 [spectrum, element]"""
    error: np.ndarray
    """float64 [spectrum, element], Poisson and model."""


def cluster_elements(
    spectra: ClusterSpectra, energy: np.ndarray, *, pixels: int, anode: str | None = None
) -> list[tuple[list[str], list[str]]]:
    """Return (elements, contrast) of each cluster, such as (["Pb", "Hg"], ["Hg x6.1", "Cu x0.2"]).

    pixels: number of pixels behind `spectra.mean`; anode: element of the tube, which is not named. Elements come by
    falling counts, contrasts as a ratio to the painting's mean: first what
    is more here, by falling ratio, then what is less, by falling counts in the mean.
    """
    lines = element_lines(
        np.vstack([spectra.mean, spectra.spectrum]),
        np.vstack([np.sqrt(spectra.mean / pixels), spectra.error]),
        energy=energy,
        leave_out=(anode,) if anode else (),
    )
    everywhere, everywhere_error = lines.counts[0], lines.error[0]
    named = []
    for counts, error in zip(lines.counts[1:], lines.error[1:], strict=True):
        shown = (counts > SIGNIFICANT * error) & (counts > FAINT * counts.max(initial=0))
        held = [lines.elements[i] for i in np.argsort(-counts) if shown[i]][:MOST_ELEMENTS]
        different = np.abs(counts - everywhere) > SIGNIFICANT * np.hypot(error, everywhere_error)
        ratio = counts / np.maximum(everywhere, 2 * everywhere_error)
        more = [i for i in np.argsort(-ratio) if different[i] and shown[i] and ratio[i] > CHANGE][:MOST_MORE]
        plain = everywhere > FAINT * everywhere.max(initial=0)
        less = [i for i in np.argsort(-everywhere) if different[i] and plain[i] and ratio[i] < 1 / CHANGE][:MOST_LESS]
        named.append((held, [f"{lines.elements[i]} x{_digits(ratio[i])}" for i in more + less]))
    return named


def _digits(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def element_lines(
    spectra: np.ndarray, error: np.ndarray, *, energy: np.ndarray, leave_out: tuple[str, ...] = ()
) -> ElementLines:
    """Fit the lines of every candidate element to spectra [spectrum, channel] of mean counts a pixel.

    error: their Poisson errors; energy: [keV] [channel]. Backgrounds are clipped (SNIP) and families of lines fitted
    with weights and without negative counts (Lawson & Hanson 1974), so that overlapping lines share their counts. The
    error of an element holds, besides Poisson's, a share of all else that lies under its lines.
    """
    families = _visible_families(energy, leave_out)
    here = energy > LOWEST
    matrix = family_matrix(families, energy, Detector()).whole[:, here]
    fitted = [
        _fit(matrix, *_net(spectrum, sigma, energy, here)) for spectrum, sigma in zip(spectra, error, strict=True)
    ]
    counts, errors = (np.array(part) for part in zip(*fitted, strict=True))
    return ElementLines(tuple(family.element for family in families), counts, errors)


def _net(spectrum: np.ndarray, sigma: np.ndarray, energy: np.ndarray, here: np.ndarray) -> tuple[np.ndarray, ...]:
    """(net counts, background, error) of the channels looked at; the background is clipped in whole counts."""
    total = max(float(spectrum.sum()), 1e-12)
    unit = float((sigma**2).sum()) / total  # counts a pixel that one count of the scan makes
    background = estimate_background(spectrum / max(unit, 1e-12), energy) * unit
    return (spectrum - background)[here], background[here], np.sqrt(sigma**2 + unit**2)[here]


def _fit(matrix: np.ndarray, net: np.ndarray, background: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, ...]:
    """(counts, error) of each row of `matrix` [element, channel]."""
    counts = nnls((matrix / sigma).T, net / sigma)[0]
    active = counts > 0
    squares = (matrix / sigma**2 * matrix).sum(1)
    variance = 1 / squares
    weighted = matrix[active] / sigma
    variance[active] = np.diag(np.linalg.pinv(weighted @ weighted.T))
    others = np.maximum(background + counts @ matrix, 0) - counts[:, None] * matrix
    return counts, np.sqrt(variance + (MODEL_ERROR * (matrix / sigma**2 * others).sum(1) / squares) ** 2)


def _visible_families(energy: np.ndarray, leave_out: tuple[str, ...]) -> tuple[Family, ...]:
    """K families of light and L families of heavy elements whose main line lies on the axis."""
    window = (max(0.9, float(energy[0])), float(energy[-1]) * 0.97)
    found = []
    for element in CANDIDATES:
        if element not in leave_out:
            found += families_of(element, window=window)[:1]
    return tuple(found)
