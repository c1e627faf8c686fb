"""Spectra a second of each network design, for predictions and for one step of training.

    uv run python benchmarks/spectrum_net.py        # two minutes

Marks on two cores: 3,000 spectra a second for the shipped design (a megapixel in under six minutes), 20,000 for the
small one of previews. Spectra of 1024 channels, 46 classes; random weights. Wall time is the best of several passes;
"idle" is what the CPU time alone would give with two free cores, for machines that are shared.
"""

import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from velatura.nn.layers import count_parameters
from velatura.nn.spectrum_net import DESIGNS, Shapes, build

MARKS = dict.fromkeys(DESIGNS, 3_000) | {"fast": 20_000}
SPECTRA, BATCHES, CORES = 2048, (64, 128, 256, 512), 2


@eqx.filter_jit
def predict(net, counts, instrument):
    return jax.vmap(lambda c: net(c, instrument, key=None))(counts)


@eqx.filter_jit
def differentiate(net, counts, instrument):
    def loss(net):
        return sum(jnp.mean(part**2) for part in jax.vmap(lambda c: net(c, instrument, key=None))(counts))

    return eqx.filter_grad(loss)(net)


def rates(work, counts, batch: int, passes: int = 5) -> tuple[float, float]:
    """Spectra a second by wall clock and by CPU time on two cores."""
    jax.block_until_ready(work(counts[:batch]))
    walls, cpus = [], []
    for _ in range(passes):
        wall, cpu = time.perf_counter(), time.process_time()
        for first in range(0, len(counts), batch):
            jax.block_until_ready(work(counts[first : first + batch]))
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return len(counts) / min(walls), CORES * len(counts) / min(cpus)


def main() -> None:
    """Print one line for each design and batch."""
    shapes, rng = Shapes(), np.random.default_rng(0)
    counts = jnp.asarray(rng.poisson(rng.gamma(0.3, 30, (SPECTRA, shapes.channels))), jnp.float32)
    instrument = jnp.zeros(shapes.instrument)
    for design in DESIGNS:
        net = eqx.filter_jit(build)(design, shapes, key=jax.random.key(0))
        print(f"{design}: {count_parameters(net):,} parameters")
        best = 0.0
        for batch in BATCHES:
            wall, idle = rates(partial(predict, net, instrument=instrument), counts, batch)
            best = max(best, wall)
            print(f"  batches of {batch:3}: {wall:7,.0f} spectra/s, idle {idle:7,.0f}")
        print(f"  best {best:,.0f} spectra/s, {best / MARKS[design]:.1f} x the mark of {MARKS[design]:,}")
        wall, idle = rates(partial(differentiate, net, instrument=instrument), counts, 256, passes=2)
        print(f"  gradients, batches of 256: {wall:,.0f} spectra/s, idle {idle:,.0f}")


if __name__ == "__main__":
    main()
