"""Time of each measure of likeness for a batch with its gradient, and of values against scikit-image.

    uv run python benchmarks/recolouring/likeness.py        # one minute

Mark on two cores: MS-SSIM of 16 pictures of 128 x 128, forwards and backwards, within 60 ms. Wall time is the best of
several passes; "idle" is CPU time over two cores, what a machine with nothing else to do would need.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from velatura.imaging.likeness import ciede2000, ms_ssim, pyramid_difference, redmean, ssim, uiqi

BATCH, SIDE, CORES, MARK = 16, 128, 2, 60.0
SETTINGS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1, "channel_axis": -1}


def fastest(work, passes: int = 10) -> tuple[float, float]:
    """Milliseconds by the wall, and by CPU time shared by two cores; the first pass only compiles."""
    work()
    walls, cpus = [], []
    for _ in range(passes):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return 1e3 * min(walls), 1e3 * min(cpus) / CORES


def main() -> None:
    """Print one line for each measure, then the ratios to scikit-image."""
    one, other = np.random.default_rng(0).uniform(size=(2, BATCH, SIDE, SIDE, 3)).astype(np.float32)
    on_device = jnp.asarray(one), jnp.asarray(other)
    for measure in (redmean, ciede2000, ssim, ms_ssim, uiqi, pyramid_difference):
        mean = jax.vmap(lambda a, b, measure=measure: jnp.mean(measure(a, b)))
        slope = jax.jit(jax.grad(lambda a, b, mean=mean: jnp.mean(mean(a, b))))
        wall, idle = fastest(lambda slope=slope: jax.block_until_ready(slope(*on_device)))
        mark = f"  (mark {MARK:.0f} ms)" if measure is ms_ssim else ""
        print(f"{measure.__name__:>20}: {wall:7.1f} ms with gradient, {idle:6.1f} ms idle{mark}")
    for name, measure, reference in (
        ("SSIM", ssim, lambda a, b: structural_similarity(a, b, **SETTINGS)),
        ("CIEDE2000", ciede2000, lambda a, b: deltaE_ciede2000(rgb2lab(a), rgb2lab(b))),
    ):
        compiled = jax.jit(jax.vmap(measure))
        ours, _ = fastest(lambda compiled=compiled: jax.block_until_ready(compiled(*on_device)))
        theirs, _ = fastest(lambda ref=reference: [ref(a, b) for a, b in zip(one, other, strict=True)], passes=2)
        print(f"{name:>20}: {theirs / ours:5.1f} times as fast as scikit-image (values alone, {ours:.1f} ms)")


if __name__ == "__main__":
    main()
