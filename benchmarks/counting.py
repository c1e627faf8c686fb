"""Poisson counts of simulated spectra beside the draws of JAX and NumPy, and the other steps from physics to counts.

    python benchmarks/counting.py [spectra]          512 spectra of 1024 and of 4096 channels, about a minute on 2 cores

Bars: 40,000 spectra of 1024 channels a second on 2 cores, at least 10 times `jax.random.poisson`. Expected counts as in
scans: a few bright channels, most below one. Each figure is the best of several rounds in which all take turns.
"""

import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from velatura.physics.counting import jitter, pile_up, poisson
from velatura.physics.detector import Detector, box_response, line_response

ROUNDS = 7


def best(work: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Shortest time of each piece of work [s], after one run to compile."""
    times = {name: [] for name in work}
    for _ in range(rounds + 1):
        for name, run in work.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            times[name].append(time.perf_counter() - start)
    return {name: min(taken[1:]) for name, taken in times.items()}


def counting(spectra: int, channels: int) -> None:
    """Print spectra a second of each step."""
    rng, key = np.random.default_rng(1), jax.random.key(1)
    expected = rng.gamma(0.3, 20.0, (spectra, channels)).astype(np.float32)
    given, drift = jnp.asarray(expected), jnp.asarray(rng.normal(0, 0.003, spectra), jnp.float32)
    theirs = jax.jit(lambda mean, key: jax.random.poisson(key, mean))
    drifted = jax.jit(jax.vmap(lambda one, by: jitter(one, 1 + by, 100 * by, blur=100 * jnp.abs(by))))
    piled = jax.jit(jax.vmap(lambda one: pile_up(one, 0.02, zero_channel=12.0)))
    seconds = best(
        {
            "poisson": lambda: poisson(given, key=key),
            "poisson uint16": lambda: poisson(given, key=key, dtype=jnp.uint16),
            "numpy": lambda: rng.poisson(expected),
            "jax.random.poisson": lambda: theirs(given, key),
            "pile_up": lambda: piled(given),
            "jitter": lambda: drifted(given, drift),
        }
    )
    for name, taken in seconds.items():
        ratio = (
            f"   poisson is {taken / seconds['poisson']:.1f} x as fast" if name[0] in "nj" and name != "jitter" else ""
        )
        print(f"{channels} channels: {name:20} {spectra / taken:9.0f} spectra/s{ratio}")


def responses(channels: int) -> None:
    """Print the time of building response rows."""
    axis, detector = np.arange(channels) * 40.0 / channels, Detector()
    energy = np.sort(np.random.default_rng(2).uniform(0.9, 39.0, 600))
    low = np.arange(2, 80) * 0.5
    seconds = best(
        {
            "600 lines": lambda: line_response(energy, axis, detector=detector),
            "78 continuum bins": lambda: box_response(low, low + 0.5, axis, detector=detector),
        }
    )
    print(", ".join(f"{name} {taken * 1e3:.0f} ms" for name, taken in seconds.items()), f"on {channels} channels")


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    for size in (1024, 4096):
        responses(size)
        counting(number * 1024 // size, size)
