"""A picture painted physically, in few stacks: colours become paints, which lie thick here and thin there."""

from typing import NamedTuple

import numpy as np

from velatura.imaging.colour import lab_to_srgb, srgb_to_lab
from velatura.physics.material import Paint, material
from velatura.physics.stack import Layer, Stack
from velatura.scene.canvas_ground import Bed, draw_bed
from velatura.scene.classes import class_matrix, xrf_classes
from velatura.scene.composition import smooth_field
from velatura.scene.painters_palette import Mixtures, matched, mixtures, painters_palette

MOST = 256  # stacks of a picture
LEVELS = (0.5, 1.0, 2.0)  # thickness of a paint over its usual one
BENEATH_COLOURS = 3  # of an earlier picture
LEARNED = 2**13  # pixels from which the colours are learned
YEARS = (1400.0, 1900.0)
CAREER = 40.0  # years before the artist's death in which the picture was painted
VARNISHED = 0.4  # share of pictures
SLOTS = 5  # support, ground, earlier paint, paint, varnish


class Painted(NamedTuple):
    """A picture as stacks of paint."""

    entry: np.ndarray
    """Stack of each pixel, int32 [y, x]."""
    stacks: list[Stack]
    visible: np.ndarray
    """Mass shares of the XRF classes among the pigments of the visible paint, float32 [stack, class]."""
    hidden: np.ndarray
    """The same of the paint beneath; zeros where there is none."""
    unseen: np.ndarray
    """Volume share of pigments no X-ray shows in the visible paint, float32 [stack]."""
    painted: np.ndarray
    """Colour of the visible paint, uint8 [stack, 3]."""
    slots: int = SLOTS


def painted_picture(
    rgb: np.ndarray, *, died: int | None, beneath: np.ndarray | None, colours: int, rng: np.random.Generator
) -> Painted:
    """Paint a picture uint8 [y, x, 3] anew with a palette of its time; `colour_canvas.layers_canvas` says the rest.

    Each cluster of colours becomes the most alike mixture of the palette. Thickness wanders smoothly between three
    levels, pixels choosing at random between the two nearest.
    """
    year = rng.uniform(*YEARS) if died is None else died - rng.uniform(0, CAREER)
    palette, bed, loading = painters_palette(year, rng=rng), draw_bed(rng=rng), rng.uniform(0.25, 0.5)
    thickness = 30.0 * np.exp(rng.normal(0, 0.3))
    mixed = mixtures(palette, loading=loading, thickness=thickness, ground=bed.rgb)
    labels, lab = fine_colours(rgb, colours, rng=rng)
    under, earlier = _earlier(beneath, labels.shape, rng=rng)
    paints = matched(np.concatenate([lab, earlier]), mixed, rng=rng)
    entry, codes = _stacks_of(labels, _levels(labels.shape, rng=rng), under)
    top, deep = codes[:, 0], np.where(codes[:, 2] > 0, len(lab) + codes[:, 2] - 1, -1)
    depths = thickness * np.array(LEVELS)[codes[:, 1]]
    stacks = _built(paints, bed, top=top, deep=deep, depths=depths, rng=rng)
    visible, unseen = _classes(paints)
    hidden = np.where((deep >= 0)[:, None], visible[deep], 0.0).astype(np.float32)
    seen = np.rint(lab_to_srgb(paints.lab[top]) * 255).astype(np.uint8)
    return Painted(entry, stacks, visible[top], hidden, unseen[top], seen)


def fine_colours(rgb: np.ndarray, number: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cluster a picture's colours by k-means in CIELAB: labels int [y, x] and colours CIELAB [cluster, 3], none empty.

    rgb: uint8 [y, x, 3]; number: of clusters, fewer where there are fewer colours.
    """
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    pixels = srgb_to_lab(rgb / 255.0).reshape(-1, 3).astype(np.float32)
    learned = pixels if len(pixels) <= LEARNED else rng.choice(pixels, LEARNED, replace=False, shuffle=False)
    number = min(number, len(np.unique(learned, axis=0)))
    with threadpool_limits(1):  # sums of threads come in any order: the same seed must give the same colours
        model = MiniBatchKMeans(
            number, batch_size=1024, n_init=1, max_iter=20, reassignment_ratio=0.0,
            random_state=int(rng.integers(2**31)),
        ).fit(learned)  # fmt: skip
        labels = model.predict(pixels)
    used, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    sums = [np.bincount(labels, weights=pixels[:, part], minlength=len(used)) for part in range(3)]
    return labels.reshape(rgb.shape[:2]), (np.array(sums) / sizes).T


def _levels(shape: tuple[int, int], *, rng: np.random.Generator) -> np.ndarray:
    """Index into LEVELS int [y, x]: a smooth field about the middle one, dithered."""
    field = 1.0 + 0.6 * smooth_field(shape, scale=max(shape) / 20, rng=rng)
    return np.clip(np.floor(field + rng.random(shape)), 0, len(LEVELS) - 1).astype(np.int64)


def _earlier(
    beneath: np.ndarray | None, shape: tuple[int, int], *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which earlier paint lies beneath each pixel, int [y, x], 0 for none; and their colours, CIELAB [paint, 3]."""
    if beneath is None:
        return np.zeros(shape, np.int64), np.zeros((0, 3))
    labels, lab = fine_colours(beneath, BENEATH_COLOURS, rng=rng)
    rows, columns = (np.arange(want) * have // want for want, have in zip(shape, labels.shape, strict=True))
    area = smooth_field(shape, scale=max(shape) / 6, rng=rng) > rng.uniform(-1.0, 0.7)
    return np.where(area, labels[np.ix_(rows, columns)] + 1, 0), lab


def _stacks_of(labels: np.ndarray, level: np.ndarray, under: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the combinations that occur: entry int32 [y, x], and (colour, level, earlier paint) int [entry, 3].

    At most MOST are kept: pixels of rare ones take the commonest of their colour.
    """
    shape = (int(labels.max()) + 1, len(LEVELS), int(under.max()) + 1)
    codes, entry, sizes = np.unique(
        np.ravel_multi_index((labels.ravel(), level.ravel(), under.ravel()), shape),
        return_inverse=True, return_counts=True,
    )  # fmt: skip
    colour = np.unravel_index(codes, shape)[0]
    commonest = np.array([np.flatnonzero(colour == c)[np.argmax(sizes[colour == c])] for c in colour])
    order = np.lexsort((-sizes, commonest != np.arange(len(codes))))
    kept = np.sort(order[:MOST])
    target = np.where(np.isin(np.arange(len(codes)), kept), np.arange(len(codes)), commonest)
    place = np.searchsorted(kept, target)
    return place[entry].reshape(labels.shape).astype(np.int32), np.stack(np.unravel_index(codes[kept], shape), axis=1)


def _built(
    mixed: Mixtures, bed: Bed, *, top: np.ndarray, deep: np.ndarray, depths: np.ndarray,
    rng: np.random.Generator,
) -> list[Stack]:  # fmt: skip
    """Stacks of the bed, the earlier paint where `deep` names one, the paint, and for some pictures a varnish."""
    used = {int(row): _paint(mixed, int(row)) for row in np.unique(np.concatenate([top, deep])) if row >= 0}
    old = float(np.exp(rng.uniform(np.log(10), np.log(60))))
    coat = Layer(Paint("varnish", {"dammar": 1.0}, loading=1.0), float(rng.uniform(5, 40)))
    varnish = (coat,) if rng.random() < VARNISHED else ()
    stacks = []
    for row, earlier, depth in zip(top.tolist(), deep.tolist(), depths.tolist(), strict=True):
        below = (Layer(used[earlier], old),) if earlier >= 0 else ()
        stacks.append(Stack((*bed.layers, *below, Layer(used[row], depth), *varnish)))
    return stacks


def _paint(mixed: Mixtures, row: int) -> Paint:
    shares = {name: float(share) for name, share in zip(mixed.pigments, mixed.volume[row], strict=True) if share > 0}
    return Paint(" + ".join(shares), shares, loading=mixed.loading)


def _classes(mixed: Mixtures) -> tuple[np.ndarray, np.ndarray]:
    """Mass shares of the XRF classes float32 [mixture, class], and the volume share that no X-ray shows [mixture]."""
    classes = xrf_classes()
    owner = class_matrix(mixed.pigments, classes)
    mass = mixed.volume * np.array([material(name).density for name in mixed.pigments])
    mass /= mass.sum(axis=1, keepdims=True)
    dark = np.array([not row.visible for row in classes])
    return (mass @ owner).astype(np.float32), (mixed.volume @ owner[:, dark]).sum(axis=1).astype(np.float32)
