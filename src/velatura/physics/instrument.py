"""A whole scanner as a record: tube, geometry, detector, channels. Presets, files, and random draws for training."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from velatura.base.aside import replace_text
from velatura.base.cube import energy_axis
from velatura.base.errors import InputError, did_you_mean
from velatura.physics.detector import Detector
from velatura.physics.material import material
from velatura.physics.tube import Tube

NOISE_AT_MN = 8 * np.log(2) * 0.115 * 3.66e-3 * 5.895  # keV2: what the Fano factor adds at Mn Ka


@dataclass(frozen=True)
class Geometry:
    """Angles from the painting's surface, and the gas that beam and fluorescence cross.

    Raises InputError for angles outside 5 to 90 deg, negative paths and an unknown atmosphere.
    """

    incidence_angle: float = 90.0
    """[deg]"""
    take_off_angle: float = 45.0
    """[deg]"""
    acceptance: float = 8.0
    """Half the range of scattering angles that the detector sees [deg]."""
    gap: float = 8.0
    """Height of the gas over the painting that the detector sees [mm]: it gives the argon line."""
    path_in: float = 5.0
    """Gas between tube and gap [mm]."""
    path_out: float = 5.0
    """Gas between gap and detector [mm]."""
    atmosphere: str = "air"
    """air, helium or vacuum."""
    azimuth: float = 180.0
    """Between tube and detector, seen along the normal [deg]; 180: they stand on opposite sides of it."""

    def __post_init__(self) -> None:
        for name in ("incidence_angle", "take_off_angle"):
            if not 5 <= getattr(self, name) <= 90:
                raise InputError(f"{name} must lie in 5 to 90 deg from the surface; found {getattr(self, name):g}")
        if not 0 <= self.azimuth <= 180:
            raise InputError(f"azimuth between tube and detector must lie in 0 to 180 deg; found {self.azimuth:g}")
        for name in ("gap", "path_in", "path_out", "acceptance"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} must be 0 or more; found {getattr(self, name):g}")
        if self.atmosphere != "vacuum":
            material(self.atmosphere)

    def scattering_angle(self) -> float:
        """Angle [deg] between the beam's way on and the way to the detector.

        cos(theta) = cos(in) cos(out) cos(180 - azimuth) - sin(in) sin(out), the product of two unit vectors; the sum of
        both angles for azimuth 180.
        """
        incidence, take_off, turned = np.radians([self.incidence_angle, self.take_off_angle, 180.0 - self.azimuth])
        level = np.cos(incidence) * np.cos(take_off) * np.cos(turned)
        cosine = level - np.sin(incidence) * np.sin(take_off)
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


@dataclass(frozen=True)
class Instrument:
    """Everything that turns a stack of paint into a spectrum."""

    name: str = "laboratory"
    tube: Tube = field(default_factory=Tube)
    geometry: Geometry = field(default_factory=Geometry)
    detector: Detector = field(default_factory=Detector)
    channels: int = 2048
    zero: float = 0.0
    """Energy of channel 0 [keV]."""
    gain: float = 0.02
    """[keV/channel]"""
    scatter: float = 1.0
    """Scattered photons counted per computed one: collimators see scatter and fluorescence differently."""
    multiple: float = 0.05
    """Photons scattered twice per photon scattered once by Compton effect."""
    background: float = 0.02
    """Share of the counts in a smooth background that no physics here explains (incomplete charge, surroundings)."""
    parasites: tuple[tuple[str, float], ...] = ()
    """(element, counts in its K or L lines per scattered count) from collimator and housing."""

    def __post_init__(self) -> None:
        energy_axis(self.channels, zero=self.zero, gain=self.gain)
        for name in ("scatter", "multiple", "background"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} of instrument {self.name!r} must be 0 or more; found {getattr(self, name):g}")

    def axis(self) -> np.ndarray:
        """Channel centres [keV], float64 [channel]."""
        return energy_axis(self.channels, zero=self.zero, gain=self.gain)

    def rebinned(self, channels: int) -> "Instrument":
        """Return the instrument with neighbouring channels summed; `channels` must divide the present number."""
        factor, rest = divmod(self.channels, channels)
        if rest or not factor:
            raise InputError(f"{channels} channels do not divide the {self.channels} of {self.name!r}")
        return replace(self, channels=channels, zero=self.zero + self.gain * (factor - 1) / 2, gain=self.gain * factor)


# Sources: Alfeld et al., J. Anal. At. Spectrom. 28 (2013) 760 (M6); IPERION HS catalogue and a scan's header (CRONO);
# Taccetti et al., Rend. Lincei 30 (2019) 307 (INFN-CHNet); where they are silent, usual values of such heads.
PRESETS: Mapping[str, Instrument] = {
    "laboratory": Instrument(),
    "bruker-m6": Instrument(
        "bruker-m6",
        Tube("Rh", 50.0, lens=(13.5, 4.0)),  # as fitted to a polycapillary of the maker's M4, docs/standards.md
        Geometry(90.0, 50.0, gap=9.0, path_in=1.0, path_out=4.0),
        Detector(noise=0.085),
        channels=4096,
        zero=-0.96,
        gain=0.01,
    ),
    "crono": Instrument(
        "crono", Tube("Rh", 40.0), Geometry(90.0, 45.0, gap=10.0, path_in=5.0, path_out=10.0), Detector(noise=0.055),
        channels=4096, zero=-0.05, gain=0.0101,
    ),
    "infn-chnet": Instrument(
        "infn-chnet", Tube("Mo", 40.0), Geometry(90.0, 45.0, gap=8.0, path_in=4.0, path_out=6.0), Detector(noise=0.065),
        channels=16384, zero=0.0, gain=0.0025,
    ),
}  # fmt: skip


def preset(name: str) -> Instrument:
    """Return a preset by name, or the instrument of a TOML file; raises InputError with a near miss otherwise."""
    if name in PRESETS:
        return PRESETS[name]
    if name.endswith(".toml"):
        return read_instrument(Path(name))
    known = ", ".join(PRESETS)
    raise InputError(f"no instrument {name!r}; known are {known}, or give a .toml file{did_you_mean(name, PRESETS)}")


def read_instrument(path: Path) -> Instrument:
    """Read an instrument from TOML: its fields, with tables [tube], [geometry] and [detector]."""
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the instrument in {path}: {error}") from error
    return instrument_from(content, where=str(path))


def instrument_from(content: Mapping[str, Any], *, where: str) -> Instrument:
    """Build an instrument from nested mappings; `like` names the preset whose values fill what is not given.

    Raises InputError for unknown fields (with a near miss) and values of the wrong kind; `where` names the source.
    """
    content = dict(content)
    base = preset(str(content.pop("like", "laboratory")))
    return _filled(base, {"name": base.name, **content}, where)


def write_instrument(instrument: Instrument, path: Path) -> None:
    """Write an instrument as TOML that `read_instrument` returns unchanged."""
    parts = {"tube": instrument.tube, "geometry": instrument.geometry, "detector": instrument.detector}
    lines = [f"{name} = {_toml(value)}" for name, value in vars(instrument).items() if name not in parts]
    for table, part in parts.items():
        lines += ["", f"[{table}]"]
        lines += [f"{name} = {_toml(value)}" for name, value in vars(part).items() if value is not None]
    replace_text(Path(path), "\n".join(lines) + "\n")


def random_instrument(*, rng: np.random.Generator, channels: int = 1024) -> Instrument:
    """Draw an instrument from the range of heads in use, for training networks that meet unknown scanners.

    Anode Rh 0.6, Mo 0.2, Ag 0.1, W 0.1; 30 to 50 kV; beam 70 to 90 deg, take-off 30 to 60 deg, azimuth 90 to 180 deg;
    125 to 160 eV at Mn Ka; 5 to 30 mm of air on both ways, helium in a tenth of the draws; 20 to 40 keV over the
    channels.
    """
    uniform = rng.uniform
    width = uniform(0.125, 0.160)
    tube = Tube(
        str(rng.choice(["Rh", "Mo", "Ag", "W"], p=[0.6, 0.2, 0.1, 0.1])),
        voltage=uniform(30, 50), take_off=uniform(10, 20), window=uniform(75, 250),
        lens=(uniform(10, 25), uniform(1, 3)) if rng.random() < 0.4 else None,
    )  # fmt: skip
    geometry = Geometry(
        uniform(70, 90), uniform(30, 60), acceptance=uniform(5, 15), gap=uniform(3, 12), path_in=uniform(1, 10),
        path_out=uniform(1, 12), atmosphere="helium" if rng.random() < 0.1 else "air", azimuth=uniform(90, 180),
    )  # fmt: skip
    detector = Detector(
        noise=float(np.sqrt(max(width**2 - NOISE_AT_MN, 1e-4))), tail=uniform(0.005, 0.03),
        tail_width=uniform(0.1, 0.3), shelf=uniform(0.001, 0.005), window=uniform(8, 25), pile_up=uniform(0, 0.03),
    )  # fmt: skip
    parasites = rng.choice(["Fe", "Ni", "Cu", "Zn", "Zr", "Ta", "Pb"], rng.integers(0, 3), replace=False)
    return Instrument(
        "random", tube, geometry, detector, channels, zero=uniform(-0.1, 0.05),
        gain=max(uniform(25, 42), tube.voltage * 0.85) / channels, scatter=float(np.exp(uniform(-0.5, 0.5))),
        multiple=uniform(0.0, 0.15), background=float(uniform(0, 0.3) ** 2),
        parasites=tuple((str(name), float(10 ** uniform(-3.5, -2))) for name in parasites),
    )  # fmt: skip


def _filled(record: Any, content: Mapping[str, Any], where: str) -> Any:
    """Return a record with the given fields replaced, tables within tables."""
    known = {entry.name: getattr(record, entry.name) for entry in fields(record)}
    changed = {}
    for name, value in content.items():
        if name not in known:
            raise InputError(f"{where}: no field {name!r}; known are {', '.join(known)}{did_you_mean(name, known)}")
        changed[name] = _value(known[name], value, f"{where}: {name}")
    return replace(record, **changed)


def _value(present: Any, value: Any, where: str) -> Any:
    if value is None and (present is None or isinstance(present, tuple)):
        return None
    if is_dataclass(present):
        if not isinstance(value, Mapping):
            raise InputError(f"{where} must be a table of fields; found {value!r}")
        return _filled(present, value, where)
    if isinstance(present, tuple) or (present is None and isinstance(value, list)):
        return tuple(tuple(part) if isinstance(part, list) else part for part in value)
    kind = type(present)
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise InputError(f"{where} must be a {'number' if kind in (int, float) else kind.__name__}; found {value!r}")
    return kind(value)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_toml(part) for part in value)}]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
