"""Bruker .bcf: pixels a second against RosettaSciIO, and private memory for a file larger than memory should be.

    python benchmarks/bcf.py --gigabytes 6

Speed is measured on the measured maps below VELATURA_TEST_DATA, where they are; RosettaSciIO reads each file with its
compiled decoder and, in another process, without. Memory: a file of that size is written to the temporary folder, read
once through in bands, and deleted. Needs the development group. About 5 minutes and 6 GB of disk.
"""

import argparse
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from velatura.base.blocks import bands
from velatura.io.bcf import open_scan
from velatura.io.options import ReadOptions

ROOT = Path(__file__).resolve().parents[1]
MAPS = Path(os.environ.get("VELATURA_TEST_DATA", ROOT.parent / "shared" / "data")) / "scans" / "sem-geologist-bcf"
REPEATS = 5
PYTHON_ONLY = """
import sys, time, warnings
sys.modules["rsciio.bruker.unbcf_fast"] = None
from rsciio.bruker import file_reader
start = time.perf_counter()
file_reader(sys.argv[1])
print("seconds", time.perf_counter() - start)
"""


def best(work, repeats: int = REPEATS) -> float:
    """Shortest of some runs [s]."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def speed() -> None:
    from rsciio.bruker import file_reader

    print(f"{'file':40} {'open':>7} {'decode':>7} {'compiled':>9} {'python':>7}   thousand pixels/s; python / ours")
    for path in sorted(MAPS.glob("*.bcf")):
        cube = open_scan(path, ReadOptions())
        pixels = cube.valid.size / 1000
        opening = best(lambda path=path: open_scan(path, ReadOptions()))
        decoding = best(lambda cube=cube: cube.counts.values)
        compiled = best(lambda path=path: file_reader(path))
        run = subprocess.run([sys.executable, "-c", PYTHON_ONLY, path], capture_output=True, text=True, check=True)
        python = float(run.stdout.split("seconds")[1])
        rates = " ".join(
            f"{pixels / seconds:{width}.1f}"
            for seconds, width in ((opening, 7), (decoding, 7), (compiled, 9), (python, 7))
        )
        print(f"{path.stem:40} {rates}   {python / (opening + decoding):.1f}")


def private_memory() -> float:
    """Memory of this process that no file backs [MiB]."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024


def memory(gigabytes: float) -> None:
    bcf = runpy.run_path(str(ROOT / "tests" / "io" / "bcf_file.py"))
    spectrum = 300 + np.random.default_rng(1).poisson(400 * np.exp(-np.arange(4096) / 600))
    row = bcf["row_bytes"]((x, 4096, bcf["runs"](spectrum)) for x in range(1000))
    height = int(gigabytes * 1e9) // len(row)
    head, xml = bcf["stream_head"](height, 1000), bcf["header_xml"](channels=4096)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.bcf")
        pieces = (piece for repeat, piece in ((1, head), (height, row)) for _ in range(repeat))
        bcf["write_bcf"](
            path, {"HeaderData": (len(xml), [xml]), "SpectrumData0": (len(head) + height * len(row), pieces)}
        )
        peak, running = [private_memory()], True

        def watch() -> None:
            while running:
                peak.append(private_memory())
                time.sleep(0.01)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        start = time.perf_counter()
        cube = open_scan(path, ReadOptions())
        opened = time.perf_counter()
        total = sum(int(band.sum(dtype=np.uint64)) for _, band in bands(cube.counts.data))
        done = time.perf_counter()
        running = False
        watcher.join()
    assert total == height * 1000 * int(spectrum.sum())
    size = cube.counts.nbytes / 1e9
    rate = height / (done - opened)
    print(f"{path.name} of {gigabytes} GB, {height} x 1000 x 4096 {cube.counts.dtype} ({size:.1f} GB of counts):")
    print(f"  opened in {opened - start:.0f} s, read in {done - opened:.0f} s ({rate:.1f} thousand pixels/s)")
    print(f"  peak private memory {max(peak):.0f} MiB; limit 1536 MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=6.0)
    options = parser.parse_args()
    speed()
    memory(options.gigabytes)
