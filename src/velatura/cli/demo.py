"""`velatura demo`."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from velatura.cli.console import progress_bar, say, say_colours, say_pigments, say_segments
from velatura.cli.options import Seed


def demo(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("velatura-demo"),
    counts: Annotated[float, Parameter(name="--counts")] = 5000,
    hidden: Annotated[bool, Parameter(name="--hidden", negative="--no-hidden")] = True,
    seed: Seed = 1,
) -> None:
    """Simulate a small painting with a hidden figure, analyse it, score it against the truth, write the report.

    Parameters
    ----------
    output
        Folder for the panel and its report.
    counts
        Mean counts a pixel; 5000 is a patient scan, 500 a hasty one.
    hidden
        Paint a figure underneath, or leave it out to see that none is announced.
    """
    started = time.perf_counter()
    from velatura.chain.demo import demonstrate

    with progress_bar() as progress:
        done = demonstrate(output, counts=counts, hidden=hidden, seed=seed, progress=progress)
    say_segments(done.maps)
    if done.pigments is not None:
        say_pigments(done.pigments)
    if done.colours is not None:
        say_colours(done.colours)
    for name, found in done.scores["hidden"].items():
        say(
            f"hidden {name}: best of the first ten maps has correlation {found['correlation']:.2f}, "
            f"area under curve {found['area_under_curve']:.2f}"
        )
    for words in done.colour_scores:
        say(words)
    say(f"maps announced as hidden: {done.scores['announced']}")
    say(f"report: {done.report.page}")
    say(f"{time.perf_counter() - started:.0f} s (the first run also compiles; the next is quicker)")
