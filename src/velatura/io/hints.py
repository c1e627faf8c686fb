"""What the small arrays of an .npz file tell about its spectra: calibration and live time, by their usual names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from velatura.base.cube import ACQUISITION

ASSUMED = "assumed: 10 eV a channel from 0 keV"
EV = 1e-3  # keV
MOST_KEV = 200.0  # no tube of a painting scanner goes higher: a larger end of an energy axis is in eV
TERMS = {  # name of a member -> term of the axis and factor to keV
    "zero": ("zero", 1.0),
    "gain": ("gain", 1.0),
    "quadratic": ("quadratic", 1.0),
    "ev_offset": ("zero", EV),
    "ev_per_ch": ("gain", EV),
}
LIVE_TIMES = ("live_time", "livetime")


@dataclass(frozen=True)
class Hints:
    """Small arrays of one file, looked up for one detector: `NAME_DETECTOR` comes before `NAME`."""

    arrays: Mapping[str, Any]
    """name -> object with `load()`."""
    detectors: int = 1

    def find(self, name: str, detector: str) -> np.ndarray | None:
        """Return the numbers called `name` for this detector, or None."""
        for key in (f"{name}_{detector}", name):
            if key in self.arrays and self.arrays[key].dtype.kind in "iuf":
                return self.arrays[key].load()
        return None

    def axis(self, detector: str, number: int, channels: int) -> tuple[dict[str, float], str]:
        """Return zero, gain, quadratic [keV] as far as they are found, and a word on where they came from."""
        terms, notes = {}, []
        for name, (term, factor) in TERMS.items():
            values = self.find(name, detector)
            if values is not None and values.size:
                own = values.ravel()[number] if values.size == self.detectors > 1 else np.median(values)
                differs = values.size != self.detectors and np.ptp(values) > 0
                terms[term] = float(own) * factor
                notes.append(f"{name}{' (median of pixels that differ)' if differs else ''}")
        if "gain" in terms:
            return terms, f"file: {', '.join(notes)}"
        energy = self.find("energy", detector)
        if energy is not None and energy.shape == (channels,) and channels > 2:
            return _polynomial(energy), "file: energy"
        return {}, ASSUMED

    def acquisition(self) -> dict[str, str | float]:
        """Return what our own export keeps of the acquisition: known names, text and numbers only."""
        stored = self.arrays.get("acquisition")
        if stored is None or stored.dtype.kind != "U" or stored.shape != ():
            return {}
        told = json.loads(str(stored.load()))
        return {key: told[key] for key in ACQUISITION if isinstance(told.get(key), str | float | int)}

    def live_time(self, detector: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the live time [s] of each pixel where there is one."""
        for name in LIVE_TIMES:
            values = self.find(name, detector)
            if values is not None and values.size == shape[0] * shape[1]:
                return values.reshape(shape).astype(np.float32)
        return None


def _polynomial(energy: np.ndarray) -> dict[str, float]:
    """Fit zero + gain * channel + quadratic * channel^2 to channel centres in keV (or eV, told by their size)."""
    axis = np.asarray(energy, np.float64) * (EV if energy[-1] > MOST_KEV else 1.0)
    channel = np.arange(len(axis))
    gain, zero = np.polyfit(channel, axis, 1)
    quadratic = 0.0
    if np.max(np.abs(zero + gain * channel - axis)) > 1e-3 * abs(gain):
        quadratic, gain, zero = np.polyfit(channel, axis, 2)
    return {"zero": float(zero), "gain": float(gain), "quadratic": float(quadratic)}
