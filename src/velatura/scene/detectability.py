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
SEEN = 1.0  # delta chi2 below which nothing is refitted: it can only become smaller
FEW = 100  # pixels: smaller layerings are judged at their mean thickness
SMALL = 0.1  # relative range of a thickness that makes no difference
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
    hidden layers. Refitted at the middle of each layering and followed in thickness one layer at a time: against
    `evidence` at single pixels of a portrait within 15 % for values above 100, within a factor of 2 for those near 9.
    Values below 1 are not refitted. The beam's width and neighbours are not used.
    """
    names, shape = pigments_of(painting), (len(pigments_of(painting)), painting.shape[0] * painting.shape[1])
    best, hidden_best = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    where, hidden = np.full(shape, -1, np.int8), painting.hidden().reshape(len(painting.sheets), -1)
    for star, found in _all_evidence(painting, simulate, counts):
        pixels = star.part.pixels
        for row in found:
            sheet, pigment = star.part.sheets[row.layer], names.index(row.pigment)
            values = star.spread(row.delta_chi2).astype(np.float32)
            where[pigment, pixels[values > best[pigment, pixels]]] = sheet
            best[pigment, pixels] = np.maximum(best[pigment, pixels], values)
            buried = np.where(hidden[sheet, pixels], values, 0)
            hidden_best[pigment, pixels] = np.maximum(hidden_best[pigment, pixels], buried)
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

    def __init__(self, stack: Stack, *, refit: Sequence[bool] | None = None) -> None:
        """refit: for which of `pigments` all else is varied as well; None: for all; (): for none."""
        paints = tuple(layer.paint for layer in stack.layers)
        self.pigments = [(k, name) for k, paint in enumerate(paints) for name in pigments_in(paint)]
        pairs = zip(self.pigments, refit or [refit is None] * len(self.pigments), strict=True)
        self.rivals = [_rivals(paints, k, name)[: None if wanted else 1] for (k, name), wanted in pairs]
        self.size = 1 + sum(len(rivals) for rivals in self.rivals)

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
            unfitted = (loss[:, 0] ** 2).sum(axis=1)
            columns = np.concatenate([null, block[:, 1:] - null], axis=1) * weight
            columns /= np.maximum(np.linalg.norm(columns, axis=2, keepdims=True), 1e-30)
            left = [_left(one.T, other[0]) for one, other in zip(columns, loss, strict=True)]
            found.append(Evidence(layer, pigment, np.array(left) if block.shape[1] > 1 else unfitted, unfitted))
        return found


class _Star:
    """Stacks of one layering: its middle, and each varying sheet at its thinnest and thickest with all others there."""

    def __init__(self, part: Layering, painting: Painting) -> None:
        self.part, self.thickness = part, part.thickness(painting, part.pixels)
        paints = [painting.sheets[k].paints[label] for k, label in zip(part.sheets, part.labels, strict=True)]
        middle = self.thickness.mean(axis=0)
        low, high = self.thickness.min(axis=0), self.thickness.max(axis=0)
        many = len(part.pixels) >= FEW
        self.varying = [k for k in range(len(paints)) if many and high[k] - low[k] > SMALL * high[k]]
        self.points = [(low[k], middle[k], high[k]) for k in self.varying]
        rows = [middle]
        for k in self.varying:
            rows += [np.where(np.arange(len(paints)) == k, ends, middle) for ends in (low, high)]
        self.stacks = [Stack(tuple(map(Layer, paints, map(float, row)))) for row in rows]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Positive values [pixel] from those of the stacks: logarithms add up over the sheets."""
        logs = np.log(np.maximum(values, LEAST))
        total = np.full(len(self.part.pixels), logs[0])
        for number, (k, points) in enumerate(zip(self.varying, self.points, strict=True)):
            line = logs[[1 + 2 * number, 0, 2 + 2 * number]]
            total += np.interp(self.thickness[:, k], points, line) - logs[0]
        return np.exp(total)


def _all_evidence(painting: Painting, simulate: Simulate, counts: float) -> list[tuple[_Star, list[Evidence]]]:
    """Evidence at the star of every layering, at the dose of the whole scan.

    Two batches: without each pigment at every stack; then all else varied at the middles, where that can matter.
    """
    stars = [_Star(part, painting) for part in layerings(painting, most=1)]
    plans = [_Plan(star.stacks[0], refit=()) for star in stars]
    blocks = _batch(plans, [star.stacks for star in stars], simulate)
    light = [float(block[0, 0].sum()) * len(star.part.pixels) for star, block in zip(stars, blocks, strict=True)]
    dose = np.array([counts * painting.shape[0] * painting.shape[1] / sum(light)])
    plain = [plan.read(block, dose.repeat(len(block))) for plan, block in zip(plans, blocks, strict=True)]
    fine = [
        _Plan(star.stacks[0], refit=[row.unfitted[0] >= SEEN for row in rows])
        for star, rows in zip(stars, plain, strict=True)
    ]
    middles = _batch(fine, [star.stacks[:1] for star in stars], simulate)
    found = []
    for star, plan, block, rows in zip(stars, fine, middles, plain, strict=True):
        ratios = [row.delta_chi2[0] / max(row.unfitted[0], LEAST) for row in plan.read(block, dose)]
        scaled = [row._replace(delta_chi2=ratio * row.unfitted) for row, ratio in zip(rows, ratios, strict=True)]
        found.append((star, scaled))
    return found


def _batch(plans: Sequence[_Plan], stacks: Sequence[Sequence[Stack]], simulate: Simulate) -> list[np.ndarray]:
    """Spectra [stack, variant, channel] of each layering, from one batch."""
    pairs = list(zip(plans, stacks, strict=True))
    spectra = simulate([variant for plan, some in pairs for stack in some for variant in plan.variants(stack)])
    ends = np.cumsum([plan.size * len(some) for plan, some in pairs])[:-1]
    return [
        block.reshape(-1, plan.size, spectra.shape[-1])
        for plan, block in zip(plans, np.split(spectra, ends), strict=True)
    ]


def _rivals(paints: tuple[Paint, ...], layer: int, pigment: str) -> list[tuple[tuple[Paint, float], ...]]:
    """Paints without a pigment, then with more of one of their materials as well; and how much each layer grows."""
    null = tuple(paint.without(pigment) if k == layer else paint for k, paint in enumerate(paints))
    flat = tuple((paint, 1.0) for paint in null)
    more = [(k, _with_more(paint, name)) for k, paint in enumerate(null) for name in paint.volumes()]
    return [flat, *((*flat[:k], changed, *flat[k + 1 :]) for k, changed in more)]


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
