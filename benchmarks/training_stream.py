"""How fast training data are made: evidence of sampled stacks, and spectra of the stream drawn from them.

    python benchmarks/training_stream.py

About a minute on two cores. Prints stacks and labels a second for the evidence (programs compiled beforehand), and
spectra a second of the stream with a new detector for each batch, against the network's aim of 3,000 a second.
"""

import time

import jax
import numpy as np

from velatura.physics.simulate import prepare
from velatura.scene.classes import xrf_classes
from velatura.scene.evidence_bank import labels_of
from velatura.scene.sampler import sample_elements, sample_stacks
from velatura.scene.sources import SourcePlan, source_group, split
from velatura.scene.training import draw

STACKS, BATCH, BATCHES = 512, 1024, 20


def main() -> None:
    """Measure both."""
    plan, classes = SourcePlan(groups=2, stacks=64), xrf_classes()
    group = source_group(plan, split(plan).training[0])
    scanner = prepare(group.instrument, sample_elements(plan.drawn))
    sampled = sample_stacks(STACKS, scanner.elements, options=plan.drawn, rng=np.random.default_rng(0))
    start = time.perf_counter()
    labels = labels_of(sampled, scanner, classes, options=plan.drawn)
    spent = time.perf_counter() - start
    number = int((labels.share > 0).sum())
    print(f"evidence: {STACKS / spent:.0f} stacks/s, {number / spent:.0f} labels/s")
    draw(group, classes, BATCH, key=jax.random.key(0))
    start = time.perf_counter()
    for step in range(BATCHES):
        draw(group, classes, BATCH, key=jax.random.key(step))
    rate = BATCH * BATCHES / (time.perf_counter() - start)
    print(f"stream: {rate:.0f} spectra/s, {rate / 3000:.1f} times the network's 3,000")


if __name__ == "__main__":
    main()
