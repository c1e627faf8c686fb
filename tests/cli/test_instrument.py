"""`velatura instrument` as a user meets it: files in, a preset and a figure out, one message for what cannot be."""

from pathlib import Path

import numpy as np
import pytest

from velatura.cli.main import run
from velatura.io.spectrum import Spectrum, write_spectrum_file
from velatura.physics.instrument import PRESETS, read_instrument
from velatura.physics.sample import sample_stack
from velatura.physics.trials import Trials


@pytest.fixture(scope="module")
def iron(tmp_path_factory) -> Path:
    """A spectrum of iron as the laboratory preset would count it, 512 channels."""
    path = tmp_path_factory.mktemp("spectra") / "iron.msa"
    instrument = PRESETS["laboratory"].rebinned(512)
    counts = Trials((sample_stack("Fe"),), instrument.geometry).spectra(instrument)[0]
    drawn = np.random.default_rng(5).poisson(counts / counts.sum() * 1e6).astype(float)
    write_spectrum_file(Spectrum(drawn, instrument.zero, instrument.gain, anode="Rh", tube_voltage=40.0), path)
    return path


def test_a_preset_and_a_figure_come_out(iron, tmp_path, capsys):
    output = tmp_path / "mine.toml"
    assert run(["instrument", str(iron), "--sample", "Fe", "-o", str(output)]) == 0
    found = read_instrument(output)
    assert (found.name, found.channels) == ("mine", 512)
    assert found.detector.noise == pytest.approx(0.08, rel=0.1)
    assert output.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    said = capsys.readouterr().out
    assert "Fe Kb/Ka" in said
    assert "mine.toml" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sample", "Fee"], "no material, formula or list"),
        (["--sample", "Fe", "--sample", "Cu"], "each spectrum needs its --sample"),
        (["--sample", "Fe", "-o", "mine.json"], "suffix .toml"),
        (["--sample", "Fe", "--like", "bruker-m7"], 'did you mean "bruker-m6"'),
        (["--sample", "Fe", "--calibration", "640"], "must read like"),
        (["--sample", "Fe", "--thickness", "10"], "needs its density"),
    ],
)
def test_one_message_for_what_cannot_be(iron, options, said, capsys):
    assert run(["instrument", str(iron), *options]) == 2
    error = capsys.readouterr().err
    assert said in error.replace("\n", " ")
    assert "Traceback" not in error
