"""Composite maps: clusters, or their parts, that share a signature which other clusters of the same visible paint lack.

A hidden figure crosses several visible passages, so that its pixels are split among clusters. Passages are told apart
by their soft lines alone (passages.py); within each, clusters are split by a harder line into those that hold more and
those that hold less; the upper ones of all passages together make one composite map. None of this knows the truth.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from velatura.cluster.evidence import core, morans_i, outline_step
from velatura.cluster.passages import deeper_parts, hellinger, surface_passages
from velatura.cluster.signals import Signals

MODEL_ERROR = 0.03  # of a line's counts: cells of one material differ that much besides Poisson noise
CELL_PIXELS = 12.0  # lighter cells have no voice in a split
LEAST_CONTRAST, LEAST_SIGNIFICANCE = 1.3, 3.0  # of a split that is followed at all
AFTERTHOUGHT = 0.6  # rank of a signature that shows only once others are set aside
COMPARED_PIXELS = 100_000  # a map is compared with others on about that many
REDUNDANT = 0.9  # correlation with a map already proposed
HIDDEN_CONTRAST, HIDDEN_SIGNIFICANCE, HIDDEN_PIXELS = 2.0, 6.0, 20.0  # of a split that counts as evidence
HIDDEN_PASSAGES, HIDDEN_SHARE = 3, 0.6  # passages crossed, and their share of the map
RAMP = 0.25, 0.6  # part of the way from the lower to the upper level where a cell begins to count, and counts fully
HIDDEN_COHERENCE, HIDDEN_OUTLINE, SAME_SURFACE = 0.5, 0.75, 0.1
HIDDEN_CORE, HIDDEN_CORE_SHARE = 12, 0.25  # pixels of a passage's inside that are no rim, and their share of it


@dataclass(frozen=True)
class Composite:
    """One proposed map."""

    image: np.ndarray
    """float32 [y, x], 0 to 1."""
    reference: np.ndarray
    """Weights float32 [y, x] of the pixels it is to be compared with: the same visible paint without the signature."""
    signature: str
    """What its pixels hold: "Hg-La"; "Pb-La without Hg-La" where other proposals were set aside first."""
    weights: np.ndarray
    """Share of each cluster that lies inside, float64 [cluster]."""
    members: tuple[int, ...]
    """Clusters that make it up."""
    significance: float
    """Mean distance of inside from outside, in standard deviations that hold Poisson, spread and model error."""
    coherence: float
    """Moran's I of the map."""
    passages: int
    """Visible passages in which inside and outside have the same surface and yet differ strongly, beyond rims."""
    outline: float
    """Share of the contrast found right at the outline, 1 for an edge."""
    hidden: bool
    """Announced as hidden: crosses several passages, with edges, under an unchanged surface."""


class Proposals(NamedTuple):
    """What was proposed for one scan."""

    composites: tuple[Composite, ...]
    """Best first."""
    passages: np.ndarray
    """Visible passages as the soft lines tell them apart, int16 [y, x] from 0; -1 where pixels were not used."""

    def stacks(self) -> np.ndarray:
        """Number the combinations of a visible passage and the strongest hidden map there, if any: int16 [y, x]."""
        hidden = [composite.image for composite in self.composites if composite.hidden]
        below = np.stack([np.full(self.passages.shape, 0.5), *hidden]).argmax(0)
        pairs = self.passages * (len(hidden) + 1) + below
        stacks = np.full(self.passages.shape, -1, np.int16)
        used = self.passages >= 0
        stacks[used] = np.unique(pairs[used], return_inverse=True)[1]
        return stacks


@dataclass(frozen=True)
class _Cells:
    """Means over pixels by cluster and part; a part belongs to one passage."""

    mass: np.ndarray
    net: np.ndarray
    variance: np.ndarray
    surface: np.ndarray
    """[cluster, part], [cluster, part, line] twice and [cluster, part, bin]."""
    passage: np.ndarray
    """int [part]"""


@dataclass(frozen=True)
class _Split:
    """One passage divided into cells that hold more and cells that hold less."""

    passage: int
    low: float
    high: float
    significance: float
    contrast: float
    pixels: float
    surface_change: float


@dataclass(frozen=True)
class _Candidate:
    line: int
    name: str
    weight: np.ndarray
    """[cluster, part]"""
    splits: tuple[_Split, ...]
    image: np.ndarray
    significance: float
    coherence: float
    rank: float


def propose(
    memberships: np.ndarray,
    signals: Signals,
    *,
    used: np.ndarray | None = None,
    fuzzifier: float = 1.5,
    proposals: int = 10,
    rng: np.random.Generator,
) -> Proposals:
    """Propose composite maps, best first: significance x coherence, less what maps before already show.

    memberships: float32 [cluster, y, x]; used: bool [y, x], all by default; fuzzifier: that of the memberships.
    """
    used = np.ones(memberships.shape[1:], bool) if used is None else used
    passages = surface_passages(signals.surface, used, rng=rng)
    parts = deeper_parts(signals.counts, passages, rng=rng)
    cells = _gather(memberships, signals, passages, parts, fuzzifier)
    alive, aside = np.ones(cells.mass.shape), []
    pool = _candidates(memberships, signals, cells, parts, alive, aside)
    looked_at = np.flatnonzero(used)[:: max(1, int(used.sum()) // COMPARED_PIXELS)]
    shown: list[np.ndarray] = []
    composites: list[Composite] = []
    while pool and len(composites) < proposals:
        ranked = [_rank(candidate, shown, looked_at) for candidate in pool]
        best = int(np.argmax(ranked))
        if ranked[best] <= 0:
            break
        chosen = pool.pop(best)
        shown.append(_standardised(chosen.image, looked_at))
        composites.append(_describe(chosen, memberships, signals, cells, passages))
        if composites[-1].hidden:
            alive = alive * (chosen.weight < 0.5)
            aside.append(signals.lines[chosen.line])
            pool += _candidates(memberships, signals, cells, parts, alive, aside)
    return Proposals(tuple(composites), passages)


def _gather(memberships, signals: Signals, passages: np.ndarray, parts: np.ndarray, fuzzifier: float) -> _Cells:
    """Weighted means of all cells; the background of a line is the lower of its two sides."""
    count, clusters, lines = int(parts.max()) + 1, len(memberships), len(signals.lines)
    mass = np.zeros((clusters, count))
    net, variance = np.zeros((2, clusters, count, lines))
    surface = np.zeros((clusters, count, len(signals.surface)))
    for part in range(count):
        here = parts == part
        weight = memberships[:, here].astype(np.float64) ** fuzzifier
        mass[:, part] = weight.sum(1)
        scale = 1 / np.maximum(mass[:, part], 1e-9)[:, None]
        gross, below, above = (w[:, here].T for w in (signals.counts, signals.beside[:, 0], signals.beside[:, 1]))
        net[:, part] = scale * (weight @ gross - np.minimum(weight @ below, weight @ above))
        variance[:, part] = scale**2 * (weight**2 @ (gross + (below + above) / 2))
        surface[:, part] = weight @ signals.surface[:, here].T
    owner = np.array([passages[parts == part][0] for part in range(count)])
    return _Cells(mass, net, variance, surface, owner)


def _candidates(memberships, signals: Signals, cells: _Cells, parts, alive: np.ndarray, aside: list[str]):
    """One candidate for each line that splits some passage, among the cells still alive."""
    found = []
    for line, name in enumerate(signals.lines):
        splits, weight = [], np.zeros(cells.mass.shape)
        for passage in range(cells.passage.max() + 1):
            here = cells.passage == passage
            split = _split(cells, here, line, alive, passage)
            if split is not None:
                rise = (cells.net[:, here, line] - split.low) / (split.high - split.low)
                weight[:, here] = np.clip((rise - RAMP[0]) / (RAMP[1] - RAMP[0]), 0, 1) * alive[:, here]
                splits.append(split)
        if not splits:
            continue
        image = _compose(memberships, weight, parts)
        pixels = np.array([split.pixels for split in splits])
        significance = float(np.average([split.significance for split in splits], weights=pixels))
        label = f"{name} without {', '.join(aside)}" if aside else name
        coherence = morans_i(image, parts >= 0)
        rank = significance * max(coherence, 0.0) * (AFTERTHOUGHT if aside else 1.0)
        found.append(_Candidate(line, label, weight, tuple(splits), image, significance, coherence, rank))
    return found


def _split(cells: _Cells, here: np.ndarray, line: int, alive: np.ndarray, passage: int) -> _Split | None:
    """The two-level split of one passage's cells with the largest gap in its own standard deviations, if worth it."""
    mass = (cells.mass * alive)[:, here].ravel()
    voice = np.flatnonzero(mass > CELL_PIXELS)
    if len(voice) < 2:
        return None
    net, variance = cells.net[:, here, line].ravel()[voice], cells.variance[:, here, line].ravel()[voice]
    order = np.argsort(net)
    voice, net, variance, mass = voice[order], net[order], variance[order], mass[voice[order]]
    below, total = np.cumsum(mass), mass.sum()
    above = total - below
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = np.cumsum(mass * net)
        low, high = sums / below, (sums[-1] - sums) / above
        squares = np.cumsum(mass * net**2)
        spread = (squares - below * low**2 + squares[-1] - squares - above * high**2) / total
        noise = np.cumsum(mass**2 * variance)
        noise = noise / below**2 + (noise[-1] - noise) / above**2
        scale = np.sqrt(np.maximum(spread, 0) + noise + (MODEL_ERROR * np.maximum(abs(low), abs(high))) ** 2)
        gap = ((high - low) / scale)[:-1]
    cut = int(np.argmax(gap))
    error = 2 * np.sqrt(noise[cut])
    contrast = (high[cut] - error) / max(max(low[cut], 0) + error, 1e-6)
    if contrast < LEAST_CONTRAST or gap[cut] < LEAST_SIGNIFICANCE:
        return None
    change = 1.0  # without soft counts nothing is known about the surface
    if cells.surface.shape[-1]:
        surface = cells.surface[:, here].reshape(-1, cells.surface.shape[-1])[voice]
        change = hellinger(surface[: cut + 1].sum(0), surface[cut + 1 :].sum(0))
    pixels = float(min(below[cut], above[cut]))
    return _Split(passage, low[cut], high[cut], float(gap[cut]), float(contrast), pixels, change)


def _compose(memberships: np.ndarray, weight: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Sum of memberships times the weight of their cell: float32 [y, x]."""
    image = np.zeros(parts.shape, np.float32)
    inside = parts >= 0
    for membership, row in zip(memberships, weight.astype(np.float32), strict=True):
        if row.any():
            image += membership * np.where(inside, row[parts], 0)
    return np.clip(image, 0, 1)


def _standardised(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Some pixels of a map with mean 0 and mean square 1, or all 0 where they are alike."""
    values = image.ravel()[pixels]
    values = values - values.mean()
    return values / values.std() if values.std() > 1e-6 else np.zeros_like(values)


def _rank(candidate: _Candidate, shown: list[np.ndarray], pixels: np.ndarray) -> float:
    """Rank of a candidate, less what maps that are shown already say: 0 where nothing is left."""
    image = _standardised(candidate.image, pixels)
    if not image.any():
        return 0.0
    known = max((abs(float(np.mean(image * other))) for other in shown), default=0.0)
    return 0.0 if known > REDUNDANT else candidate.rank * (1 - known)


def _is_evidence(split: _Split, inside: np.ndarray, passages: np.ndarray) -> bool:
    """The same surface, a strong and sure contrast, and more than the rim of a neighbour that the beam blurs."""
    here = passages == split.passage
    whole, solid = int((inside & here).sum()), int((core(inside) & here).sum())
    return (
        split.surface_change < SAME_SURFACE
        and split.contrast > HIDDEN_CONTRAST
        and split.significance > HIDDEN_SIGNIFICANCE
        and split.pixels > HIDDEN_PIXELS
        and solid > max(HIDDEN_CORE, HIDDEN_CORE_SHARE * whole)
    )


def _describe(chosen: _Candidate, memberships, signals: Signals, cells: _Cells, passages: np.ndarray) -> Composite:
    """The public record of a candidate, with the evidence for a hidden layer."""
    image = chosen.image
    which = [split.passage for split in chosen.splits if _is_evidence(split, image > 0.5, passages)]
    share = float(image[np.isin(passages, which)].sum()) / max(float(image.sum()), 1e-9)
    outline = outline_step(signals.counts[chosen.line], image > 0.5, passages, which=which)
    hidden = (
        len(which) >= HIDDEN_PASSAGES
        and share > HIDDEN_SHARE
        and chosen.coherence > HIDDEN_COHERENCE
        and outline > HIDDEN_OUTLINE
    )
    inside = np.einsum("kyx,yx->k", memberships, image, dtype=np.float64)
    weights = inside / np.maximum(memberships.sum((1, 2), dtype=np.float64), 1e-9)
    members = np.flatnonzero((weights > 0.5) | (inside > 0.1 * inside.sum()))
    reference = np.zeros_like(image)
    for split in chosen.splits:
        here = passages == split.passage
        rest = float((1 - image)[here].sum())
        reference[here] = (1 - image[here]) * (float(image[here].sum()) / max(rest, 1e-9))
    return Composite(
        image=image,
        reference=reference,
        signature=chosen.name,
        weights=weights,
        members=tuple(int(k) for k in members),
        significance=chosen.significance,
        coherence=chosen.coherence,
        passages=len(which),
        outline=outline,
        hidden=hidden,
    )
