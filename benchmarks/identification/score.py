"""Scores of pigment identification on held-out instruments, side by side with four baselines on the same spectra.

    python benchmarks/identification/score.py --bank FOLDER --cache FOLDER --weights best --out docs/scores.md

The bank is the folder of groups of a training run. Sets of spectra and the answers of the baselines are kept in the
cache: about 15 minutes on two cores the first time, then a minute for another network. Writes a page of tables, a JSON
file of all numbers beside it, and three figures. --weights none scores the baselines alone; untrained: random weights.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from baselines import BASELINES, Fitting, Judge, Said, judged
from causes import blame, ground_holds, recall_by_evidence
from figures import draw_figures
from page import page_of
from palette_spectra import allowed, palette_set
from scores import (
    calibration_errors,
    confusions,
    f1_by_class,
    left_out_scores,
    missed_alone,
    presence_scores,
    thresholds_of,
    unknown_scores,
)
from specimen_spectra import specimen_set
from spectra_sets import DOSES, Spectra, drawn_set, groups_there

from velatura.scene.classes import xrf_classes
from velatura.scene.sources import SourcePlan
from velatura.scene.specimens import specimens
from velatura.train.metrics import auroc

SPECIMEN_GROUPS = 3
KINDS = ("bulk", "mixed")  # of specimens: pieces, and stirred into paint
PALETTE_SETS = ("palette-tune", "palette")
MAIN = "2e3-5e4"  # the set of figures, confusions and specimens


def main() -> None:
    """Draw, fit, score, write."""
    options = _options()
    cache, bank = Path(options.cache), Path(options.bank)
    plan = SourcePlan(groups=options.groups, stacks=options.stacks, seed=options.seed)
    there = {use: groups_there(bank, plan, use=use) for use in ("held_out", "calibration", "training")}
    each = {"per_group": options.spectra, "cache": cache}
    sets = {dose: drawn_set(bank, there["held_out"], name=dose, **each) for dose in options.doses}
    tune = drawn_set(bank, there["calibration"], name="tune", **each)

    def training() -> Spectra:
        return drawn_set(bank, there["training"], name="fit", per_group=options.fit, cache=cache)

    if options.specimens:
        for name in options.kinds:
            sets[name] = specimen_set(
                bank, there["held_out"][:SPECIMEN_GROUPS], mixed=name == "mixed", stacks=options.specimens, cache=cache
            )
    if options.palette:
        for name in PALETTE_SETS:
            sets[name] = palette_set(test=name == PALETTE_SETS[1], stacks=options.palette, cache=cache)
    judges = network_judges(options.weights, sets) if options.weights != "none" else {}
    for method in options.baselines:
        judges[method] = judged(method, sets, tune=tune, fitting=Fitting(training, options.trees, cache))
    below = {dose: ground_holds(sets[dose], plan) for dose in options.doses}
    found = {method: scored(said, sets, below, bank=bank, left_out=options.left_out) for method, said in judges.items()}
    figures = draw_figures(judges, sets, main=MAIN if MAIN in sets else options.doses[0])
    write(Path(options.out), found, figures)


def network_judges(weights: str, sets: dict[str, Spectra]) -> dict[str, dict[str, Judge]]:
    """Return the answers of a network, and once more with its strangeness as the score of unknown."""
    import jax

    from velatura.tasks.pigment_model import load_pigments, predict, untrained

    model = untrained("fast", key=jax.random.key(0)) if weights == "untrained" else load_pigments(weights)
    found: dict[str, dict[str, Judge]] = {"network": {}, "network, by strangeness": {}}
    for name, spectra in sets.items():
        said = predict(model, spectra.features, spectra.condition)
        for method, unknown in zip(found, (said.unknown, said.strangeness), strict=True):
            levels = model.sure, model.thresholds
            found[method][name] = Judge(Said(said.probability, unknown), *levels, calibrated=True)
    return found


def scored(
    judges: dict[str, Judge], sets: dict[str, Spectra], below: dict[str, np.ndarray],
    *, bank: Path, left_out: list[str],
) -> dict:  # fmt: skip
    """Return all numbers of one method by set, with those of unknown specimens."""
    names = [row.name for row in xrf_classes()]
    found: dict = {}
    for name in (name for name in sets if name in DOSES):
        spectra, judge = sets[name], judges[name]
        probability, thresholds = judge.said.probability, judge.thresholds
        said = probability >= thresholds
        numbers = presence_scores(spectra, probability, thresholds)
        loose = presence_scores(spectra._replace(mask=spectra.loose), probability, judge.loose)
        numbers |= {f"{key}, loose": value for key, value in loose.items()}
        numbers |= unknown_scores(spectra, judge.said.unknown)
        if judge.calibrated:
            numbers |= calibration_errors(spectra, probability)
        if left_out:
            columns = [names.index(one) for one in left_out]
            numbers |= left_out_scores(spectra, judge.said.unknown, columns)
        for told, rows in (("told", spectra.told()), ("untold", ~spectra.told())):
            part = presence_scores(spectra.rows(rows), probability[rows], thresholds)
            numbers |= {f"{key}, {told}": value for key, value in part.items() if key.endswith("F1")}
        found[name] = numbers | missed_alone(spectra, said) | blame(spectra, said, below[name])
        found[name]["F1 by class"] = _by_class(f1_by_class(spectra, probability, thresholds), names)
        found[name]["recall by evidence"] = recall_by_evidence(spectra, said, bank)
        found[name]["confusions"] = confusions(spectra, said, names)
    if PALETTE_SETS[1] in sets:
        found["palette"] = palette_scores(judges, sets)
    if {*KINDS} & {*sets} and MAIN in sets:
        found["specimens"] = specimen_scores(judges, sets)
    return found


def palette_scores(judges: dict[str, Judge], sets: dict[str, Spectra]) -> dict[str, float]:
    """Return the scores where only the classes of a palette are asked for, thresholds from other instruments."""
    shown = {name: np.where(allowed(), judges[name].said.probability, -1.0) for name in PALETTE_SETS}
    tune, test = (sets[name] for name in PALETTE_SETS)
    thresholds = thresholds_of(tune.truth, tune.mask, shown[PALETTE_SETS[0]])
    return presence_scores(test, shown[PALETTE_SETS[1]], thresholds)


def specimen_scores(judges: dict[str, Judge], sets: dict[str, Spectra]) -> dict:
    """Return the AUROC of unknown for specimens against the main set's spectra without strangers."""
    main = sets[MAIN]
    inside = judges[MAIN].said.unknown[~main.truth[..., -1].any(axis=1)]
    found: dict = {"each": {}}
    apart = np.array([not row.twins for row in specimens()])
    for name in (name for name in KINDS if name in sets):
        order = _order(mixed=name == "mixed")
        spectra, unknown = sets[name], judges[name].said.unknown
        seen = (spectra.truth & spectra.mask)[..., -1].any(axis=1)
        without = apart[order][np.maximum(spectra.group, 0)]
        found[f"{name}, no twin"] = auroc(inside, unknown[seen & without])
        found[f"{name}, twins in the library"] = auroc(inside, unknown[seen & ~without])
        for place, number in enumerate(order):
            own = unknown[seen & (spectra.group == place)]
            title = f"{specimens()[number].material.title} ({name})"
            found["each"][title] = {
                "AUROC": auroc(inside, own), "spectra": len(own), "twins": list(specimens()[number].twins)
            }  # fmt: skip
    return found


def _order(*, mixed: bool) -> np.ndarray:
    """Numbers of the specimens in the order of a set's columns."""
    return np.array([number for number, row in enumerate(specimens()) if row.mixes or not mixed])


def _by_class(scores: np.ndarray, names: list[str]) -> dict[str, list[float | None]]:
    return {
        name: [None if np.isnan(one) else round(float(one), 4) for one in scores[:, column]]
        for column, name in enumerate(names)
    }


def write(out: Path, found: dict, figures: dict[str, bytes]) -> None:
    """Write the page, its figures and the JSON file; print the page."""
    out.parent.mkdir(parents=True, exist_ok=True)
    text = page_of(found, [f"{out.stem}-{name}.png" for name in figures])
    out.write_text(text, encoding="utf-8")
    out.with_suffix(".json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    for name, png in figures.items():
        (out.parent / f"{out.stem}-{name}.png").write_bytes(png)
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bank", required=True, help="folder of groups NNNN.npz")
    parser.add_argument("--cache", required=True, help="folder for drawn sets and the answers of baselines")
    parser.add_argument("--out", default="scores.md", help="the page; JSON and figures beside it")
    parser.add_argument("--weights", default="best", help="best, fast, a file, untrained, or none")
    parser.add_argument("--left-out", nargs="*", default=[], help="classes that the network was not trained on")
    parser.add_argument("--doses", nargs="*", default=list(DOSES), choices=list(DOSES))
    parser.add_argument("--baselines", nargs="*", default=list(BASELINES), choices=list(BASELINES))
    parser.add_argument("--spectra", type=int, default=512, help="spectra of a group in each test set")
    parser.add_argument("--fit", type=int, default=96, help="spectra of a training group for the baselines")
    parser.add_argument("--trees", type=int, default=60, help="of each random forest")
    parser.add_argument("--specimens", type=int, default=256, help="stacks with specimens for a tube; 0: none")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS), help="of specimens")
    parser.add_argument("--palette", type=int, default=384, help="stacks of one palette for a tube; 0: none")
    parser.add_argument("--groups", type=int, default=400, help="groups of the bank's plan")
    parser.add_argument("--stacks", type=int, default=512, help="stacks of a group in the bank's plan")
    parser.add_argument("--seed", type=int, default=0, help="of the bank's plan")
    return parser.parse_args()


if __name__ == "__main__":
    main()
