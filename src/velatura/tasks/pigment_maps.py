"""The maps of an identification: answers gathered band by band, then those of the classes that occur as one Dataset."""

from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from velatura.tasks.pigment_rules import Rules, group_names, invisible_names

if TYPE_CHECKING:
    from velatura.tasks.pigment_model import Answers

PAINTS = ("visible", "hidden")
FEWEST, LEAST_SHARE = 4, 1e-3  # pixels, and share of the pixels, in which a class must be found to get a map
BLOCK = 16384  # pixels that are read back together
SINGLE = ("unknown", "strangeness", "hidden")


@dataclass
class PigmentMaps:
    """Takes the answers of bands of rows; what is kept of all 46 classes lies in a file, not in memory."""

    shape: tuple[int, int]
    """(height, width)"""
    rules: Rules
    file: IO[bytes]
    """Temporary file for probabilities and shares, 368 bytes a pixel, open for writing and reading."""
    _images: dict[str, np.ndarray] = field(init=False, repr=False)
    _found: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        classes, pixels = len(self.rules.classes), self.shape[0] * self.shape[1]
        self._images = {name: np.full(pixels, np.nan, np.float32) for name in SINGLE}
        self._images |= {"amount": np.full((len(PAINTS), pixels), np.nan, np.float32)}
        self._images |= {name: np.zeros(pixels, bool) for name in ("answered", "unexplained")}
        self._found = np.zeros((len(PAINTS), classes), int)

    def take(self, rows: slice, answers: "Answers", foreign: np.ndarray, *, answered: np.ndarray) -> None:
        """Keep the answers of the next rows; answers: [n, ...] as read by the rules; foreign, answered: bool [n]."""
        width = self.shape[1]
        here = slice(rows.start * width, rows.stop * width)
        probability = answers.probability.astype(np.float16)
        probability[~answered] = 0
        share = np.where(answered[:, None, None], answers.share, 0).astype(np.float16)
        self.file.write(np.stack([probability, share], axis=1).tobytes())
        self._found += ((probability >= self.rules.thresholds.astype(np.float16)) & (probability > 0)).sum(axis=0)
        for name in SINGLE:
            self._images[name][here] = np.where(answered, getattr(answers, name), np.nan)
        self._images["amount"][:, here] = np.where(answered, answers.amount.T, np.nan)
        self._images["answered"][here] = answered
        self._images["unexplained"][here] = foreign & answered

    def dataset(self) -> xr.Dataset:
        """Return the maps of docs/results.md, maps/identify, without regions and parameters."""
        least = max(FEWEST, LEAST_SHARE * self._images["answered"].sum())
        chosen = np.flatnonzero((self._found >= least).any(axis=0))
        image, rules = ("y", "x"), self.rules
        images: dict[str, Any] = {
            name: (image, values.reshape(self.shape)) for name, values in self._images.items() if name != "amount"
        }
        amount = self._images["amount"].reshape(len(PAINTS), *self.shape)
        images["amount"] = (("paint", *image), amount, {"units": "mg/cm2"})
        for name, maps in zip(("probability", "share"), self._maps(chosen), strict=True):
            images[name] = (("paint", "xrf_class", *image), maps)
        rows = [rules.classes[number] for number in chosen]
        names = group_names(rules)
        along = {
            "pigments": np.array([names[number] for number in chosen], str),
            "members": np.array(
                [", ".join(rules.in_use[number] or row.members) for number, row in zip(chosen, rows, strict=True)], str
            ),
            "markers": np.array([", ".join(row.markers) for row in rows], str),
            "outside_period": rules.outside[chosen],
        }
        coordinates: dict[str, Any] = {name: ("xrf_class", values) for name, values in along.items()}
        coordinates |= {"paint": list(PAINTS), "xrf_class": np.array([row.name for row in rows], str)}
        for name, levels in (("threshold", rules.thresholds), ("sure", rules.sure)):
            coordinates[name] = (("paint", "xrf_class"), levels[:, chosen])
        coordinates["pixels"] = (("paint", "xrf_class"), self._found[:, chosen])
        attributes = {"unknown_threshold": rules.unknown_threshold, "invisible": ", ".join(invisible_names(rules))}
        return xr.Dataset(images, coordinates, attributes)

    def _maps(self, chosen: np.ndarray) -> np.ndarray:
        """Probabilities and shares of some classes, float16 [2, paint, class, y, x]."""
        pixels, classes = self.shape[0] * self.shape[1], len(self.rules.classes)
        maps = np.empty((2, len(PAINTS), len(chosen), pixels), np.float16)
        size = 2 * len(PAINTS) * classes
        self.file.seek(0)
        for start in range(0, pixels, BLOCK):
            here = slice(start, min(start + BLOCK, pixels))
            read = np.frombuffer(self.file.read((here.stop - start) * size * 2), np.float16)
            maps[..., here] = read.reshape(-1, 2, len(PAINTS), classes)[..., chosen].transpose(1, 2, 3, 0)
        return maps.reshape(*maps.shape[:3], *self.shape)
