"""What a user may say about a scanner file that the file does not say itself."""

from dataclasses import dataclass

from velatura.base.errors import InputError


@dataclass(frozen=True)
class ReadOptions:
    """How to read a scan. The defaults read every well-formed file."""

    detector: str | None = None
    """Name or index of one detector; None sums them all."""
    dataset: str | None = None
    """Path or name of the array inside an HDF5 or .npz file; None finds it."""
    axes: str | None = None
    """Order of a nameless array's axes in letters y, x, e (energy), d (detector), e.g. "eyx"; None works it out."""
    width: int | None = None
    """Pixels a row, for formats that are lists of spectra; None finds it."""
    scale: float = 1.0
    """Factor that turns stored values into whole counts."""
    serpentine: bool = False
    """Every second row was scanned backwards and is to be turned round."""
    allow_truncated: bool = False
    """Read the rows that are wholly there of a file that breaks off; the others are marked as not valid."""


DEFAULTS = ReadOptions()


def refuse(options: ReadOptions, *names: str, what: str) -> None:
    """Raise InputError where one of these options is given, because it has no meaning for `what`."""
    for name in names:
        if getattr(options, name) != getattr(DEFAULTS, name):
            raise InputError(f"--{name.replace('_', '-')} has no meaning for {what}. Leave it out")
