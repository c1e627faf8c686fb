"""`velatura simulate`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from velatura.base.errors import InputError
from velatura.chain.simulate import Picture, simulate_picture, simulate_scene
from velatura.chain.spectra_bank import write_bank
from velatura.cli.console import progress_bar, say
from velatura.physics.instrument import Instrument, preset
from velatura.scene.bank import Bank
from velatura.scene.sampler import Sampling
from velatura.tasks.pigment_rules import years

Plan = Annotated[Picture, Parameter(name="*", group="From a picture")]


def simulate(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    scene: Annotated[Path | None, Parameter(name="--scene")] = None,
    image: Annotated[Path | None, Parameter(name="--image")] = None,
    random: Annotated[int | None, Parameter(name="--random")] = None,
    explain: Annotated[bool, Parameter(name="--explain", negative="")] = False,
    instrument: Annotated[str | None, Parameter(name="--instrument")] = None,
    counts: Annotated[float | None, Parameter(name="--counts")] = None,
    seed: Annotated[int | None, Parameter(name="--seed")] = None,
    period: Annotated[str | None, Parameter(name="--period")] = None,
    picture: Plan = Picture(),  # noqa: B008
) -> None:
    """Simulate what a scanner would count: a scene file, a picture, or random stacks of paint, with the truth beside.

    Parameters
    ----------
    output
        What to make: a workspace like that of a measured scan (truth in maps/truth), or a bank of random spectra.
    scene
        A painting written down layer by layer (docs/scenes.md).
    image
        A picture to be painted again with the pigments of a palette.
    random
        Number of random stacks; each 512 are counted by another random scanner unless --instrument names one.
    explain
        Print which lines come from which layer and how well each pigment can be seen; with -o also a figure.
    instrument
        laboratory, bruker-m6, crono, infn-chnet, or a .toml file (see `velatura instrument`).
    counts
        Mean counts a pixel; by default the scene's, 5000 for a picture (ganx: 400), 1e3 to 1e5 for random stacks.
    seed
        Start of all chance; the same seed gives the same bytes.
    period
        Years of painting for random stacks, like 1600-1650: pigments in use then.
    """
    asked = [
        name for name, value in (("--scene", scene), ("--image", image), ("--random", random)) if value is not None
    ]
    if len(asked) != 1:
        raise InputError(f"give one of --scene FILE, --image FILE, --random N; found {' and '.join(asked) or 'none'}")
    if explain and scene is None:
        raise InputError("--explain reads a scene. Give --scene FILE")
    head = None if instrument is None else preset(instrument)
    if scene is not None and explain:
        _explain(scene, output, head)
    elif output is None:
        raise InputError("where shall it go? Give -o NAME.zarr")
    elif random is not None:
        _random(random, output, instrument=head, counts=counts, seed=seed or 0, period=years(period))
    elif scene is not None:
        with progress_bar() as progress:
            made = simulate_scene(scene, output, instrument=head, counts=counts, seed=seed, progress=progress)
        _say_scan(made.path)
    elif image is not None:
        usual, head = 400 if picture.method == "ganx" else 5000, head or preset("laboratory")
        with progress_bar() as progress:
            made = simulate_picture(
                image, output, picture, instrument=head, counts=counts or usual, seed=seed or 0, progress=progress
            )
        _say_scan(made.path)


def _say_scan(path: Path) -> None:
    say(f"workspace: {path} (truth in maps/truth)")
    say(f"analyse it: velatura analyse {path}")


def _random(
    number: int, output: Path, *, instrument: Instrument | None, counts: float | None, seed: int,
    period: tuple[float, float] | None,
) -> None:  # fmt: skip
    doses = (1e3, 1e5) if counts is None else (counts, counts)
    bank = Bank(number, seed=seed, instrument=instrument, counts=doses, stacks=Sampling(period=period))
    with progress_bar() as progress:
        made = write_bank(output, bank, progress=progress)
    say(f"{number} spectra: {made / 'spectra'} (xarray.open_zarr)")


def _explain(scene: Path, output: Path | None, instrument: Instrument | None) -> None:
    from velatura.chain.explain_scene import explain_scene

    with progress_bar() as progress:
        found = explain_scene(scene, output, instrument=instrument, progress=progress)
    for line in found:
        say(line)
