"""Triplets: an embedding in false colours, what a network made of it, and the truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

STAMP = "Recoloured pictures are hypotheses, not evidence."
FONT = 7


class Triplet(NamedTuple):
    """One picture three times, with its scores."""

    embedded: np.ndarray
    """[y, x, feature]"""
    rgb: np.ndarray
    """As the network made it, 0 to 1 [y, x, 3]."""
    truth: np.ndarray
    title: str


def chosen(apart: np.ndarray) -> list[int]:
    """Return nine pictures by their CIEDE2000: the best three, the middle three and, last, the worst three."""
    order = np.argsort(apart, kind="stable")
    if len(order) < 9:
        return [int(place) for place in order]
    middle = len(order) // 2
    return [int(place) for place in (*order[:3], *order[middle - 1 : middle + 2], *order[-3:])]


def false_colours(embedded: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return embedded pictures as 0 to 1 [y, x, 3]: the first three principal components of all, 1 to 99 %."""
    pixels = np.concatenate([image.reshape(-1, image.shape[-1]) for image in embedded]).astype(np.float64)
    mean = pixels.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((pixels - mean).T))
    scores = (pixels - mean) @ axes[:, ::-1][:, :3]
    low, high = np.percentile(scores, [1, 99], axis=0)
    return [np.clip(((image - mean) @ axes[:, ::-1][:, :3] - low) / (high - low), 0, 1) for image in embedded]


def draw(path: Path, triplets: Sequence[Triplet], *, title: str) -> None:
    """Write the triplets as a PNG, three to a row."""
    from matplotlib.figure import Figure

    rows = -(-len(triplets) // 3)
    figure = Figure(figsize=(12, 1.75 * rows + 0.4), layout="constrained", dpi=130)
    axes = figure.subplots(rows, 9, squeeze=False)
    for plot in axes.ravel():
        plot.set_axis_off()
    shown = false_colours([triplet.embedded for triplet in triplets])
    for place, (triplet, false) in enumerate(zip(triplets, shown, strict=True)):
        row, column = divmod(place, 3)
        images = (false, np.clip(triplet.rgb, 0, 1), triplet.truth)
        for part, (image, name) in enumerate(zip(images, ("embedding", "recoloured", "truth"), strict=True)):
            plot = axes[row, 3 * column + part]
            plot.imshow(image)
            plot.set_title(f"{triplet.title}\nrecoloured" if part == 1 else name, fontsize=FONT)
    figure.suptitle(f"{title}. {STAMP}", fontsize=FONT + 1)
    figure.savefig(path)
