"""Labels that physics allows: how strongly each XRF class shows in each of thousands of sampled stacks, by layer.

The delta chi2 of `detectability`, for classes in place of pigments and for arrays in place of stacks: a stack without
the class (binder in its place) is refitted to the stack's own noiseless spectrum, in the masses of all other materials
of all layers and in the dose, linearised where the class is missing, with Poisson weights. What is left is the
evidence. In a hidden paint the class has a second test to pass: the best stack without any hidden layer, in which the
materials of the other layers may change. Lead white under lead white fails there; the smaller of the two values counts.
A third value tells whether the order of the paints shows at all: against one visible paint that may hold the pigments
of both. Spectra are compared in windows of 0.7 line widths, before pile-up.

Against nonlinear refits of nine painted-over stacks the evidence in hidden paints is 1 to 25 % too small, most where it
is weak; that of the order agrees within 20 % below 100 and may be many times too small above.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from velatura.base.axis import channel_edges
from velatura.base.progress import Progress, silent
from velatura.physics.simulate import Scanner, photons_of
from velatura.scene.classes import XrfClass, class_matrix
from velatura.scene.parts import BINDER, FIRST, SLOT, Parts, parts_of
from velatura.scene.sampler import MOST, PAINTS, SLOTS, Sampled, Sampling, pigments_of

STEP, LEAST_STEP = 0.05, 0.005  # change of a mass for derivatives: of itself, and of its layer on top
WINDOW = 0.7  # of the FWHM: width of the windows in which spectra are compared
SAME = 1e-5  # singular values below this share of the largest: directions that no spectrum tells apart
FLOOR = 1e-6  # of the mean counts of a window, added to each: no weight becomes infinite
BLOCK = 256  # stacks at once: their variants fit in memory
HIDDEN = slice(FIRST[1], BINDER[1] + 1)  # parts of the hidden paint


class Labels(NamedTuple):
    """What is in stacks, and how well it can be seen; float32 [stack, paint, class], paints: visible, hidden."""

    delta_chi2: np.ndarray
    """For ONE count in the whole spectrum; proportional to the counts. 0 for what is absent or invisible."""
    order: np.ndarray
    """float32 [stack], same unit: evidence for two paints, one over the other, against a mixture of both; 0 for one."""
    share: np.ndarray
    """Volume share of the class among the pigments of the paint."""
    mass_thickness: np.ndarray
    """[g/cm2]"""
    absence: np.ndarray
    """How well it shows that an absent class is absent, same unit; infinite unless `rivals.decided` has found that it
    could stand for one that is there. Means nothing for classes that are there."""
    unrivalled: np.ndarray
    """`delta_chi2` as it is before `rivals.decided`: with no other pigments than those of the stack."""


class Nulls(NamedTuple):
    """Stacks in which something is missing, and the directions in which they may move."""

    stack: np.ndarray
    """int [null]"""
    held: np.ndarray
    """Element masses [null, slot, element]."""
    move: np.ndarray
    """Element masses added by a step in each direction [null, part, element]; 0: no direction."""
    into: np.ndarray
    """Slot that receives them, int [null, part]."""


class Compared(NamedTuple):
    """Spectra of stacks and of their null stacks for one count, weighted so that their squares sum to chi2."""

    truth: np.ndarray
    """[null, w]"""
    null: np.ndarray
    """[null, w]"""
    columns: np.ndarray
    """Derivatives of the null stacks by their parts, zero where one cannot move, and by the dose [null, k, w]."""
    weight: np.ndarray
    """What spectra of further stacks are to be multiplied by [null, w]."""

    def rows(self, chosen: slice) -> "Compared":
        """Return some of them."""
        return Compared(*(part[chosen] for part in self))


class Evidence(NamedTuple):
    """What came out for a block of stacks, and the spectra by which it did."""

    parts: Parts
    owner: np.ndarray
    """Class of each pigment of each paint, int [stack, paint, MOST]; -1 for none."""
    labels: np.ndarray
    """int [label, (stack, paint, class)]"""
    delta_chi2: np.ndarray
    """[label]"""
    order: np.ndarray
    """[stack]"""
    nulls: Nulls
    """The stacks without each class [label]."""
    spectra: Compared
    """Of these."""


def labels_of(
    sampled: Sampled,
    scanner: Scanner,
    classes: Sequence[XrfClass],
    *,
    options: Sampling,
    cells: int = 2,
    progress: Progress = silent,
) -> Labels:
    """Return shares, masses and evidence of each class in both paints of stacks drawn with `options`.

    scanner: what the stacks were drawn for; classes: all that the pigments of `options` belong to; cells: slices of a
    layer for secondary fluorescence. About 40 spectra a stack are computed.
    """
    belongs = class_matrix(pigments_of(options), classes, table=options.table)
    found = np.zeros((len(sampled.thickness), len(PAINTS), len(classes)), np.float32)
    order = np.zeros(len(found), np.float32)
    blocks = evidence_blocks(sampled, scanner, classes, options=options, cells=cells, progress=progress)
    for rows, evidence in blocks:
        found[rows][tuple(evidence.labels.T)], order[rows] = evidence.delta_chi2, evidence.order
    absence = np.full_like(found, np.inf)
    return Labels(found, order, sampled.volume_share @ belongs, sampled.mass_thickness @ belongs, absence, found)


def evidence_blocks(
    sampled: Sampled, scanner: Scanner, classes: Sequence[XrfClass],
    *, options: Sampling, cells: int, progress: Progress,
) -> Iterator[tuple[slice, Evidence]]:  # fmt: skip
    """Yield the stacks of each block, which fits in memory, and their evidence; arguments as of `labels_of`."""
    belongs = class_matrix(pigments_of(options), classes, table=options.table)
    number = len(sampled.thickness)
    for start in range(0, number, BLOCK):
        progress("evidence", start, number)
        rows = slice(start, start + BLOCK)
        parts = parts_of(_block_rows(sampled, rows), scanner.elements, options=options)
        yield rows, _evidence(parts, scanner, _owners_of(parts, belongs), classes=classes, cells=cells)
    progress("evidence", number, number)


def _evidence(
    parts: Parts, scanner: Scanner, owner: np.ndarray, *, classes: Sequence[XrfClass], cells: int
) -> Evidence:
    """Return the evidence of all labels of one block that lines can show."""
    labels = np.array(
        [
            (stack, paint, group)
            for stack, paint in np.ndindex(owner.shape[:2])
            for group in np.unique(owner[stack, paint])
            if group >= 0 and classes[group].visible
        ],
        int,
    ).reshape(-1, 3)
    buried = np.flatnonzero(parts.mass[:, HIDDEN].any(axis=(1, 2)))
    nulls = [_without_class(parts, owner, labels), _without_layer(parts, buried), _merged(parts, buried)]
    spectra = _compared(parts, Nulls(*map(np.concatenate, zip(*nulls, strict=True))), scanner, cells=cells)
    target = spectra.truth - spectra.null
    alone, *mixed = np.split(_unexplained(spectra.columns, target), len(labels) + len(buried) * np.arange(2))
    layerless = slice(len(labels), len(labels) + len(buried))
    spectra.columns[layerless, HIDDEN] = 0.0
    order, layer = np.zeros(len(owner)), np.full(len(owner), np.inf)
    order[buried], layer[buried] = np.minimum(*mixed), _unexplained(spectra.columns[layerless], target[layerless])
    found = np.where(labels[:, 1] == 1, np.minimum(alone, layer[labels[:, 0]]), alone)
    return Evidence(parts, owner, labels, found, order, nulls[0], spectra.rows(slice(len(labels))))


def _owners_of(parts: Parts, belongs: np.ndarray) -> np.ndarray:
    """Return the class of each pigment of each paint, int [stack, paint, MOST]; -1 for none."""
    return np.where(parts.pigment >= 0, belongs.argmax(axis=1)[parts.pigment], -1)


def _without_class(parts: Parts, owner: np.ndarray, labels: np.ndarray) -> Nulls:
    """Return stacks with the pigments of one class replaced by binder.

    owner: of `_owners_of`; labels: which class, int [label, (stack, paint, class)].
    """
    stack, paint, group = labels.T
    mass = parts.mass[stack]
    gone = owner[stack, paint] == group[:, None]
    volume = (parts.volume[stack, paint] * gone).sum(axis=1)
    rows, number = np.arange(len(labels)), np.arange(MOST)
    mass[rows[:, None], np.array(FIRST)[paint][:, None] + number] *= ~gone[:, :, None]
    mass[rows, np.array(BINDER)[paint]] += volume[:, None] * parts.binder
    return _nulls(stack, mass, mass, np.broadcast_to(SLOT, mass.shape[:2]))


def _without_layer(parts: Parts, stack: np.ndarray) -> Nulls:
    """No hidden paint; its pigments may enter the visible one."""
    mass = parts.mass[stack]
    moving = mass.copy()
    moving[:, BINDER[1]] = 0.0
    mass[:, HIDDEN] = 0.0
    return _nulls(stack, mass, moving, np.broadcast_to(_joined(), mass.shape[:2]))


def _merged(parts: Parts, stack: np.ndarray) -> Nulls:
    """Visible and hidden paint stirred into one."""
    mass = parts.mass[stack]
    return _nulls(stack, mass, mass, np.broadcast_to(_joined(), mass.shape[:2]))


def _joined() -> np.ndarray:
    """Slots of the parts with those of the hidden paint in the visible one."""
    return np.where(PAINTS[1] == SLOT, PAINTS[0], SLOT)


def _nulls(stack: np.ndarray, mass: np.ndarray, moving: np.ndarray, into: np.ndarray) -> Nulls:
    """Null stacks of parts `mass`, which may move by amounts of `moving` [null, part, element]."""
    held = _in_slots(mass, into)
    whole = moving.sum(axis=2)
    layer = np.take_along_axis(held.sum(axis=2), into, 1)
    step = (STEP * whole + LEAST_STEP * layer) / np.where(whole > 0, whole, 1.0)
    return Nulls(stack, held, moving * step[:, :, None], into)


def _in_slots(mass: np.ndarray, into: np.ndarray) -> np.ndarray:
    """Return the sum of parts [n, part, element] of each slot: [n, slot, element]."""
    return np.einsum("nps,npz->nsz", np.eye(len(SLOTS))[into], mass)


def _compared(parts: Parts, nulls: Nulls, scanner: Scanner, *, cells: int) -> Compared:
    """Return the spectra of null stacks beside those of their stacks, and how they move."""
    response = windows(scanner)
    truth = spectra_of(
        _in_slots(parts.mass, np.broadcast_to(SLOT, parts.mass.shape[:2])), scanner, response, cells=cells
    )
    null = spectra_of(nulls.held, scanner, response, cells=cells)
    row, part = np.nonzero(nulls.move.any(axis=2))
    held = nulls.held[row]
    held[np.arange(len(row)), nulls.into[row, part]] += nulls.move[row, part]
    weight = _weights(truth)[nulls.stack]
    columns = np.zeros((len(null), len(SLOT) + 1, null.shape[1]))
    columns[row, part] = (spectra_of(held, scanner, response, cells=cells) - null[row]) * weight[row]
    columns[:, -1] = null * weight
    return Compared(truth[nulls.stack] * weight, null * weight, columns, weight)


def _weights(truth: np.ndarray) -> np.ndarray:
    """Return what noiseless spectra [n, w] are to be multiplied by, so that squares sum to chi2 for one count."""
    total = truth.sum(axis=1, keepdims=True)
    return 1 / np.sqrt(total * (truth + FLOOR * total / truth.shape[1]))


def _unexplained(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Squared length [n] of targets [n, w] that no combination of the columns [n, k, w] explains; some may be zero."""
    gram = columns @ columns.transpose(0, 2, 1)
    norm = np.sqrt(np.maximum(np.diagonal(gram, axis1=1, axis2=2), 1e-300))
    sizes, axes = np.linalg.eigh(gram / (norm[:, :, None] * norm[:, None]))
    along = np.einsum("nkj,nk->nj", axes, (columns @ target[:, :, None])[:, :, 0] / norm)
    kept = sizes > SAME**2 * sizes[:, -1:]
    explained = np.where(kept, along**2 / np.where(kept, sizes, 1.0), 0.0).sum(axis=1)
    return np.maximum((target**2).sum(axis=1) - explained, 0.0)


def spanned(columns: np.ndarray) -> np.ndarray:
    """Return orthonormal rows [j, w] that span columns [k, w], less what no spectrum tells apart."""
    norm = np.linalg.norm(columns, axis=1)
    _, sizes, axes = np.linalg.svd(columns[norm > 0] / norm[norm > 0, None], full_matrices=False)
    return axes[sizes > SAME * sizes[0]]


def windows(scanner: Scanner) -> np.ndarray:
    """Return counts [source, window] per photon: the response with channels summed to windows of WINDOW FWHM."""
    edges = channel_edges(scanner.axis)
    borders = [max(edges[0], 0.0)]
    while borders[-1] < edges[-1]:
        borders.append(borders[-1] + WINDOW * float(scanner.instrument.detector.fwhm(max(borders[-1], 0.1))))
    window = np.clip(np.searchsorted(borders, scanner.axis, "right") - 1, 0, len(borders) - 1)
    starts = np.flatnonzero(np.diff(window, prepend=-1))
    return np.add.reduceat(np.asarray(scanner.bench.response), starts, axis=1)


def spectra_of(held: np.ndarray, scanner: Scanner, response: np.ndarray, *, cells: int) -> np.ndarray:
    """Return noiseless counts float64 [stack, window]; held: mass of each element [stack, slot, element]."""
    mass, on_device = held.sum(axis=2), jnp.asarray(response)
    shares = held / np.where(mass > 0, mass, 1.0)[:, :, None]
    shares[..., 0] = np.where(mass > 0, shares[..., 0], 1.0)
    photons = photons_of(mass.astype(np.float32), shares.astype(np.float32), scanner, cells=cells)
    with jax.default_matmul_precision("highest"):
        found = [chunk @ on_device for chunk in photons]
    return np.concatenate([np.zeros((0, response.shape[1])), *found])


def _block_rows(sampled: Sampled, rows: slice) -> Sampled:
    """Return some of the stacks."""
    return Sampled(type(sampled.packed)(*(a[rows] for a in sampled.packed)), *(a[rows] for a in sampled[1:]))
