"""More starts for fits that may have stopped in a side minimum: thick layers hide what a thinner one would explain."""

from collections.abc import Sequence

import numpy as np

from velatura.base.progress import Progress, silent
from velatura.tasks.refine_amounts import reduced_chi2
from velatura.tasks.refine_fit import Fit, Task, solve
from velatura.tasks.refine_light import Light
from velatura.tasks.refine_stack import PAINTS, Components

SUSPECT = 1.3  # reduced chi2 from which a fit begins again with thin paints
BEHIND = 9.0  # objective by which the other model must be ahead for a fit to begin again from its end
THIN = 0.1  # of the masses at the first start


def solve_again(
    tasks: Sequence[Task],
    partners: Sequence[int | None],
    light: Light,
    *,
    cells: int,
    rounds: int,
    progress: Progress = silent,
) -> list[Fit]:
    """Fit all tasks as `solve` does, those that look wrong from other starts as well; the best fit of each.

    partners: for each task the number of the other model of the same spectrum, if there is one. A fit begins again with
    a tenth of all paints where its reduced chi2 is above 1.3, and from the pigments of the other model's fit where that
    is ahead by 9.
    """
    fits = solve(tasks, light, cells=cells, rounds=rounds, progress=progress)
    owner, again = [], []
    for number, (task, fit) in enumerate(zip(tasks, fits, strict=True)):
        partner, starts = partners[number], []
        if reduced_chi2(fit, task) > SUSPECT:
            starts.append(_thinner(task.components))
        if partner is not None and fits[partner].objective() < fit.objective() - BEHIND:
            starts.append(_crossed(task.components, tasks[partner].components, fits[partner].logs))
        owner += [number] * len(starts)
        again += [task._replace(components=task.components._replace(start=start)) for start in starts]
    for number, fit in zip(owner, solve(again, light, cells=cells, rounds=rounds, progress=progress), strict=True):
        if fit.objective() < fits[number].objective():
            fits[number] = fit
    return fits


def _thinner(parts: Components) -> np.ndarray:
    return parts.start + np.log(THIN) * np.isin(parts.slot, PAINTS)


def _crossed(parts: Components, others: Components, logs: np.ndarray) -> np.ndarray:
    """A start with the pigments as another model has them; what it has in two paints comes together in one."""
    found: dict[tuple[str, int], float] = {}
    for key, place in _phases(others):
        found[key] = found.get(key, 0.0) + float(np.exp(logs[place]))
    start = parts.start.copy()
    for key, place in _phases(parts):
        if key in found:
            start[place] = np.log(found.pop(key))
    return start


def _phases(parts: Components) -> list[tuple[tuple[str, int], int]]:
    """((pigment, number of its phase), component) of all pigments of paints."""
    rows = []
    for number, (_, name) in enumerate(parts.pigments):
        rows += [((name, phase), int(place)) for phase, place in enumerate(np.flatnonzero(parts.owner == number))]
    return rows
