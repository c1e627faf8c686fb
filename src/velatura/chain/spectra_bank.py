"""A bank of random spectra on disk: NAME.zarr/spectra, a Zarr group that xarray opens; a killed run goes on."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from velatura.base.aside import remove, replace_text
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.base.workspace import plain
from velatura.scene.bank import BATCH, Bank, Batch, draw_batch, instrument_of
from velatura.scene.sampler import PAINTS, SLOTS, pigments_of

PLAN, META = "plan.json", "zarr.json"


def write_bank(path: Path, bank: Bank, *, progress: Progress = silent) -> Path:
    """Draw a bank into a new folder and return it; an interrupted run of the same bank is continued.

    Variables: counts[spectrum, channel] uint32, zero and gain [spectrum] keV, dose[spectrum], thickness[spectrum, slot]
    um, loading[spectrum, paint], volume_share and mass_thickness[spectrum, paint, pigment] (1 and g/cm2); attributes:
    pigments, slots, instruments (one for every 512 spectra), seed. Raises InputError when `path` exists.
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path} exists already. Choose another name, or remove it")
    aside = path.with_name(f".{path.name}.part")
    plan = _plan(bank)
    done = _done(aside, plan)
    if done == 0:
        remove(aside)
        _create(aside / "spectra", bank)
    for number in range(done, bank.batches()):
        progress("random spectra", number * BATCH, bank.spectra)
        _store(aside / "spectra", number, draw_batch(bank, number))
        replace_text(aside / PLAN, json.dumps({"plan": plan, "done": number + 1}))
    progress("random spectra", bank.spectra, bank.spectra)
    attributes = {
        "pigments": list(pigments_of(bank.stacks)), "slots": list(SLOTS), "seed": bank.seed, "batch": BATCH,
        "instruments": [plain(asdict(instrument_of(bank, number))) for number in range(bank.batches())],
    }  # fmt: skip
    _group(aside / "spectra", attributes)
    _group(aside, {})
    (aside / PLAN).unlink()
    aside.rename(path)
    return path


def read_bank(path: Path) -> xr.Dataset:
    """Open a bank lazily: the variables of `write_bank`. Raises InputError where there is none."""
    folder = Path(path) / "spectra"
    if not (folder / META).is_file():
        raise InputError(f"{path} holds no bank of spectra. Make one: velatura simulate --random 10000 -o {path}")
    return xr.open_zarr(folder, consolidated=False)


def _plan(bank: Bank) -> dict[str, Any]:
    """All that the spectra depend on, as JSON gives it back."""
    stacks = {name: value for name, value in vars(bank.stacks).items() if name != "table"}
    stacks["components"] = {name: bank.stacks.table[name].components for name in pigments_of(bank.stacks)}
    head = None if bank.instrument is None else asdict(bank.instrument)
    return json.loads(json.dumps(plain({**vars(bank), "instrument": head, "stacks": stacks, "batch": BATCH})))


def _done(aside: Path, plan: dict[str, Any]) -> int:
    """Batches that an interrupted run of the same plan has finished."""
    try:
        found = json.loads((aside / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    return found["done"] if found.get("plan") == plan else 0


def _create(folder: Path, bank: Bank) -> None:
    import zarr

    pigments, channels = len(pigments_of(bank.stacks)), instrument_of(bank, 0).channels
    truth = ("spectrum", "paint", "pigment"), (len(PAINTS), pigments)
    layout = {
        "counts": (("spectrum", "channel"), (channels,), np.uint32),
        **dict.fromkeys(("zero", "gain", "dose"), (("spectrum",), (), np.float32)),
        "thickness": (("spectrum", "slot"), (len(SLOTS),), np.float32),
        "loading": (("spectrum", "paint"), (len(PAINTS),), np.float32),
        **dict.fromkeys(("volume_share", "mass_thickness"), (*truth, np.float32)),
    }
    _group(folder, {})
    for name, (dims, rest, dtype) in layout.items():
        zarr.create_array(
            folder / name, shape=(bank.spectra, *rest), chunks=(min(BATCH, bank.spectra), *rest), dtype=dtype,
            dimension_names=dims,
        )  # fmt: skip


def _store(folder: Path, number: int, batch: Batch) -> None:
    import zarr

    rows = slice(number * BATCH, number * BATCH + len(batch.counts))
    values = {
        "counts": batch.counts, "dose": batch.dose, "zero": batch.instrument.zero, "gain": batch.instrument.gain,
        **{name: getattr(batch.truth, name) for name in ("thickness", "loading", "volume_share", "mass_thickness")},
    }  # fmt: skip
    for name, value in values.items():
        zarr.open_array(folder / name, mode="r+")[rows] = value


def _group(folder: Path, attributes: dict[str, Any]) -> None:
    replace_text(folder / META, json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}))
