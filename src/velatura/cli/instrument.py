"""`velatura instrument`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from velatura.base.errors import InputError
from velatura.cli.console import progress_bar, say


def instrument(
    *spectra: Annotated[Path, Parameter(help="Spectra of the samples: .msa, .spx, .mca, .spe, .txt, .csv.")],
    sample: Annotated[list[str], Parameter(name="--sample")],
    thickness: Annotated[float | None, Parameter(name="--thickness")] = None,
    density: Annotated[float | None, Parameter(name="--density")] = None,
    like: Annotated[str, Parameter(name="--like")] = "laboratory",
    calibration: Annotated[str | None, Parameter(name="--calibration")] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("instrument.toml"),
) -> None:
    """Fit an instrument to your own spectra of known samples, and write it as a TOML preset with a figure beside it.

    Parameters
    ----------
    sample
        What was measured: a material (acrylic), a formula (SiO2) or mass shares ("Fe:0.70, Cr:0.18, Ni:0.12"); one for
        each spectrum, in their order.
    thickness
        Thickness of the samples [um]; thick when left out.
    density
        Density [g/cm3], needed with a thickness for samples that are no material of the tables.
    like
        The preset or .toml file to start from: tube, geometry and detector as far as they are known.
    calibration
        Two or more points channel=keV where the files give no energy axis; found from the lines when left out.
    output
        The TOML file to write; the figure has its name with .png.
    """
    from velatura.physics.instrument import preset, write_instrument
    from velatura.physics.sample import sample_stack
    from velatura.report.drawing import as_png
    from velatura.report.standard_figures import standards_figure
    from velatura.tasks.instrument_fit import fit_instrument, start_from
    from velatura.tasks.standard_comparison import Standard

    if not spectra or len(sample) != len(spectra):
        raise InputError(
            f"each spectrum needs its --sample; found {len(spectra)} spectra and {len(sample)} samples. "
            "Write e.g. iron.msa acrylic.msa --sample Fe --sample acrylic"
        )
    if output.suffix != ".toml":
        raise InputError(f"the instrument is written as TOML; found the name {output}. Give it the suffix .toml")
    stacks = [sample_stack(text, thickness=thickness, density=density) for text in sample]
    read = [_calibrated(path, calibration) for path in spectra]
    start = start_from(read[0], preset(like), name=output.stem)
    with progress_bar() as progress:
        standards = [Standard(spectrum, stack) for spectrum, stack in zip(read, stacks, strict=True)]
        fitted = fit_instrument(standards, start, progress=progress)
    write_instrument(fitted.instrument, output)
    titles = [f"{path.name} ({text})" for path, text in zip(spectra, sample, strict=True)]
    figure = standards_figure(fitted.comparisons, titles=titles, columns=2, heading=f"Instrument {output.stem}")
    output.with_suffix(".png").write_bytes(as_png(figure))
    _say_fitted(fitted, titles)
    say(f"instrument: {output}   figure: {output.with_suffix('.png')}")


def _calibrated(path: Path, points: str | None):
    """A spectrum with an energy axis: from points, from its file, or found from its lines."""
    from dataclasses import replace

    from velatura.io.spectrum import read_spectrum_file
    from velatura.spectra.calibrate import calibrate, calibrate_two_points

    spectrum = read_spectrum_file(path)
    if points is not None:
        try:
            pairs = [tuple(map(float, point.split("="))) for point in points.split(",")]
            found = calibrate_two_points([(channel, energy) for channel, energy in pairs])
        except ValueError as error:
            raise InputError(f"--calibration must read like 640=6.404,1055=10.551; found {points!r}") from error
    elif spectrum.gain is None:
        found = calibrate(spectrum.counts, anode=spectrum.anode, tube_voltage=spectrum.tube_voltage)
    else:
        return spectrum
    return replace(spectrum, zero=found.zero, gain=found.gain)


def _say_fitted(fitted, titles: list[str]) -> None:
    """Print what was fitted and how each standard looks through it."""
    from velatura.tasks.instrument_knobs import fitted_values

    for name, value in fitted_values(fitted.instrument, fitted.uncertainty):
        error = fitted.uncertainty[name]
        say(f"  {name:<28}{value:10.5g} ± " + (f"{error:.2g} keV" if name == "zero" else f"{error:.1%}"))
    for title, found in zip(titles, fitted.comparisons, strict=True):
        say(f"{title}: misfit {found.misfit:.1%} of the counts, typical {found.typical:.1%}, chi2 {found.chi2:.1f}")
        for measured, simulated in found.ratios:
            off = simulated.value / measured.value - 1
            known = f"{measured.value:8.4f} ± {measured.uncertainty:.4f}"
            say(f"  {measured.name:<24}measured {known}   simulated {simulated.value:8.4f}   {off:+.1%}")
        for level in found.levels:
            off = level.simulated / max(level.measured, 1e-9) - 1
            both = f"measured {level.measured:8.3g}   simulated {level.simulated:8.3g} counts/keV"
            say(f"  background {level.energy:5.2f} keV    {both}   {off:+.0%}")
