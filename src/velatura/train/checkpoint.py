"""Checkpoints: all that a run needs to go on, one file each, written whole or not at all."""

from pathlib import Path

from velatura.base.aside import remove
from velatura.train.arrays import read_arrays, read_header, write_arrays
from velatura.train.loop import State

KEPT = 2  # newest checkpoints that stay


def save_checkpoint(folder: Path, state: State, *, kept: int = KEPT) -> Path:
    """Write the state as FOLDER/step-000001200.safetensors and remove all but the newest `kept`; return the path."""
    path = Path(folder) / f"step-{state.step:09d}.safetensors"
    write_arrays(path, _stored(state), header={"step": state.step})
    for old in checkpoints(folder)[:-kept]:
        remove(old)
    return path


def load_checkpoint(folder: Path, like: State) -> State:
    """Return the newest state, or `like` itself where there is none; every bit is as it was saved.

    Raises FileFormatError where the newest does not fit `like` or is damaged: remove it, and the one before is taken.
    """
    if not (found := checkpoints(folder)):
        return like
    stored = read_arrays(found[-1], _stored(like))
    return State(stored["model"], stored["optimiser"], read_header(found[-1])["step"], stored["loss"])


def checkpoints(folder: Path) -> list[Path]:
    """Return the files, oldest first."""
    return sorted(Path(folder).glob("step-*.safetensors"))


def _stored(state: State) -> dict:
    return {"model": state.model, "optimiser": state.opt_state, "loss": state.loss}
