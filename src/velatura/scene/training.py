"""The stream of training: the photons of a bank counted by another detector at every step, with the labels to learn.

No spectrum repeats: detector, gas before it, collimator's lines, background, pile-up, drift of the calibration, dose
and Poisson counts are drawn anew from the key of the step, and the same key gives the same batch. Counts are drawn on
the grid itself, where they are Poisson and independent; measured ones come onto it by `base.axis.redistribute`, which
keeps them so.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from velatura.base.errors import InputError
from velatura.physics.counting import jitter, pile_up, poisson, smooth_background
from velatura.physics.detector import FWHM_PER_SIGMA, line_response
from velatura.physics.instrument import Instrument, random_instrument
from velatura.physics.simulate import usual_elements
from velatura.physics.surroundings import parasite_lines, passed
from velatura.scene.classes import XrfClass
from velatura.scene.evidence_bank import Labels
from velatura.scene.invented import Invented, invent
from velatura.scene.sources import SourceGroup

CHANNELS, LOW, HIGH = 1024, 0.5, 41.0  # the grid: channels of 0.03955 keV between these energies [keV]
DETECTABLE = 25.0  # delta chi2, five standard deviations
GAIN_DRIFT, OFFSET_DRIFT = 0.0025, 0.5  # standard deviation of a factor; channels, uniform both ways
MOST_BLUR = 0.7  # channels of standard deviation: up to 5 % more width at Mn Ka
ROOT = float(np.sqrt(2 * np.pi))
DECAY = (4.0, 16.0)  # keV, of the smooth background
ANODES = ("Rh", "Mo", "Ag", "W")
KNOWN = 0.5  # share of the spectra that are told their instrument


class Drawn(NamedTuple):
    """Spectra with what is in them; [paint, class] are visible and hidden paint, the classes of the bank and, last,
    materials that are none of them.
    """

    features: np.ndarray
    """Counts on the grid, whole numbers in float32 [spectrum, channel]."""
    condition: np.ndarray
    """The instrument as `described`, or zeros: not known. float32 [spectrum, 8]."""
    labels: np.ndarray
    """Whether a class is there, bool [spectrum, paint, class]."""
    mask: np.ndarray
    """Whether that can be decided, bool [spectrum, paint, class]: not what is there but cannot be seen, nor what other
    pigments explain as well."""
    seen: np.ndarray
    """The same, whatever other pigments might explain, bool [spectrum, paint, class]: there a guess has a sense."""
    share: np.ndarray
    """Volume share of the class among the pigments of its paint, float32 [spectrum, paint, class]."""
    mass_thickness: np.ndarray
    """[g/cm2], float32 [spectrum, paint, class]"""
    order: np.ndarray
    """Whether two paints, one over the other, can be told from a mixture of both, bool [spectrum]."""
    dose: np.ndarray
    """Expected counts, float32 [spectrum]."""
    stack: np.ndarray
    """Number in the group, int [spectrum]."""


def grid() -> np.ndarray:
    """Return the energies [keV] of the channels of all features, float64 [channel]."""
    return LOW + (np.arange(CHANNELS) + 0.5) * (HIGH - LOW) / CHANNELS


def described(instrument: Instrument) -> np.ndarray:
    """Return what a network is told: anode (one of ANODES, or none), voltage / 50 kV, sines of both angles, gas."""
    geometry = instrument.geometry
    sines = np.sin(np.radians([geometry.incidence_angle, geometry.take_off_angle]))
    anode = [float(instrument.tube.anode == name) for name in ANODES]
    return np.array([*anode, instrument.tube.voltage / 50, *sines, geometry.atmosphere == "air"], np.float32)


class View(NamedTuple):
    """One new detector in front of a group."""

    response: np.ndarray
    """Counts per photon, through gas, window and crystal, float32 [source, channel]."""
    scattered: np.ndarray
    """1 for sources that set off the collimator's lines, else 0; float32 [source]."""
    parasites: np.ndarray
    """The collimator's lines for one such photon, float32 [channel]."""
    condition: np.ndarray
    """The instrument as `described`, float32 [8]."""
    reach: np.ndarray
    """1 for channels that the scanner's own axis covers, else 0; float32 [channel]."""
    width: np.ndarray
    """Standard deviation of a line [keV] at each channel, float32 [channel]."""


def view(group: SourceGroup, *, rng: np.random.Generator, instrument: Instrument | None = None) -> View:
    """Return a group as another detector sees it, drawn at random or that of `instrument`; about 60 ms.

    The axis of the spectra stays that of the group, for which its evidence was worked out.
    """
    covered = group.instrument.axis() if instrument is None else instrument.axis()
    reach = ((grid() >= covered[0]) & (grid() <= covered[-1])).astype(np.float32)
    scanner = instrument or new_detector(group, rng=rng)
    scattered = (np.arange(len(group.energy)) >= group.lines).astype(np.float32)
    housing = parasite_lines(scanner, grid()).astype(np.float32)
    width = (scanner.detector.fwhm(grid()) / FWHM_PER_SIGMA).astype(np.float32)
    return View(_response(group, scanner), scattered, housing, described(scanner), reach, width)


def draw(
    group: SourceGroup,
    classes: tuple[XrfClass, ...],
    number: int = 512,
    *,
    key: PRNGKeyArray,
    counts: tuple[float, float] = (1e3, 1e5),
    stacks: np.ndarray | None = None,
    kept_back: bool = False,
    seen: View | None = None,
    invented: float = 0.0,
) -> Drawn:
    """Draw a batch of spectra from one group, through one new detector or a `view` of it.

    classes: those of the bank, in order; counts: range of the dose, log-uniform; stacks: numbers int [n] to choose
    from, else those for training, or with `kept_back` those that training never sees; invented: share of spectra with
    lines of elements that do not exist, labelled as strangers. Same key, same batch. Raises InputError when there are
    no such stacks.
    """
    rng = rng_of(key=key)
    if stacks is None:
        stacks = np.arange(group.training, len(group.photons)) if kept_back else np.arange(group.training)
    if not len(stacks):
        raise InputError("this group keeps no stacks back: it is held out as a whole. Draw from all of it")
    stack = rng.choice(stacks, number)
    dose = _log_uniform(counts, number, rng=rng)
    seen = view(group, rng=rng) if seen is None else seen
    drifts = _drifts(number, rng)
    added = invent(number, invented, known=usual_elements(), rng=np.random.default_rng(rng.integers(2**63)))
    features, shows = _counts(group.photons[stack], seen, dose, drifts, added, key=jax.random.fold_in(key, 1))
    known = rng.random(number) < KNOWN
    share = group.labels.share[stack]
    labels, mask, shown = decidable(group.labels, classes, stack, dose=dose)
    strange, shows = added.share.any(axis=1), np.asarray(shows) >= DETECTABLE
    mask[:, 0, -1] = np.where(strange, (labels & mask)[:, 0, -1] | shows, mask[:, 0, -1])
    labels[:, 0, -1] |= strange
    shown[strange, 0, -1] = mask[strange, 0, -1]
    return Drawn(
        np.asarray(features), known[:, None] * seen.condition, labels, mask, shown, share,
        group.labels.mass_thickness[stack], dose * group.labels.order[stack] >= DETECTABLE, dose, stack,
    )  # fmt: skip


def decidable(
    held: Labels, classes: Sequence[XrfClass], stack: np.ndarray, *, dose: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, mask and seen of `Drawn` for stacks int [n] of a group at doses [n], without invented lines."""
    enough = DETECTABLE / dose[:, None, None]
    there, visible = held.share[stack] > 0, np.array([*(row.visible for row in classes), True])
    mask = np.where(there, held.delta_chi2[stack], held.absence[stack]) >= enough
    seen = ~there | (held.unrivalled[stack] >= enough)
    return there, mask & visible, seen & visible


def joined(parts: Sequence[Drawn]) -> Drawn:
    """Return several batches as one."""
    return Drawn(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def rng_of(*numbers: int, key: PRNGKeyArray) -> np.random.Generator:
    """Return NumPy's generator for a key, and for numbers such as a step; the same ones give the same draws."""
    return np.random.default_rng((*np.asarray(jax.random.key_data(key)).tolist(), *numbers))


def new_detector(group: SourceGroup, *, rng: np.random.Generator) -> Instrument:
    """Draw another detector, collimator and way through the gas for the tube and geometry of a group."""
    drawn = random_instrument(rng=rng)
    geometry = replace(group.instrument.geometry, path_out=drawn.geometry.path_out)
    return replace(drawn, tube=group.instrument.tube, geometry=geometry, multiple=group.instrument.multiple)


class _Drifts(NamedTuple):
    """What differs from spectrum to spectrum, each [spectrum]."""

    gain: np.ndarray
    offset: np.ndarray
    blur: np.ndarray
    pile_up: np.ndarray
    background: np.ndarray
    decay: np.ndarray


def _drifts(number: int, rng: np.random.Generator) -> _Drifts:
    drawn = (
        1 + GAIN_DRIFT * np.clip(rng.standard_normal(number), -3, 3),
        rng.uniform(-OFFSET_DRIFT, OFFSET_DRIFT, number),
        rng.uniform(0, MOST_BLUR, number),
        rng.uniform(0, 0.03, number),
        rng.uniform(0, 0.3, number) ** 2,
        _log_uniform(DECAY, number, rng=rng),
    )
    return _Drifts(*(values.astype(np.float32) for values in drawn))


def _log_uniform(limits: tuple[float, float], number: int, *, rng: np.random.Generator) -> np.ndarray:
    return np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]), number)).astype(np.float32)


def _response(group: SourceGroup, scanner: Instrument) -> np.ndarray:
    """Counts [source, channel] per photon, through the gas and collimator of this scanner."""
    through = passed(scanner.geometry, group.energy)
    through[group.lines :] *= scanner.scatter
    response = line_response(group.energy, grid(), detector=scanner.detector)
    return response * through[:, None].astype(np.float32)


@jax.jit
def _counts(
    photons: Array, seen: View, dose: Array, drifts: _Drifts, added: Invented, *, key: PRNGKeyArray
) -> tuple[Array, Array]:
    """Poisson counts float32 [spectrum, channel], and the chi2 that the added lines are worth [spectrum]."""
    photons = photons.astype(jnp.float32)
    spectra = photons @ seen.response
    spectra += (photons @ (seen.scattered * seen.response.sum(axis=1)))[:, None] * seen.parasites
    axis = jnp.asarray(grid(), jnp.float32)
    smooth = jax.vmap(lambda decay: smooth_background(axis, decay=decay))(drifts.decay)
    spectra += (drifts.background * spectra.sum(axis=1))[:, None] * smooth
    lines = jax.vmap(partial(_lines, axis=axis, width=jnp.asarray(seen.width)))(added) * seen.reach
    lines *= spectra.sum(axis=1, keepdims=True)
    spectra += lines
    shows = dose / spectra.sum(axis=1) * (lines**2 / jnp.maximum(spectra, 1e-12)).sum(axis=1)
    zero = -LOW * CHANNELS / (HIGH - LOW) - 0.5
    spectra = jax.vmap(lambda row, share: pile_up(row, share, zero_channel=zero))(spectra, drifts.pile_up)
    spectra = jax.vmap(lambda row, gain, offset, blur: jitter(row, gain, offset, blur=blur))(
        spectra, drifts.gain, drifts.offset, drifts.blur
    )
    spectra *= seen.reach
    spectra *= (dose / spectra.sum(axis=1))[:, None]
    return poisson(spectra, key=key).astype(jnp.float32), shows


def _lines(added: Invented, *, axis: Array, width: Array) -> Array:
    """Gaussians of some lines, in shares of the counts [channel]."""
    place = (axis[:, None] - added.energy) / width[:, None]
    return (jnp.exp(-0.5 * place**2) / (width[:, None] * ROOT) * added.share).sum(axis=1) * (axis[1] - axis[0])
