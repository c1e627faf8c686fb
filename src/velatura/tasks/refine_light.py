"""Expected counts of stacks in windows of a spectrum, and their derivatives by any change of the stack.

Derivatives go forward through the whole physics, a few directions at a time, so that one program serves stacks of any
number of materials. Windows are 0.7 of a line's width: nothing of a spectrum is lost in them, and few are empty.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from velatura.base.axis import channel_edges
from velatura.base.errors import InputError
from velatura.physics.counting import smooth_background
from velatura.physics.simulate import BACKGROUND_DECAY, Bench, Scanner, counted, emitted

CHANNELS = 1024  # to which finer spectra are summed
DIRECTIONS = 8  # derivatives in one call
ROWS = {"cpu": 4}  # stacks in one call: on a CPU they stay in its cache
MANY_ROWS = 256  # elsewhere
WINDOW = 0.7  # of the FWHM
LEAST = 1e-3  # counts expected in a window, at least: no weight becomes infinite
NUISANCES = ("dose", "scatter", "background", "offset", "gain", "width")


class Light(NamedTuple):
    """What every fit of one scanner shares."""

    bench: Bench
    """With at most CHANNELS channels."""
    factor: int
    """Channels of the scanner in one of the bench."""
    axis: np.ndarray
    """Of the bench [keV]."""
    edge: np.ndarray
    """First channel of each window, and the end of the last, int [window + 1]."""
    variance: np.ndarray
    """Of a line [channel2], float64 [channel]."""
    smooth: np.ndarray
    """Background of sum 1 [window]."""


@dataclass(frozen=True)
class State:
    """A stack's spectrum at one point of its fit."""

    counts: np.ndarray
    """Expected, float64 [window]."""
    slopes: np.ndarray
    """By the parameters of the stack and then by NUISANCES, float64 [parameter, window]."""
    bare: float
    """Counts of the stack for a dose of 1."""


def light_of(scanner: Scanner, *, window: tuple[float, float] = (1.0, np.inf)) -> Light:
    """Sum a scanner's channels to at most 1024 and cut them into windows; `window`: energies that are compared [keV].

    Nothing is compared above the tube's voltage. Raises InputError when no channel is left.
    """
    factor = -(-len(scanner.axis) // CHANNELS)
    response = np.asarray(scanner.bench.response)
    response = np.pad(response, ((0, 0), (0, -response.shape[1] % factor)))
    response = response.reshape(len(response), -1, factor).sum(axis=2)
    step = float(np.mean(np.diff(scanner.axis)))
    axis = scanner.axis[0] + step * ((factor - 1) / 2 + factor * np.arange(response.shape[1]))
    zero = jnp.asarray((float(scanner.bench.zero_channel) - (factor - 1) / 2) / factor, jnp.float32)
    bench = scanner.bench._replace(response=jnp.asarray(response, jnp.float32), zero_channel=zero)
    width = np.array([scanner.instrument.detector.fwhm(max(value, 0.1)) for value in axis])
    low, high = window[0], min(window[1], scanner.instrument.tube.voltage)
    inside = np.flatnonzero((axis >= low) & (axis <= high))
    if len(inside) < 2:
        raise InputError(f"the spectrum has no channels from {low:g} to {high:g} keV. Check its energy axis")
    borders = [channel_edges(axis)[inside[0]]]
    while borders[-1] < axis[inside[-1]]:
        borders.append(borders[-1] + WINDOW * float(scanner.instrument.detector.fwhm(max(borders[-1], 0.1))))
    edge = np.unique(np.searchsorted(axis, borders))
    smooth = np.asarray(smooth_background(jnp.asarray(axis, jnp.float32), decay=BACKGROUND_DECAY), np.float64)
    variance = (width / (factor * step)) ** 2 / (8 * np.log(2))
    return Light(bench, factor, axis, edge, variance, _summed(smooth, edge))


def windowed(counts: np.ndarray, light: Light) -> np.ndarray:
    """Sum spectra [..., channel] of the scanner to the windows, float64 [..., window]."""
    counts = np.asarray(counts, np.float64)
    counts = np.pad(counts, [(0, 0)] * (counts.ndim - 1) + [(0, -counts.shape[-1] % light.factor)])
    return _summed(counts.reshape(*counts.shape[:-1], -1, light.factor).sum(axis=-1), light.edge)


def states(
    held: list[np.ndarray], directions: list[np.ndarray], nuisances: list[np.ndarray], *, light: Light, cells: int
) -> list[State]:
    """Return the spectra of stacks and their derivatives.

    held: mass of each element [slot, element] (g/cm2); directions: changes of it [parameter, slot, element], as many as
    a stack has parameters; nuisances [6], see NUISANCES: logarithms of dose and of a factor on all scatter, share of
    counts in a smooth background, offset [keV], gain (relative) and relative width of the lines; all 0 but the dose for
    what the scanner says.
    """
    chunks = [(n, start) for n, rows in enumerate(directions) for start in range(0, len(rows) + 1, DIRECTIONS)]
    base, slopes = {}, {n: [] for n in range(len(held))}
    size = ROWS.get(jax.default_backend(), MANY_ROWS)
    for first in range(0, len(chunks), size):
        part = [chunks[min(first + k, len(chunks) - 1)] for k in range(size)]
        moves = [_moves(directions[n], start) for n, start in part]
        value, slope = _pushed(
            np.stack([held[n] for n, _ in part]).astype(np.float32),
            np.array([np.exp(nuisances[n][1]) for n, _ in part], np.float32),
            np.stack([stack for stack, _ in moves]),
            np.stack([scatter for _, scatter in moves]) * np.array([[np.exp(nuisances[n][1])] for n, _ in part], "f4"),
            light.bench, cells=cells,
        )  # fmt: skip
        value, slope = np.asarray(value, np.float64), np.asarray(slope, np.float64)
        for row, (n, _) in enumerate(chunks[first : first + size]):
            base[n] = value[row]
            slopes[n].append(slope[row])
    return [
        _seen(base[n], np.concatenate(slopes[n])[: len(rows) + 1], nuisances[n], light)
        for n, rows in enumerate(directions)
    ]


def _moves(rows: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Changes of a stack and of its scatter, DIRECTIONS of them; the scatter's is the one behind the last."""
    part = rows[start : start + DIRECTIONS].astype(np.float32)
    stack, scatter = np.zeros((DIRECTIONS, *rows.shape[1:]), np.float32), np.zeros(DIRECTIONS, np.float32)
    stack[: len(part)] = part
    scatter[np.arange(start, start + DIRECTIONS) == len(rows)] = 1.0
    return stack, scatter


@partial(jax.jit, static_argnames="cells")
def _pushed(
    held: Float[Array, "n slot z"], scatter: Float[Array, " n"], stack_moves: Float[Array, "n d slot z"],
    scatter_moves: Float[Array, "n d"], bench: Bench, *, cells: int,
) -> tuple[Float[Array, "n channel"], Float[Array, "n d channel"]]:  # fmt: skip
    """Spectra and their derivatives in the given directions."""
    lines = len(bench.excitation.line_energy)

    def seen(stack: Array, factor: Array) -> Array:
        mass = jnp.sum(stack, axis=1)
        shares = stack / jnp.where(mass > 0, mass, 1.0)[:, None]
        photons = emitted(mass, shares, bench, cells=cells)
        return counted(jnp.concatenate([photons[:lines], photons[lines:] * factor]), bench)

    def one(stack: Array, factor: Array, moves: Array, changes: Array) -> tuple[Array, Array]:
        value, push = jax.linearize(seen, stack, factor)
        return value, jax.vmap(push)(moves, changes)

    with jax.default_matmul_precision("highest"):
        return jax.vmap(one)(held, scatter, stack_moves, scatter_moves)


def _seen(base: np.ndarray, slopes: np.ndarray, nuisances: np.ndarray, light: Light) -> State:
    """Dose, background and a small error of the axis, to second order, on a spectrum [channel] and its derivatives."""
    dose, _, background, offset, gain, width = nuisances
    channel = light.axis[1] - light.axis[0]
    shift = (offset + gain * light.axis) / channel
    rows = np.concatenate([base[None], slopes])
    ahead, behind = np.pad(rows, ((0, 0), (0, 1)))[:, 1:], np.pad(rows, ((0, 0), (1, 0)))[:, :-1]
    first, second = (ahead - behind) / 2, ahead + behind - 2 * rows
    moved = rows - shift * first + (shift**2 / 2 + width * light.variance) * second
    by_shift = -first[0] + shift * second[0]
    total = rows.sum(axis=1)
    extra = np.stack([by_shift / channel, by_shift * light.axis / channel, light.variance * second[0]])
    counts = np.exp(dose) * (_summed(moved, light.edge) + background * total[:, None] * light.smooth)
    extra = np.exp(dose) * _summed(extra, light.edge)
    smooth = np.exp(dose) * total[0] * light.smooth
    by_scatter = counts[-1]
    return State(
        np.maximum(counts[0], LEAST),
        np.concatenate([counts[1:-1], [counts[0], by_scatter, smooth], extra]),
        float(total[0]),
    )


def _summed(rows: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Sum the channels of each window."""
    return np.add.reduceat(rows[..., : edge[-1]], edge[:-1], axis=-1)
