"""The scale of probabilities: even steps of lightness, grey below the threshold and amber from it on."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from velatura.imaging.colour import lab_to_srgb
from velatura.report.raster import LEFT_OUT

STEPS = 256
DARK, PALE = 4.0, 95.0  # lightness L* of 0 and of 1
HUE, CHROMA = 76.0, 62.0  # of amber in CIELAB [degrees; units]: seen against grey with every common colour blindness


@dataclass(frozen=True)
class ProbabilityScale:
    """Colours of probabilities 0 to 1; what counts as found is amber, the rest grey, equally light on both sides."""

    threshold: float

    def rgb(self, image: np.ndarray) -> np.ndarray:
        """Return uint8 [y, x, 3] of probabilities [y, x]; sand where there is no finite value."""
        present = np.isfinite(image)
        step = np.rint(np.clip(np.where(present, image, 0.0), 0, 1) * (STEPS - 1)).astype(int)
        colours = np.concatenate([_colours(round(self.threshold, 4)), [LEFT_OUT]]).astype(np.uint8)
        return colours[np.where(present, step, STEPS)]

    def hexes(self, number: int) -> list[str]:
        """Return `number` colours from 0 to 1 as "#rrggbb"."""
        steps = self.rgb(np.linspace(0, 1, number)[None])[0]
        return ["#{:02x}{:02x}{:02x}".format(*step) for step in steps]

    @property
    def gradient(self) -> str:
        """The scale as CSS, from left to right."""
        below, above = (self.rgb(np.array([ends]))[0] for ends in ((0.0, self._before), (self.threshold, 1.0)))
        stops = zip((*below, *above), (0, 100 * self.threshold, 100 * self.threshold, 100), strict=True)
        return "linear-gradient(90deg," + ",".join(f"rgb({r} {g} {b}) {at:.1f}%" for (r, g, b), at in stops) + ")"

    @property
    def _before(self) -> float:
        """Highest probability that is still grey."""
        return max(0.0, self.threshold - 1.01 / (STEPS - 1))


@lru_cache(maxsize=128)
def _colours(threshold: float) -> np.ndarray:
    """Colours uint8 [step, 3]."""
    share = np.linspace(0, 1, STEPS)
    light = DARK + (PALE - DARK) * share
    room = np.minimum(1.0, np.minimum(light / 45, (104 - light) / 20))  # what the screen can show: less at both ends
    chroma = np.where(share >= threshold, CHROMA * room, 0.0)
    angle = np.radians(HUE)
    lab = np.stack([light, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1)
    return np.rint(255 * lab_to_srgb(lab)).astype(np.uint8)
