"""Streaming a scan from disk: speed against plain reading, and private memory for a scan of 6 GB.

    python benchmarks/reading.py [megabytes]

Takes about a minute and 5 GB of disk for the default of 1000. Every ratio comes from one run, files warm in the cache.
The scan of 6 GB is sparse: it occupies no disk.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from velatura.base.blocks import bands
from velatura.base.workspace import create_workspace, read_cube
from velatura.io.formats import fingerprint, open_scan

MB = 10**6
WIDTH, DEPTH = 500, 2048
BAND = 64 * 2**20
TEXT = "width\t{width}\nheight\t{height}\ndepth\t{depth}\ndata-length\t2\ndata-type\tunsigned\nrecord-by\t{record_by}\n"
LARGE = 6 * 10**9


def private_memory() -> float:
    """Private memory of this process [MB]; Linux only."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024 / MB


def peak_private_memory(work: Callable[[], object]) -> float:
    """Highest private memory [MB] while `work` runs."""
    seen, done = [private_memory()], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(private_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(seen)


def fastest(work: Callable[[], object], *, times: int = 3) -> float:
    """Shortest of a few runs [s]."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def describe(folder: Path, height: int, *, record_by: str = "vector") -> Path:
    """Write the .rpl text of `scan.raw`."""
    text = TEXT.format(width=WIDTH, height=height, depth=DEPTH, record_by=record_by)
    (folder / "scan.rpl").write_text(text)
    return folder / "scan.rpl"


def spectra(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Poisson counts, 5000 a pixel, falling with the channel: six of ten channels are empty."""
    mean = np.exp(-np.arange(DEPTH) / 300)
    return rng.poisson(5000 * mean / mean.sum(), (rows, WIDTH, DEPTH)).astype(np.uint16)


def stream(scan: Path) -> None:
    """Add up all counts, band by band."""
    for _, band in bands(open_scan(scan).counts.data):
        band.sum(dtype=np.uint64)


def plain(raw: Path) -> None:
    """The same sum over the file in pieces, without a cube."""
    with raw.open("rb") as file:
        while (piece := np.fromfile(file, np.uint16, BAND // 2)).size:
            piece.sum(dtype=np.uint64)


def speed(folder: Path, megabytes: int) -> None:
    """Print MB/s of streaming by vector and by image, of hashing, of importing and of reading the workspace again."""
    height = megabytes * MB // (WIDTH * DEPTH * 2)
    size = height * WIDTH * DEPTH * 2 / MB
    piece = spectra(np.random.default_rng(0), 10)
    raw = folder / "scan.raw"
    with raw.open("wb") as file:
        for row in range(height):
            piece[row % 10].tofile(file)
    scan = describe(folder, height)
    print(f"{size:.0f} MB, {height} x {WIDTH} x {DEPTH} of 16 bits")
    reference = fastest(lambda: plain(raw))
    hashing = fastest(lambda: fingerprint(scan))
    seconds = {"np.fromfile and sum": reference, "SHA-256 of the original": hashing}
    seconds[".rpl by vector, without hashing"] = fastest(lambda: stream(scan)) - hashing
    start = time.perf_counter()
    space = create_workspace(folder / "painting.zarr", open_scan(scan))
    seconds["import into a workspace"] = time.perf_counter() - start - hashing
    seconds["workspace read again"] = fastest(lambda: [band.sum() for _, band in bands(read_cube(space).counts.data)])
    describe(folder, height, record_by="image")
    seconds[".rpl by image, without hashing"] = fastest(lambda: stream(scan)) - hashing
    for name, taken in seconds.items():
        print(f"{name:32} {size / taken:7.0f} MB/s   {reference / taken:5.2f} of plain reading")
    stored = sum(file.stat().st_size for file in space.path.rglob("*") if file.is_file()) / MB
    print(f"{'workspace on disk':32} {stored:7.0f} MB     {size / stored:5.2f} times smaller")


def memory(record_by: str) -> None:
    """Print the peak private memory of streaming 6 GB; run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        height = LARGE // (WIDTH * DEPTH * 2)
        scan = describe(Path(folder), height, record_by=record_by)
        with (Path(folder) / "scan.raw").open("wb") as raw:
            raw.truncate(height * WIDTH * DEPTH * 2)
        before = private_memory()
        start = time.perf_counter()
        peak = peak_private_memory(lambda: stream(scan))
        rate = LARGE / MB / (time.perf_counter() - start)
        print(f"6 GB by {record_by}: peak private memory {peak:.0f} MB, {before:.0f} before; {rate:.0f} MB/s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        memory(sys.argv[2])
    else:
        with tempfile.TemporaryDirectory() as scratch:
            speed(Path(scratch), int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
        for order in ("vector", "image"):
            subprocess.run([sys.executable, __file__, "memory", order], check=True)
