"""A bank of random spectra with their truth, drawn batch by batch: training data, and test sets that can be redrawn."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from velatura.base.errors import InputError
from velatura.physics.instrument import Instrument, random_instrument
from velatura.physics.stack import Packed
from velatura.scene.sampler import Sampled, Sampling, sample_elements, sample_stacks

BATCH = 512  # spectra that share one instrument


@dataclass(frozen=True)
class Bank:
    """What is drawn; the same bank gives the same spectra, whatever part of it is asked for."""

    spectra: int
    seed: int = 0
    instrument: Instrument | None = None
    """One for all; None: another one, drawn at random, for each batch of 512."""
    counts: tuple[float, float] = (1e3, 1e5)
    """Mean counts of a spectrum, log-uniform."""
    stacks: Sampling = field(default_factory=Sampling)
    channels: int = 1024
    """Of random instruments."""
    cells: int = 3
    """Slices of a layer for secondary fluorescence."""

    def __post_init__(self) -> None:
        if self.spectra < 1:
            raise InputError(f"a bank needs at least one spectrum; asked for {self.spectra}")
        if not 0 < self.counts[0] <= self.counts[1]:
            raise InputError(f"counts must be positive and rise, like 1e3 to 1e5; found {self.counts}")

    def batches(self) -> int:
        """Number of batches."""
        return -(-self.spectra // BATCH)


class Batch(NamedTuple):
    """Spectra of one instrument."""

    counts: np.ndarray
    """uint32 [spectrum, channel], Poisson."""
    dose: np.ndarray
    """Expected sum of each spectrum, float32 [spectrum]."""
    truth: Sampled
    instrument: Instrument


def instrument_of(bank: Bank, number: int) -> Instrument:
    """Return the instrument of one batch."""
    rng = np.random.default_rng((bank.seed, number, 0))
    return bank.instrument or random_instrument(rng=rng, channels=bank.channels)


def draw_batch(bank: Bank, number: int) -> Batch:
    """Return one batch of a bank; the last one may be shorter. Independent of all other batches."""
    import jax

    from velatura.physics.counting import poisson
    from velatura.physics.simulate import expected_counts

    size = min(BATCH, bank.spectra - number * BATCH)
    instrument, rng = instrument_of(bank, number), np.random.default_rng((bank.seed, number, 1))
    scanner = _scanner(instrument, sample_elements(bank.stacks))
    truth = sample_stacks(BATCH, scanner.elements, options=bank.stacks, rng=rng)
    truth = Sampled(Packed(*(part[:size] for part in truth.packed)), *(part[:size] for part in truth[1:]))
    low, high = np.log(bank.counts)
    dose = np.exp(rng.uniform(low, high, BATCH)).astype(np.float32)[:size]
    expected = expected_counts(truth.packed, scanner, cells=bank.cells)
    expected *= (dose / expected.sum(axis=1))[:, None]
    counts = poisson(expected, key=jax.random.key(int(rng.integers(2**32))))
    return Batch(np.asarray(counts, np.uint32), dose, truth, instrument)


@lru_cache(maxsize=2)
def _scanner(instrument: Instrument, elements: tuple[str, ...]):
    from velatura.physics.simulate import prepare

    return prepare(instrument, elements)
