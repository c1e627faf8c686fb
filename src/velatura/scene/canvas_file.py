"""One canvas in one file: NumPy's .npz, spectra in half precision; the same canvas gives the same bytes."""

import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from velatura.base.aside import written_aside
from velatura.base.errors import InputError
from velatura.physics.instrument import instrument_from
from velatura.scene.colour_canvas import Canvas

BRIGHTEST = 2.0**14  # largest value of a spectrum: half precision then reaches down by twelve decades
FACTS = ("instrument", "kind")


def write_canvas(path: Path, canvas: Canvas) -> None:
    """Write a canvas; it takes its place in one step. Spectra keep three digits."""
    scale = BRIGHTEST / canvas.rates.max(axis=1, keepdims=True)
    arrays = {name: value for name, value in canvas._asdict().items() if name not in FACTS}
    arrays["rates"] = (canvas.rates * scale).astype(np.float16)
    arrays["entry"] = canvas.entry.astype(np.min_scalar_type(len(canvas.rates) - 1))
    for name in ("visible", "hidden"):
        arrays[name] = arrays[name].astype(np.float16)
    instrument = json.dumps(asdict(canvas.instrument, dict_factory=_without_none))
    with written_aside(Path(path)) as aside, aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, kind=canvas.kind, instrument=instrument, **arrays)


def read_canvas(path: Path) -> Canvas:
    """Read what `write_canvas` wrote; rows of `rates` sum to 1 again. Raises InputError for anything else."""
    held = _members(path, Canvas._fields)
    rates = held["rates"].astype(np.float32)
    held |= {
        "rates": rates / rates.sum(axis=1, keepdims=True),
        "entry": held["entry"].astype(np.int32),
        "visible": held["visible"].astype(np.float32),
        "hidden": held["hidden"].astype(np.float32),
        "instrument": instrument_from(json.loads(str(held["instrument"])), where=str(path)),
        "kind": str(held["kind"]),
    }
    return Canvas(**held)


def read_pixels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read only the true colours uint8 [y, x, 3] and the entries int32 [y, x], in a fraction of a millisecond."""
    held = _members(path, ("rgb", "entry"))
    return held["rgb"], held["entry"].astype(np.int32)


def _members(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"{path} holds no canvas ({error}). Make it again") from error


def _without_none(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields that are not set stay out of the file, as in an instrument's TOML."""
    return {name: value for name, value in pairs if value is not None}
