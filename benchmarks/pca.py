"""Principal components: CPU time, wall time, memory and accuracy beside scikit-learn, on the same counts on disk.

    python benchmarks/pca.py [pixels]          100,000 pixels x 2048 channels, about two minutes on 2 cores

Bars: CPU and wall time at most 1.35 times scikit-learn's covariance_eigh without rebinning, in half its memory; sine of
the largest angle between the kept subspace and that of a float64 Gram matrix at most 1e-3.
Each method runs in a process of its own, so that its peak memory is its own.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CHANNELS, MATERIALS, COMPONENTS = 2048, 12, 11
GAIN = 0.01  # keV per channel


def write_counts(path: Path, pixels: int) -> None:
    """Write uint16 counts [pixels / 100, 100, channel] of mixed materials, about 1,500 a pixel."""
    rng = np.random.default_rng(7)
    energy = GAIN * np.arange(CHANNELS)
    lines = np.exp(-0.5 * ((energy - rng.uniform(1, 19, (MATERIALS, 5, 1))) / 0.07) ** 2)
    spectra = (lines * rng.uniform(0.2, 1, (MATERIALS, 5, 1))).sum(1) + 0.05 * np.exp(-energy / 6) + 0.005
    spectra *= 1500 / spectra.sum(1, keepdims=True)
    counts = np.lib.format.open_memmap(path, "w+", np.uint16, (pixels // 100, 100, CHANNELS))
    for rows in range(0, len(counts), 50):
        here = counts[rows : rows + 50]
        counts[rows : rows + 50] = rng.poisson(rng.dirichlet(np.full(MATERIALS, 0.2), here.shape[:2]) @ spectra)
    counts.flush()


def ours(counts: np.ndarray) -> np.ndarray:
    """Streamed Gram matrix, no rebinning, no scaling."""
    from velatura.reduce.pca import principal_components

    energy = GAIN * np.arange(CHANNELS)
    reduction, _ = principal_components(
        counts, energy, scaling="none", bin_width=GAIN, window=(-1.0, None), components=COMPONENTS
    )
    return reduction.loadings


def scikit_learn(counts: np.ndarray) -> np.ndarray:
    """scikit-learn's exact solver for few features, float32; scores included, as in ours."""
    from sklearn.decomposition import PCA

    flat = counts.reshape(-1, CHANNELS).astype(np.float32)
    model = PCA(COMPONENTS, svd_solver="covariance_eigh")
    model.fit_transform(flat)
    return model.components_


def float64_gram(counts: np.ndarray) -> np.ndarray:
    """The reference: all sums in float64."""
    flat = counts.reshape(-1, CHANNELS)
    gram, mean = np.zeros((CHANNELS, CHANNELS)), flat.mean(0)
    for start in range(0, len(flat), 4000):
        block = flat[start : start + 4000] - mean
        gram += block.T @ block
    return np.linalg.eigh(gram)[1][:, : -COMPONENTS - 1 : -1].T


METHODS = {function.__name__: function for function in (ours, scikit_learn, float64_gram)}


def measure(name: str, path: Path) -> None:
    """Run one method in this process; print its figures and leave its axes beside the counts."""
    import scipy.linalg  # noqa: F401  imports are not measured
    import sklearn.decomposition  # noqa: F401

    import velatura.reduce.pca  # noqa: F401

    counts = np.load(path, mmap_mode="r")
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall, cpu = time.perf_counter(), time.process_time()
    axes = METHODS[name](counts)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss) / 1024
    np.save(path.with_name(f"{name}.npy"), axes)
    print(json.dumps({"wall": wall, "cpu": cpu, "memory": memory}))


def main(pixels: int) -> None:
    """Print one line a method and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.npy"
        write_counts(path, pixels)
        found = {}
        for name in METHODS:
            done = subprocess.run([sys.executable, __file__, "--one", name, str(path)], capture_output=True, check=True)
            found[name] = json.loads(done.stdout)
        reference = np.load(path.with_name("float64_gram.npy"))
        for name, row in found.items():
            axes = np.load(path.with_name(f"{name}.npy"))
            outside = axes - (axes @ reference.T) @ reference
            sine = np.linalg.norm(outside, 2)
            print(
                f"{name:14} wall {row['wall']:6.1f} s  CPU {row['cpu']:6.1f} s  memory {row['memory']:6.0f} MiB", end=""
            )
            print(f"  sine {sine:.1e}")
        ratio = {key: found["ours"][key] / found["scikit_learn"][key] for key in found["ours"]}
        print("ours / scikit-learn: " + ", ".join(f"{key} {value:.2f}" for key, value in ratio.items()))
        print(f"memory includes mapped pages of the file ({path.stat().st_size / 2**20:.0f} MiB)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 100_000)
