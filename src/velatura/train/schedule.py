"""How learning rates change over a training."""

import optax


def rise_and_fall(rate: float, steps: int, *, rise: int) -> optax.Schedule:
    """Return a schedule from 0 to `rate` in a tenth of the steps, at most `rise`, and to a hundredth by half a cosine.

    A training of a single step starts at `rate`. The cosine: Loshchilov and Hutter, ICLR 2017 (arXiv 1608.03983).
    """
    return optax.warmup_cosine_decay_schedule(0.0, rate, min(rise, steps // 10 + 1, steps - 1), steps, rate / 100)
