"""Which lines decided: a spectrum without the lines of one element is shown to the network again.

What counts is how far the logit of a class falls (or rises) when a line family is taken away and the continuum left
(occlusion; Zeiler and Fergus, ECCV 2014). The cheap alternative is its first order, gradient times counts (Shrikumar
et al., 2016): one backward pass for each class instead of one forward pass for each family.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from velatura.atomic.elements import atomic_number
from velatura.base.errors import InputError, did_you_mean
from velatura.spectra.background import estimate_background
from velatura.spectra.families import PROVING, Family, families_of, family_matrix
from velatura.spectra.response import Detector

if TYPE_CHECKING:
    from velatura.nn.spectrum_net import SpectrumNet
    from velatura.scene.classes import XrfClass
    from velatura.tasks.pigment_model import PigmentModel

PAINTS = ("visible", "hidden")
UNKNOWN = "unknown"  # the last class of a network: a material that is none of the others
METHODS = ("occlusion", "gradient")
REACH = 1.2  # FWHM that are taken away on either side of a line: all but 0.5 % of a Gaussian
STRONG = 0.03  # share of its family from which a line is taken away
ITS_OWN = 0.3  # share of the counts taken away with a family that must be its own
BLURRED = 2.0  # FWHM within which the main lines of two families take away much of one another
MOST_COUNTS = 1e5  # of the training spectra: stronger sums are scaled down to it
SOFTEST = 0.9  # keV, from which lines are looked for
USUAL_VOLTAGE = 50.0  # kV, of a scanner that is not known


class DecidingLine(NamedTuple):
    """A line family that speaks for a class, or against it."""

    element: str
    line: str
    """Main line of the family: "Pb-La"."""
    energy: float
    """Of the main line [keV]."""
    drop: float
    """By how much the logit falls when the family is taken away; below 0 it rises."""
    counts: float
    """Counts above the continuum that were taken away."""


class Decision(NamedTuple):
    """What decided on one class in one paint of a spectrum."""

    paint: str
    """"visible" or "hidden"."""
    name: str
    """Of the XRF class, or "unknown"."""
    logit: float
    """Of the whole spectrum, before calibration."""
    lines: tuple[DecidingLine, ...]
    """What speaks for the class, the heaviest first: the logit falls without it."""
    against: tuple[DecidingLine, ...]
    """What speaks against it, the heaviest first: the logit rises without it."""


class Windows(NamedTuple):
    """Line families and the channels that each takes away."""

    families: tuple[Family, ...]
    masks: np.ndarray
    """bool [family, channel]"""


def deciding_lines(
    model: "PigmentModel",
    features: np.ndarray,
    condition: np.ndarray,
    *,
    classes: Sequence[tuple[str, str]],
    elements: Sequence[str] = (),
    method: str = "occlusion",
    most: int = 5,
) -> tuple[Decision, ...]:
    """Return for each asked (paint, class) of one spectrum the lines that decided, at most `most` each way.

    features: counts on the model's grid, float [channel]; condition: the instrument as the model is told, or zeros,
    float [8]; classes: (paint, name) such as ("hidden", "Hg") or ("visible", "unknown"); elements: others to try beside
    the markers of all classes; method: occlusion or gradient. Lines that a detector cannot tell apart are named after
    the markers of the class in question, else after the family with more counts in a fit of all. The same input gives
    the same answer. Raises InputError for unknown classes, paints and methods, and for spectra of another length.
    """
    if not classes:
        return ()
    if method not in METHODS:
        raise InputError(f"method must be occlusion or gradient; found {method!r}{did_you_mean(method, METHODS)}")
    asked = [_place(paint, name, model.classes) for paint, name in classes]
    counts, scale, axis = _scaled(features)
    own = {row.name: row.markers for row in model.classes}
    tried = sorted({element for row in model.classes for element in row.markers} | set(elements))
    windows = line_windows(tried, axis, tube_voltage=float(condition[4]) * 50 or USUAL_VOLTAGE)
    peaks = counts - np.minimum(counts, estimate_background(counts, axis))
    above = np.where(windows.masks, peaks, 0.0)
    weigh = _by_occlusion if method == "occlusion" else _by_gradient
    logits, drops = weigh(model.net, counts, np.asarray(condition, np.float32), taken=above, asked=asked)
    taken, held = above.sum(axis=1), _held(peaks, counts, windows.families)
    return tuple(
        _decision(
            pair,
            float(logit),
            _told_apart(windows.families, own.get(pair[1], ()), taken=taken, held=held),
            families=windows.families,
            drop=drop,
            taken=taken / scale,
            most=most,
        )
        for pair, logit, drop in zip(classes, logits, drops.T, strict=True)
    )


def line_windows(elements: Sequence[str], axis: np.ndarray, *, tube_voltage: float = USUAL_VOLTAGE) -> Windows:
    """Return the K, L and M families of some elements that show on an axis [keV] under a tube voltage [kV]."""
    detector = Detector()
    ends = max(float(axis[0]), SOFTEST), float(axis[-1])
    families = tuple(
        family
        for element in elements
        for family in families_of(element, window=ends, tube_voltage=tube_voltage)
        if atomic_number(element) >= PROVING[family.kind]
    )
    masks = np.zeros((len(families), len(axis)), bool)
    for mask, family in zip(masks, families, strict=True):
        for line, share in zip(family.lines, family.shares, strict=True):
            if share >= STRONG:
                mask |= np.abs(axis - line.energy) < REACH * detector.fwhm(line.energy)
    return Windows(families, masks)


def _place(paint: str, name: str, classes: Sequence["XrfClass"]) -> tuple[int, int]:
    """Where the logit of a class lies in the network's answer."""
    names = [*(row.name for row in classes), UNKNOWN]
    for kind, value, known in (("paint", paint, PAINTS), ("XRF class", name, names)):
        if value not in known:
            raise InputError(f"no {kind} {value!r}{did_you_mean(value, known)}")
    return PAINTS.index(paint), names.index(name)


def _scaled(features: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Counts as the network knows them, the factor to them, and the axis [keV]."""
    from velatura.scene.training import grid

    counts, axis = np.asarray(features, np.float64), grid()
    if counts.shape != axis.shape:
        raise InputError(f"a spectrum has {len(axis)} channels on the common grid; found {counts.shape}. Resample it")
    scale = min(1.0, MOST_COUNTS / max(float(counts.sum()), 1.0))
    return counts * scale, scale, axis


def _by_occlusion(
    net: "SpectrumNet",
    counts: np.ndarray,
    condition: np.ndarray,
    *,
    taken: np.ndarray,
    asked: Sequence[tuple[int, int]],
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [asked] of the whole spectrum, and their fall [family, asked] without each family."""
    spectra = np.concatenate([counts[None], counts - taken]).astype(np.float32)
    presence = np.asarray(_presence()(net, spectra, condition), np.float64)
    logits = np.stack([presence[:, paint, number] for paint, number in asked], axis=1)
    return logits[0], logits[0] - logits[1:]


def _by_gradient(
    net: "SpectrumNet",
    counts: np.ndarray,
    condition: np.ndarray,
    *,
    taken: np.ndarray,
    asked: Sequence[tuple[int, int]],
) -> tuple[np.ndarray, np.ndarray]:
    """The same to first order."""
    found = [_slope()(net, counts.astype(np.float32), condition, np.array(place)) for place in asked]
    slopes = np.stack([np.asarray(slope, np.float64) for _, slope in found], axis=1)
    return np.array([float(value) for value, _ in found]), taken @ slopes


@cache
def _presence() -> Callable:
    """Logits [spectrum, paint, class] of spectra of one instrument, as one compiled program."""
    import equinox as eqx
    import jax

    return eqx.filter_jit(
        lambda net, spectra, condition: jax.vmap(lambda one: net(one, condition, key=None).presence)(spectra)
    )


@cache
def _slope() -> Callable:
    """Logit at a place (paint, class) and its gradient [channel]."""
    import equinox as eqx
    import jax

    def logit(spectrum, net, condition, place):
        return net(spectrum, condition, key=None).presence[place[0], place[1]]

    return eqx.filter_jit(
        lambda net, spectrum, condition, place: jax.value_and_grad(logit)(spectrum, net, condition, place)
    )


def _held(peaks: np.ndarray, counts: np.ndarray, families: Sequence[Family]) -> np.ndarray:
    """Counts of each family in a spectrum [family], as its main line tells in a fit of all lines, none below 0.

    Main and other lines are fitted apart: what covers a paint changes their ratios. Weights are those of the counts.
    """
    from scipy.optimize import nnls

    from velatura.scene.training import grid

    weight, shapes = 1 / np.sqrt(counts + 1), family_matrix(tuple(families), grid(), Detector())
    lines = np.concatenate([shapes.main + shapes.foot, shapes.other])
    return nnls((lines * weight).T, peaks * weight)[0][: len(families)]


def _told_apart(
    families: Sequence[Family], markers: Sequence[str], *, taken: np.ndarray, held: np.ndarray
) -> list[int]:
    """Numbers of the families that go by their own name: markers of the class, and what the spectrum itself holds.

    Left out are families whose windows take mostly counts of others, and of those that blur the ones with fewer counts.
    """
    detector, kept = Detector(), []
    preferred = sorted(range(len(families)), key=lambda k: (families[k].element not in markers, -held[k], k))
    for number in preferred:
        energy = families[number].main.energy
        width = BLURRED * float(detector.fwhm(energy))
        clear = all(abs(families[other].main.energy - energy) > width for other in kept)
        if families[number].element in markers or (clear and held[number] >= ITS_OWN * taken[number]):
            kept.append(number)
    return sorted(kept)


def _decision(
    pair: tuple[str, str], logit: float, kept: Sequence[int], *, families: Sequence[Family], drop: np.ndarray,
    taken: np.ndarray, most: int,
) -> Decision:  # fmt: skip
    """The heaviest lines both ways; equal ones in order of the elements' symbols."""
    lines = [
        DecidingLine(
            families[k].element, families[k].main.name, families[k].main.energy, float(drop[k]), float(taken[k])
        )
        for k in kept
        if taken[k] > 0
    ]
    speaking = sorted((line for line in lines if line.drop > 0), key=lambda line: -line.drop)
    denying = sorted((line for line in lines if line.drop < 0), key=lambda line: line.drop)
    return Decision(*pair, logit, tuple(speaking[:most]), tuple(denying[:most]))
