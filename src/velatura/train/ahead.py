"""Batches made ahead of their step, so that the processor draws while the accelerator learns."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Ahead:
    """Wraps `draw(step)` for loops that ask for one step after the other; the batches stay the same."""

    def __init__(self, draw: Callable[[int], Any], *, steps: int = 2) -> None:
        """Draw up to `steps` batches beforehand, in one thread."""
        self._draw, self._steps = draw, steps
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._waiting: dict[int, Future] = {}

    def __call__(self, step: int) -> Any:
        """Return the batch of a step and begin those that follow."""
        for number in range(step, step + self._steps + 1):
            if number not in self._waiting:
                self._waiting[number] = self._pool.submit(self._draw, number)
        for number in [other for other in self._waiting if other < step]:
            self._waiting.pop(number).cancel()
        return self._waiting.pop(step).result()

    def close(self) -> None:
        """Stop the thread; what it is doing is finished, what waits is given up."""
        self._pool.shutdown(cancel_futures=True)
