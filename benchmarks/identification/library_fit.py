"""Non-negative least squares of each spectrum on a library of simulated pigments, bare and covered.

For each of four anodes and three voltages: every visible pigment as a bare paint on canvas, and every class beneath a
thin lead white, less that cover alone. Score of a class: the sum of its columns' areas over the error that one of them
would have alone; hidden: that of the covered column. Unknown: chi2 of the fit.
"""

from functools import cache

import numpy as np
from line_features import ANODES, DETECTOR, fitted
from line_rules import Measures

from velatura.physics.instrument import Geometry, Instrument
from velatura.physics.material import Paint
from velatura.physics.simulate import expected_counts, prepare
from velatura.physics.stack import Stack, pack
from velatura.physics.tube import Tube
from velatura.scene.classes import xrf_classes
from velatura.scene.training import CHANNELS, HIGH, LOW

VOLTAGES = (34.0, 40.0, 46.0)
THICKNESS, COVER, LOADING = 40.0, 8.0, 0.4  # um, um, pigment volume share
WIDTH = (HIGH - LOW) / CHANNELS


def visible_pigments() -> list[tuple[int, str]]:
    """Return (class, pigment) of all that lines can show."""
    return [(number, name) for number, row in enumerate(xrf_classes()) if row.visible for name in row.members]


@cache
def library(anode: str, voltage: float) -> np.ndarray:
    """Return rows of unit area, float32 [row, channel]: bare pigments, covered classes, canvas."""
    instrument = Instrument(
        "library", Tube(anode, voltage), Geometry(80.0, 45.0, path_in=5.0, path_out=6.0), DETECTOR,
        CHANNELS, zero=LOW + WIDTH / 2, gain=WIDTH, background=0.0,
    )  # fmt: skip
    canvas = Stack().paint(Paint("canvas", {"linen_canvas": 1.0}, loading=1.0), thickness=500.0)
    white = Paint("cover", {"lead_white": 1.0}, loading=LOADING)
    names = [name for _, name in visible_pigments()]
    bare = [canvas.paint(Paint(name, {name: 1.0}, loading=LOADING), thickness=THICKNESS) for name in names]
    every = [canvas, canvas.paint(white, thickness=COVER), *bare, *(s.paint(white, thickness=COVER) for s in bare)]
    spectra = expected_counts(pack(every, _scanner(instrument).elements), _scanner(instrument), cells=2)
    alone, cover, shown, beneath = spectra[0], spectra[1], *np.split(spectra[2:], 2)
    through = np.maximum(beneath - cover, 0.0)
    owner = np.array([number for number, _ in visible_pigments()])
    covered = np.stack([through[owner == number].mean(axis=0) for number in np.unique(owner)])
    rows = np.concatenate([shown, covered, alone[None]])
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


@cache
def _scanner(instrument: Instrument):
    return prepare(instrument)


def library_scores(features: np.ndarray, condition: np.ndarray, measures: Measures) -> tuple[np.ndarray, np.ndarray]:
    """Return scores [spectrum, paint, class], in standard deviations, and of unknown [spectrum].

    The instrument's anode and voltage where they are told; else the anode of the strongest Compton peak, and 40 kV.
    """
    owner = np.array([number for number, _ in visible_pigments()])
    seen, bare = np.unique(owner), len(owner)
    scores = np.zeros((len(features), 2, len(xrf_classes())), np.float32)
    misfit = np.zeros(len(features), np.float32)
    anode, voltage = chosen_tubes(condition, measures)
    for one in range(len(ANODES)):
        for kilovolts in VOLTAGES:
            rows = np.flatnonzero((anode == one) & (voltage == kilovolts))
            if not len(rows):
                continue
            shapes = library(ANODES[one], kilovolts)
            fit = fitted(features[rows], shapes, shapes[-1:])
            strength = fit.areas / fit.alone
            belongs = (owner[:, None] == np.arange(scores.shape[2])).astype(np.float32)
            scores[rows, 0] = strength[:, :bare] @ belongs
            scores[np.ix_(rows, [1], seen)] = strength[:, None, bare : bare + len(seen)]
            misfit[rows] = fit.misfit
    return scores, misfit


def chosen_tubes(condition: np.ndarray, measures: Measures) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of the anode and the voltage [kV] of the library for each spectrum."""
    told = condition.any(axis=1)
    guess = measures.compton.reshape(-1, len(ANODES), 3).sum(axis=2).argmax(axis=1)
    nearest = np.abs(50 * condition[:, 4, None] - VOLTAGES).argmin(axis=1)
    return np.where(told, condition[:, :4].argmax(axis=1), guess), np.where(told, np.array(VOLTAGES)[nearest], 40.0)
