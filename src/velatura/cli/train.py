"""`velatura train`."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from velatura.base.errors import InputError
from velatura.cli.console import progress_bar, say

train = App(name="train", help="Train networks again, or adapt them to your scanner.")


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
    bank: Annotated[Path | None, Parameter(name="--bank")] = None,
) -> None:
    """Train the network that names pigments, from simulated paint. A killed run goes on: give the same command again.

    Parameters
    ----------
    output
        Run folder; the weights are its pigments.safetensors (velatura identify --model FILE).
    recipe
        short (under an hour on two cores), full (that of the shipped weights), fast (a small network for previews).
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
    bank
        Folder of stacks of another run of the same recipe, to be used again.
    """
    from velatura.chain.train_pigments import recipe_named, train_pigments

    if steps is not None and steps < 1:
        raise InputError(f"a training needs one step or more; asked for {steps}")
    asked = recipe_named(
        recipe, design=design, steps=steps, groups=groups, seed=seed, left_out=leave_out or None, teacher=teacher
    )
    with progress_bar() as progress:
        path, scores = train_pigments(output, asked, bank=bank, progress=progress)
    for name, value in scores.items():
        say(f"{name:<22}{value:6.3f}")
    say(f"weights: {path}")
