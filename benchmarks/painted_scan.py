"""A painted scan with its truth: 300 x 400 pixels of 1024 channels, from the scene file to the counts.

    uv run python benchmarks/painted_scan.py        # a minute or two

The portrait of examples/scenes, enlarged: eight layers, thickness varying in all but the support.
"""

import resource
import time
import tomllib
from pathlib import Path

import numpy as np

from velatura.base.blocks import bands
from velatura.scene.layerings import fine_layerings
from velatura.scene.scan import scan_painting
from velatura.scene.scene_file import scene_from

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "scenes"
MARK = 120.0  # s


def main() -> None:
    """Print the seconds of each step and the memory."""
    started = last = time.perf_counter()

    def step(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"{name:<40}{now - last:7.1f} s", flush=True)
        last = now

    content = tomllib.loads((EXAMPLES / "portrait.toml").read_text(encoding="utf-8"))
    scene = scene_from(content | {"width": 300, "height": 400}, folder=EXAMPLES, where="portrait.toml")
    parts = fine_layerings(scene.painting)
    step("scene file")
    options = {"counts": scene.counts, "beam": scene.beam, "rng": np.random.default_rng(scene.seed)}
    scan = scan_painting(scene.painting, scene.instrument, **options)
    step(f"{sum(part.size for part in parts)} spectra of {len(parts)} layerings, truth")
    total = sum(float(band.sum(dtype=np.float64)) for _, band in bands(scan.cube.counts.data))
    step("drawing the counts")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    whole = time.perf_counter() - started
    print(f"{total / scene.painting.shape[0] / scene.painting.shape[1]:.1f} counts a pixel, asked {scene.counts}")
    print(f"{whole:.0f} s in all (mark {MARK:.0f} s), {peak:.2f} GiB at most")


if __name__ == "__main__":
    main()
