"""A run folder: configuration, versions, metrics.jsonl, checkpoints. The same command, given again, goes on.

run/config.json       what was asked; another configuration is refused
run/versions.json     programs and device, one entry for each start
run/metrics.jsonl     one record a line, in the order of steps
run/checkpoints/      the newest two
"""

import json
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

from jaxtyping import PRNGKeyArray, PyTree

from velatura.base.aside import remove, replace_text
from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.train.ahead import Ahead
from velatura.train.checkpoint import load_checkpoint, save_checkpoint
from velatura.train.loop import State, fit

PACKAGES = ("velatura", "jax", "jaxlib", "equinox", "optax", "numpy")
SAVE_EVERY = 500  # steps
LOG_EVERY = 50  # steps between two records of `trained`


@dataclass(frozen=True)
class Run:
    """An opened run folder."""

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    def log(self, step: int, **values: float) -> None:
        """Append one record to metrics.jsonl: the step, and numbers by name."""
        record = {"step": step, **{name: float(value) for name, value in values.items()}}
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, float]]:
        """Return all records; a last line that a killed run left unfinished is left out."""
        path = self.folder / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]


def open_run(folder: Path, config: Mapping[str, Any]) -> Run:
    """Open a run folder, new or begun with the same configuration (plain JSON values).

    Raises InputError where it was begun with another one, naming the first value that differs.
    """
    folder = Path(folder)
    path, asked = folder / "config.json", json.loads(json.dumps(dict(config)))
    if path.exists():
        found = _read(path)
        for name in dict.fromkeys([*asked, *found]):
            if asked.get(name) != found.get(name):
                raise InputError(
                    f"{folder} holds a run with {name} = {found.get(name)!r}; asked for {asked.get(name)!r}. "
                    "Ask for the same to go on, or choose another folder"
                )
    else:
        replace_text(path, json.dumps(asked, indent=1) + "\n")
    starts = folder / "versions.json"
    before = _read(starts) if starts.exists() else []
    replace_text(starts, json.dumps([*before, _versions()], indent=1) + "\n")
    return Run(folder)


def train(
    run: Run,
    loss: Callable[..., Any],
    draw: Callable[[int], Any],
    *,
    state: State,
    optimiser: Any,
    key: PRNGKeyArray,
    steps: int,
    save_every: int = SAVE_EVERY,
    told: Callable[[int], float] | None = None,
) -> Iterator[State]:
    """Yield the state after each step up to `steps`, going on from the run's newest checkpoint, else from `state`.

    state: of `loop.start`; loss, draw, optimiser, key and told: as `loop.fit` takes them. A checkpoint is written every
    `save_every` steps and after the last, when the caller is done with that step: what it logged until then stays,
    later records are dropped and come again. A finished run yields nothing: `newest` returns its state.
    """
    for unfinished in run.checkpoints.glob(".step-*.part"):  # of a run that was killed while it wrote
        remove(unfinished)
    state = newest(run, state)
    kept = [record for record in run.records() if record["step"] <= state.step]
    replace_text(run.folder / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in kept))
    if state.step >= steps:
        return
    for now in fit(state, loss, draw, optimiser=optimiser, key=key, told=told):
        yield now
        if now.step % save_every == 0 or now.step == steps:
            save_checkpoint(run.checkpoints, now)
        if now.step == steps:
            return


def trained(
    run: Run,
    loss: Callable[..., Any],
    draw: Callable[[int], Any],
    *,
    state: State,
    optimiser: Any,
    key: PRNGKeyArray,
    steps: int,
    progress: Progress = silent,
) -> PyTree:
    """Train to the end and return the model, with a record of the mean loss every 50 steps; options as in `train`.

    Batches are drawn ahead of their step. A finished run returns its model at once.
    """
    batches, losses, clock = Ahead(draw), [], monotonic()
    try:
        for now in train(run, loss, batches, state=state, optimiser=optimiser, key=key, steps=steps):
            losses.append(float(now.loss))
            progress("training", now.step, steps)
            if now.step % LOG_EVERY == 0:
                run.log(now.step, loss=sum(losses) / len(losses), seconds=monotonic() - clock)
                losses = []
    finally:
        batches.close()
    return newest(run, state).model


def newest(run: Run, like: State) -> State:
    """Return the run's newest saved state, or `like` where nothing is saved yet."""
    return load_checkpoint(run.checkpoints, like)


def _versions() -> dict[str, str]:
    import jax

    packages = {name: version(name) for name in PACKAGES}
    device = jax.devices()[0]
    machine = {"system": platform.platform(), "device": f"{device.platform} {device.device_kind}"}
    return {"python": platform.python_version(), **packages, **machine}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}. Remove the run's folder or choose another") from error
