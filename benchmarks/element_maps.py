"""Element maps: spectra fitted per second, and how long it takes to name the elements of one spectrum.

    python benchmarks/element_maps.py

Claims: the linear fit of twenty elements, with errors, detection limits and without negative areas, handles more than
40,000 spectra of 2048 channels a second on one core (the figure that PyMca's maintainer gave for its fast fit in 2016,
without these); naming elements takes less than 50 ms a spectrum. Rates per core are from processor time, so that a busy
machine does not change them.
"""

from time import perf_counter, process_time

import numpy as np
from scipy.optimize import nnls

from velatura.base.cube import make_cube
from velatura.spectra.explain import elements_in
from velatura.spectra.families import families_of, family_matrix
from velatura.spectra.line_fit import line_maps, plan_fit, plan_windows
from velatura.spectra.response import Detector

ELEMENTS = (
    *("Al", "Si", "S", "Cl", "K", "Ca", "Ti", "Cr", "Mn", "Fe"),
    *("Co", "Ni", "Cu", "Zn", "As", "Sr", "Hg", "Pb", "Ba", "Sn"),
)
SIDE, CHANNELS = 192, 2048
PYMCA = 40_000  # spectra a second


def panel(rng: np.random.Generator, energy: np.ndarray, shapes: np.ndarray, lines: int) -> np.ndarray:
    """Poisson counts [y, x, channel] of random amounts, about 1500 a pixel."""
    areas = rng.gamma(0.3, 60, (SIDE * SIDE, len(shapes))) * (rng.random((SIDE * SIDE, len(shapes))) < 0.5)
    areas[:, lines:] = rng.gamma(5, 0.3, (SIDE * SIDE, len(shapes) - lines))
    counts = np.empty((SIDE * SIDE, CHANNELS), np.uint16)
    for start in range(0, len(counts), 4096):
        counts[start : start + 4096] = rng.poisson(areas[start : start + 4096] @ shapes)
    return counts.reshape(SIDE, SIDE, CHANNELS)


def best_of(work, times: int = 3) -> tuple[float, float]:
    """Shortest wall time and shortest processor time, all cores added up, of some runs [s]."""
    wall, cores = [], []
    for _ in range(times):
        start, used = perf_counter(), process_time()
        work()
        wall.append(perf_counter() - start)
        cores.append(process_time() - used)
    return min(wall), min(cores)


def report(name: str, spectra: int, spent: tuple[float, float]) -> None:
    """Print rates and their ratio to the published one."""
    wall, core = (spectra / seconds for seconds in spent)
    print(f"{name:24s} {wall:8.0f} /s  {core:8.0f} /s and core  {core / PYMCA:6.2f} x PyMca as published, on one core")


def main() -> None:
    rng, energy, detector = np.random.default_rng(1), np.arange(CHANNELS) * 0.0125, Detector()
    families = tuple(f for name in ELEMENTS for f in families_of(name, window=(0.9, 25.0)))
    shares = np.array([family.share_of(family.main) for family in families])
    hats = np.array([np.interp(energy, np.linspace(0.5, 25.6, 7), unit) for unit in np.eye(7)])
    smooth = np.exp(-energy / 8) + 0.1
    shapes = np.concatenate([family_matrix(families, energy, detector).whole / shares[:, None], hats * smooth])
    counts = panel(rng, energy, shapes, len(families))
    lines, mean = tuple(family.main for family in families), counts.mean(axis=(0, 1))
    shared = {"channels": slice(0, CHANNELS), "expected": mean, "background": 1.5 * smooth}
    plans = {
        "fit": plan_fit(lines, families, shapes, **shared),
        "fit, negatives allowed": plan_fit(lines, families, shapes, **shared, non_negative=False),
        "window": plan_windows(lines, energy, background=1.5 * smooth, detector=detector),
    }
    print(f"{SIDE * SIDE} spectra of {CHANNELS} channels, {len(lines)} lines, {mean.sum():.0f} counts each")
    weight = 1 / np.sqrt(mean + 1e-3 * mean.max())
    some = counts.reshape(-1, CHANNELS)[:200] * weight
    report("SciPy nnls, one by one", len(some), best_of(lambda: [nnls((shapes * weight).T, one) for one in some]))
    for name, plan in plans.items():
        spent = best_of(lambda plan=plan: line_maps(counts, plan, valid=np.ones((SIDE, SIDE), bool)))
        report(name, SIDE * SIDE, spent)
    cube = make_cube(counts, gain=0.0125)
    total = cube.counts.values.sum(axis=(0, 1), dtype=np.int64)
    found = elements_in(total, energy, detector=detector)
    wall, core = best_of(lambda: elements_in(total, energy, detector=detector))
    print(
        f"{'elements of a spectrum':24s} {1e3 * wall:8.0f} ms  {1e3 * core:6.0f} ms of one core ({len(found)} elements)"
    )


if __name__ == "__main__":
    main()
