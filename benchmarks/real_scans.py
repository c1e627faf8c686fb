"""Every measured scan through the whole chain, and how well clusters of one field agree at four count levels.

    VELATURA_TEST_DATA=FOLDER python benchmarks/real_scans.py

Prints two tables: what was found in each scan and how long it took; the adjusted Rand index between the labels of
the four .bcf files (75 x 100 pixels of one thin section) with the same number of clusters.
"""

import itertools
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from velatura.base.workspace import read_cube, read_maps
from velatura.chain.analyse import analyse
from velatura.chain.steps import bring_in
from velatura.io.formats import open_scan
from velatura.tasks.segment import Segmentation, segment

DATA = Path(os.environ.get("VELATURA_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "scans"
SCANS = (
    "pixlise-core/laguna_salinas_25x25.npz",
    "colourspec-xfm/ts2_01_sub_export_10x20.npy",
    "xrf-maps-aps/axo_std.npz",
    "xrf-maps-aps/2xfm_0010.npz",
    "xrf-maps-aps/2xfm_0011_fly.h5",
    "sem-geologist-bcf/P45_8bit_compressed_80keV_range.bcf",
    "sem-geologist-bcf/P45_12bit_packed_8bit.bcf",
    "sem-geologist-bcf/P45_the_default_job.bcf",
    "sem-geologist-bcf/P45_job_hyperspy.bcf",
)


def chain_table(folder: Path) -> None:
    print("| scan | shape | counts a pixel | axis | lines mapped | clusters | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in SCANS:
        started = time.perf_counter()
        workspace = bring_in(DATA / name, folder / f"{Path(name).stem}.zarr")
        maps = analyse(workspace)
        cube, seconds = read_cube(workspace), time.perf_counter() - started
        elements = read_maps(workspace, "elements")
        counts = float(maps.mean_spectrum.sum())
        lines = " ".join(map(str, elements.line.values))
        shape = " x ".join(map(str, cube.counts.shape))
        print(
            f"| {Path(name).name} | {shape} | {counts:.0f} | {cube.counts.attrs['calibration']} | {lines} "
            f"| {maps.sizes['cluster']} | {seconds:.0f} |",
            flush=True,
        )


def agreement_table(clusters: int) -> None:
    from sklearn.metrics import adjusted_rand_score

    names = [name for name in SCANS if name.endswith(".bcf")]
    found = {}
    for name in names:
        maps = segment(open_scan(DATA / name), Segmentation(clusters=clusters, proposals=0))
        found[Path(name).stem] = (float(maps.mean_spectrum.sum()), maps.labels.values)
    print(f"\nAdjusted Rand index between scans, {clusters} clusters")
    print("| scan (counts a pixel) | scan (counts a pixel) | agreement |")
    print("| --- | --- | --- |")
    for first, second in itertools.combinations(found, 2):
        (counts_1, labels_1), (counts_2, labels_2) = found[first], found[second]
        both = (labels_1 >= 0) & (labels_2 >= 0)
        index = adjusted_rand_score(np.asarray(labels_1)[both], np.asarray(labels_2)[both])
        print(f"| {first} ({counts_1:.0f}) | {second} ({counts_2:.0f}) | {index:.3f} |", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        chain_table(Path(scratch))
    for number in (4, 6):
        agreement_table(number)
