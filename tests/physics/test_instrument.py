from pathlib import Path

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.instrument import (
    PRESETS,
    Geometry,
    Instrument,
    instrument_from,
    preset,
    random_instrument,
    read_instrument,
    write_instrument,
)


@pytest.mark.parametrize("name", PRESETS)
def test_a_written_preset_is_read_unchanged(tmp_path: Path, name: str) -> None:
    path = tmp_path / "own.toml"
    write_instrument(PRESETS[name], path)
    assert read_instrument(path) == PRESETS[name]
    assert preset(str(path)) == PRESETS[name]


def test_random_instruments_are_possible_and_repeat(tmp_path: Path) -> None:
    for seed in range(60):
        drawn = random_instrument(rng=np.random.default_rng(seed))
        assert drawn == random_instrument(rng=np.random.default_rng(seed))
        assert 0.124 < drawn.detector.fwhm(5.895) < 0.161
        assert 90 <= drawn.geometry.azimuth <= 180
        assert drawn.axis()[-1] > 0.8 * drawn.tube.voltage
        write_instrument(drawn, tmp_path / "random.toml")
        assert read_instrument(tmp_path / "random.toml") == drawn


def test_rebinning_keeps_the_ends_of_the_axis() -> None:
    fine, coarse = PRESETS["infn-chnet"], PRESETS["infn-chnet"].rebinned(1024)
    assert coarse.axis()[0] - coarse.gain / 2 == pytest.approx(fine.axis()[0] - fine.gain / 2)
    assert coarse.axis()[-1] + coarse.gain / 2 == pytest.approx(fine.axis()[-1] + fine.gain / 2)
    with pytest.raises(InputError, match="1000 channels do not divide the 16384"):
        fine.rebinned(1000)


def test_scattering_angle() -> None:
    for azimuth in (0, 70, 180):
        assert Geometry(90, 45, azimuth=azimuth).scattering_angle() == pytest.approx(135)
    assert Geometry(45, 45).scattering_angle() == pytest.approx(90)
    assert Geometry(70, 60).scattering_angle() == pytest.approx(130)
    assert Geometry(50, 50, azimuth=90).scattering_angle() == pytest.approx(125.93, abs=0.01)
    assert Geometry(50, 50, azimuth=0).scattering_angle() == pytest.approx(180)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"tube": {"anod": "Rh"}}, "here: tube: no field 'anod'; .*did you mean \"anode\""),
        ({"tube": {"voltage": "forty"}}, "here: tube: voltage must be a number; found 'forty'"),
        ({"tube": {"voltage": 400}}, "found 400 kV"),
        ({"tube": 40}, "here: tube must be a table of fields; found 40"),
        ({"like": "bruker-m4"}, "no instrument 'bruker-m4'.*did you mean \"bruker-m6\""),
        ({"geometry": {"incidence_angle": 0}}, "must lie in 5 to 90 deg"),
        ({"geometry": {"azimuth": 200}}, "azimuth .* must lie in 0 to 180 deg; found 200"),
        ({"geometry": {"atmosphere": "helum"}}, 'did you mean "helium"'),
        ({"detector": {"noise": -1}}, "noise = -1"),
        ({"gain": -0.01}, "energy must rise"),
        ({"channels": 10.5}, "channels must be a number; found 10.5"),
    ],
)
def test_impossible_instruments_are_refused(content: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        instrument_from(content, where="here")


def test_a_file_may_start_from_a_preset() -> None:
    found = instrument_from({"like": "bruker-m6", "tube": {"voltage": 45}}, where="here")
    assert found.tube.voltage == 45.0
    assert found.channels == PRESETS["bruker-m6"].channels
    assert isinstance(found, Instrument)


def test_a_lens_may_be_taken_away() -> None:
    found = instrument_from({"like": "bruker-m6", "tube": {"lens": None}}, where="here")
    assert found.tube.lens is None
    with pytest.raises(InputError, match="voltage must be a number; found None"):
        instrument_from({"tube": {"voltage": None}}, where="here")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the instrument"):
        read_instrument(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("tube = [")
    with pytest.raises(InputError, match="cannot read the instrument"):
        read_instrument(tmp_path / "bad.toml")
