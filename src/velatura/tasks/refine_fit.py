"""Levenberg-Marquardt on the Poisson deviance of many spectra at once, each with its own stack of materials.

Minimised is D + |prior|^2 with D = 2 sum w (m - n + n log(n / m)) over windows of n counts, m expected (Cash, ApJ 228
(1979) 939; Baker and Cousins, Nucl. Instrum. Methods 221 (1984) 437). Steps use the expected curvature, Fisher's
scoring: J^T (w / m) J and the prior's; for a step, its diagonal also has the gradient of what the spectrum wants less
of, which is the second derivative of counts that grow with a mass whose logarithm is the parameter. The inverse of the
former at the minimum is the covariance of the answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import kl_div

from velatura.base.progress import Progress, silent
from velatura.tasks.refine_light import NUISANCES, Light, State, states
from velatura.tasks.refine_stack import Components

LONGEST = 1.0  # step of a logarithm
ENOUGH = 0.01  # decrease of the objective that ends a fit
DAMPING = (1e-2, 0.2, 10.0)  # first; factors after a good and a bad step
WEAKEST, STRONGEST = 1e-6, 1e6  # damping
AFTER_FAILURE = 0.02  # damping after a bad step, at least: below it a step hardly becomes shorter


class Task(NamedTuple):
    """One spectrum and what may explain it."""

    counts: np.ndarray
    """float64 [window]"""
    weight: np.ndarray
    """Of each window, 1 for counting statistics alone, float64 [window]."""
    components: Components
    spread: np.ndarray
    """Of the nuisances' prior around 0, or around the start for the dose, float64 [6]."""


class Fit(NamedTuple):
    """Where one fit ended."""

    logs: np.ndarray
    """Of the masses [g/cm2], float64 [component]."""
    nuisances: np.ndarray
    """float64 [6], see refine_light.NUISANCES."""
    covariance: np.ndarray
    """Of both, float64 [parameter, parameter]."""
    state: State
    deviance: float
    strain: float
    """Squared distance from the prior."""
    settled: bool
    """Whether the last step changed next to nothing."""

    def objective(self) -> float:
        """What was minimised."""
        return self.deviance + self.strain


def solve(tasks: Sequence[Task], light: Light, *, cells: int, rounds: int, progress: Progress = silent) -> list[Fit]:
    """Fit all tasks; each one's steps are its own, the spectra of all are computed together."""
    if not tasks:
        return []
    walks = [_Walk(task) for task in tasks]
    for walk, bare in zip(walks, _bare(walks, light, cells), strict=True):
        walk.begin(bare)
    for walk, state in zip(walks, _look(walks, light, cells), strict=True):
        walk.accept(state)
    for _ in range(rounds):
        moving = [walk for walk in walks if not walk.done]
        progress("refine", len(walks) - len(moving), len(walks))
        if not moving:
            break
        for walk in moving:
            walk.step()
        for walk, state in zip(moving, _look(moving, light, cells), strict=True):
            walk.judge(state)
    progress("refine", len(walks), len(walks))
    return [walk.result() for walk in walks]


def deviance(counts: np.ndarray, expected: np.ndarray, weight: np.ndarray) -> float:
    """Twice the logarithm of the likelihood lost against the counts themselves, weighted by window."""
    return float(2 * weight @ kl_div(counts, expected))


def curvature(state: State, weight: np.ndarray, strain: np.ndarray) -> np.ndarray:
    """Expected second derivative of half the objective; strain: derivatives of the prior [statement, parameter]."""
    return (state.slopes * (weight / state.counts)) @ state.slopes.T + strain.T @ strain


def _look(walks: Sequence["_Walk"], light: Light, cells: int) -> list[State]:
    parts = [walk.task.components for walk in walks]
    logs = [walk.tried[: -len(NUISANCES)] for walk in walks]
    return states(
        [part.held(row) for part, row in zip(parts, logs, strict=True)],
        [part.directions(row) for part, row in zip(parts, logs, strict=True)],
        [walk.tried[-len(NUISANCES) :] for walk in walks],
        light=light, cells=cells,
    )  # fmt: skip


def _bare(walks: Sequence["_Walk"], light: Light, cells: int) -> list[float]:
    """Counts of the stacks where the fits start, for a dose of 1."""
    held = [walk.task.components.held(walk.task.components.start) for walk in walks]
    still = [row[None][:0] for row in held]
    return [
        state.bare for state in states(held, still, [np.zeros(len(NUISANCES))] * len(held), light=light, cells=cells)
    ]


class _Walk:
    """The path of one fit."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.place = np.concatenate([task.components.start, np.zeros(len(NUISANCES))])
        self.tried, self.damping, self.done = self.place, DAMPING[0], False
        self.dose = 0.0

    def begin(self, bare: float) -> None:
        """Set the dose by the counts of the stack where the fit starts."""
        self.dose = float(np.log(max(self.task.counts.sum(), 1.0) / bare))
        self.place[-len(NUISANCES)] = self.dose

    def prior(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances and their derivatives by all parameters."""
        split = len(place) - len(NUISANCES)
        values, slopes = self.task.components.strain(place[:split])
        away = place[split:].copy()
        away[0] -= self.dose
        rows = np.zeros((len(NUISANCES), len(place)))
        rows[:, split:] = np.diag(1 / self.task.spread)
        slopes = np.concatenate([np.pad(slopes, ((0, 0), (0, len(NUISANCES)))), rows])
        return np.concatenate([values, away / self.task.spread]), slopes

    def accept(self, state: State) -> None:
        """Take a place, with gradient and curvature there."""
        self.state = state
        values, slopes = self.prior(self.place)
        task = self.task
        self.deviance, self.strain = deviance(task.counts, state.counts, task.weight), float(values @ values)
        light = state.slopes @ (task.weight * (1 - task.counts / state.counts))
        self.gradient = light + slopes.T @ values
        self.curvature = curvature(state, task.weight, slopes)
        self.bend = np.maximum(light, 0.0)
        self.bend[-len(NUISANCES) :] = 0.0

    def step(self) -> None:
        """Choose the next place."""
        damped = self.curvature + np.diag(self.damping * np.diag(self.curvature) + self.bend)
        move = -np.linalg.solve(damped, self.gradient)
        move *= min(1.0, LONGEST / max(np.abs(move).max(), 1e-12))
        self.expected = -float(2 * move @ self.gradient + move @ damped @ move)
        self.tried = self.place + move

    def judge(self, state: State) -> None:
        """Take the step or try a shorter one."""
        values, _ = self.prior(self.tried)
        found = deviance(self.task.counts, state.counts, self.task.weight) + float(values @ values)
        gained = self.deviance + self.strain - found
        if gained > 0:
            self.place = self.tried
            self.accept(state)
            self.damping = max(self.damping * DAMPING[1], WEAKEST)
            self.done = gained < ENOUGH and self.expected < ENOUGH
        else:
            self.done = self.expected < ENOUGH
            self.damping = max(self.damping * DAMPING[2], AFTER_FAILURE)
        self.done |= self.damping > STRONGEST

    def result(self) -> Fit:
        """Where it ended."""
        split = len(self.place) - len(NUISANCES)
        scale = 1 / np.sqrt(np.diag(self.curvature))
        covariance = np.linalg.inv(self.curvature * scale * scale[:, None]) * scale * scale[:, None]
        ends = self.place[:split], self.place[split:]
        return Fit(*ends, covariance, self.state, self.deviance, self.strain, bool(self.done))
