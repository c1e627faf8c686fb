"""How well refinement recovers what random stacks hold: coverage of its intervals, their widths, the hidden layer.

Stacks and instruments are drawn as for training; the proposal names the right materials with shares, amounts and layers
off by factors of 1/3 to 3. Run it by `python benchmarks/refinement.py --instruments 6 --stacks 16`.
"""

import argparse
import time
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
from scipy.optimize import nnls

from velatura.physics.counting import jitter
from velatura.physics.instrument import random_instrument
from velatura.physics.material import material
from velatura.physics.simulate import Scanner, expected_counts, prepare
from velatura.scene.classes import xrf_classes
from velatura.scene.evidence_bank import labels_of
from velatura.scene.sampler import DRIERS, GROUNDS, SUPPORTS, Sampled, Sampling, pigments_of, sample_stacks
from velatura.tasks.refine import GROUNDS as UNKNOWN
from velatura.tasks.refine import NEEDED, NOT_NEEDED, UNTOLD, Refined, refine
from velatura.tasks.refine_stack import Proposal

MG = 1e3  # in a g
DETECTABLE, CLEAR = 25.0, 100.0


class Cases(NamedTuple):
    """Stacks of one instrument with what refinement said."""

    evidence: np.ndarray
    """Delta chi2 of each true pigment's class [case, paint, pigment]."""
    order: np.ndarray
    """Delta chi2 of two paints against a mixture [case]."""
    mass: np.ndarray
    """True, mg/cm2 [case, paint, pigment]."""
    depth: np.ndarray
    """True thickness, um [case, paint]."""
    refined: Refined


def proposal_of(sampled: Sampled, row: int, elements: tuple[str, ...], *, options: Sampling, rng=None) -> Proposal:
    """Name the materials of a stack; rng: disturb amounts and shares by factors of 1/3 to 3; None: as they are.

    A stack without hidden paint is proposed one with the visible paint of the next stack.
    """
    names = pigments_of(options)
    paints, amounts = [], []
    for paint in (0, 1):
        there = row if sampled.thickness[row, paint + 1] > 0 else (row + 1) % len(sampled.thickness)
        grams = sampled.mass_thickness[there, paint if there == row else 0].astype(float)
        held = np.flatnonzero(grams)
        factor = np.ones(len(held) + 1) if rng is None else np.exp(rng.uniform(-np.log(3), np.log(3), len(held) + 1))
        paints.append({names[n]: grams[n] * f for n, f in zip(held, factor, strict=False)})
        amounts.append(max(grams.sum() * MG * factor[-1], 1e-3))
    held = (sampled.packed.mass[row][:, None] * sampled.packed.shares[row]).astype(float)
    ground = _fillers(held[3], elements)
    support = min(SUPPORTS, key=lambda name: np.abs(_row(name, elements) - sampled.packed.shares[row, 4]).sum())
    return Proposal(paints[0], paints[1], (amounts[0], amounts[1]), ground, support)


def _fillers(held: np.ndarray, elements: tuple[str, ...]) -> tuple[str, ...]:
    driers = [np.eye(len(elements))[elements.index(name)] for name in DRIERS]
    columns = np.array([*(_row(name, elements) for name in (*GROUNDS, "linseed_oil")), *driers]).T
    found = nnls(columns, held / held.sum())[0][: len(GROUNDS)]
    order = np.argsort(-found)[:2]
    return tuple(GROUNDS[n] for n in order if found[n] > 1e-3)


def _row(name: str, elements: tuple[str, ...]) -> np.ndarray:
    fractions = material(name).mass_fractions()
    return np.array([fractions.get(element, 0.0) for element in elements])


def measure(scanner: Scanner, number: int, *, dose: float, seed: int, chosen: argparse.Namespace) -> Cases:
    """Draw stacks, count them and refine; the truth is computed with finer slices than the fit's."""
    options, rng = Sampling(balance=0.5), np.random.default_rng(seed)
    sampled = sample_stacks(number, scanner.elements, options=options, rng=rng)
    classes = xrf_classes()
    labels = labels_of(sampled, scanner, classes, options=options)
    spectra = expected_counts(sampled.packed, scanner, cells=6)
    if chosen.drift:
        gain, offset = 1 + 5e-4 * rng.standard_normal(number), 0.12 * rng.standard_normal(number)
        spectra = np.asarray(jax.vmap(jitter)(spectra, gain.astype(np.float32), offset.astype(np.float32)))
    spectra = spectra.astype(np.float64)
    counts = rng.poisson(dose * spectra / spectra.sum(axis=1, keepdims=True))
    proposals = [proposal_of(sampled, n, scanner.elements, options=options, rng=rng) for n in range(number)]
    if chosen.unknown_ground:
        proposals = [replace(proposal, ground=UNKNOWN, support="linen_canvas") for proposal in proposals]
    refined = refine(counts, proposals, scanner=scanner)
    owner = {member: n for n, row in enumerate(classes) for member in row.members}
    column = [owner[name] for name in refined.pigments]
    place = [pigments_of(options).index(name) for name in refined.pigments]
    mass = sampled.mass_thickness[:, :, place] * MG
    evidence = dose * labels.delta_chi2[:, :, column] * (mass > 0)
    return Cases(evidence, dose * labels.order, mass, sampled.thickness[:, 1:3], refined)


def report(cases: list[Cases]) -> None:
    """Print what the runs of one dose found."""
    mass, share, depth = ([], []), ([], []), []
    for case in cases:
        two = case.refined.layered
        truth = case.mass / np.maximum(case.mass.sum(axis=2, keepdims=True), 1e-30)
        for found, interval, value in ((mass, two.mass, case.mass), (share, two.share, truth)):
            used = (case.evidence >= DETECTABLE) & (interval.value < 1 if interval is two.share else True)
            inside = (interval.low <= value) & (value <= interval.high)
            width = interval.width()
            if interval is two.share:
                width = (interval.high - interval.low) / 4 / np.maximum(interval.value, 1e-30)
            for paint in (0, 1):
                at = used[:, paint]
                found[paint].append(
                    np.stack([case.evidence[:, paint][at], inside[:, paint][at], width[:, paint][at],
                              np.broadcast_to(two.reduced_chi2[:, None], at.shape)[at]])
                )  # fmt: skip
        seen = (case.evidence >= DETECTABLE).any(axis=2) & (case.depth > 0)
        inside = (two.thickness.low <= case.depth) & (case.depth <= two.thickness.high)
        depth.append(np.stack([inside[seen], two.thickness.width()[seen]]))
    for name, found in (("mass thickness", mass), ("share", share)):
        for label, rows in (("visible", found[0]), ("hidden", found[1]), ("both", found[0] + found[1])):
            evidence, inside, width, _ = np.concatenate(rows, axis=1)
            clear = evidence >= CLEAR
            print(
                f"{name:15} {label:8} labels {len(evidence):5d}  inside 2 sigma {np.mean(inside):.3f}  median width "
                f"{np.median(width):.3f}; above 100: {clear.sum():5d} {np.mean(inside[clear]):.3f} "
                f"{np.median(width[clear]):.3f}"
            )
    inside, width = np.concatenate(depth, axis=1)
    print(f"thickness in um: layers {len(inside)}, inside {inside.mean():.3f}, width {np.median(width):.3f}")
    layers(cases)


def layers(cases: list[Cases]) -> None:
    """Print the verdicts on hidden layers."""
    verdict = np.concatenate([case.refined.verdict for case in cases])
    order = np.concatenate([case.order for case in cases])
    hidden = np.concatenate([case.depth[:, 1] > 0 for case in cases])
    rows = {
        "no hidden layer": ~hidden,
        "hidden, order below 25": hidden & (order < DETECTABLE),
        "hidden, order 25 to 100": hidden & (order >= DETECTABLE) & (order < CLEAR),
        "hidden, order above 100": hidden & (order >= CLEAR),
    }
    for name, at in rows.items():
        shares = "  ".join(f"{word} {np.mean(verdict[at] == word):.3f}" for word in (NEEDED, UNTOLD, NOT_NEEDED))
        print(f"{name:25} {at.sum():4d}  {shares}")
    chi2 = np.concatenate([case.refined.layered.reduced_chi2 for case in cases])
    settled = np.concatenate([case.refined.layered.settled for case in cases])
    print(
        f"reduced chi2: median {np.median(chi2):.3f}, 95 % {np.quantile(chi2, 0.95):.3f}; settled {settled.mean():.3f}"
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instruments", type=int, default=6)
    parser.add_argument("--stacks", type=int, default=16)
    parser.add_argument("--dose", type=float, nargs="+", default=[1e4, 1e5])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drift", action="store_true", help="an energy axis that is off by 0.05 %% and 0.12 channels")
    parser.add_argument("--unknown-ground", action="store_true", help="ground and support are not told")
    chosen = parser.parse_args()
    for dose in chosen.dose:
        cases, seconds = [], 0.0
        for number in range(chosen.instruments):
            scanner = prepare(random_instrument(rng=np.random.default_rng((chosen.seed, number))))
            started = time.perf_counter()
            cases.append(measure(scanner, chosen.stacks, dose=dose, seed=chosen.seed + number, chosen=chosen))
            seconds += time.perf_counter() - started
        print(f"{dose:g} counts, {chosen.instruments} instruments, {chosen.stacks} stacks each: {seconds:.0f} s")
        report(cases)


if __name__ == "__main__":
    main()
