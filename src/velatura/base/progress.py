"""How long work tells its caller where it stands: one function of (stage, done, total)."""

from typing import Protocol


class Progress(Protocol):
    """Called now and then with the stage's name, the units done and the units in all.

    It may raise (for example KeyboardInterrupt) to cancel the work; nothing half written is left behind.
    """

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Take note of progress."""


def silent(stage: str, done: int, total: int, /) -> None:
    """Tell nobody: the default of every long function."""
