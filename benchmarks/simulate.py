"""Full spectra a second: lines, secondary fluorescence, scatter, response, pile-up, counts; and the drawing of a bank.

    uv run python benchmarks/simulate.py            # a minute

Random stacks of the training set (five layers and the air over them, every element of the tables), on all cores.
"""

import time
from dataclasses import replace

import jax
import numpy as np

from velatura.physics.counting import poisson
from velatura.physics.instrument import Instrument
from velatura.physics.simulate import expected_counts, prepare
from velatura.scene.bank import Bank, draw_batch
from velatura.scene.sampler import Sampling, sample_elements, sample_stacks

MARK, AIM = 500, 1500  # spectra a second with secondary fluorescence on two cores
STACKS = 2048


def best_of(runs: int, work) -> float:
    """Shortest wall time [s] of some runs, after one that compiles."""
    work()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def rates(channels: int, elements: tuple[str, ...]) -> None:
    """Print the rates at a number of channels."""
    head = replace(Instrument(), channels=channels, gain=41 / channels)
    head = replace(head, detector=replace(head.detector, pile_up=0.01))
    seconds = best_of(3, lambda: prepare(head, elements))
    scanner = prepare(head, elements)
    size = f"{len(scanner.elements)} elements, {len(scanner.bench.excitation.line_energy)} lines"
    print(f"{channels} channels, {size}; a scanner is prepared in {seconds:.2f} s")
    stacks = sample_stacks(STACKS, scanner.elements, options=Sampling(), rng=np.random.default_rng(1)).packed
    for cells in (1, 2, 3, 6):
        rate = STACKS / best_of(3, lambda cells=cells: expected_counts(stacks, scanner, cells=cells))
        print(f"  {cells} cells: {rate:6.0f} spectra/s, {rate / MARK:.1f} x the mark, {rate / AIM:.2f} x the aim")
    expected = expected_counts(stacks, scanner)
    expected *= 1e4 / expected.sum(axis=1, keepdims=True)
    draw = jax.jit(lambda e: poisson(e, key=jax.random.key(0)))
    print(f"  counts alone: {STACKS / best_of(3, lambda: draw(expected).block_until_ready()):.0f} spectra/s")


def main() -> None:
    """Print one line for each number of channels and cells, and the speed of drawing a bank."""
    for channels in (1024, 4096):
        rates(channels, sample_elements(Sampling()))
    for name, bank in (("one scanner", Bank(2048, instrument=Instrument())), ("random scanners", Bank(2048))):
        seconds = best_of(2, lambda bank=bank: [draw_batch(bank, k) for k in range(bank.batches())])
        print(f"a bank of {name}, truth and counts: {bank.spectra / seconds:.0f} spectra/s")


if __name__ == "__main__":
    main()
