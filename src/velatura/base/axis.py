"""Counts from one energy axis to another, kept whole and Poisson."""

import numpy as np

from velatura.base.errors import InputError


def channel_edges(axis: np.ndarray) -> np.ndarray:
    """Return the n + 1 edges [keV] of n >= 2 channels from their centres: midpoints, with the outer ones mirrored."""
    middle = (axis[1:] + axis[:-1]) / 2
    return np.concatenate([[2 * axis[0] - middle[0]], middle, [2 * axis[-1] - middle[-1]]])


def redistribute(
    counts: np.ndarray, from_axis: np.ndarray, to_axis: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """Move whole counts to another axis: each count of a channel falls on a random energy within that channel.

    counts: integers [..., channel] on from_axis; from_axis, to_axis: channel centres [keV], rising.
    Returns uint32 [..., channel] on to_axis. Totals are conserved, means are those of sharing by overlap, and Poisson
    counts stay Poisson and independent (splitting property of the Poisson process; Kingman 1993).
    Raises InputError when to_axis does not cover from_axis.
    """
    low, high = (edges := channel_edges(from_axis))[:-1], edges[1:]
    target = channel_edges(to_axis)
    slack = 1e-9 * (target[-1] - target[0])
    if edges[0] < target[0] - slack or edges[-1] > target[-1] + slack:
        raise InputError(
            f"the new axis must cover the old one, {edges[0]:.4g} to {edges[-1]:.4g} keV; "
            f"found {target[0]:.4g} to {target[-1]:.4g} keV. Crop the counts or extend the axis"
        )
    last = len(to_axis) - 1
    first = np.clip(np.searchsorted(target, low, "right") - 1, 0, last)
    final = np.clip(np.searchsorted(target, high, "left") - 1, 0, last)
    moved = np.zeros((*counts.shape[:-1], len(to_axis)), np.uint32)
    left, bottom = counts.astype(np.int64), low
    for step in range(int(np.max(final - first)) + 1):
        here = np.minimum(first + step, final)
        top = np.where(here == final, high, target[here + 1])
        share = np.clip((top - bottom) / np.maximum(high - bottom, slack), 0.0, 1.0)
        drawn = rng.binomial(left, np.where(here == final, 1.0, share))
        channels, starts = np.unique(here, return_index=True)
        moved[..., channels] += np.add.reduceat(drawn, starts, axis=-1).astype(np.uint32)
        left, bottom = left - drawn, np.maximum(top, bottom)
    return moved
