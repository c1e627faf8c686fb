"""What of an instrument can be fitted: names, ranges, how weakly each is held, and how it is read and written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from velatura.physics.instrument import Instrument


class Knob(NamedTuple):
    """How far a fitted quantity may go from its start."""

    low: float
    high: float
    spread: float
    """One standard deviation of the prior around the start: of the logarithm, or in its unit when `additive`."""
    additive: bool = False
    reach: float = np.inf
    """Farthest from the start, in such deviations."""


KNOBS: Mapping[str, Knob] = {
    "zero": Knob(-3.0, 3.0, 0.02, additive=True, reach=3.0),
    "gain": Knob(1e-4, 0.2, 4e-3, reach=3.0),
    "scatter": Knob(0.05, 20.0, 1.0),
    "multiple": Knob(1e-3, 1.0, 1.0),
    "background": Knob(1e-5, 0.5, 2.0),
    "parasites": Knob(1e-7, 1.0, 3.0),
    "detector.noise": Knob(0.02, 0.5, 0.3),
    "detector.fano": Knob(0.08, 0.16, 0.05),
    "detector.tail": Knob(1e-4, 0.1, 1.0),
    "detector.tail_width": Knob(0.1, 1.0, 0.5),
    "detector.shelf": Knob(1e-5, 0.1, 1.0),
    "detector.window": Knob(1.0, 300.0, 0.5),
    "detector.dead_layer": Knob(0.005, 5.0, 0.5),
    "detector.thickness": Knob(100.0, 3000.0, 0.2),
    "detector.pile_up": Knob(1e-6, 0.2, 3.0),
    "tube.window": Knob(20.0, 3000.0, 0.5),
    "tube.lens.cut_off": Knob(2.0, 60.0, 0.5),
    "tube.lens.exponent": Knob(0.2, 6.0, 0.5),
    "geometry.path_in": Knob(0.1, 300.0, 0.7),
    "geometry.path_out": Knob(0.1, 300.0, 0.7),
    "geometry.gap": Knob(0.1, 50.0, 0.7),
    "geometry.acceptance": Knob(1.0, 20.0, 0.5),
    "geometry.take_off_angle": Knob(5.0, 90.0, 0.2),
    "geometry.azimuth": Knob(0.0, 180.0, 20.0, additive=True),
}
AXIS = ("zero", "gain", "detector.noise")
FREE = (
    "zero", "gain", "scatter", "multiple", "background", "detector.noise", "detector.fano", "detector.tail",
    "detector.tail_width", "detector.shelf", "detector.window", "detector.pile_up", "tube.window",
    "tube.lens.cut_off", "tube.lens.exponent", "parasites",
)  # fmt: skip


def expanded(names: Sequence[str], instrument: Instrument) -> list[tuple[str, Knob]]:
    """Return names with their knobs; "parasites" becomes one for each element."""
    found = [(name, KNOBS[name]) for name in names if name != "parasites"]
    if "parasites" in names:
        found += [(f"parasites.{element}", KNOBS["parasites"]) for element, _ in instrument.parasites]
    return found


def read(instrument: Instrument, name: str) -> float:
    """Return the value of one quantity."""
    head, _, tail = name.partition(".")
    if head == "parasites":
        return dict(instrument.parasites)[tail]
    if tail.startswith("lens."):
        return (instrument.tube.lens or (20.0, 2.0))[tail == "lens.exponent"]
    return getattr(getattr(instrument, head), tail) if tail else getattr(instrument, head)


def written(instrument: Instrument, name: str, value: float) -> Instrument:
    """Return the instrument with one quantity changed."""
    head, _, tail = name.partition(".")
    if head == "parasites":
        shares = {**dict(instrument.parasites), tail: value}
        return replace(instrument, parasites=tuple(shares.items()))
    if tail.startswith("lens."):
        cut_off, exponent = instrument.tube.lens or (20.0, 2.0)
        lens = (value, exponent) if tail == "lens.cut_off" else (cut_off, value)
        return replace(instrument, tube=replace(instrument.tube, lens=lens))
    if tail:
        return replace(instrument, **{head: replace(getattr(instrument, head), **{tail: value})})
    return replace(instrument, **{head: value})  # type: ignore[bad-argument-type]


def moved(
    instrument: Instrument, knobs: list[tuple[str, Knob]], *, origin: np.ndarray, steps: np.ndarray
) -> Instrument:
    """Return the instrument with each quantity moved by so many of its prior's standard deviations."""
    for (name, knob), value, step in zip(knobs, origin, steps, strict=True):
        value = value + step * knob.spread if knob.additive else max(value, knob.low) * np.exp(step * knob.spread)
        instrument = written(instrument, name, float(f"{np.clip(value, knob.low, knob.high):.7g}"))
    return instrument


def bounds_of(knobs: list[tuple[str, Knob]], origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lowest and highest steps that keep each quantity inside its range."""
    low, high = [], []
    for (_, knob), value in zip(knobs, origin, strict=True):
        if knob.additive:
            ends = (knob.low - value) / knob.spread, (knob.high - value) / knob.spread
        else:
            value = max(value, knob.low)
            ends = np.log(knob.low / value) / knob.spread, np.log(knob.high / value) / knob.spread
        low.append(max(min(ends[0], 0.0), -knob.reach) - 1e-6)
        high.append(min(max(ends[1], 0.0), knob.reach) + 1e-6)
    return np.array(low), np.array(high)


def fitted_values(instrument: Instrument, names: Iterable[str]) -> list[tuple[str, float]]:
    """Return (name, value) of quantities of an instrument, by the names of `KNOBS`."""
    return [(name, float(read(instrument, name))) for name in names]
