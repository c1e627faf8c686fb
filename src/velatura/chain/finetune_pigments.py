"""Published weights made ready for one scanner: spots with known pigments, stacks for the scanner, new weights.

NAME.safetensors     the adapted weights; their card tells what was measured before and after
NAME.run/bank/*.npz  stacks of paint for this scanner; the next adaptation with the same NAME uses them again
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from velatura.base.errors import InputError
from velatura.base.progress import Progress, silent
from velatura.base.workspace import is_workspace, open_workspace, plain, read_cube
from velatura.chain.train_pigments import DOSES, TEST_DOSE, complete_bank, read_groups
from velatura.io.formats import open_scan

if TYPE_CHECKING:
    from velatura.physics.instrument import Instrument
    from velatura.scene.sources import SourceGroup
    from velatura.tasks.pigment_adaptation import Adaptation, SpotScores
    from velatura.tasks.pigment_model import PigmentModel
    from velatura.tasks.pigment_spots import Spots
    from velatura.tasks.scanner_effects import Fitted

GROUPS, STACKS, HELD_OUT = 11, 256, 0.5  # of the bank: five groups to learn from, three to calibrate, three to score
SPECTRA = 512  # drawn of each held-out group
COMPOSING = 3  # groups whose stacks compose a scan's sum spectrum


class Finetuned(NamedTuple):
    """What an adaptation gained."""

    path: Path
    """The new weights."""
    spots: int
    effects: "Fitted | None"
    """Of the scanner, as the sum spectrum shows them; None without a scan."""
    before: "SpotScores | None"
    """Of the spots, by the weights as they were; None without spots."""
    after: "SpotScores | None"
    """Of the spots, by weights adapted without them, a fifth left out at a time; None for fewer than two."""
    general_before: dict[str, float]
    """Scores on held-out simulated stacks, as in a model card."""
    general_after: dict[str, float]


def finetune_pigments(
    weights: str | Path,
    scan: Path | None,
    spots: Path | None,
    *,
    output: Path,
    instrument: "Instrument | None" = None,
    config: "Adaptation | None" = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Finetuned:
    """Adapt weights (best, fast or a file) to a scanner, write them to `output`, and return what was gained.

    scan: a file with an energy axis, or a workspace; None where the spots are files of spectra; spots: table of spots,
    see `tasks.pigment_spots`; None: only the scanner is simulated as the scan shows it; instrument: tube, geometry and
    detector, where known; config: how much is learned. Raises InputError where there is neither a scan nor a table.
    """
    from velatura.tasks.pigment_adaptation import answers_for, left_out_answers, spot_scores
    from velatura.tasks.pigment_model import load_pigments, save_pigments

    output = Path(output)
    if scan is None and spots is None:
        raise InputError("there is nothing to adapt to. Give a scan, a table of spots, or both")
    if output.suffix != ".safetensors":
        raise InputError(f"weights are a file NAME.safetensors; asked for {output.name}. Name it so")
    model = load_pigments(weights)
    cube = None if scan is None else scan_with_axis(Path(scan))
    told = None if spots is None else _spots(Path(spots), model, cube, instrument=instrument, seed=seed)
    bench = _bench(model, output.with_suffix(".run"), cube, instrument=instrument, seed=seed, progress=progress)
    if config is not None:
        bench = replace(bench, config=config)
    new = bench.learn(told)
    before = after = None
    if told is not None:
        before = spot_scores(answers_for(model, told, bench.condition), told, model.thresholds)
    if told is not None and len(told.names) > 1:
        answers, thresholds = left_out_answers(told, bench.learn, condition=bench.condition, key=bench.keys[0])
        after = spot_scores(answers, told, thresholds)
    number = 0 if told is None else len(told.names)
    found = Finetuned(output, number, bench.fitted, before, after, bench.scores(model), bench.scores(new))
    details = {**model.card.details, "adapted": plain({"weights": str(weights), "seed": seed, **_told(found)})}
    save_pigments(output, new._replace(card=replace(model.card, details=details, scores=found.general_after)))
    return found


@dataclass(frozen=True)
class _Bench:
    """All that adaptations to one scanner share."""

    model: "PigmentModel"
    groups: tuple[list["SourceGroup"], list["SourceGroup"], list["SourceGroup"]]
    """For training, calibration, scores."""
    fitted: "Fitted | None"
    condition: np.ndarray
    config: "Adaptation"
    keys: Any
    progress: Progress

    def seen(self, part: int) -> list:
        """Return groups with the views that the fitted scanner has of them; part: 0 training, 1 calibration."""
        from velatura.tasks.scanner_effects import with_effects

        if self.fitted is None:
            return []
        return [(group, with_effects(group, group.instrument, self.fitted.effects)) for group in self.groups[part]]

    @cached_property
    def memories(self) -> list:
        """Simulated lessons."""
        from velatura.tasks.pigment_adaptation import ScannerLessons, remembered
        from velatura.tasks.pigment_training import Lessons

        classes, config = self.model.classes, self.config
        lessons: list = [Lessons(self.groups[0], classes, key=self.keys[1], size=config.general)]
        if seen := self.seen(0):
            lessons.append(ScannerLessons(seen, classes, config.scanner, key=self.keys[2]))
        return [remembered(self.model.net, part, config) for part in lessons]

    @cached_property
    def apart(self) -> tuple:
        """Spectra to calibrate by, of stacks that no lesson shows, and others from which strangeness is counted."""
        from velatura.tasks.pigment_adaptation import spectra_through
        from velatura.tasks.pigment_scores import held_out_spectra

        classes, keys = self.model.classes, self.keys[5:7]
        if self.fitted is None:
            usual = held_out_spectra(self.groups[0], classes, 256, key=keys[1], counts=DOSES, kept_back=True)
            return held_out_spectra(self.groups[1], classes, SPECTRA, key=keys[0], counts=DOSES), usual
        kept = np.arange(self.groups[0][0].training, len(self.groups[0][0].photons))
        usual = spectra_through(self.seen(0), classes, 256, key=keys[1], counts=DOSES, stacks=kept)
        return spectra_through(self.seen(1), classes, SPECTRA, key=keys[0], counts=DOSES), usual

    def learn(self, spots: "Spots | None") -> "PigmentModel":
        """Return the model adapted to the scanner, and to spots if there are any, and calibrated again."""
        from velatura.tasks.pigment_adaptation import SpotLessons, adapted, remembered

        memories = list(self.memories)
        if spots is not None:
            lessons = SpotLessons(spots, self.config.spots, condition=self.condition, key=self.keys[3])
            memories.append(remembered(self.model.net, lessons, self.config))
        net = adapted(self.model.net, memories, self.config, key=self.keys[4], progress=self.progress)
        return self.calibrated(self.model._replace(net=net))

    def calibrated(self, model: "PigmentModel") -> "PigmentModel":
        """Return the model calibrated by simulated spectra as the scanner gives them."""
        from velatura.tasks.pigment_scores import calibrated_by

        apart, usual = self.apart
        return calibrated_by(model, apart, usual=usual)

    def scores(self, model: "PigmentModel") -> dict[str, float]:
        """Return scores on the groups that are for nothing else."""
        from velatura.tasks.pigment_scores import held_out_spectra, tested

        dose = (TEST_DOSE, TEST_DOSE)
        return tested(model, held_out_spectra(self.groups[2], model.classes, SPECTRA, key=self.keys[7], counts=dose))


def _bench(
    model: "PigmentModel", folder: Path, cube: xr.Dataset | None, *, instrument: "Instrument | None", seed: int,
    progress: Progress,
) -> _Bench:  # fmt: skip
    """Make or read the bank, and fit the scanner to the scan."""
    import jax

    from velatura.scene.sources import SourcePlan, split
    from velatura.scene.training import described
    from velatura.tasks.pigment_adaptation import Adaptation
    from velatura.train.rundir import open_run

    head = None if instrument is None else plain(asdict(instrument))
    run = open_run(folder, {"groups": GROUPS, "stacks": STACKS, "seed": seed, "instrument": head})
    plan = SourcePlan(groups=GROUPS, stacks=STACKS, seed=seed, held_out=HELD_OUT, instrument=instrument)
    bank = complete_bank(run.folder / "bank", plan, progress=progress)
    parts = split(plan)
    groups = read_groups(bank, parts.training), read_groups(bank, parts.calibration), read_groups(bank, parts.held_out)
    fitted = None if cube is None else _fitted(cube, groups[0][:COMPOSING], seed=seed, progress=progress)
    condition = np.zeros(8, np.float32) if instrument is None else described(instrument)
    keys = jax.random.split(jax.random.key(seed), 8)
    return _Bench(model, groups, fitted, condition, Adaptation(), keys, progress)


def _fitted(cube: xr.Dataset, groups: list["SourceGroup"], *, seed: int, progress: Progress) -> "Fitted":
    from velatura.spectra.summary import summarise
    from velatura.tasks.identify import on_grid
    from velatura.tasks.scanner_effects import fit_effects

    rng = np.random.default_rng(seed)
    whole = np.minimum(summarise(cube, progress=progress).sum_spectrum, 2**32 - 1)[None]
    counts = on_grid(whole, cube.energy.values, seed=int(rng.integers(2**31)))[0]
    return fit_effects(counts, groups, rng=rng, progress=progress)


def scan_with_axis(scan: Path) -> xr.Dataset:
    """Return the cube of a workspace or of a scan file lazily; raises InputError where it has no energy axis."""
    cube = read_cube(open_workspace(scan)) if is_workspace(scan) else open_scan(scan)
    if "energy" not in cube.coords:
        raise InputError(f"{scan.name} has no energy axis. Import and calibrate it first, then give the workspace")
    return cube


def _spots(
    path: Path, model: "PigmentModel", cube: xr.Dataset | None, *, instrument: "Instrument | None", seed: int
) -> "Spots":
    from velatura.tasks.pigment_spots import gather_spots, read_spots

    acquisition: dict[str, Any] = {} if cube is None else dict(cube.counts.attrs)
    anode, voltage = acquisition.get("anode"), acquisition.get("tube_voltage")
    if instrument is not None:
        anode, voltage = instrument.tube.anode, instrument.tube.voltage
    rng = np.random.default_rng((seed, 1))
    table = read_spots(path, model.classes)
    return gather_spots(table, model.classes, cube, anode=anode, tube_voltage=voltage, rng=rng)


def _told(found: Finetuned) -> dict[str, Any]:
    """What a model card tells of an adaptation."""
    told = {name: getattr(found, name) for name in ("before", "after")}
    return {
        "spots": found.spots,
        "effects": None if found.effects is None else asdict(found.effects.effects),
        **{name: None if part is None else part._asdict() for name, part in told.items()},
        "general_before": found.general_before,
    }
