"""Fluorescence of a stack of layers: primary (Sherman's equation) and secondary (fluorescence excited by fluorescence).

Written for one stack, TOP layer first; the caller vmaps over stacks that share one `Excitation`. Photons into 4 pi per
photon of the beam; mass thickness in g/cm2. Axes: j layer, z element, e entry of the beam, g sub-shell of an element,
l line, x exciter (merged lines that excite others), c cell. A cell is a slice of a layer, finer towards the surface.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from velatura.physics.excitation import Excitation

LEAST = 1e-30  # stands for zero in logarithms
SERIES = (0.92278433509847, 1 / 3, -1 / 24, 1 / 180, -1 / 1440, 1 / 12600, -1 / 120960, 1 / 1270080)
ABOVE = (1.0, 8.5733287401, 18.0590169730, 8.6347608925, 0.2677737343)
BELOW = (1.0, 9.5733223454, 25.6329561486, 21.0996530827, 3.9584969228)


class Slices(NamedTuple):
    """A stack cut into cells."""

    mass: Float[Array, " c"]
    """Mass thickness [g/cm2]."""
    shell_share: Float[Array, "c g"]
    """Mass share of the element of each sub-shell."""
    source: Float[Array, "c g"]
    """Photons that the beam excites per mass of the element, mean over the cell; those of all lines together."""
    decay: Float[Array, "c g"]
    """Logarithm of the ratio of that source at the upper and lower face."""


def primary(mass: Float[Array, " j"], shares: Float[Array, "j z"], excitation: Excitation) -> Float[Array, " l"]:
    """Return the photons of each line that the beam itself excites and that leave the stack: the closed form.

    Arguments as in `primary_by_layer`, of which this is the sum.
    """
    return jnp.sum(primary_by_layer(mass, shares, excitation), axis=0)


def primary_by_layer(
    mass: Float[Array, " j"], shares: Float[Array, "j z"], excitation: Excitation
) -> Float[Array, "j l"]:
    """Return the primary photons of each line that come from each layer and leave the stack.

    mass: mass thickness of each layer [g/cm2], 0 for an unused one; shares: mass share of each element.
    I_jl = R_l w_j m_j / sin(in) exp(-out above) sum_e beam_e S_eg exp(-in above) (1 - exp(-x)) / x with
    x = m_j (mu_j(e) / sin(in) + mu_j(l) / sin(out)). Source: Sherman, Spectrochim. Acta 7 (1955) 283; for layers
    de Boer, X-Ray Spectrom. 19 (1990) 145.
    """
    inward = mass[:, None] * (shares @ excitation.attenuation_in) / excitation.sin_in
    outward = mass[:, None] * (shares @ excitation.attenuation_out) / excitation.sin_out
    reached = excitation.beam * jnp.exp(-_above(inward))
    escaped = jnp.exp(-_above(outward))
    production = excitation.production[:, excitation.line_shell]
    emitted = [
        jnp.sum(beam[:, None] * production * mean_decay(x[:, None] + y[None, :]), axis=0)
        for beam, x, y in zip(reached, inward, outward, strict=True)
    ]
    amount = mass[:, None] * shares[:, excitation.line_element] / excitation.sin_in
    return excitation.line_rate * amount * escaped * jnp.stack(emitted)


def lines(
    mass: Float[Array, " j"], shares: Float[Array, "j z"], excitation: Excitation, *, cells: int = 3
) -> Float[Array, " l"]:
    """Return the photons of each line that leave the stack, primary plus secondary fluorescence.

    Arguments as in `primary`; cells: cells a layer, 3 for training data, 6 and more for measurements. The primary
    photons of a cell are exact in number and fall off exponentially between its faces; secondary ones are flat in it.
    """
    faces = _faces(mass, shares, excitation, cells)
    slices = _slice(mass, shares, excitation, faces)
    inside = slices.shell_share * slices.mass[:, None] * slices.source
    excited = slices.shell_share * (_fluence(slices, shares, excitation, cells) @ excitation.exciter_production)
    path = mass[:, None] * (shares @ excitation.attenuation_out) / excitation.sin_out
    depth, step = _depths(path, faces)
    shell = excitation.line_shell
    decay = slices.decay[:, shell]
    shape = mean_decay(decay + step) / mean_decay(decay)
    leaving = jnp.exp(-depth[:-1]) * (inside[:, shell] * shape + excited[:, shell] * mean_decay(step))
    return excitation.line_rate * jnp.sum(leaving, axis=0)


def mean_decay(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return (1 - exp(-x)) / x for x >= 0, the mean of exp(-x s) over s of 0 to 1; 1 at 0."""
    small = x < 0.1
    safe = jnp.where(small, 1.0, x)
    series = 1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5)))
    return jnp.where(small, series, (1 - jnp.exp(-safe)) / safe)


def _above(step: Float[Array, "j n"]) -> Float[Array, "j n"]:
    """Sum of the layers above each layer."""
    total, above = jnp.zeros_like(step[0]), []
    for layer in step:
        above.append(total)
        total = total + layer
    return jnp.stack(above)


def _faces(
    mass: Float[Array, " j"], shares: Float[Array, "j z"], excitation: Excitation, cells: int
) -> Float[Array, "j face"]:
    """Faces of the cells of each layer, as shares of it: (q / cells)^2 in thin layers, in thick ones ever wider apart.

    With p a quarter of the layer's optical depth for the mean photon of the beam: ((1 + p)^((q / cells)^2) - 1) / p.
    """
    depth = mass * (shares @ (excitation.attenuation_in @ excitation.beam)) / excitation.sin_in
    quarter = jnp.maximum(depth / 4, 1e-3)[:, None]
    return jnp.expm1((np.arange(cells + 1) / cells) ** 2 * jnp.log1p(quarter)) / quarter


def _depths(
    path: Float[Array, "j n"], faces: Float[Array, "j face"]
) -> tuple[Float[Array, "face n"], Float[Array, "c n"]]:
    """Return the optical depth of every face and of every cell of layers with optical depth `path`, top first."""
    step = path[:, None] * jnp.diff(faces)[:, :, None]
    depth = _above(path)[:, None] + path[:, None] * faces[:, :-1, None]
    last = (depth[-1, -1] + step[-1, -1])[None]
    layers, columns = path.shape
    flat = layers * (faces.shape[1] - 1), columns
    return jnp.concatenate([depth.reshape(flat), last]), step.reshape(flat)


def _slice(
    mass: Float[Array, " j"], shares: Float[Array, "j z"], excitation: Excitation, faces: Float[Array, "j face"]
) -> Slices:
    """Cut the stack into cells and let the beam in."""
    path = mass[:, None] * (shares @ excitation.attenuation_in) / excitation.sin_in
    depth, step = _depths(path, faces)
    reached = excitation.beam / excitation.sin_in * jnp.exp(-depth)
    produced = jnp.concatenate([reached, reached[:-1] * mean_decay(step)]) @ excitation.production
    face, source = produced[: len(depth)], produced[len(depth) :]
    face = jnp.log(jnp.maximum(face, LEAST))
    slice_mass = (mass[:, None] * jnp.diff(faces)).reshape(-1)
    shell_share = jnp.repeat(shares[:, excitation.shell_element], faces.shape[1] - 1, axis=0)
    return Slices(slice_mass, shell_share, source, jnp.maximum(face[:-1] - face[1:], 0.0))


def _fluence(slices: Slices, shares: Float[Array, "j z"], excitation: Excitation, cells: int) -> Float[Array, "c x"]:
    """Return the path that photons of each exciter run inside a cell, as mass [g/cm2] per photon of the beam.

    Cells c, d of optical depth t_c, t_d (along the normal) with a gap g between them: of the photons that d emits, flat
    and isotropic, the share D / (2 t_d) is absorbed in c, D = E3(g) - E3(g + t_c) - E3(g + t_d) + E3(g + t_c + t_d);
    within one cell D = 2 (t - 1/2 + E3(t)). The part 1/2 - x of E3(x) drops out of every D and is left out where the
    pair is thin, so that thin layers lose no figures. Lateral spread stays in the beam or like surroundings.
    """
    attenuation = jnp.repeat(shares @ excitation.exciter_attenuation, cells, axis=0)
    attenuation = jnp.where(attenuation > 0, attenuation, 1.0)
    step = slices.mass[:, None] * attenuation
    source = (slices.shell_share * slices.source) @ excitation.exciter_rate / attenuation
    return _exchange(step, source) / (2 * attenuation)


def _exchange(step: Float[Array, "c x"], source: Float[Array, "c x"]) -> Float[Array, "c x"]:
    """Sum of D of `_fluence` times `source` over the emitting cells, for cells of optical depth `step`.

    Pairs of faces and of cells are taken by how many cells lie between; E3 is evaluated once for each pair of faces.
    """
    number, rows = len(step), [step]
    for offset in range(1, number):
        rows.append(rows[-1][:-1] + step[offset:])
    ends = np.cumsum([len(row) for row in rows])[:-1]
    thin, full = (
        [jnp.full_like(step[:1], zero).repeat(number + 1, axis=0), *jnp.split(e3, ends)]
        for zero, e3 in zip((0.0, 0.5), _e3(jnp.concatenate(rows)), strict=True)
    )
    absorbed = 2 * thin[1] * source
    for k in range(1, number):
        d_thin, d_full = (e[k - 1][1:-1] - e[k][:-1] - e[k][1:] + e[k + 1] for e in (thin, full))
        share = jnp.maximum(jnp.where(rows[k] < 1, d_thin, d_full), 0.0)
        upward = jnp.pad(share * source[k:], ((0, k), (0, 0)))
        absorbed = absorbed + upward + jnp.pad(share * source[:-k], ((k, 0), (0, 0)))
    return absorbed


def _e3(x: Float[Array, "*n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Return E3(x) - 1/2 + x and E3(x), the exponential integral, for x >= 0; the first without loss for x below 1.

    Source: Abramowitz & Stegun (1964) 5.1.12 below 1; above, 5.1.56 for E1 and the recurrence 5.1.14.
    """
    inside = jnp.clip(x, LEAST, 1.0)
    series = jnp.zeros_like(x)
    for coefficient in reversed(SERIES):
        series = series * inside + coefficient
    small = inside**2 / 2 * (series - jnp.log(inside))
    outside = jnp.clip(x, 1.0, 80.0)
    above, below = jnp.zeros_like(x), jnp.zeros_like(x)
    for a, b in zip(ABOVE, BELOW, strict=True):
        above, below = above * outside + a, below * outside + b
    large = jnp.exp(-outside) / 2 * (1 - outside * (1 - above / below))
    low = x < 1
    return jnp.where(low, small, large - 0.5 + x), jnp.where(low, small + 0.5 - x, large)
