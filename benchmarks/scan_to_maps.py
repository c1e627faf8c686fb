"""From counts on disk to maps: 512 x 512 x 2048 uint16, principal components, 10 clusters, 50 iterations, spectra.

    python benchmarks/scan_to_maps.py [side]          512 pixels a side (1 GiB of counts), about two minutes on 2 cores

Bar: 20 s and the cube + 1 GiB of memory (mapped pages of the file included) on 2 cores. The programs that JAX compiles
are kept from a first, unmeasured run on a small scan; their cold time is printed beside.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

CHANNELS, GAIN, MATERIALS = 2048, 0.01, 12  # keV per channel
ITERATIONS = 50


def write_counts(path: Path, side: int) -> None:
    """Write uint16 counts [side, side, channel] of a simulated painting, about 2,500 a pixel."""
    rng = np.random.default_rng(11)
    energy = GAIN * np.arange(CHANNELS)
    lines = np.exp(-0.5 * ((energy - rng.uniform(1, 19, (MATERIALS, 4, 1))) / 0.07) ** 2)
    spectra = (lines * rng.uniform(0.2, 1, (MATERIALS, 4, 1))).sum(1) + 0.05 * np.exp(-energy / 6) + 0.003
    spectra *= 2500 / spectra.sum(1, keepdims=True)
    seeds = rng.uniform(0, side, (80, 2))
    paint = rng.integers(0, MATERIALS, 80)
    counts = np.lib.format.open_memmap(path, "w+", np.uint16, (side, side, CHANNELS))
    x = np.arange(side)
    for y in range(side):
        share = np.exp(-np.hypot(y - seeds[:, :1], x - seeds[:, 1:]) / 3).T  # [x, seed], soft edges
        share = share @ (paint[:, None] == np.arange(MATERIALS)) + 1e-12
        counts[y] = rng.poisson((share / share.sum(1, keepdims=True)) ** 2 @ spectra)
    counts.flush()


def measure(path: Path, *, proposals: int) -> None:
    """Run the chain in this process and print its figures."""
    from velatura.base.cube import lazy_counts, make_cube
    from velatura.tasks import clustering
    from velatura.tasks.segment import Segmentation, segment

    # exactly so many iterations, whether the clusters have come to rest or not
    clustering.ClusterOptions = partial(clustering.ClusterOptions, tolerance=1e-12, iterations=ITERATIONS)
    stages: dict[str, float] = {}
    last = [time.perf_counter(), "start"]

    def listen(stage: str, done: int, total: int, /) -> None:
        now = time.perf_counter()
        stages[last[1]] = stages.get(last[1], 0.0) + now - last[0]
        last[:] = now, stage if done < total else f"after {stage}"

    counts = np.load(path, mmap_mode="r")
    wall, cpu = time.perf_counter(), time.process_time()
    cube = make_cube(lazy_counts(counts), gain=GAIN)
    maps = segment(cube, Segmentation(clusters=10, proposals=proposals), progress=listen)
    listen("end", 0, 1)
    print(
        json.dumps(
            {
                "wall": time.perf_counter() - wall,
                "cpu": time.process_time() - cpu,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "iterations": maps.attrs["iterations"],
                "components": maps.sizes["component"],
                "stages": {name: round(seconds, 2) for name, seconds in stages.items()},
            }
        )
    )


def main(side: int) -> None:
    """Print the figures of a cold small run and of the measured one, and what they are to the bars."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        for name, here, proposals in (("cold, 64 x 64", 64, 0), ("warm", side, 0), ("warm, with composites", side, 10)):
            path = Path(folder) / f"counts{here}.npy"
            if not path.exists():
                write_counts(path, here)
            command = [sys.executable, __file__, "--one", str(path), str(proposals)]
            done = subprocess.run(command, capture_output=True, check=True, env=environment)
            row = json.loads(done.stdout)
            print(f"{name:22} wall {row['wall']:6.1f} s  CPU {row['cpu']:6.1f} s  memory {row['memory']:6.0f} MiB")
            print(f"  {row['components']} components, {row['iterations']} iterations; {row['stages']}")
            bound = path.stat().st_size / 2**20 + 1024
            print(f"  of the bars: time {row['wall'] / 20:.2f}, memory {row['memory'] / bound:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(Path(sys.argv[2]), proposals=int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 512)
