"""How often the automatic calibration is right, refuses, or is wrong, on simulated spectra with known axes.

    python benchmarks/calibration.py --cases 300

Random gain, zero, resolution, anode, elements, counts; with scatter, argon, pile-up, escape, a slightly bent axis.
Prints success, refusal and error rates against the counts and the number of elements; about a second a case. With
--scans FOLDER, measured scans are calibrated from their lines alone instead.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from velatura.atomic.lines import lines_of
from velatura.base.blocks import bands
from velatura.base.errors import CalibrationError
from velatura.io.formats import open_scan
from velatura.spectra.calibrate import calibrate
from velatura.spectra.response import Detector, line_matrix

SEEN_IN_PAINTINGS = {
    "Fe": 0.9, "Ca": 0.8, "Pb": 0.7, "K": 0.6, "Cu": 0.5, "Zn": 0.5, "S": 0.4, "Cl": 0.4, "Si": 0.4, "Sr": 0.4,
    "Ti": 0.35, "Mn": 0.35, "Hg": 0.3, "Ba": 0.3, "Al": 0.3, "P": 0.3, "Ni": 0.3, "Cr": 0.2, "Co": 0.2, "As": 0.2,
    "Sn": 0.2, "Br": 0.2, "Rb": 0.2, "Cd": 0.15, "Zr": 0.15, "Sb": 0.1, "Au": 0.1, "Ag": 0.1, "Se": 0.1, "V": 0.05,
    "Bi": 0.03, "Ge": 0.02, "Y": 0.05, "Nb": 0.03,
}  # fmt: skip
ANODES = {"Rh": 0.5, "Mo": 0.2, "Ag": 0.1, "W": 0.1, "Cr": 0.05, "Cu": 0.05}


def panel(rng: np.random.Generator) -> dict[str, float]:
    """Elements of a painting with the net counts of each, relative: three decades."""
    names = list(SEEN_IN_PAINTINGS)
    chance = np.array(list(SEEN_IN_PAINTINGS.values())) * rng.uniform(0.3, 1.2)
    chosen = [name for name, seen in zip(names, rng.random(len(names)) < chance, strict=True) if seen] or ["Pb"]
    return {name: 10 ** rng.uniform(-2.5, 0.0) for name in chosen}


def fluorescence(elements: dict[str, float], voltage: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """(energy [keV], area) of all lines; sub-shell shares and absorption differ from the tables at random."""
    found, air = [], rng.uniform(1.5, 2.6)
    for element, amount in elements.items():
        for kind in "KLM":
            bias = {edge: rng.normal(1, 0.06) for edge in ("K", "L1", "L2", "L3", "M1", "M2", "M3", "M4", "M5")}
            share = {"K": 1.0, "L": 1.0 if element in ("Pb", "Hg", "Au", "Bi", "Ba") else 0.15, "M": 0.5}[kind]
            for line in lines_of(element, (kind,)):
                if line.edge_energy < voltage:
                    seen = np.exp(-((air / line.energy) ** 3)) * (1 - np.exp(-((22 / line.energy) ** 2.5)))
                    excited = 1.0 if kind != "K" or line.edge_energy < 0.8 * voltage else 0.2
                    found.append((line.energy, amount * share * excited * line.weight * bias[line.edge] * seen))
    return found


def scatter(
    anode: str, voltage: float, rng: np.random.Generator
) -> tuple[list[tuple[float, float]], list[tuple[float, float, float]]]:
    """Rayleigh lines (energy, area) and Compton humps (energy, area, FWHM) of the anode."""
    strength, angle = 10 ** rng.uniform(-1.5, 0.3), np.radians(rng.uniform(110, 155))
    rayleigh, compton = [], []
    for line in lines_of(anode, ("K", "L"), window=(1.5, 45)):
        if line.edge_energy < voltage:
            power = strength * line.weight * (1.0 if line.edge == "K" else 0.4)
            shifted = line.energy / (1 + line.energy / 511 * (1 - np.cos(angle)))
            rayleigh.append((line.energy, power * 0.4))
            compton.append((shifted, power, 0.022 * line.energy))
    return rayleigh, compton


def case(rng: np.random.Generator) -> dict:
    """One spectrum (whole counts) with everything that made it."""
    anode = str(rng.choice(list(ANODES), p=list(ANODES.values())))
    voltage, channels = float(rng.choice([30, 40, 45, 50])), int(rng.choice([1024, 2048, 4096]))
    reach = rng.uniform(0.75, 1.2) * max(voltage, 25)
    zero = float(rng.choice([rng.uniform(-1.0, 0.1), rng.normal(0, 0.02)]))
    gain, bend = (reach - zero) / channels, rng.normal(0, 3e-3)
    channel = np.arange(channels)
    axis = zero + gain * channel + bend * 4 * (channel / channels) * (1 - channel / channels)
    detector = Detector(noise=rng.uniform(0.05, 0.11), fano=rng.uniform(0.11, 0.125), tail=rng.uniform(0, 0.02))
    elements = panel(rng)
    rayleigh, compton = scatter(anode, voltage, rng)
    lines = fluorescence(elements, voltage, rng) + rayleigh + [(2.957, 10 ** rng.uniform(-3, -1))]
    energy, area = np.array(lines).T
    spectrum = line_matrix(energy, area, np.zeros(len(area), int), axis=axis, detector=detector)[0]
    energy, area, width = np.array(compton).T
    spectrum += line_matrix(energy, area, np.zeros(len(area), int), axis=axis, detector=detector, broadening=width)[0]
    spectrum *= 1 / spectrum.sum()
    below = np.clip(axis, 0.05, None)
    smooth = np.exp(-((rng.uniform(1.5, 4) / below) ** 2)) * np.clip(voltage - axis, 0, None) ** rng.uniform(0.6, 2)
    smooth = smooth * (axis > 0.1) + 0.02 * smooth.max() * np.exp(-np.clip(axis, 0, None) / 2) * (axis > 0.1)
    spectrum += smooth / smooth.sum() * 10 ** rng.uniform(-1, 0.5)
    doubled = np.convolve(spectrum, spectrum)
    spectrum += rng.uniform(0, 0.01) * np.interp(channel - zero / gain, np.arange(len(doubled)), doubled)
    if rng.random() < 0.15 and zero < -0.2:
        strobe = np.array([rng.uniform(0.05, 0.5)]) * spectrum.sum()
        spectrum += line_matrix(
            np.zeros(1),
            strobe,
            np.zeros(1, int),
            axis=axis,
            detector=Detector(noise=detector.noise, tail=0, escape=False),
        )[0]
    total = 10 ** rng.uniform(4, 8)
    counts = rng.poisson(np.clip(spectrum, 0, None) / spectrum.sum() * total)
    return {"counts": counts, "axis": axis, "anode": anode, "voltage": voltage, "elements": elements, "total": total}


def judge(made: dict, *, told: bool) -> tuple[str, float, float]:
    """("right", "refused" or "wrong"; largest error from 2 to 15 keV [eV]; seconds of processor time)."""
    start = time.process_time()
    try:
        found = calibrate(
            made["counts"], anode=made["anode"] if told else None, tube_voltage=made["voltage"] if told else None
        )
    except CalibrationError:
        return "refused", np.nan, time.process_time() - start
    seconds = time.process_time() - start
    axis = made["axis"]
    used = (axis > 2) & (axis < 15)
    error = 1e3 * np.abs(found.zero + found.gain * np.arange(len(axis)) - axis)[used].max()
    return ("right" if error < 30 else "wrong"), error, seconds


def rates(verdicts: list[str]) -> str:
    """The rest of a row: cases, shares of right, refused, wrong."""
    shares = (f"{100 * verdicts.count(name) / max(len(verdicts), 1):5.1f} %" for name in ("right", "refused", "wrong"))
    return f"{len(verdicts):5d} | " + " | ".join(shares)


def simulated(options: argparse.Namespace) -> None:
    """Table of shares over random spectra."""
    judged = []
    for seed in range(options.first, options.first + options.cases):
        made = case(np.random.default_rng(seed))
        verdict, error, seconds = judge(made, told=options.told)
        judged.append((made, verdict, error, seconds))
        if verdict == "wrong":
            names = ", ".join(made["elements"])
            print(
                f"wrong: seed {seed}, {made['total']:.1e} counts, {made['anode']}, {names}, {error:.0f} eV", flush=True
            )
    print("| spectra | cases | right | refused | wrong |\n| --- | --- | --- | --- | --- |")
    for name, least, low, high in (
        ("4 elements and more, 10^6 counts and more", 4, 1e6, np.inf),
        ("4 elements and more, 10^5 to 10^6 counts", 4, 1e5, 1e6),
        ("4 elements and more, 10^4 to 10^5 counts", 4, 0, 1e5),
        ("any number of elements, 10^6 counts and more", 1, 1e6, np.inf),
        ("all", 1, 0, np.inf),
    ):
        chosen = [
            verdict for made, verdict, *_ in judged if len(made["elements"]) >= least and low <= made["total"] < high
        ]
        print(f"| {name} | {rates(chosen)} |")
    errors = np.array([error for _, verdict, error, _ in judged if verdict == "right"])
    print(f"error where right, largest from 2 to 15 keV: median {np.median(errors):.1f} eV, ", end="")
    print(f"95 % {np.quantile(errors, 0.95):.1f} eV")
    seconds = [seconds for *_, seconds in judged]
    print(f"processor time: median {np.median(seconds):.2f} s, longest {max(seconds):.2f} s")


def measured(folder: Path) -> None:
    """Table of all scans in a folder, their own calibration withheld."""
    print("| scan | zero [keV] | gain [eV] | file | lines within 10 eV | Fe-Ka | confidence | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for path in sorted(path for suffix in ("npz", "npy", "bcf", "h5") for path in folder.rglob(f"*.{suffix}")):
        cube = open_scan(path)
        spectrum = sum(counts.sum((0, 1), dtype=np.int64) for _, counts in bands(cube.counts.data))
        stated = f"{cube.counts.attrs.get('calibration')}: {cube.counts.zero:.3f}, {1e3 * cube.counts.gain:.3f}"
        start = time.process_time()
        try:
            found = calibrate(spectrum)
        except CalibrationError as refusal:
            print(f"| {path.name} | refused: {refusal} |")
            continue
        iron = [f"{row.residual:+.1f} eV" for row in found.residuals if row.line == "Fe-Ka"]
        row = (
            path.name,
            f"{found.zero:.3f}",
            f"{1e3 * found.gain:.3f}",
            stated,
            f"{found.close_lines} of {len(found.residuals)}",
        )
        rest = ("".join(iron), f"{found.confidence:.4f}", f"{time.process_time() - start:.1f}")
        print(f"| {' | '.join(row + rest)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument("--told", action="store_true", help="give anode and voltage to the calibration")
    parser.add_argument("--scans", type=Path, help="a folder of scans, instead of the simulation")
    options = parser.parse_args()
    if options.scans:
        measured(options.scans)
    else:
        simulated(options)


if __name__ == "__main__":
    main()
