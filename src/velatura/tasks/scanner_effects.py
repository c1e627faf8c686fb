"""What a real scanner does that a simulated one of its build does not, and how to find it in a scan's sum spectrum.

Gain and offset of the axis, the detector's noise and a smooth background are fitted so that the sum spectrum becomes a
sum, with weights of 0 or more, of simulated stacks seen by such a scanner. No label is needed. A bank of sources, seen
by the fitted scanner, is training data for just this instrument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize, nnls

from velatura.base.progress import Progress, silent
from velatura.physics.counting import smooth_background
from velatura.physics.detector import FWHM_PER_SIGMA, Detector, line_response
from velatura.physics.instrument import Instrument
from velatura.physics.surroundings import parasite_lines, passed
from velatura.scene.sources import SourceGroup
from velatura.scene.training import View, grid, view
from velatura.spectra.rebin import rebin_to

STACKS = 128  # that the sum spectrum is composed of
SHARP = 0.05  # keV, noise of the detector that the stacks are drawn through before they are blurred
LEAST_BLUR = 1e-3  # keV
MODEL_ERROR = 0.02  # relative, added to the counting error
STEPS = {"gain": 0.006, "offset": 0.02, "noise": 0.03, "background": 0.05, "decay": 0.3}  # first steps of the fit
TRIES = 100  # evaluations


@dataclass(frozen=True)
class Effects:
    """Differences from the nominal scanner; the defaults are none."""

    gain: float = 1.0
    """A photon of energy E is recorded at gain x E + offset."""
    offset: float = 0.0
    """[keV]"""
    noise: float | None = None
    """Electronic noise of the detector as FWHM [keV]; None: as the instrument has it."""
    background: float = 0.0
    """Counts in a smooth background for each count in the spectrum, beyond what is simulated."""
    decay: float = 8.0
    """Of that background [keV]."""


class Fitted(NamedTuple):
    """Effects found in a sum spectrum."""

    effects: Effects
    misfit: float
    """Mean squared residual, in units of counting error and 2 % of the counts."""
    before: float
    """The same without effects, for the default noise."""


def with_effects(group: SourceGroup, instrument: Instrument, effects: Effects) -> View:
    """Return a group as seen by an instrument with such effects, for `scene.training.draw(seen=...)`.

    instrument: its detector, collimator, scatter and way through the gas count; tube and angles are those of the group.
    """
    detector = instrument.detector
    if effects.noise is not None:
        detector = replace(detector, noise=effects.noise)
    axis = (grid() - effects.offset) / effects.gain
    response = line_response(group.energy, axis, detector=detector).astype(np.float64)
    through = passed(instrument.geometry, group.energy)
    through[group.lines :] *= instrument.scatter
    response *= through[:, None]
    if effects.background:
        response += effects.background * response.sum(axis=1, keepdims=True) * _smooth(effects.decay)
    housing = parasite_lines(replace(instrument, tube=group.instrument.tube, detector=detector), axis)
    plain = view(group, rng=np.random.default_rng(0), instrument=replace(group.instrument, detector=detector))
    return plain._replace(response=response.astype(np.float32), parasites=housing.astype(np.float32))


def fit_effects(
    spectrum: np.ndarray, groups: Sequence[SourceGroup], *, rng: np.random.Generator, progress: Progress = silent
) -> Fitted:
    """Find effects in the sum spectrum of a scan, counts [1024] on `scene.training.grid`.

    groups: of stacks like those of the scan; of each, `STACKS / groups` are drawn by rng. Non-negative least squares
    for the weights of the stacks and of two backgrounds (Lawson and Hanson 1974), the simplex of Nelder and Mead
    (Comput. J. 7 (1965) 308) for the effects.
    """
    counts = np.asarray(spectrum, np.float64)
    weight = 1 / np.sqrt(counts + (MODEL_ERROR * counts) ** 2 + 1 + 1e-6 * counts.sum())
    sharp = np.concatenate([_sharp(group, max(STACKS // len(groups), 1), rng) for group in groups])
    names, done = tuple(STEPS), [0]

    def misfit(values: np.ndarray) -> float:
        done[0] += 1
        progress("fitting the scanner", min(done[0], TRIES), TRIES)
        columns = _seen(sharp, _effects(dict(zip(names, values, strict=True)))) * weight
        return float(nnls(columns.T, counts * weight, maxiter=20 * len(columns))[1] ** 2 / len(counts))

    start = np.zeros(len(names))
    simplex = np.concatenate([start[None], np.diag([*STEPS.values()])])
    options = {"maxfev": TRIES, "initial_simplex": simplex, "xatol": 1e-5, "fatol": 1e-3}
    found = minimize(misfit, start, method="Nelder-Mead", options=options)
    return Fitted(_effects(dict(zip(names, found.x, strict=True))), float(found.fun), misfit(start))


def _effects(moved: dict[str, float]) -> Effects:
    """Effects from free parameters, all 0 for none."""
    return Effects(
        gain=1 + float(np.clip(moved["gain"], -0.03, 0.03)),
        offset=float(np.clip(moved["offset"], -0.2, 0.2)),
        noise=Detector().noise + float(np.clip(moved["noise"], SHARP - Detector().noise, 0.2)),
        background=float(np.clip(moved["background"], 0.0, 1.0)),
        decay=float(8.0 * np.exp(np.clip(moved["decay"], -1.5, 1.5))),
    )


def _sharp(group: SourceGroup, number: int, rng: np.random.Generator) -> np.ndarray:
    """Spectra of unit area [stack, channel] of some stacks, through a detector of little noise."""
    rows = rng.choice(len(group.photons), min(number, len(group.photons)), replace=False)
    photons = group.photons[rows].astype(np.float32)
    view = with_effects(group, replace(group.instrument, parasites=()), Effects(noise=SHARP))
    spectra = (photons @ view.response).astype(np.float64)
    return spectra / spectra.sum(axis=1, keepdims=True)


def _seen(sharp: np.ndarray, effects: Effects) -> np.ndarray:
    """Sharp spectra [stack, channel] through a scanner."""
    step = grid()[1] - grid()[0]
    blur = np.sqrt(max((effects.noise or SHARP) ** 2 - SHARP**2, LEAST_BLUR**2)) / FWHM_PER_SIGMA / step
    moved = rebin_to(gaussian_filter1d(sharp, blur, axis=1), effects.gain * grid() + effects.offset, grid(), crop=True)
    return moved + effects.background * _smooth(effects.decay)


def _smooth(decay: float) -> np.ndarray:
    return np.asarray(smooth_background(jnp.asarray(grid(), jnp.float32), decay=decay), np.float64)
