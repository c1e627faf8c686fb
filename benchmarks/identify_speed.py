"""Speed of identification, everything included, against its marks on 2 cores: 3,000 spectra a second, 20,000 fast.

    python benchmarks/identify_speed.py [side]      512 pixels a side (1 GiB of counts), about five minutes on 2 cores

Counts onto the network's grid alone (by the exact draw, and compiled), the networks alone, then the whole verb on a
workspace of side x side x 2048, with the memory that it takes. Shipped weights are used where they are, else networks
of the same size that were never trained: the speed is the same.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from velatura.base.axis import redistribute
from velatura.base.cube import lazy_counts, make_cube
from velatura.base.workspace import create_workspace
from velatura.chain.identify import map_pigments
from velatura.scene.training import grid
from velatura.spectra.regrid import regrid
from velatura.tasks.identify import Identification
from velatura.tasks.pigment_model import load_pigments, predict, save_pigments, shipped, untrained

MARKS = {"best": 3000, "fast": 20000}
DESIGNS = {"best": "residual", "fast": "fast"}  # of networks that stand in for weights that are not there
CHANNELS, GAIN = 2048, 0.02
SPECTRA = 8192


def counts_like_a_scan(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Poisson counts uint16 [..., channel] of lines and a falling background, 10,000 a spectrum."""
    energy = GAIN * np.arange(CHANNELS)
    lines = np.exp(-0.5 * ((energy - rng.uniform(1, 30, (12, 1))) / 0.07) ** 2).sum(axis=0)
    expected = lines + 0.1 * np.exp(-energy / 8)
    return rng.poisson(expected * (10_000 / expected.sum()), (*shape, CHANNELS)).astype(np.uint16)


def rate(work: Callable[[], object], spectra: int) -> float:
    """Spectra a second, the better of two runs after one that compiles."""
    work()
    times = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return spectra / min(times)


def parts(counts: np.ndarray, weights: dict[str, Path]) -> None:
    """Print the speed of the steps."""
    energy, target, key = GAIN * np.arange(CHANNELS), grid(), jax.random.key(0)
    inside = (energy > 0.52) & (energy < 40.9)
    few = counts[: SPECTRA // 16][:, inside]
    exact = rate(lambda: redistribute(few, energy[inside], target, rng=np.random.default_rng(0)), len(few))
    compiled = rate(lambda: regrid(counts, energy, target, key=key), len(counts))
    print(f"onto the grid: exact draw {exact:,.0f}/s, compiled {compiled:,.0f}/s, {compiled / exact:.0f} times as fast")
    features = regrid(counts, energy, target, key=key).astype(np.float32)
    nothing = np.zeros((len(features), 8), np.float32)
    for name, path in weights.items():
        model = load_pigments(path)
        speed = rate(lambda model=model: predict(model, features, nothing), len(features))
        print(f"network {name} ({model.card.architecture['design']}) alone: {speed:,.0f}/s")


def whole(folder: Path, side: int, weights: dict[str, Path]) -> None:
    """Print the speed and the memory of the verb."""
    block = counts_like_a_scan((64, side), np.random.default_rng(1))
    scan = np.concatenate([block] * -(-side // 64))[:side] if side > 64 else block[:side]
    workspace = create_workspace(folder / "scan.zarr", make_cube(lazy_counts(scan), gain=GAIN))
    size = scan.nbytes
    del scan, block
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    for name, path in weights.items():
        start = time.perf_counter()
        map_pigments(workspace, Identification(model=str(path)))
        seconds = time.perf_counter() - start
        speed = side * side / seconds
        print(f"{name}: {side} x {side} in {seconds:.1f} s, {speed:,.0f}/s, {speed / MARKS[name]:.2f} of the mark")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"memory: counts {size / 2**30:.2f} GiB; peak {after:.2f} GiB, {after - before:+.2f} GiB over making the scan"
    )


def main() -> None:
    """Measure the steps and the verb."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    with tempfile.TemporaryDirectory() as name:
        folder, weights = Path(name), {}
        for which in MARKS:
            weights[which] = shipped(which) or folder / f"{which}.safetensors"
            if shipped(which) is None:
                save_pigments(weights[which], untrained(DESIGNS[which], key=jax.random.key(0)))
        parts(counts_like_a_scan((SPECTRA,), np.random.default_rng(0)), weights)
        whole(folder, side, weights)


if __name__ == "__main__":
    main()
