"""What adapting the pigment network to a scanner gains, where the truth is known: simulated scanners of another kind.

    python benchmarks/adaptation.py WEIGHTS --bank RUN/bank --work FOLDER        (about 10 minutes on 2 cores)

The network learned from random scanners. The scanner that stands for the real one has what none of them had: its axis
is 1 % off, lines are about a fifth wider, the background is stronger, its housing shines, and its tube (chromium) or
the filter in its beam (25 um Al) never came up; its take-off angle is 3 deg beside the nominal one. The painting has a
palette of 14 pigments. Spots are stacks with named pigments; scores are of its other stacks, at 10,000 counts.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from velatura.chain.train_pigments import complete_bank, read_groups
from velatura.physics.instrument import Geometry, Instrument
from velatura.physics.tube import Tube
from velatura.scene.sampler import Sampling
from velatura.scene.sources import SourcePlan, split
from velatura.scene.training import described, draw, grid
from velatura.spectra.regrid import regrid
from velatura.tasks.embedding_alignment import aligned
from velatura.tasks.pigment_adaptation import (
    Adaptation,
    ScannerLessons,
    SpotLessons,
    adapted,
    remembered,
    spectra_through,
)
from velatura.tasks.pigment_model import load_pigments, predict, raw_outputs
from velatura.tasks.pigment_scores import Spectra, calibrate, scores
from velatura.tasks.pigment_spots import Spot, spots_of
from velatura.tasks.pigment_training import Lessons
from velatura.tasks.scanner_effects import Effects, fit_effects, with_effects

CASES = {
    "25 um Al in the beam": Instrument(
        "filtered", Tube("Rh", 40.0, filters=(("aluminium", 25.0),)), Geometry(90.0, 45.0)
    ),
    "chromium tube": Instrument("chromium", Tube("Cr", 40.0), Geometry(90.0, 45.0)),
}
PALETTE = (
    *("lead_white", "chalk", "lead_tin_yellow_i", "orpiment", "yellow_ochre", "red_ochre", "vermilion", "red_lead"),
    *("azurite", "malachite", "smalt", "green_earth", "raw_umber", "bone_black"),
)
REAL = Effects(gain=1.01, noise=0.12, background=0.06)
HOUSING = (("Ni", 0.02), ("Cu", 0.02))
SPOTS = (10, 20, 50)
GENERAL = 12  # groups of random scanners
DOSE = 1e4


def real_scanner(nominal):
    """The instrument as it stands in the laboratory."""
    turned = replace(nominal.geometry, take_off_angle=nominal.geometry.take_off_angle + 3, gap=10.0)
    return replace(nominal, geometry=turned, parasites=HOUSING)


def groups_for(nominal, work):
    """Stacks before the real scanner, and before simulated ones of its build: for training, and for calibration."""
    real = SourcePlan(
        groups=3, stacks=512, seed=202, held_out=0.5, drawn=Sampling(palette=PALETTE), instrument=real_scanner(nominal),
        strange_every=2,
    )  # fmt: skip
    plan = SourcePlan(groups=5, stacks=256, seed=101, held_out=0.25, instrument=nominal)
    there = read_groups(complete_bank(work / f"{nominal.name}-real", real), (0,))[0]
    bank = complete_bank(work / nominal.name, plan)
    return there, read_groups(bank, split(plan).training), read_groups(bank, (0, 4))


def labelled(group, view, classes, *, key):
    """Fifty spots of different stacks at 30,000 counts or more, named as far as they can be seen."""
    rows = np.arange(max(SPOTS))
    drawn = [
        draw(
            group,
            classes,
            1,
            key=jax.random.fold_in(key, int(row)),
            counts=(3e4, 1e5),
            stacks=rows[row : row + 1],
            seen=view,
        )
        for row in rows
    ]
    table = []
    for row, one in zip(rows, drawn, strict=True):
        seen = (one.labels & one.mask)[0]
        visible, hidden = (tuple(np.flatnonzero(paint).tolist()) for paint in seen)
        table.append(Spot(f"stack {row}", None, None, visible, hidden, ()))
    return spots_of(table, np.concatenate([one.features for one in drawn]), classes)


def main():
    """Print one line for each way of adapting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("--bank", type=Path, required=True, help="groups of random scanners, 0000.npz and so on")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Adaptation().steps)
    parser.add_argument("--rate", type=float, default=Adaptation().rate)
    parser.add_argument("--layers", default=Adaptation().layers)
    asked = parser.parse_args()
    model = load_pigments(asked.weights)
    config = Adaptation(steps=asked.steps, rate=asked.rate, layers=asked.layers)
    every = [number for number in range(GENERAL * 2) if number % 10][:GENERAL]
    general = read_groups(asked.bank, every), read_groups(asked.bank, (0, 20, 40)), read_groups(asked.bank, (10, 30))
    for name, nominal in CASES.items():
        print(f"\n{name}")
        Case(model, nominal, asked.work, general=general, config=config).run()


def on_axis(spectra, effects):
    """The same counts on the energy axis that was found."""
    energy = (grid() - effects.offset) / effects.gain
    counts = regrid(spectra.drawn.features.astype(np.uint32), energy, grid(), key=jax.random.key(1))
    return spectra._replace(drawn=spectra.drawn._replace(features=counts.astype(np.float32)))


class Case:
    """One scanner."""

    def __init__(self, model, nominal, work, *, general, config):
        self.model, self.config, self.general = model, config, general
        self.keys = jax.random.split(jax.random.key(5), 9)
        there, self.own, self.apart = groups_for(nominal, work)
        classes = model.classes
        self.condition = described(nominal)
        view = with_effects(there, real_scanner(nominal), REAL)
        self.spots = labelled(there, view, classes, key=self.keys[0])
        rest = np.arange(max(SPOTS), len(there.photons))
        self.test = spectra_through(
            [(there, view)], classes, len(rest), stacks=rest, key=self.keys[1], counts=(DOSE, DOSE)
        )
        self.scan = spectra_through([(there, view)], classes, 512, stacks=rest, key=self.keys[2], counts=(1e3, 1e4))
        rng = np.random.default_rng(3)
        self.fits = {
            "own": fit_effects(self.scan.drawn.features.sum(axis=0), self.own, rng=rng),
            "any": fit_effects(self.scan.drawn.features.sum(axis=0), general[0][:6], rng=rng),
        }
        for fit in self.fits.values():
            print(f"  found {fit.effects}, misfit {fit.before:.0f} -> {fit.misfit:.0f}", flush=True)
        self.views = {
            "own": self.through(self.own, self.fits["own"].effects),
            "own calibration": self.through(self.apart, self.fits["own"].effects),
            "any": self.through(general[0], self.fits["any"].effects),
            "any calibration": self.through(general[1], self.fits["any"].effects),
            "nominal": self.through(self.own, Effects()),
            "nominal calibration": self.through(self.apart, Effects()),
        }
        size = config.general
        self.usual = self.memory(Lessons(general[0], classes, key=self.keys[3], size=size))
        self.lessons = {
            kind: self.memory(ScannerLessons(self.views[kind], classes, config.scanner, key=self.keys[4]))
            for kind in ("own", "any", "nominal")
        }
        self.known = spectra_through(
            self.through(general[2], Effects()), classes, 512, key=self.keys[5], counts=(DOSE, DOSE)
        )

    def through(self, groups, effects):
        return [(group, with_effects(group, group.instrument, effects)) for group in groups]

    def memory(self, lessons):
        return remembered(self.model.net, lessons, self.config)

    def taught(self, memories, kind):
        net = adapted(self.model.net, [self.usual, *memories], self.config, key=self.keys[6])
        return self.calibrated(net, kind)

    def calibrated(self, net, kind):
        """Thresholds from simulated stacks: seen by the fitted scanner where there is one, else by random ones."""
        seen = self.views.get(f"{kind} calibration") or self.through(self.general[1], Effects())
        apart = spectra_through(seen, self.model.classes, 768, key=self.keys[7], counts=(1e3, 1e5))
        raw = raw_outputs(net, apart.drawn.features, apart.drawn.condition)
        return self.model._replace(net=net, calibration=calibrate(raw, apart, usual=raw.embedding[apart.pure]))

    def moved(self, shrink):
        """CORAL: the embeddings of the scan brought to those of simulated stacks."""
        simulated = spectra_through(self.views["nominal"], self.model.classes, 768, key=self.keys[8], counts=(1e3, 1e4))
        both = [
            raw_outputs(self.model.net, part.drawn.features, part.drawn.condition).embedding
            for part in (self.scan, simulated)
        ]
        return self.model._replace(net=aligned(self.model.net, *both, shrink=shrink))

    def run(self):
        print(f"  {'':<44}{'visible':>8}{'hidden':>8}{'false':>8}{'error':>8}   general: visible hidden")
        few = {
            number: self.memory(
                SpotLessons(
                    self.spots.chosen(range(number)), self.config.spots, condition=self.condition, key=self.keys[4]
                )
            )
            for number in SPOTS
        }
        self.say("as it was", self.model)
        self.say("unlabelled: axis as fitted, tube known", self.model, axis=self.fits["own"].effects)
        self.say("unlabelled: moments of the embedding", self.moved(0.1))
        self.say("more lessons of all scanners", self.taught([], "general"))
        for number, memory in few.items():
            self.say(f"{number} spots", self.taught([memory], "general"))
        self.say("nominal scanner simulated", self.taught([self.lessons["nominal"]], "nominal"))
        self.say("unlabelled: effects, tube unknown", self.taught([self.lessons["any"]], "any"))
        self.say("unlabelled: effects, tube known", self.taught([self.lessons["own"]], "own"))
        self.say("effects, tube unknown, and 20 spots", self.taught([self.lessons["any"], few[20]], "any"))
        for number, memory in few.items():
            self.say(f"effects, tube known, and {number} spots", self.taught([self.lessons["own"], memory], "own"))

    def say(self, name, model, axis=None):
        test = self.test if axis is None else on_axis(self.test, axis)
        found, usual = (self.scores(model, spectra) for spectra in (test, self.known))
        numbers = [found[name] for name in ("f1_visible", "f1_hidden", "false", "calibration_error")]
        line = "".join(f"{value:8.3f}" for value in numbers)
        print(f"  {name:<44}{line}            {usual['f1_visible']:.3f}  {usual['f1_hidden']:.3f}", flush=True)

    def scores(self, model, spectra: Spectra):
        """Macro F1 over the classes that occur, and classes that are found though absent, per spectrum."""
        answers = predict(model, spectra.drawn.features, spectra.drawn.condition)
        there = spectra.drawn.labels[..., : len(model.classes)]
        found = (answers.probability >= model.thresholds) & ~there.any(axis=1, keepdims=True)
        return {**scores(answers, spectra, model.thresholds), "false": float(found.sum(axis=(1, 2)).mean())}


if __name__ == "__main__":
    main()
