"""How often the automatic calibration is right, refuses, or is wrong, on simulated spectra with known axes.

    python benchmarks/calibration.py --cases 300

Random gain, zero, resolution, anode, elements, counts; with scatter, argon, pile-up, escape, a slightly bent axis.
Prints success, refusal and error rates against the counts and the number of elements. About 1.5 s a case.
"""

import argparse
import time

import numpy as np

from velatura.atomic.lines import lines_of
from velatura.base.errors import CalibrationError
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
    """("right", "refused" or "wrong"; largest error from 2 to 15 keV [eV]; seconds)."""
    start = time.perf_counter()
    try:
        found = calibrate(
            made["counts"], anode=made["anode"] if told else None, tube_voltage=made["voltage"] if told else None
        )
    except CalibrationError:
        return "refused", np.nan, time.perf_counter() - start
    seconds = time.perf_counter() - start
    axis = made["axis"]
    used = (axis > 2) & (axis < 15)
    error = 1e3 * np.abs(found.zero + found.gain * np.arange(len(axis)) - axis)[used].max()
    return ("right" if error < 30 else "wrong"), error, seconds


def rates(judged: list[tuple[dict, str, float, float]], keep) -> str:
    """One row of the table: shares of right, refused, wrong among the cases that `keep` accepts."""
    chosen = [verdict for made, verdict, *_ in judged if keep(made)]
    shares = (f"{100 * chosen.count(name) / max(len(chosen), 1):5.1f} %" for name in ("right", "refused", "wrong"))
    return f"{len(chosen):5d} | " + " | ".join(shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument("--told", action="store_true", help="give anode and voltage to the calibration")
    options = parser.parse_args()
    judged = []
    for seed in range(options.first, options.first + options.cases):
        made = case(np.random.default_rng(seed))
        judged.append((made, *judge(made, told=options.told)))
        _, verdict, error, seconds = judged[-1]
        if verdict == "wrong":
            print(
                f"wrong: seed {seed}, {made['total']:.1e} counts, {made['anode']}, {', '.join(made['elements'])}, {error:.0f} eV"
            )
    print("| spectra | cases | right | refused | wrong |\n| --- | --- | --- | --- | --- |")
    for name, keep in {
        "4 elements and more, 10^6 counts and more": lambda made: len(made["elements"]) >= 4 and made["total"] >= 1e6,
        "4 elements and more, 10^5 to 10^6 counts": lambda made: (
            len(made["elements"]) >= 4 and 1e5 <= made["total"] < 1e6
        ),
        "4 elements and more, 10^4 to 10^5 counts": lambda made: len(made["elements"]) >= 4 and made["total"] < 1e5,
        "1 to 3 elements": lambda made: len(made["elements"]) < 4,
        "all": lambda made: True,
    }.items():
        print(f"| {name} | {rates(judged, keep)} |")
    errors = np.array([error for _, verdict, error, _ in judged if verdict == "right"])
    print(
        f"largest error from 2 to 15 keV where right: median {np.median(errors):.1f} eV, 95 % {np.quantile(errors, 0.95):.1f} eV"
    )
    print(
        f"time: median {np.median([seconds for *_, seconds in judged]):.2f} s, longest {max(seconds for *_, seconds in judged):.2f} s"
    )


if __name__ == "__main__":
    main()
