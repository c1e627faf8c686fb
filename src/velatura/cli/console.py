"""What the command line shows: a progress bar with rate and time left, findings, one clear message for an error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import xarray as xr
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.text import Text

from velatura.base.progress import Progress as Listener

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


class RateColumn(ProgressColumn):
    """Units a second of the running stage."""

    def render(self, task: RichTask) -> Text:
        """Return the rate as text, empty until it is known."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g}/s", style="dim")


@contextmanager
def progress_bar() -> Iterator[Listener]:
    """Yield a listener that draws one bar a stage on the error stream; nothing is drawn when it is not a terminal."""
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(32),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal) as bars:
        stages: dict[str, object] = {}

        def listen(stage: str, done: int, total: int, /) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total)
            bars.update(stages[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield listen


def say(text: str) -> None:
    """Print one line of a finding or result."""
    OUT.print(text, markup=False)


def complain(text: str) -> None:
    """Print one message on the error stream."""
    ERR.print(f"velatura: {text}", markup=False)


def say_segments(maps: xr.Dataset) -> None:
    """Print one line a cluster and one a composite proposal."""
    for name, share, elements, contrast in zip(
        maps.cluster.values, maps.share.values, maps.elements.values, maps.contrast.values, strict=True
    ):
        say(f"{name:<5}{share:6.1%}  {elements}   ({contrast})")
    if "proposal" not in maps.dims:
        return
    for name, members, signature, hidden in zip(
        maps.proposal.values, maps.members.values, maps.signature.values, maps.hidden.values, strict=True
    ):
        say(f"{name:<5}{members:<16}{signature}{'   may lie beneath the surface' if hidden else ''}")


def say_pigments(maps: xr.Dataset) -> None:
    """Print one line for each class of pigments that is found, then what is unknown, and what a reader should know."""
    answered = max(int(maps.answered.values.sum()), 1)
    for number, name in enumerate(maps.pigments.values):
        visible, hidden = maps.pixels.values[:, number] / answered
        flag = "   outside the period" if maps.outside_period.values[number] else ""
        say(f"visible {visible:6.1%}   hidden {hidden:6.1%}   {name}{flag}")
    say(f"unknown {maps.unexplained.values.sum() / answered:6.1%}   fits nothing in the library")
    for note in json.loads(maps.attrs["notes"]):
        say(f"note: {note}")
    say(f"cannot be seen, may be anywhere: {maps.attrs['invisible']}")


def say_colours(maps: xr.Dataset) -> None:
    """Print how far colours are to be trusted, what a reader should know, and what they are: a hypothesis."""
    trust = maps.trust.values[np.isfinite(maps.rgb.values[..., 0])]
    say(f"recoloured {trust.size:,} pixels, mean trust {trust.mean() if trust.size else 0:.2f} of 1")
    if "hidden_trust" in maps:
        hidden = maps.hidden_trust.values[np.isfinite(maps.hidden_rgb.values[..., 0])]
        say(f"beneath    {hidden.size:,} pixels, mean trust {hidden.mean() if hidden.size else 0:.2f} of 1")
    for note in json.loads(maps.attrs["notes"]):
        say(f"note: {note}")
    say(maps.attrs["stamp"])
