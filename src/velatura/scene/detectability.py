"""Could a perfect analysis see a pigment at all? The delta chi2 that its absence would cost, by layer, pixel and dose.

A stack's noiseless spectrum is compared with that of the stack without the pigment (binder in its place). Whatever of
the difference other changes could explain does not count: starting there, the masses of all other materials in all
layers and the dose are refitted, in linear approximation, with the weights of Poisson's law. What is left is what a
measurement would give on average (the noiseless "Asimov" spectrum of Cowan et al., Eur. Phys. J. C 71 (2011) 1554).
9 is three standard deviations; below that a label cannot be learned from the pixel's spectrum alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.physics.material import Paint, material
from velatura.physics.stack import Layer, Stack
from velatura.scene.inventory import pigments_in, pigments_of
from velatura.scene.layerings import Layering, Simulate, layerings
from velatura.scene.painting import Painting

STEP = 0.05  # relative change of a mass for derivatives
SAME = 1e-5  # singular values below this share of the largest: directions that no spectrum tells apart
LEAST = 1e-6  # delta chi2 that stands for none, so that logarithms stay finite
GROUND = Layer(Paint("ground", {"chalk": 1.0}, loading=0.5), 150.0)
SUPPORT = Layer(Paint("canvas", {"linen_canvas": 1.0}, loading=1.0), 500.0)


class Evidence(NamedTuple):
    """How well one pigment in one layer shows in each of some stacks of the same paints."""

    layer: int
    """Number of the layer, support first."""
    pigment: str
    delta_chi2: np.ndarray
    """After everything else was refitted, float64 [stack]."""
    unfitted: np.ndarray
    """Before, at the same dose, float64 [stack]."""


def evidence(stacks: Sequence[Stack], simulate: Simulate, *, counts: float) -> list[Evidence]:
    """Return the delta chi2 of each pigment in each layer of stacks that share their sequence of paints.

    counts: of each stack's whole spectrum; delta chi2 is proportional to it. One call of `simulate` computes them all.
    Raises InputError for stacks of different paints.
    """
    paints = [tuple(layer.paint for layer in stack.layers) for stack in stacks]
    if any(found != paints[0] for found in paints):
        raise InputError("detectability compares stacks of the same paints; found different ones. Call it for each")
    plan = _Plan(stacks[0])
    spectra = simulate([variant for stack in stacks for variant in plan.variants(stack)])
    return plan.read(spectra.reshape(len(stacks), -1, spectra.shape[-1]), counts / spectra[:: plan.size].sum(axis=1))


def detectability_maps(painting: Painting, simulate: Simulate, *, counts: float) -> xr.Dataset:
    """Return how well each pigment shows in each pixel of a scan with a mean of `counts` a pixel.

    `detectability` float32 [pigment, y, x]: the best delta chi2 over the layers that hold the pigment, 0 where none
    does; `detectability_layer` int8: the layer of that, -1 where none; `hidden_detectability` float32: the best among
    hidden layers. Interpolated in thickness, within some 10 %; the beam's width and neighbours are not used.
    """
    names, shape = pigments_of(painting), (len(pigments_of(painting)), painting.shape[0] * painting.shape[1])
    best, hidden_best = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    where, hidden = np.full(shape, -1, np.int8), painting.hidden().reshape(len(painting.sheets), -1)
    for part, found in _all_evidence(painting, simulate, counts):
        for row in found:
            sheet, pigment = part.sheets[row.layer], names.index(row.pigment)
            logs = np.log(np.maximum(row.delta_chi2, LEAST)).astype(np.float32)[:, None]
            values = np.exp(part.interpolate(logs, part.pixels, painting)[:, 0])
            better = part.pixels[values > best[pigment, part.pixels]]
            where[pigment, better] = sheet
            best[pigment, part.pixels] = np.maximum(best[pigment, part.pixels], values)
            buried = np.where(hidden[sheet, part.pixels], values, 0)
            hidden_best[pigment, part.pixels] = np.maximum(hidden_best[pigment, part.pixels], buried)
    dims, maps = ("pigment", "y", "x"), (len(names), *painting.shape)
    variables = {"detectability": best, "detectability_layer": where, "hidden_detectability": hidden_best}
    return xr.Dataset(
        {name: (dims, values.reshape(maps)) for name, values in variables.items()}, coords={"pigment": list(names)}
    )


def depth_of_visibility(
    pigment: str,
    cover: Paint,
    thicknesses: Sequence[float],
    *,
    counts: Sequence[float],
    simulate: Simulate,
    below: Sequence[Layer] = (SUPPORT, GROUND),
    thickness: float = 30.0,
    loading: float = 0.4,
) -> xr.Dataset:
    """Return how thick a cover may be before a pigment vanishes: `delta_chi2`, `unfitted` float64 [counts, thickness].

    thicknesses: of the cover [um]; counts: of the whole spectrum; below: layers under the pigment, support first;
    thickness, loading: of the layer of pure pigment in oil. `visible_depth` [counts] is the thickness [um] at which
    delta chi2 falls to 9, interpolated; NaN where it does not within `thicknesses`.
    """
    layer = Layer(Paint(pigment, {material(pigment).name: 1.0}, loading=loading), thickness)
    stacks = [Stack((*below, layer, Layer(cover, value))) for value in thicknesses]
    row = next(row for row in evidence(stacks, simulate, counts=1.0) if row.layer == len(below))
    dose = np.asarray(counts, np.float64)
    table = dose[:, None] * row.delta_chi2
    return xr.Dataset(
        {
            "delta_chi2": (("counts", "thickness"), table),
            "unfitted": (("counts", "thickness"), dose[:, None] * row.unfitted),
            "visible_depth": ("counts", [_crossing(np.asarray(thicknesses, np.float64), line, 9.0) for line in table]),
        },
        coords={"counts": dose, "thickness": ("thickness", np.asarray(thicknesses, np.float64), {"units": "um"})},
        attrs={"pigment": pigment, "cover": cover.name},
    )


class _Plan:
    """Which variants of a stack are computed, and how their spectra are read. One plan serves all of one layering."""

    def __init__(self, stack: Stack) -> None:
        paints = tuple(layer.paint for layer in stack.layers)
        self.pigments = [(k, name) for k, paint in enumerate(paints) for name in pigments_in(paint)]
        self.rivals = [self._rivals(paints, k, name) for k, name in self.pigments]
        self.size = 1 + sum(len(rivals) for rivals in self.rivals)

    def _rivals(self, paints: tuple[Paint, ...], layer: int, pigment: str) -> list[tuple[tuple[Paint, float], ...]]:
        """Paints without a pigment, then with more of one of their materials as well; and how much each layer grows."""
        null = tuple(paint.without(pigment) if k == layer else paint for k, paint in enumerate(paints))
        flat = tuple((paint, 1.0) for paint in null)
        more = [(k, _with_more(paint, name)) for k, paint in enumerate(null) for name in paint.volumes()]
        return [flat, *((*flat[:k], changed, *flat[k + 1 :]) for k, changed in more)]

    def variants(self, stack: Stack) -> list[Stack]:
        """The stack, and for each pigment: without it, and that with a little more of each other material."""
        thickness = [layer.thickness for layer in stack.layers]
        return [stack] + [
            Stack(tuple(Layer(paint, grown * t) for (paint, grown), t in zip(rival, thickness, strict=True)))
            for rivals in self.rivals
            for rival in rivals
        ]

    def read(self, spectra: np.ndarray, dose: np.ndarray) -> list[Evidence]:
        """Evidence from spectra [stack, variant, channel]; `dose`: counts per unit of them [stack]."""
        base = spectra[:, :1].astype(np.float64)
        weight = np.sqrt(dose[:, None, None] / np.maximum(base, 1e-12 * base.max()))
        ends = np.cumsum([len(rivals) for rivals in self.rivals])[:-1]
        found = []
        for (layer, pigment), block in zip(self.pigments, np.split(spectra[:, 1:], ends, axis=1), strict=True):
            null = block[:, :1].astype(np.float64)
            loss = (base - null) * weight
            columns = np.concatenate([null, block[:, 1:] - null], axis=1) * weight
            columns /= np.maximum(np.linalg.norm(columns, axis=2, keepdims=True), 1e-30)
            left = [_left(one.T, other[0]) for one, other in zip(columns, loss, strict=True)]
            found.append(Evidence(layer, pigment, np.array(left), (loss[:, 0] ** 2).sum(axis=1)))
        return found


def _all_evidence(painting: Painting, simulate: Simulate, counts: float) -> list[tuple[Layering, list[Evidence]]]:
    """Evidence at the knots of every layering, from one batch of spectra; the dose is that of the whole scan."""
    parts = layerings(painting, most=2)
    stacks = [part.stacks(painting) for part in parts]
    plans = [_Plan(found[0]) for found in stacks]
    everything = [v for plan, part in zip(plans, stacks, strict=True) for stack in part for v in plan.variants(stack)]
    spectra = simulate(everything)
    ends = np.cumsum([plan.size * len(part) for plan, part in zip(plans, stacks, strict=True)])
    pieces = [
        block.reshape(-1, plan.size, spectra.shape[-1])
        for plan, block in zip(plans, np.split(spectra, ends[:-1]), strict=True)
    ]
    total = sum(
        float(piece[:, 0].sum(axis=1).mean()) * len(part.pixels) for piece, part in zip(pieces, parts, strict=True)
    )
    dose = counts * painting.shape[0] * painting.shape[1] / total
    read = [plan.read(piece, np.full(len(piece), dose)) for plan, piece in zip(plans, pieces, strict=True)]
    return list(zip(parts, read, strict=True))


def _with_more(paint: Paint, name: str) -> tuple[Paint, float]:
    """The paint with STEP more of one material, and the factor by which the film grows."""
    volumes = paint.volumes()
    volumes[name] *= 1 + STEP
    whole = sum(volumes.values())
    pigments = {
        key: volume / (whole - volumes.get(paint.binder, 0.0)) for key, volume in volumes.items() if key != paint.binder
    }
    if not pigments:
        return paint, whole
    return replace(paint, pigments=pigments, loading=1 - volumes.get(paint.binder, 0.0) / whole), whole


def _left(columns: np.ndarray, target: np.ndarray) -> float:
    """Squared length of `target` [n] that no combination of `columns` [n, k] explains."""
    # the triangle of a QR decomposition keeps all lengths and angles in few dimensions
    triangle = np.asarray(np.linalg.qr(np.column_stack([columns, target]), mode="r"))
    columns, target = triangle[:, :-1], triangle[:, -1]
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    basis = left[:, sizes > SAME * sizes[0]]
    return float(np.sum((target - basis @ (basis.T @ target)) ** 2))


def _crossing(thicknesses: np.ndarray, values: np.ndarray, level: float) -> float:
    """Thickness at which falling values pass a level, their logarithms joined by lines; NaN where they do not."""
    logs = np.log(np.maximum(values, LEAST)) - np.log(level)
    for k in range(len(logs) - 1):
        if logs[k] >= 0 > logs[k + 1]:
            share = logs[k] / (logs[k] - logs[k + 1])
            return float(thicknesses[k] + share * (thicknesses[k + 1] - thicknesses[k]))
    return float("nan")
