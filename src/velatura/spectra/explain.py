"""Which elements explain a spectrum: line families, scatter, background and pile-up fitted together, then pruned."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from velatura.atomic.elements import atomic_number
from velatura.base.errors import InputError
from velatura.spectra.background import estimate_background
from velatura.spectra.columns import Columns, Fit, draw_columns, fit_rows
from velatura.spectra.families import PROVING, Family
from velatura.spectra.rebin import rebin_spectra
from velatura.spectra.response import Detector
from velatura.spectra.scatter import monochromatic_energy

USUAL = (
    *("Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca", "Ti", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "As"),
    *("Se", "Br", "Rb", "Sr", "Zr", "Ag", "Cd", "Sn", "Sb", "Ba", "Au", "Hg", "Pb", "Bi"),
)
"""Elements of paintings and their supports."""
UNUSUAL = (*("V", "Ga", "Ge", "Y", "Nb", "Mo", "Rh", "Pd", "In", "Te", "I", "La", "Ce", "Ta", "W", "Pt", "Tl", "U"),)
"""Elements that are believed on twice the evidence."""
TUBES = ("Rh", "Mo", "Ag", "Pd")
"""Anodes whose Compton peak stands clear of their lines."""
LOWEST, HIGHEST = 0.9, 40.0  # keV
BINS_PER_FWHM = 4
KNOT = 3.0  # keV between the points where the background is rescaled
EASY = 0.85  # an edge below this share of the end of the spectrum is excited well: its lines must be seen
LAST_COUNTS = 10  # counts in half a keV that show that the tube still reaches there
HOPELESS = 0.5  # of the needed significance: elements below go together, the others one by one


class Found(NamedTuple):
    """An element whose lines are needed to explain a spectrum."""

    element: str
    line: str
    """The group that shows it best: "Pb-La"."""
    energy: float
    """Its energy [keV]."""
    counts: float
    """Net counts of that group."""
    significance: float
    """Counts of its family over their error (Poisson, misfit of the model and of the axis)."""
    role: str = "sample"
    """ "sample", "tube" (lines of the anode) or "air" (argon)."""


class Explanation(NamedTuple):
    """A spectrum taken apart."""

    found: tuple[Found, ...]
    """By falling significance, tube and air included."""
    anode: str | None
    """Anode given or recognised."""
    beam: float | None
    """Energy of a monochromatic beam, when the spectrum looks like one [keV]."""
    energy: np.ndarray
    """Axis of the two spectra below: channel centres after rebinning [keV]."""
    background: np.ndarray
    fit: np.ndarray
    """Background + lines + scatter + pile-up."""


def elements_in(
    spectrum: np.ndarray,
    energy: np.ndarray,
    *,
    detector: Detector | None = None,
    anode: str | None = None,
    tube_voltage: float | None = None,
    candidates: tuple[str, ...] | None = None,
    threshold: float = 5.0,
) -> tuple[Found, ...]:
    """Return the sample's elements in a spectrum, most significant first; about 20 ms a spectrum.

    spectrum: counts [channel] (a sum of pixels, not a mean: errors are Poisson); energy: channel centres [keV];
    anode: tube anode, recognised when None; tube_voltage: [kV], by default the end of the spectrum; candidates: symbols
    to look for, by default those of paintings and, on twice the evidence, some others; threshold: least significance.
    Raises InputError for unknown elements and for shapes that differ.
    """
    explained = explain(
        spectrum,
        energy,
        detector=detector,
        anode=anode,
        tube_voltage=tube_voltage,
        candidates=candidates,
        threshold=threshold,
    )
    return tuple(found for found in explained.found if found.role == "sample")


def explain(
    spectrum: np.ndarray,
    energy: np.ndarray,
    *,
    detector: Detector | None = None,
    anode: str | None = None,
    tube_voltage: float | None = None,
    candidates: tuple[str, ...] | None = None,
    threshold: float = 5.0,
) -> Explanation:
    """Take a spectrum apart into elements, scatter, pile-up and background; arguments as in `elements_in`.

    Non-negative weighted least squares with the families of all candidates; families that are not significant are
    removed, weakest first, and an element stays only by the family that must show first (K when the tube excites it
    well, else L, else M). The error holds Poisson noise and the model's own misfit (`columns.MISFIT`, `columns.SHIFT`),
    so that shoulders of strong peaks are not taken for elements.
    """
    with threadpool_limits(1, "blas"):  # matrices are small: more threads only wait for each other
        return _explain(spectrum, energy, detector or Detector(), anode, tube_voltage, candidates, threshold)


def _explain(
    spectrum: np.ndarray,
    energy: np.ndarray,
    detector: Detector,
    anode: str | None,
    tube_voltage: float | None,
    candidates: tuple[str, ...] | None,
    threshold: float,
) -> Explanation:
    spectrum, energy = np.maximum(np.asarray(spectrum, np.float64), 0.0), np.asarray(energy, np.float64)
    if spectrum.ndim != 1 or spectrum.shape != energy.shape:
        raise InputError(f"a spectrum needs one count a channel, {energy.shape}; found {spectrum.shape}")
    factor = max(1, int(detector.fwhm(5.9) / BINS_PER_FWHM / np.diff(energy).mean()))
    counts, axis = rebin_spectra(spectrum, energy, factor)
    bulk, limit = ends_of_spectrum(counts, axis)
    bulk, limit = min(bulk, tube_voltage or bulk), tube_voltage or limit
    background = np.maximum(estimate_background(counts, axis, detector=detector), 0.0)
    pile_up = _pile_up(counts, axis)
    whole = (axis >= LOWEST - 0.2) & (axis <= HIGHEST)
    used = slice(0, int(np.searchsorted(axis[whole], limit * 1.02)))
    problem = _Problem(
        *(values[whole][used] for values in (counts, axis, background, pile_up)),
        draw=partial(draw_columns, axis[whole].tobytes(), detector),
        names=tuple(candidates or USUAL + UNUSUAL),
        limit=limit,
        easy=EASY * bulk,
        threshold=threshold,
    )
    if problem.counts.sum() < 1:
        return Explanation((), anode, None, problem.axis, *np.zeros((2, len(problem.axis))))
    beam = None if anode else monochromatic_energy(problem.counts, problem.axis, bulk)
    return problem.solve(beam or anode or problem.recognise_anode())


def ends_of_spectrum(counts: np.ndarray, axis: np.ndarray) -> tuple[float, float]:
    """Return two energies [keV]: above the first lie 2 in 10,000 counts; above the second hardly any at all.

    The tube voltage is not below the first, and hardly above the second.
    """
    seen = np.where(axis > LOWEST, counts, 0)
    total, last = np.cumsum(seen), len(axis) - 1
    bulk = min(int(np.searchsorted(total, total[-1] * (1 - 2e-4))), last)
    width = max(1, round(0.5 / (axis[1] - axis[0])))
    reached = np.flatnonzero(np.convolve(seen, np.ones(width), "same") >= LAST_COUNTS)
    return float(axis[bulk]), float(axis[max(bulk, reached[-1] if len(reached) else 0)])


def _pile_up(counts: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Spectrum convolved with itself: where two photons taken for one would lie, of unit area."""
    start, gain = axis[0], (axis[-1] - axis[0]) / (len(axis) - 1)
    size = 2 * len(counts)
    seen = np.where(axis > LOWEST, counts, 0)
    twice = np.fft.irfft(np.fft.rfft(seen, size) ** 2, size)
    moved = np.interp(axis, 2 * start + gain * np.arange(size), np.maximum(twice, 0), left=0.0)
    return moved / max(moved.sum(), 1e-300)


class _Problem(NamedTuple):
    """One rebinned spectrum with what is needed to explain it."""

    counts: np.ndarray
    axis: np.ndarray
    background: np.ndarray
    pile_up: np.ndarray
    draw: Callable[..., Columns]
    names: tuple[str, ...]
    limit: float
    easy: float
    threshold: float

    def columns(self, *tubes: str | float) -> Columns:
        """Return the columns of all candidates and tubes that can be excited, on this problem's axis."""
        anodes = (tube for tube in tubes if isinstance(tube, str))
        drawn = self.draw(elements=tuple(dict.fromkeys((*self.names, *anodes))), tubes=tubes)
        knots = np.linspace(self.axis[0], self.axis[-1], max(2, round((self.axis[-1] - self.axis[0]) / KNOT) + 1))
        hats = np.array([np.interp(self.axis, knots, unit) for unit in np.eye(len(knots))])
        smooth = np.concatenate([hats * (self.background + 0.1), self.pile_up[None]])
        excited = np.array([family.edge < self.limit for family in drawn.families], bool)
        return drawn.cut(len(self.axis), smooth).keep(excited)

    def first_variance(self) -> np.ndarray:
        """Variance before there is a model: Poisson and 3 % of the counts, smoothed over one line's width."""
        near = np.convolve(self.counts, np.full(BINS_PER_FWHM, 1 / BINS_PER_FWHM), "same")
        return near + (0.03 * near) ** 2 + 1

    def recognise_anode(self) -> str | None:
        """Return the tube with the most significant Compton peak; rhodium also by its K lines, as no paint holds it."""
        columns = self.columns(*TUBES)
        fit = fit_rows(columns.rows(), self.counts, self.first_variance())
        lines, compton, _ = columns.split(fit.areas / fit.errors)
        best = max(zip(compton, columns.tubes, strict=True), default=(0.0, None))
        rhodium = [lines[i] for i, family in enumerate(columns.families) if family.main.name == "Rh-Ka"]
        best = max(best, (max(rhodium, default=0.0), "Rh"), key=lambda scored: scored[0])
        return str(best[1]) if best[0] > 2 * self.threshold else None

    def solve(self, source: str | float | None) -> Explanation:
        """Fit, take out the weakest elements, and fit again until all that are left are needed."""
        columns = self.columns(*([source] if source else []))
        proving = self._proving(columns.families)
        fit = fit_rows(columns.rows(), self.counts, self.first_variance())
        while True:
            variance = columns.variance(fit.areas, self.axis)
            columns = columns.keep(fit.areas[: len(columns.families)] > 0)
            fit = fit_rows(columns.rows(), self.counts, variance)
            scores = self._scores(columns, fit, variance)
            needed = {family.element: 0.0 for family in columns.families}
            for family, score in zip(columns.families, scores, strict=True):
                if (name := family.element, family.kind) in proving:
                    rarity = 2 if name in UNUSUAL and name != source else 1
                    needed[name] = max(needed[name], score / rarity / self.threshold)
            weakest = min(needed.values(), default=1.0)
            if weakest >= 1:
                return self._explanation(columns, fit, scores, source)
            kept = [needed[family.element] > max(weakest, HOPELESS) for family in columns.families]
            areas = np.concatenate([fit.areas[: len(kept)][kept], fit.areas[len(kept) :]])
            columns, fit = columns.keep(np.array(kept)), fit._replace(areas=areas)

    def _proving(self, families: tuple[Family, ...]) -> set[tuple[str, str]]:
        """Return (element, kind) of families that can prove an element: down to the first that is easy to excite."""
        proving, settled = set(), set()
        for family in families:  # K before L before M
            if family.element not in settled and atomic_number(family.element) >= PROVING[family.kind]:
                proving.add((family.element, family.kind))
                if family.edge < self.easy:
                    settled.add(family.element)
        return proving

    def _scores(self, columns: Columns, fit: Fit, variance: np.ndarray) -> np.ndarray:
        """Return areas over the error that they would have if the family were absent, [family].

        Where the fit is locally worse than the variance allows, the variance is raised to what the fit shows.
        """
        width = 4 * BINS_PER_FWHM
        chi2 = np.convolve((self.counts - fit.model) ** 2 / variance, np.full(width, 1 / width), "same")
        without = np.maximum(variance - columns.own_variance(fit.areas, self.axis), 1) * np.maximum(chi2, 1)
        size = len(columns.families)
        return fit.areas[:size] / np.sqrt(np.einsum("fc,fc->f", fit.estimator[:size] ** 2, without) + 1e-300)

    def _explanation(self, columns: Columns, fit: Fit, scores: np.ndarray, source: str | float | None) -> Explanation:
        lines, _, smooth = columns.split(fit.areas)
        best: dict[str, Found] = {}
        for family, score, area in zip(columns.families, scores, lines, strict=True):
            name, main = family.element, family.main
            role = "tube" if name == source else "air" if name == "Ar" else "sample"
            if area > 0 and (name not in best or score > best[name].significance):
                counts = float(area) * family.share_of(main)
                best[name] = Found(name, main.name, main.energy, counts, float(score), role)
        ranked = sorted(best.values(), key=lambda found: -found.significance)
        anode, beam = (source, None) if isinstance(source, str) else (None, source)
        return Explanation(tuple(ranked), anode, beam, self.axis, smooth @ columns.smooth, fit.model)
