"""Sampled stacks taken apart again: how much of each element each material of each layer brings along.

Evidence asks what a spectrum would be without one material, or with more of another; arrays of whole layers do not
tell. Pigments of one phase contribute by their formula; minor phases of earths and glasses were drawn at random, so
what is left of an element goes to the pigments of several phases, and what nobody else holds is drier, in the binder.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from velatura.physics.material import Materials, material
from velatura.physics.stack import UM
from velatura.scene.sampler import DRIERS, GROUNDS, MOST, PAINTS, Sampled, Sampling, pigments_of

FILLERS = 2  # most in one ground
SLOT = np.array([0, *[1] * (MOST + 1), *[2] * (MOST + 1), *[3] * (FILLERS + 1), 4])
"""Layer (SLOTS) of each part: varnish, pigments and binder of two paints, fillers and binder of the ground, support."""
FIRST = (1, MOST + 2)  # first part of each paint
BINDER = (MOST + 1, 2 * MOST + 2)  # part of each paint's binder
BINDER_NAME = "linseed_oil"


class Parts(NamedTuple):
    """Materials of stacks."""

    mass: np.ndarray
    """Of each element, float64 [stack, part, element] (g/cm2); over the parts it sums to that of the layers."""
    pigment: np.ndarray
    """Which one of `pigments_of`, int [stack, paint, MOST]; -1 for none."""
    volume: np.ndarray
    """Of that pigment, float64 [stack, paint, MOST] (cm3/cm2)."""
    binder: np.ndarray
    """Mass of each element in a volume of binder, float64 [element] (g/cm3)."""


def parts_of(sampled: Sampled, elements: tuple[str, ...], *, options: Sampling) -> Parts:
    """Take stacks apart that were drawn with `options` for `elements`."""
    held = (sampled.packed.mass[:, :, None] * sampled.packed.shares).astype(np.float64)
    mass = np.zeros((len(held), len(SLOT), len(elements)))
    mass[:, 0], mass[:, -1] = held[:, 0], held[:, 4]
    binder = _rows((BINDER_NAME,), elements, options.table)[0] * material(BINDER_NAME, options.table).density
    pigment = np.zeros((len(held), len(PAINTS), MOST), int)
    volume = np.zeros(pigment.shape)
    for paint, slot in enumerate(PAINTS):
        rows = slice(FIRST[paint], BINDER[paint] + 1)
        pigment[:, paint], volume[:, paint], mass[:, rows] = _paint(
            sampled, held[:, slot], paint, binder, options, elements
        )
    mass[:, BINDER[1] + 1 : -1] = _ground(held[:, 3], elements, options.table)
    return Parts(mass, pigment, volume, binder)


def _paint(
    sampled: Sampled, held: np.ndarray, paint: int, binder: np.ndarray, options: Sampling, elements: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pigments [stack, MOST], their volumes and the masses [stack, MOST + 1, element] of them and the binder."""
    names = pigments_of(options)
    amount = sampled.mass_thickness[:, paint].astype(np.float64)
    most = min(MOST, len(names))
    chosen = np.full((len(amount), MOST), -1)
    chosen[:, :most] = np.argsort(-amount, axis=1)[:, :most]
    grams = np.where(chosen >= 0, np.take_along_axis(amount, chosen, 1), 0.0)
    chosen[grams == 0] = -1
    rows = [material(name, options.table) for name in names]
    density, several = np.array([row.density for row in rows]), np.array([len(row.components) > 1 for row in rows])
    nominal = grams[:, :, None] * _rows(names, elements, options.table)[chosen]
    film = sampled.thickness[:, PAINTS[paint]].astype(np.float64) * UM
    oil = (film * (1 - sampled.loading[:, paint]))[:, None] * binder
    mixed = several[chosen][:, :, None]
    rest = np.maximum(held - oil - np.where(mixed, 0.0, nominal).sum(axis=1), 0.0)
    whole = np.where(mixed, nominal, 0.0).sum(axis=1)
    scaled = nominal * (rest / np.where(whole > 0, whole, 1.0))[:, None]
    mass = np.concatenate([np.where(mixed, scaled, nominal), (oil + np.where(whole > 0, 0.0, rest))[:, None]], axis=1)
    return chosen, grams / density[chosen], mass


def _ground(held: np.ndarray, elements: tuple[str, ...], table: Materials) -> np.ndarray:
    """Masses [stack, FILLERS + 1, element] of a ground's fillers, largest first, and its binder with what is left."""
    driers = np.eye(len(elements))[[elements.index(name) for name in DRIERS]]
    columns = np.concatenate([_rows((*GROUNDS, BINDER_NAME), elements, table), driers]).T
    found = np.stack([nnls(columns, row / max(row.sum(), 1e-300))[0] for row in held]) * held.sum(axis=1)[:, None]
    largest = np.argsort(-found[:, : len(GROUNDS)], axis=1)[:, :FILLERS]
    grams = np.take_along_axis(found, largest, 1)
    grams[grams < 1e-4 * held.sum(axis=1)[:, None]] = 0.0
    fillers = grams[:, :, None] * columns.T[largest]
    return np.concatenate([fillers, np.maximum(held - fillers.sum(axis=1), 0.0)[:, None]], axis=1)


def _rows(names: tuple[str, ...], elements: tuple[str, ...], table: Materials) -> np.ndarray:
    fractions = [material(name, table).mass_fractions() for name in names]
    return np.array([[row.get(element, 0.0) for element in elements] for row in fractions])
