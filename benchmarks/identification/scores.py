"""Scores of any predictor on a set with known truth; arrays only.

probability: float [spectrum, paint, class] of the 46 classes; truth, mask, share have one column more, the last one,
for materials that are none of them.
"""

from collections.abc import Sequence

import numpy as np

from velatura.train.metrics import (
    auroc,
    average_precisions,
    best_thresholds,
    expected_calibration_error,
    f1_scores,
    mean_over_classes,
)

PAINTS = ("visible", "hidden")
LOW, TRACE = 0.05, 0.01  # volume shares of low concentrations
FEW = 10  # labels below which a share is not drawn
SHARES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
COVERS = (0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # mg/cm2


def tasks_of(truth: np.ndarray, mask: np.ndarray, share: np.ndarray) -> dict[str, tuple[int, np.ndarray]]:
    """Return what is scored by name: number of the paint, and labels that count, bool [spectrum, class].

    beneath: hidden classes where there is a hidden paint; low, trace: spectra with such a pigment that shows.
    """
    known = slice(0, truth.shape[2] - 1)
    visible, hidden = mask[:, 0, known], mask[:, 1, known]
    there, part = truth[:, 0, known], share[:, 0, known]
    found = {
        "visible": (0, visible),
        "hidden": (1, hidden),
        "beneath": (1, hidden & truth[:, 1].any(axis=1, keepdims=True)),
    }
    for name, most in (("low", LOW), ("trace", TRACE)):
        little = visible & (~there | (part <= most))
        found[name] = (0, little & (little & there).any(axis=1, keepdims=True))
    return found


def thresholds_of(truth: np.ndarray, mask: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return for each paint and class the threshold of the best F1, float [paint, class]; infinite where none is known.

    To be chosen on other spectra than those that are scored.
    """
    rows = [
        best_thresholds(truth[:, paint, :-1], probability[:, paint], mask=mask[:, paint, :-1]) for paint in range(2)
    ]
    found = np.stack(rows)
    return np.where(np.isnan(found), np.inf, found)


def presence_scores(spectra: object, probability: np.ndarray, thresholds: np.ndarray) -> dict[str, float]:
    """Return macro F1 and mean average precision for every task of `tasks_of`.

    Also the macro F1 of the classes that have FEW labels and more, where chance weighs less, how many these are, and
    the F1 of all labels together.
    """
    found: dict[str, float] = {}
    for name, (paint, counted) in tasks_of(spectra.truth, spectra.mask, spectra.share).items():
        truth, said = spectra.truth[:, paint, :-1], probability[:, paint]
        scores = f1_scores(truth, said, mask=counted, threshold=thresholds[paint])
        often = (truth & counted).sum(axis=0) >= FEW
        found[f"{name} F1"] = mean_over_classes(scores)
        found[f"{name} F1, frequent"] = mean_over_classes(scores[often])
        found[f"{name} classes, frequent"] = int(often.sum())
        found[f"{name} F1, micro"] = micro_f1(truth, said >= thresholds[paint], counted)
        found[f"{name} AP"] = mean_over_classes(average_precisions(truth, said, mask=counted))
    return found


def micro_f1(truth: np.ndarray, found: np.ndarray, counted: np.ndarray) -> float:
    """Return the F1 of all labels that count, bool arrays of one shape; NaN where there is none."""
    asked, said = int((truth & counted).sum()), int((found & counted).sum())
    return 2 * float((truth & found & counted).sum()) / (asked + said) if asked else float("nan")


def f1_by_class(spectra: object, probability: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return F1 [paint, class], NaN for what is nowhere."""
    truth, mask = spectra.truth[..., :-1], spectra.mask[..., :-1]
    rows = [f1_scores(truth[:, k], probability[:, k], mask=mask[:, k], threshold=thresholds[k]) for k in range(2)]
    return np.stack(rows)


def calibration_errors(spectra: object, probability: np.ndarray) -> dict[str, float]:
    """Return the expected calibration error over all classes of each paint, and over those said at 5 % or more.

    Nearly all labels are absent and easily so; the second number leaves them out.
    """
    found = {}
    for paint, name in enumerate(PAINTS):
        truth, counted, said = spectra.truth[:, paint, :-1], spectra.mask[:, paint, :-1], probability[:, paint]
        found[f"{name} ECE"] = expected_calibration_error(truth, said, mask=counted)
        found[f"{name} ECE of p > 0.05"] = expected_calibration_error(truth, said, mask=counted & (said > 0.05))
    return found


def confusions(spectra: object, found: np.ndarray, names: Sequence[str], *, most: int = 15) -> list[dict]:
    """Return which class was missed while which other was said wrongly, most frequent first.

    found: bool [spectrum, paint, class]. A spectrum with several of both shares one count among all pairs; `of missed`
    is the share among all misses of the class. The same name in another paint: seen, but in the wrong paint.
    """
    truth, mask = spectra.truth[..., :-1], spectra.mask[..., :-1]
    missed = (truth & mask & ~found).reshape(len(found), -1).astype(np.float64)
    wrong = (~truth & mask & found).reshape(len(found), -1).astype(np.float64)
    pairs = (missed / np.maximum(wrong.sum(axis=1, keepdims=True), 1)).T @ wrong
    misses = missed.sum(axis=0)
    rows = []
    for flat in np.argsort(-pairs, axis=None)[:most]:
        one, other = np.unravel_index(flat, pairs.shape)
        rows.append(
            {
                "missed": _title(one, names),
                "said": _title(other, names),
                "number": float(pairs[one, other]),
                "of missed": float(pairs[one, other] / max(misses[one], 1)),
            }
        )
    return rows


def missed_alone(spectra: object, found: np.ndarray) -> dict[str, float]:
    """Return how misses come about: share with nothing said wrongly, with the class said in the other paint, other."""
    truth, mask = spectra.truth[..., :-1], spectra.mask[..., :-1]
    missed, wrong = truth & mask & ~found, ~truth & mask & found
    total = max(missed.sum(), 1)
    swapped = missed & wrong[:, ::-1]
    alone = missed & ~wrong.any(axis=(1, 2))[:, None, None]
    return {
        "nothing else said": float(alone.sum() / total),
        "said in the other paint": float(swapped.sum() / total),
        "another class said": float((missed & ~swapped & ~alone).sum() / total),
    }


def recall_against(
    value: np.ndarray, truth: np.ndarray, found: np.ndarray, *, borders: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and number of labels in bins of a value; all arrays of one shape, NaN for fewer than FEW labels."""
    into = np.digitize(value[truth], borders) - 1
    inside = (into >= 0) & (into < len(borders) - 1)
    number = np.bincount(into[inside], minlength=len(borders) - 1)
    hits = np.bincount(into[inside], found[truth][inside], minlength=len(borders) - 1)
    return np.where(number >= FEW, hits / np.maximum(number, 1), np.nan), number


def unknown_scores(spectra: object, unknown: np.ndarray) -> dict[str, float]:
    """Return the AUROC of `unknown` [spectrum] for detectable strangers against spectra without any stranger."""
    there = spectra.truth[..., -1]
    seen = (there & spectra.mask[..., -1]).any(axis=1)
    return {"unknown AUROC": auroc(unknown[~there.any(axis=1)], unknown[seen])}


def left_out_scores(spectra: object, unknown: np.ndarray, columns: Sequence[int]) -> dict[str, float]:
    """Return the same for classes that a network was not trained on, as positives, against spectra without them.

    Strangers count on neither side.
    """
    there = spectra.truth[:, :, list(columns)].any(axis=(1, 2))
    seen = (spectra.truth & spectra.mask)[:, :, list(columns)].any(axis=(1, 2))
    strange = spectra.truth[..., -1].any(axis=1)
    return {
        "left-out AUROC": auroc(unknown[~there & ~strange], unknown[seen & ~strange]),
        "left-out spectra": int((seen & ~strange).sum()),
    }


def _title(flat: int, names: Sequence[str]) -> str:
    paint, number = divmod(int(flat), len(names))
    return f"{names[number]} ({PAINTS[paint]})"
