"""`velatura train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Group, Parameter

from velatura.base.errors import InputError
from velatura.cli.console import progress_bar, say
from velatura.cli.train_recolour import embedding, recolour

if TYPE_CHECKING:
    from velatura.chain.train_pigments import Recipe
    from velatura.tasks.pigment_adaptation import SpotScores

CALIBRATE = 0.002  # gain beyond which a scan should be calibrated rather than learned
ADAPT = Group("Adapting to a scanner", sort_key=1)
train = App(name="train", help="Train networks again, or adapt them to your scanner.")
train.command(embedding)
train.command(recolour)


@train.command
def pigments(
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    *,
    recipe: Annotated[str, Parameter(name="--recipe")] = "short",
    design: Annotated[str | None, Parameter(name="--design")] = None,
    steps: Annotated[int | None, Parameter(name="--steps")] = None,
    groups: Annotated[int | None, Parameter(name="--groups")] = None,
    seed: Annotated[int | None, Parameter(name="--seed")] = None,
    leave_out: Annotated[tuple[str, ...], Parameter(name="--leave-out", negative="")] = (),
    teacher: Annotated[str | None, Parameter(name="--teacher")] = None,
    begin: Annotated[str | None, Parameter(name="--begin")] = None,
    bank: Annotated[Path | None, Parameter(name="--bank")] = None,
    finetune: Annotated[bool, Parameter(name="--finetune", negative="", group=ADAPT)] = False,
    weights: Annotated[str, Parameter(name="--weights", group=ADAPT)] = "best",
    scan: Annotated[Path | None, Parameter(name="--scan", group=ADAPT)] = None,
    spots: Annotated[Path | None, Parameter(name="--spots", group=ADAPT)] = None,
    instrument: Annotated[str | None, Parameter(name="--instrument", group=ADAPT)] = None,
) -> None:
    """Train the network that names pigments, from simulated paint. A killed run goes on: give the same command again.

    With --finetune, adapt weights to your scanner instead, from its scan, from spots with known pigments, or both.

    Parameters
    ----------
    output
        Run folder; the weights are its pigments.safetensors (velatura identify --model FILE). With --finetune: the file
        of the adapted weights.
    recipe
        short (a small network, minutes on two cores), full (that of the shipped weights), fast (the small network of
        previews, taught by the best).
    design
        residual, transformer, perceptron or fast, in place of the recipe's.
    steps
        Updates of the weights, in place of the recipe's.
    groups
        Tubes and geometries in the bank of stacks, in place of the recipe's; 512 stacks each.
    seed
        Start of all chance.
    leave_out
        XRF classes that the network never sees, to test how it meets the unknown.
    teacher
        Weights to imitate: best, fast or a file.
    begin
        Weights to go on from: best, fast or a file, in place of the recipe's.
    bank
        Folder of stacks of another run of the same recipe, to be used again.
    finetune
        Adapt weights in place of training new ones.
    weights
        The weights to adapt: best, fast or a file.
    scan
        Workspace or scan file of the scanner; its sum spectrum shows what the simulation must be changed by.
    spots
        Table (CSV) of spots with known pigments: x, y, pigments (docs/adaptation.md).
    instrument
        The scanner, where known: a preset or a .toml file (see `velatura instrument`).
    """
    if finetune:
        _adapt(weights, scan, spots, output=output, instrument=instrument, seed=seed or 0)
    elif scan or spots or instrument:
        raise InputError("--scan, --spots and --instrument adapt weights. Add --finetune")
    else:
        numbers = {"steps": steps, "groups": groups, "seed": seed}
        asked = _asked(recipe, design=design, left_out=leave_out, teacher=teacher, begin=begin, **numbers)
        _train(output, asked, bank=bank)


def _asked(recipe: str, *, steps: int | None, left_out: tuple[str, ...], **changes: Any) -> "Recipe":
    from velatura.chain.train_pigments import recipe_named

    if steps is not None and steps < 1:
        raise InputError(f"a training needs one step or more; asked for {steps}")
    return recipe_named(recipe, steps=steps, left_out=left_out or None, **changes)


def _train(output: Path, asked: "Recipe", *, bank: Path | None) -> None:
    from velatura.chain.train_pigments import train_pigments

    with progress_bar() as progress:
        path, scores = train_pigments(output, asked, bank=bank, progress=progress)
    _say_scores(scores)
    say(f"weights: {path}")


def _adapt(
    weights: str, scan: Path | None, spots: Path | None, *, output: Path, instrument: str | None, seed: int
) -> None:
    from velatura.chain.finetune_pigments import finetune_pigments
    from velatura.physics.instrument import preset

    head = None if instrument is None else preset(instrument)
    with progress_bar() as progress:
        found = finetune_pigments(weights, scan, spots, output=output, instrument=head, seed=seed, progress=progress)
    if found.effects is not None:
        seen = found.effects.effects
        noise = "" if seen.noise is None else f", noise {1e3 * seen.noise:.0f} eV"
        say(f"the scan's axis: gain x {seen.gain:.4f}, offset {1e3 * seen.offset:+.0f} eV{noise}")
        if abs(seen.gain - 1) > CALIBRATE:
            say("that is far off: calibrate the scan first (velatura calibrate), then adapt again")
    if found.before is not None:
        say(f"{found.spots} spots, before: {_plain(found.before)}")
    if found.after is not None:
        say(f"{found.spots} spots, each judged by weights that had not seen it: {_plain(found.after)}")
    for name, value in found.general_after.items():
        say(f"{name:<22}{value:6.3f}   before {found.general_before[name]:6.3f}")
    say(f"weights: {found.path}")


def _plain(scores: "SpotScores") -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in scores._asdict().items())


def _say_scores(scores: dict[str, float]) -> None:
    for name, value in scores.items():
        say(f"{name:<22}{value:6.3f}")
