"""Which elements a scan holds: those of its sum spectrum, and rare ones that show in single pixels only."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from velatura.base.progress import Progress, silent
from velatura.spectra.explain import UNUSUAL, USUAL, Explanation, Found, explain
from velatura.spectra.families import families_of
from velatura.spectra.response import Detector
from velatura.spectra.summary import Summary, pixel_spectra

HOT_PIXELS = 24  # pixels that are looked at one by one
HOT_THRESHOLD = 1.4  # times the threshold of the sum: among many pixels chance makes higher peaks


class Proposal(NamedTuple):
    """Elements of a scan."""

    found: tuple[Found, ...]
    """By falling significance in the sum; then rare ones, found in single pixels, by their significance there."""
    rare: tuple[str, ...]
    """Symbols of elements that only single pixels show."""
    explanation: Explanation
    """Of the sum spectrum."""

    def symbols(self, role: str = "sample") -> tuple[str, ...]:
        """Return the elements of one role, most significant first."""
        return tuple(found.element for found in self.found if found.role == role)


def propose(
    cube: xr.Dataset,
    summary: Summary,
    *,
    detector: Detector,
    anode: str | None = None,
    tube_voltage: float | None = None,
    threshold: float = 5.0,
    progress: Progress = silent,
) -> Proposal:
    """Return the elements of a cube; arguments as in `explain.elements_in`.

    The sum spectrum is explained first. Then, for the elements it lacks, the pixels with most counts at their lines
    (against the mean of the scan) are explained one by one.
    """
    energy = cube.energy.values
    whole = explain(
        summary.sum_spectrum, energy, detector=detector, anode=anode, tube_voltage=tube_voltage, threshold=threshold
    )
    known = {found.element for found in whole.found}
    missing = tuple(name for name in USUAL + UNUSUAL if name not in known)
    pixels = hot_pixels(summary, energy, missing, detector=detector)
    rare: dict[str, Found] = {}
    for done, spectrum in enumerate(pixel_spectra(cube, pixels)):
        progress("rare elements", done, len(pixels))
        alone = explain(
            spectrum,
            energy,
            detector=detector,
            anode=whole.anode,
            tube_voltage=tube_voltage or float(whole.energy[-1]),
            threshold=threshold * HOT_THRESHOLD,
        )
        for found in alone.found:
            if found.element not in known and found.role == "sample":
                rare[found.element] = max(found, rare.get(found.element, found), key=lambda one: one.significance)
    ranked = sorted(rare.values(), key=lambda found: -found.significance)
    return Proposal((*whole.found, *ranked), tuple(found.element for found in ranked), whole)


def hot_pixels(summary: Summary, energy: np.ndarray, elements: tuple[str, ...], *, detector: Detector) -> np.ndarray:
    """Return flat numbers of the pixels that stand out most at the main lines of some elements, int64 [pixel]."""
    lines = [f.main.energy for name in elements for f in families_of(name, window=(energy[0], energy[-1]))]
    channels = np.unique(np.abs(energy[:, None] - np.array(lines)).argmin(axis=0)) if lines else np.zeros(0, int)
    width = np.maximum(detector.fwhm(energy[channels]) / np.gradient(energy)[channels], 1)
    mean = summary.sum_spectrum[channels] / summary.pixels * width
    most = summary.max_spectrum[channels] * np.sqrt(width)
    order = np.argsort(-(most - mean) / np.sqrt(mean + 1), kind="stable")
    found = summary.hot_pixel[channels[order]]
    return found[np.sort(np.unique(found, return_index=True)[1])][:HOT_PIXELS]
