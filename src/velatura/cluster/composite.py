"""Composite maps: clusters, or their parts, that share a signature which other clusters of the same visible paint lack.

A hidden figure crosses several visible passages, so that its pixels are split among clusters. Passages are told apart
by their soft lines alone (passages.py); within each, clusters are split by a harder line into those that hold more and
those that hold less; the upper ones of all passages together make one composite map. None of this knows the truth.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from velatura.cluster.evidence import core, morans_i, outline_step
from velatura.cluster.passages import deeper_parts, hellinger, surface_passages
from velatura.cluster.signals import Signals

MODEL_ERROR = 0.03  # of all counts in a line's window, its own included: no model of them is truer than that
CELL_PIXELS = 12.0  # lighter cells have no voice in a split
LEAST_CONTRAST, LEAST_SIGNIFICANCE = 1.3, 3.0  # of a split that is followed at all
AFTERTHOUGHT = 0.6  # rank of a signature that shows only once others are set aside
SHARED = 0.05  # of a map, inside an announced one, from which setting that aside matters
COMPARED_PIXELS = 100_000  # a map is compared with others on about that many
REDUNDANT = 0.9  # correlation with a map already proposed
HIDDEN_CONTRAST, HIDDEN_SIGNIFICANCE, HIDDEN_PIXELS = 2.0, 5.5, 12.0  # of a split that counts as evidence
HIDDEN_PASSAGES, HIDDEN_SHARE = 3, 0.6  # passages crossed, and their share of the map
LEAST_RISE = 0.15  # of the largest rise of a line in any passage
LIKE = 0.1  # Hellinger distance up to which a passage takes the levels of another
RAMP = 0.2, 0.45  # part of the way from the lower to the upper level where a cell begins to count, and counts fully
HIDDEN_COHERENCE, HIDDEN_OUTLINE, SAME_SURFACE = 0.5, 0.75, 0.07
HIDDEN_CORE, HIDDEN_CORE_SHARE = 12, 0.25  # pixels of a passage's inside that are no rim, and their share of it


@dataclass(frozen=True)
class Composite:
    """One proposed map."""

    image: np.ndarray
    """float32 [y, x], 0 to 1."""
    reference: np.ndarray
    """Weights float32 [y, x] of the pixels it is to be compared with: the same visible paint without the signature."""
    signature: str
    """What its pixels hold: "Hg-La"; "Pb-La without Hg-La" where pixels of announced maps were set aside first."""
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


_Images = dict[int, np.ndarray]


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
    gross: np.ndarray
    variance: np.ndarray
    surface: np.ndarray
    """[cluster, part], [cluster, part, line] three times and [cluster, part, bin]."""
    passage: np.ndarray
    """int [part]"""


@dataclass(frozen=True)
class _Split:
    """One passage divided into cells that hold more and cells that hold less."""

    passage: int
    low: float
    high: float
    """Mean net counts of a pixel."""
    significance: float
    contrast: float
    pixels: float
    surface_change: float


@dataclass(frozen=True)
class _Candidate:
    """A line, and where it rises within passages."""

    line: int
    name: str
    weight: np.ndarray
    """[cluster, part]"""
    splits: tuple[_Split, ...]
    visible: float
    """Net counts of a pixel where visible paint holds most of it."""
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
    parts = deeper_parts(signals.net, signals.variance, passages, rng=rng)
    cells = _gather(memberships, signals, passages, parts, fuzzifier)
    alive, announced = np.ones(cells.mass.shape), {}
    pool = _candidates(memberships, signals, cells, parts, alive)
    whole = {candidate.line: candidate.image for candidate in pool}
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
            announced[chosen.line] = chosen.image
            others = _candidates(memberships, signals, cells, parts, alive)
            pool += [
                _afterthought(one, whole, announced, signals.lines)
                for one in others
                if one.line not in announced and _set_aside(one, whole, announced)
            ]
    return Proposals(tuple(composites), passages)


def _gather(memberships, signals: Signals, passages: np.ndarray, parts: np.ndarray, fuzzifier: float) -> _Cells:
    """Weighted means of all cells."""
    count, clusters, lines = int(parts.max()) + 1, len(memberships), len(signals.lines)
    mass = np.zeros((clusters, count))
    net, gross, variance = np.zeros((3, clusters, count, lines))
    surface = np.zeros((clusters, count, len(signals.surface)))
    for part in range(count):
        here = parts == part
        weight = memberships[:, here].astype(np.float64) ** fuzzifier
        mass[:, part] = weight.sum(1)
        scale = 1 / np.maximum(mass[:, part], 1e-9)[:, None]
        net[:, part] = scale * (weight @ signals.net[:, here].T)
        gross[:, part] = scale * (weight @ signals.counts[:, here].T)
        variance[:, part] = scale**2 * (weight**2 @ signals.variance[:, here].T)
        surface[:, part] = weight @ signals.surface[:, here].T
    owner = np.array([passages[parts == part][0] for part in range(count)])
    return _Cells(mass, net, gross, variance, surface, owner)


def _candidates(memberships, signals: Signals, cells: _Cells, parts, alive: np.ndarray) -> list[_Candidate]:
    """One candidate for each line that splits some passage, among the cells still alive."""
    found = []
    for line, name in enumerate(signals.lines):
        divided = [_split(cells, line, alive, passage) for passage in range(cells.passage.max() + 1)]
        splits = _alike(divided)
        if not splits:
            continue
        weight = _weights(cells, line, splits) * alive
        image = _compose(memberships, weight, parts)
        pixels = np.array([split.pixels for split in splits])
        significance = float(np.average([split.significance for split in splits], weights=pixels))
        coherence = morans_i(image, parts >= 0)
        rank = significance * max(coherence, 0.0)
        visible = _visible_level(cells, line, divided)
        found.append(_Candidate(line, name, weight, tuple(splits), visible, image, significance, coherence, rank))
    return found


def _set_aside(candidate: _Candidate, whole: _Images, announced: _Images) -> list[int]:
    """Lines of the announced maps that hold a good part of where this line rises by itself."""
    image = whole.get(candidate.line, candidate.image)
    return [line for line, map_ in announced.items() if float((image * map_).sum()) > SHARED * float(image.sum())]


def _afterthought(candidate: _Candidate, whole: _Images, announced: _Images, names: tuple[str, ...]) -> _Candidate:
    """Name a candidate after what was set aside, and rank it lower."""
    without = ", ".join(names[line] for line in _set_aside(candidate, whole, announced))
    return replace(candidate, name=f"{candidate.name} without {without}", rank=AFTERTHOUGHT * candidate.rank)


def _weights(cells: _Cells, line: int, splits: list[_Split]) -> np.ndarray:
    """How far each cell lies on the way from the lower to the upper level, clipped by `RAMP`: [cluster, part].

    A passage that is not divided, as it lies wholly above or beside a shape, takes the levels of the passage most
    like it, if that is like enough.
    """
    weight = np.zeros(cells.mass.shape)
    soft = [cells.surface[:, cells.passage == passage].sum((0, 1)) for passage in range(cells.passage.max() + 1)]
    levels = {split.passage: split for split in splits}
    for passage, spectrum in enumerate(soft):
        split = levels.get(passage)
        if split is None:
            distance, nearest = min((hellinger(spectrum, soft[one.passage]), one.passage) for one in splits)
            if distance > LIKE:
                continue
            split = levels[nearest]
        here = cells.passage == passage
        rise = (cells.net[:, here, line] - split.low) / (split.high - split.low)
        weight[:, here] = np.clip((rise - RAMP[0]) / (RAMP[1] - RAMP[0]), 0, 1)
    return weight


def _alike(splits: list[_Split | None]) -> list[_Split]:
    """Leave out passages in which a line rises far less than in others: what it shows there is something else."""
    found = [split for split in splits if split is not None]
    most = max((split.high - split.low for split in found), default=0.0)
    return [split for split in found if split.high - split.low > LEAST_RISE * most]


def _visible_level(cells: _Cells, line: int, splits: list[_Split | None]) -> float:
    """Largest mean count of a line in any passage, of its lower part where it is divided: what visible paints hold."""
    means = [split.low for split in splits if split is not None]
    for passage in (number for number, split in enumerate(splits) if split is None):
        mass, net = (kind[:, cells.passage == passage] for kind in (cells.mass, cells.net[..., line]))
        means.append(float((mass * net).sum() / max(mass.sum(), 1e-9)))
    return max(means)


def _split(cells: _Cells, line: int, alive: np.ndarray, passage: int) -> _Split | None:
    """The two-level split of one passage's cells with the largest gap in its own standard deviations, if worth it."""
    here = cells.passage == passage
    mass = (cells.mass * alive)[:, here].ravel()
    voice = np.flatnonzero(mass > CELL_PIXELS)
    if len(voice) < 2:
        return None
    voice = voice[np.argsort(cells.net[:, here, line].ravel()[voice])]
    net, gross, noise = (kind[:, here, line].ravel()[voice] for kind in (cells.net, cells.gross, cells.variance))
    mass = mass[voice]
    below, above = np.cumsum(mass)[:-1], _beyond(mass)
    low, high = _two_means(mass, net)
    spread = np.maximum(mass @ net**2 - below * low**2 - above * high**2, 0) / mass.sum()
    poisson = [means / size for means, size in zip(_two_means(mass, mass * noise), (below, above), strict=True)]
    doubt = sum(poisson) + (MODEL_ERROR * np.maximum(*_two_means(mass, gross))) ** 2
    gap = (high - low) / np.sqrt(spread + doubt)
    cut = int(np.argmax(gap))
    doubt = 2 * np.sqrt(doubt[cut])
    contrast = (high[cut] - doubt) / max(max(low[cut], 0) + doubt, 1e-6)
    if contrast < LEAST_CONTRAST or gap[cut] < LEAST_SIGNIFICANCE:
        return None
    change = 1.0  # without soft counts nothing is known about the surface
    if cells.surface.shape[-1]:
        surface = cells.surface[:, here].reshape(-1, cells.surface.shape[-1])[voice]
        change = hellinger(surface[: cut + 1].sum(0), surface[cut + 1 :].sum(0))
    pixels = float(min(below[cut], above[cut]))
    return _Split(passage, low[cut], high[cut], float(gap[cut]), float(contrast), pixels, change)


def _two_means(mass: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means [cut] of the cells up to each cut, and of those beyond it."""
    sums = np.cumsum(mass * values)
    return sums[:-1] / np.cumsum(mass)[:-1], (sums[-1] - sums[:-1]) / _beyond(mass)


def _beyond(mass: np.ndarray) -> np.ndarray:
    """Mass of the cells beyond each cut."""
    return mass.sum() - np.cumsum(mass)[:-1]


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


def _is_evidence(split: _Split, chosen: _Candidate, passages: np.ndarray) -> bool:
    """The same surface, a strong and sure contrast, and more than the rim of a neighbour that the beam blurs.

    It must be surer, up to twice, where visible paint elsewhere holds as much of the element: passages that the soft
    lines tell apart imperfectly can then mix such paint with another.
    """
    inside, here = chosen.image > 0.5, passages == split.passage
    whole, solid = int((inside & here).sum()), int((core(inside) & here).sum())
    common = min(max(chosen.visible / (split.high - split.low), 0), 1)
    return (
        split.surface_change < SAME_SURFACE
        and split.contrast > HIDDEN_CONTRAST
        and split.significance > HIDDEN_SIGNIFICANCE * (1 + common)
        and split.pixels > HIDDEN_PIXELS
        and solid > max(HIDDEN_CORE, HIDDEN_CORE_SHARE * whole)
    )


def _describe(chosen: _Candidate, memberships, signals: Signals, cells: _Cells, passages: np.ndarray) -> Composite:
    """The public record of a candidate, with the evidence for a hidden layer."""
    image = chosen.image
    which = [split.passage for split in chosen.splits if _is_evidence(split, chosen, passages)]
    divided = np.isin(passages, [split.passage for split in chosen.splits])
    share = float(image[np.isin(passages, which)].sum()) / max(float(image[divided].sum()), 1e-9)
    outline = outline_step(signals.net[chosen.line], image > 0.5, passages, which=which)
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
