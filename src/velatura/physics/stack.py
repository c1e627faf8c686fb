"""Layers of paint from the support to the surface, and the same as arrays for the forward model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from velatura.base.errors import InputError
from velatura.physics.material import Paint

UM = 1e-4  # cm
SLOTS = 6  # layers that the packed arrays hold


@dataclass(frozen=True)
class Layer:
    """A paint and its thickness [um], 0 or more."""

    paint: Paint
    thickness: float

    def __post_init__(self) -> None:
        if not 0 <= self.thickness < 1e6:
            raise InputError(f"the thickness of {self.paint.name!r} must be 0 um or more; found {self.thickness:g} um")

    def mass_thickness(self) -> float:
        """Mass per area [g/cm2]."""
        return self.paint.density() * self.thickness * UM


@dataclass(frozen=True)
class Stack:
    """Layers from support to surface; a method returns a new stack, so a ground can be shared by many passages."""

    layers: tuple[Layer, ...] = ()

    def paint(self, paint: Paint, *, thickness: float) -> "Stack":
        """Return the stack with one more layer [um] on top."""
        return replace(self, layers=(*self.layers, Layer(paint, thickness)))


class Packed(NamedTuple):
    """Stacks as arrays, TOP layer first; unused slots have no mass."""

    mass: np.ndarray
    """Mass thickness, float32 [stack, slot] (g/cm2)."""
    shares: np.ndarray
    """Mass share of each element, float32 [stack, slot, element]."""


def elements_of(stacks: Sequence[Stack]) -> tuple[str, ...]:
    """Return the symbols of every element in the stacks, in alphabetical order."""
    paints = {layer.paint for stack in stacks for layer in stack.layers}
    return tuple(sorted({element for paint in paints for element in paint.mass_fractions()}))


def pack(stacks: Sequence[Stack], elements: tuple[str, ...], *, slots: int = SLOTS) -> Packed:
    """Turn stacks into arrays. Raises InputError for more layers than slots or an element that `elements` lacks."""
    deepest = max((len(stack.layers) for stack in stacks), default=0)
    if deepest > slots:
        raise InputError(f"a stack may have {slots} layers; found {deepest}. Join layers, or raise the slots")
    mass = np.zeros((len(stacks), slots), np.float32)
    shares = np.zeros((len(stacks), slots, len(elements)), np.float32)
    shares[:, :, 0] = 1.0
    rows: dict[Paint, np.ndarray] = {}
    for number, stack in enumerate(stacks):
        for slot, layer in enumerate(reversed(stack.layers)):
            mass[number, slot] = layer.mass_thickness()
            if layer.paint not in rows:
                rows[layer.paint] = _row(layer.paint, elements)
            shares[number, slot] = rows[layer.paint]
    return Packed(mass, shares)


def _row(paint: Paint, elements: tuple[str, ...]) -> np.ndarray:
    fractions = paint.mass_fractions()
    if missing := sorted(set(fractions) - set(elements)):
        raise InputError(f"paint {paint.name!r} holds {', '.join(missing)}, which the prepared instrument lacks")
    return np.array([fractions.get(element, 0.0) for element in elements], np.float32)
