"""Analysis by synthesis: thicknesses and shares of a proposed stack fitted to measured spectra, with uncertainties.

The forward model of the physics is run backwards by least squares (`refine_fit`), once for the proposal and once for
all its pigments in one visible paint. How much better the first explains the spectrum says whether a hidden paint is
needed; how much a usual hidden paint would have shown says whether that could be told at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.physics.instrument import Instrument
from velatura.physics.simulate import Scanner, prepare
from velatura.physics.stack import UM
from velatura.scene.classes import XrfClass
from velatura.scene.sampler import Sampling
from velatura.tasks.refine_amounts import Interval, Paints, paints_of
from velatura.tasks.refine_fit import Fit, Task
from velatura.tasks.refine_light import Light, light_of, states, windowed
from velatura.tasks.refine_stack import PAINTS, Components, Proposal, components_of
from velatura.tasks.refine_starts import solve_again

__all__ = ["Interval", "Paints", "Proposal", "Refined", "Refining", "propose", "refine", "refine_region"]

NEEDED, NOT_NEEDED, UNTOLD = "needed", "not needed", "cannot be told"
GROUNDS = ("chalk", "lead_white", "gypsum", "zinc_white", "barium_white", "titanium_white")
"""Fillers that are tried together where the ground is not known."""
LEAST_SHARE, LEAST_AMOUNT = 0.01, 0.2  # of a proposal: of a pigment; of a paint [mg/cm2]
MOST = 5  # pigments that are proposed for one paint


@dataclass(frozen=True)
class Refining:
    """How a stack is fitted; spreads are standard deviations of a prior."""

    cells: int = 3
    """Slices of a layer for secondary fluorescence."""
    rounds: int = 40
    """Most steps of a fit."""
    window: tuple[float, float] = (1.0, np.inf)
    """Energies that are compared [keV], never above the tube's voltage."""
    model_error: float = 0.0
    """Relative error of the physics in each window of 0.7 line widths, beside counting."""
    scatter: float = 0.05
    """Relative error of the instrument's scatter."""
    background: float = 0.01
    """Share of the counts in a smooth background beside the instrument's own."""
    offset: float = 0.005
    """Error of the energy axis [keV]."""
    gain: float = 0.0005
    """Relative error of the gain."""
    width: float = 0.02
    """Relative error of the lines' variance."""
    threshold: float = 25.0
    """Delta chi2 from which a hidden paint is needed, and that a usual one must be able to give for "not needed"."""
    doubt: float = 9.0
    """Delta chi2 up to which a hidden paint is not needed; between the two nothing is said."""

    def __post_init__(self) -> None:
        for name in ("scatter", "background", "offset", "gain", "width", "threshold", "doubt"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} of a refinement must be positive; found {getattr(self, name)}")
        if not self.model_error >= 0 or self.rounds < 1 or self.cells < 1:
            raise InputError("a refinement needs a model error of 0 or more, and rounds and cells of 1 or more")


MEASURED = Refining(model_error=0.05, scatter=0.2, background=0.03, offset=0.01, gain=0.001, width=0.1)
"""For measured spectra: what fitted instruments leave unexplained in standards (docs/standards.md)."""


class Refined(NamedTuple):
    """Refined stacks."""

    pigments: tuple[str, ...]
    """All that were proposed, in alphabetical order: the last axis of masses and shares."""
    layered: Paints
    """The stack as proposed."""
    single: Paints
    """All its pigments in one visible paint; the same as `layered` where no hidden paint was proposed."""
    delta_chi2: np.ndarray
    """By how much the hidden paint explains a spectrum better, divided by the reduced chi2 above 1 [spectrum]."""
    power: np.ndarray
    """The delta chi2 that a hidden paint of these pigments, 22 um thick as is usual, would give [spectrum]."""
    verdict: tuple[str, ...]
    """Of each spectrum, whether a hidden layer is "needed", "not needed", or "cannot be told"; "" where none was
    proposed."""
    edges: np.ndarray
    """Of the windows [keV], float64 [window + 1]."""
    counts: np.ndarray
    """Measured counts in the windows, float64 [spectrum, window]."""

    def best(self, number: int) -> str:
        """Name of the model to quote for one spectrum: "single" where a hidden layer is not needed, else "layered"."""
        return "single" if self.verdict[number] == NOT_NEEDED else "layered"


def refine(
    counts: np.ndarray,
    proposals: Sequence[Proposal],
    *,
    scanner: Scanner,
    options: Refining = Refining(),
    progress: Progress = silent,
) -> Refined:
    """Fit stacks to spectra.

    counts: whole numbers [spectrum, channel] in the scanner's channels, as counted (sums over a region, not means);
    proposals: one for each spectrum. Raises InputError for counts of another shape, empty or negative spectra, and
    materials that the scanner is not prepared for.
    """
    counts = _checked(counts, proposals, scanner)
    light = light_of(scanner, window=options.window)
    measured = windowed(counts, light)
    if np.any(measured.sum(axis=1) <= 0):
        raise InputError("a spectrum has no counts in the energies that are compared. Widen the window")
    layered = [components_of(proposal, scanner.elements) for proposal in proposals]
    hidden = [number for number, proposal in enumerate(proposals) if proposal.hidden]
    single = [components_of(proposals[number].layerless(), scanner.elements) for number in hidden]
    tasks = [_task(measured[n], part, options) for n, part in enumerate(layered)]
    tasks += [_task(measured[n], part, options) for n, part in zip(hidden, single, strict=True)]
    partners: list[int | None] = [None] * len(layered) + list(hidden)
    for place, number in enumerate(hidden):
        partners[number] = len(layered) + place
    fits = solve_again(tasks, partners, light, cells=options.cells, rounds=options.rounds, progress=progress)
    names = tuple(sorted({name for part in layered for _, name in part.pigments}))
    two = paints_of(fits[: len(layered)], tasks[: len(layered)], names)
    chosen = [number if partner is None else partner for number, partner in enumerate(partners[: len(layered)])]
    one = paints_of([fits[n] for n in chosen], [tasks[n] for n in chosen], names)
    delta = (one.objective - two.objective) / np.maximum(two.reduced_chi2, 1.0)
    power = np.zeros(len(counts))
    power[hidden] = _power([layered[n] for n in hidden], fits[len(layered) :], tasks[len(layered) :], light, options)
    power /= np.maximum(one.reduced_chi2, 1.0)
    verdict = [""] * len(counts)
    for number in hidden:
        verdict[number] = _verdict(delta[number], power[number], options)
    edges = _edges(light)
    return Refined(names, two, one, delta, power, tuple(verdict), edges, measured)


def propose(
    share: np.ndarray,
    classes: Sequence[XrfClass],
    *,
    found: np.ndarray,
    amount: Sequence[float] = (2.0, 2.0),
    members: Mapping[str, str] | None = None,
    ground: Sequence[str] = GROUNDS,
    support: str = "linen_canvas",
) -> Proposal:
    """Make a proposal from the answers for one spectrum.

    share: mass share of each class float [paint, class]; found: which classes are there, bool [paint, class]; amount:
    of pigments [mg/cm2]; members: the pigment that stands for a class, by its name (else the first of the class, so
    restrict classes to a palette first). At most five classes a paint are taken, the largest. Raises InputError when no
    class is found in the visible paint.
    """
    members = members or {}
    paints = []
    for row, there in zip(np.asarray(share, float), np.asarray(found, bool), strict=True):
        order = [n for n in np.argsort(-row) if there[n] and classes[n].members][:MOST]
        paints.append({members.get(classes[n].name, classes[n].members[0]): max(row[n], LEAST_SHARE) for n in order})
    if not paints[0]:
        raise InputError("nothing is found in the visible paint; name a pigment to start from")
    start = tuple(max(float(value), LEAST_AMOUNT) for value in amount)
    return Proposal(paints[0], paints[1], (start[0], start[1]), tuple(ground), support)


def refine_region(
    counts: np.ndarray,
    proposals: Sequence[Proposal],
    *,
    instrument: Instrument,
    axis: np.ndarray,
    options: Refining = MEASURED,
    progress: Progress = silent,
) -> Refined:
    """Refine summed spectra [region, channel] of a measured scan with the energy axis [channel] (keV) of its cube.

    instrument: tube, geometry and detector; its channels are taken from the axis, which must be linear. As `refine`,
    with wider priors and an error of the physics. Raises InputError for an axis that is not linear.
    """
    axis = np.asarray(axis, float)
    if axis.ndim != 1 or len(axis) < 2 or not np.allclose(np.diff(axis), np.diff(axis).mean(), rtol=0.02):
        raise InputError("refinement needs a linear energy axis. Redistribute the counts onto one first")
    gain = float(np.mean(np.diff(axis)))
    scanner = prepare(replace(instrument, channels=len(axis), zero=float(axis[0]), gain=gain))
    return refine(counts, proposals, scanner=scanner, options=options, progress=progress)


def _checked(counts: np.ndarray, proposals: Sequence[Proposal], scanner: Scanner) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape != (len(proposals), len(scanner.axis)):
        raise InputError(
            f"refinement needs counts [spectrum, channel] of shape ({len(proposals)}, {len(scanner.axis)}), one "
            f"proposal for each; found {counts.shape}"
        )
    if not np.all(np.isfinite(counts)) or np.any(counts < 0):
        raise InputError("counts must be 0 or more; found negative or undefined ones. Give sums, not differences")
    return counts


def _task(counts: np.ndarray, components: Components, options: Refining) -> Task:
    near = np.convolve(np.pad(counts, 1, mode="edge"), np.ones(3) / 3, "valid")
    spread = np.array([3.0, options.scatter, options.background, options.offset, options.gain, options.width])
    return Task(counts, 1 / (1 + options.model_error**2 * near), components, spread)


def _verdict(delta: float, power: float, options: Refining) -> str:
    if delta >= options.threshold:
        return NEEDED
    return NOT_NEEDED if delta < options.doubt and power >= options.threshold else UNTOLD


def _power(
    layered: Sequence[Components], fits: Sequence[Fit], tasks: Sequence[Task], light: Light, options: Refining
) -> np.ndarray:
    """Delta chi2 of a usual hidden paint beneath the single one, after a refit of the latter, linearised."""
    if not layered:
        return np.zeros(0)
    usual = np.sqrt(np.prod(Sampling.beneath)) * UM
    held = []
    for parts, fit, task in zip(layered, fits, tasks, strict=True):
        below = np.exp(parts.start) * (parts.slot == PAINTS[1])
        below *= usual / (below @ parts.volume)
        stack = task.components.held(fit.logs)
        stack[PAINTS[1]] = below @ parts.fractions
        held.append(stack)
    shifted = states(
        held, [stack[None][:0] for stack in held], [fit.nuisances for fit in fits], light=light, cells=options.cells
    )
    found = []
    for state, fit, task in zip(shifted, fits, tasks, strict=True):
        away = state.counts - fit.state.counts
        weight = task.weight / fit.state.counts
        along = fit.state.slopes @ (weight * away)
        found.append(max(float(weight @ away**2 - along @ fit.covariance @ along), 0.0))
    return np.array(found)


def _edges(light: Light) -> np.ndarray:
    step = light.axis[1] - light.axis[0]
    return light.axis[0] + step * (light.edge - 0.5)
