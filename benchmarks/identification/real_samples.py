"""Measured spectra with known or partly known samples: real_samples.csv says which files, and what was measured."""

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from velatura.base.cube import energy_axis
from velatura.io.formats import open_scan
from velatura.io.options import ReadOptions
from velatura.io.spectrum import read_spectrum_file
from velatura.physics.instrument import Geometry, Instrument, Tube
from velatura.scene.training import described

TABLE = Path(__file__).with_name("real_samples.csv")
SCANS = ("sum", "pixels")


class Sample(NamedTuple):
    """One row of the table: a material measured with one instrument."""

    name: str
    kind: str
    excitation: str
    """"tube", as in the training; "one energy" or "electrons": outside it."""
    files: str
    """Pattern below the folder of data."""
    axis: tuple[float, ...]
    """Zero and gain [keV] where the files have none or a nominal one."""
    scanner: Instrument | None
    """What the network is told; None: nothing."""
    expected: str
    """"unknown", "nothing" (no line to see), an XRF class that it really is; empty: nobody says what it is."""
    composition: dict[str, float]
    """Mass shares. Where `known_from` is "lines seen" only 0.05 for strong lines and 0.001 for weak ones."""
    known_from: str


class Measured(NamedTuple):
    """Spectra of one axis."""

    counts: np.ndarray
    """uint32 [spectrum, channel]"""
    energy: np.ndarray
    """Channel centres [keV]."""


def samples() -> list[Sample]:
    """Return all rows."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [_sample(row) for row in csv.DictReader(file)]


def told(sample: Sample) -> np.ndarray:
    """Return what the network hears of the scanner, float32 [8]; zeros: nothing."""
    return np.zeros(8, np.float32) if sample.scanner is None else described(sample.scanner)


def measured(sample: Sample, folder: Path) -> Iterator[Measured]:
    """Yield the spectra of a sample; files with the same counts once. Negative counts of corrections become 0."""
    seen = set()
    for path in sorted(folder.glob(sample.files)):
        one = _scan(path, sample) if sample.files.startswith("scans") else _spectra(path, sample)
        if one.counts.tobytes() not in seen:
            yield one
        seen.add(one.counts.tobytes())


def _spectra(path: Path, sample: Sample) -> Measured:
    """The spectrum of a file, or those of all its detectors."""
    first = read_spectrum_file(path)
    many = 1
    if path.suffix in (".mca", ".xrf") and not sample.axis:
        many = len(path.read_text().splitlines()[-1].split())
    rows = [read_spectrum_file(path, detector=number).counts for number in range(many)]
    counts = np.rint(np.maximum(rows, 0)).astype(np.uint32)
    return Measured(counts, _axis(sample, counts.shape[1]) if sample.axis else first.axis())


def _scan(path: Path, sample: Sample) -> Measured:
    """All pixels of a scan, or their sum."""
    counts, energy = _cube(path)
    if sample.name.endswith("sum"):
        counts = counts.sum(axis=0, keepdims=True, dtype=np.uint32)
    return Measured(counts, _axis(sample, counts.shape[1]) if sample.axis else energy)


@cache
def _cube(path: Path) -> tuple[np.ndarray, np.ndarray]:
    named = "xrf-maps" in str(path) and path.suffix == ".npz"
    cube = open_scan(path, ReadOptions(dataset="spectra", axes="yxde") if named else ReadOptions())
    counts = np.asarray(cube.counts.values)
    return counts.reshape(-1, counts.shape[-1]), cube.energy.values


def _axis(sample: Sample, channels: int) -> np.ndarray:
    zero, gain = sample.axis
    return energy_axis(channels, zero=zero, gain=gain)


def _sample(row: dict[str, str]) -> Sample:
    parts = (part.split(":") for part in row["composition"].split())
    return Sample(
        row["sample"], row["kind"], row["excitation"], row["files"],
        tuple(float(value) for value in row["axis"].split()), _scanner(row["scanner"]), row["expected"],
        {element: float(percent) / 100 for element, percent in parts}, row["known_from"],
    )  # fmt: skip


def _scanner(text: str) -> Instrument | None:
    """Anode, voltage [kV], incidence and take-off angle [deg], atmosphere."""
    if not text:
        return None
    anode, voltage, incidence, take_off, atmosphere = text.split()
    geometry = Geometry(float(incidence), float(take_off), atmosphere=atmosphere)
    return Instrument("real", Tube(anode, float(voltage)), geometry)
