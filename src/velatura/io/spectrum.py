"""One measured spectrum from a file of its own: EMSA/MAS, Bruker .spx, Amptek and SPEC .mca, .spe, Epics, columns."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from velatura.base.aside import replace_text
from velatura.base.cube import energy_axis
from velatura.base.errors import FileFormatError, InputError, did_you_mean
from velatura.io import mca_file
from velatura.io.bcf_header import ANODES, section
from velatura.io.bcf_header import field as tagged

MOST_KEV = 200.0  # energies above this are in eV
MOST_NEGATIVE = 0.01
UNEVEN = 0.02  # of a channel: how far energies may lie off a straight line


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Counts of one spectrum and what its file says of them.

    Raises InputError for counts that are not a list of at least two finite numbers, or are below zero by more than 1 %
    of their sum: a background was taken off. Less than that is what corrections for pile-up leave (Bruker).
    """

    counts: np.ndarray = field(repr=False)
    """float64 [channel]."""
    zero: float | None = None
    """Energy of channel 0 [keV]; None where the file has no energy axis."""
    gain: float | None = None
    """[keV/channel]"""
    name: str = ""
    live_time: float | None = None
    """[s]"""
    anode: str | None = None
    tube_voltage: float | None = None
    """[kV]"""
    incidence_angle: float | None = None
    """[deg] from the surface."""
    take_off_angle: float | None = None
    """[deg] from the surface."""

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, np.float64)
        if counts.ndim != 1 or len(counts) < 2 or not np.all(np.isfinite(counts)):
            raise InputError(f"a spectrum needs two or more finite counts; found the shape {counts.shape}")
        if not -counts[counts < 0].sum() <= MOST_NEGATIVE * counts[counts > 0].sum() > 0:
            raise InputError(
                f"counts must be 0 or more and not all 0; found {counts.min():g} to {counts.max():g}. "
                "Was a background subtracted? Give the spectrum as measured"
            )
        object.__setattr__(self, "counts", counts)

    def axis(self) -> np.ndarray:
        """Channel centres [keV], float64 [channel]; raises InputError for a spectrum without an energy axis."""
        if self.zero is None or self.gain is None:
            raise InputError(f"{self.name or 'the spectrum'} has no energy axis. Give its zero and gain")
        return energy_axis(len(self.counts), zero=self.zero, gain=self.gain)


def read_spectrum_file(path: Path | str, *, detector: int = 0) -> Spectrum:
    """Read a spectrum of any of these formats, told apart by their content.

    EMSA/MAS (ISO 22029; .msa, .emsa, .txt), Bruker .spx, Amptek .mca, SPEC .mca (@A), .spe ($DATA:), Epics MCA text,
    one column of counts, or two of energy or channel and counts (comma, semicolon, tab or blanks between).
    detector: which of several spectra of an Epics file, from 0. Raises InputError for a file that is absent and
    FileFormatError, with the file's name, for anything that is no spectrum.
    """
    path = Path(path)
    if not path.is_file():
        near = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
        raise InputError(f"there is no spectrum {path}{did_you_mean(path.name, near)}")
    try:
        if mca_file.is_mca(path.read_bytes()[:64]):
            return _amptek(path)
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        read = next((parse for mark, parse in FORMATS if re.search(mark, text, re.MULTILINE)), _columns)
        return read(text, path.name, detector)
    except (ValueError, OverflowError, InputError) as error:
        told = " ".join(str(error).split())[:240]
        raise FileFormatError(
            f"{path.name} holds no spectrum that can be read: {told.removeprefix(path.name + ' ')}"
        ) from error


def write_spectrum_file(spectrum: Spectrum, path: Path | str) -> None:
    """Write a spectrum as EMSA/MAS text, whole or not at all; `read_spectrum_file` returns the same."""
    head = {
        "FORMAT": "EMSA/MAS Spectral Data File",
        "VERSION": "1.0",
        "TITLE": " ".join(spectrum.name.split()),
        "NPOINTS": len(spectrum.counts),
        "NCOLUMNS": 1,
        "XUNITS": "keV",
        "YUNITS": "counts",
        "DATATYPE": "Y",
        "XPERCHAN": spectrum.gain,
        "OFFSET": spectrum.zero,
        "LIVETIME -s": spectrum.live_time,
        "BEAMKV -kV": spectrum.tube_voltage,
        "ELEVANGLE-dg": spectrum.take_off_angle,
        "#ANODE": spectrum.anode,
        "#INCIDENCE-dg": spectrum.incidence_angle,
    }
    lines = [f"#{key:<12}: {value}" for key, value in head.items() if value is not None]
    counts = [f"{value!r}," for value in spectrum.counts.tolist()]
    replace_text(Path(path), "\n".join([*lines, "#SPECTRUM    :", *counts, "#ENDOFDATA   :", ""]))


def _emsa(text: str, name: str, _: int) -> Spectrum:
    """ISO 22029: lines "#KEY -unit: value", then counts, or pairs of energy and counts."""
    head: dict[str, str] = {}
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.upper().startswith("#SPECTRUM")), None)
    if start is None:
        raise ValueError("it has no line #SPECTRUM, so it is cut short")
    for line in lines[:start]:
        if found := re.match(r"#+\s*(\w+)\s*(?:-\s*\w+)?\s*:\s*(.*)", line):
            head.setdefault(found[1].upper(), found[2].strip())
    body = [line for line in lines[start + 1 :] if line.strip() and not line.startswith("#")]
    values, zero, gain = _numbers(" ".join(body)), _number(head.get("OFFSET")), _number(head.get("XPERCHAN"))
    scale = 1e-3 if head.get("XUNITS", "keV").strip().lower() == "ev" else 1.0
    if head.get("DATATYPE", "Y").upper() == "XY":
        pairs = values[: len(values) // 2 * 2].reshape(-1, 2)
        (zero, gain), values = _straight(pairs[:, 0]), pairs[:, 1]
    points = _number(head.get("NPOINTS"))
    if points is not None and len(values) != int(points):
        raise ValueError(f"its header promises {points:g} channels, it holds {len(values)}")
    return Spectrum(
        values,
        zero=None if zero is None else zero * scale,
        gain=None if gain is None else gain * scale,
        name=head.get("TITLE") or name,
        live_time=_number(head.get("LIVETIME")),
        tube_voltage=_number(head.get("BEAMKV")),
        anode=head.get("ANODE"),
        incidence_angle=_number(head.get("INCIDENCE")),
        take_off_angle=_number(head.get("ELEVANGLE")),
    )


def _bruker(text: str, name: str, _: int) -> Spectrum:
    """Bruker .spx: the XML of a .bcf header, with the counts between <Channels> tags."""
    head, tube = (section(text, f'Type="TRT{kind}Header"', "</ClassInstance>") for kind in ("Spectrum", "Xrf"))
    found = re.search(r"<Channels>([^<]*)</Channels>", text)
    zero, gain = tagged(head, "CalibAbs"), tagged(head, "CalibLin")
    if found is None or zero is None or gain is None:
        raise ValueError("it lacks Channels, CalibAbs or CalibLin, so it is cut short")
    live_time, anode = tagged(section(text, 'Type="TRTSpectrumHardwareHeader"', "</Class"), "LifeTime"), None
    if (number := tagged(tube, "Anode")) is not None:
        anode = ANODES.get(int(number))
    return Spectrum(
        _numbers(found[1]),
        zero=zero,
        gain=gain,
        name=name,
        live_time=None if live_time is None else live_time / 1e3,
        anode=anode,
        tube_voltage=tagged(tube, "Voltage"),
        incidence_angle=tagged(tube, "ExcitationAngle"),
        take_off_angle=tagged(tube, "DetectionAngle"),
    )


def _amptek(path: Path) -> Spectrum:
    head = mca_file.read_head(path)
    zero, gain = head.axis() or (None, None)
    return Spectrum(mca_file.read_counts(path), zero=zero, gain=gain, name=path.name, live_time=head.live_time)


def _spec(text: str, name: str, _: int) -> Spectrum:
    """SPEC: counts after @A, lines continued with a backslash; #@CALIB zero gain, #@CTIME preset live real."""
    counts = re.search(r"^@A((?:[^\n]*\\\r?\n)*[^\n]*)", text, re.MULTILINE)
    calibration, times = (re.search(rf"^#@{key}\s+(.*)", text, re.MULTILINE) for key in ("CALIB", "CTIME"))
    zero, gain = _pair(calibration[1].split()) if calibration else (None, None)
    times = times[1].split() if times else []
    live_time = _number(times[1]) if len(times) > 1 else None
    return Spectrum(
        _numbers((counts[1] if counts else "").replace("\\", " ")), zero=zero, gain=gain, name=name, live_time=live_time
    )


def _maestro(text: str, name: str, _: int) -> Spectrum:
    """IAEA and Maestro .spe: sections $KEY: with first and last channel and the counts in $DATA:."""
    parts = dict(re.findall(r"^\$(\w+):[^\n]*\n([^$]*)", text, re.MULTILINE))
    values = _numbers(parts["DATA"])
    first, last = (int(value) for value in values[:2])
    if len(values) - 2 != last - first + 1:
        raise ValueError(f"$DATA: promises {last - first + 1} channels, it holds {len(values) - 2}")
    words = (parts.get("ENER_FIT") or " ".join(parts.get("MCA_CAL", "").split()[1:])).split()
    zero, gain = _pair(words)
    live = parts.get("MEAS_TIM", "").split()
    return Spectrum(values[2:], zero=zero, gain=gain, name=name, live_time=_number(live[0]) if live else None)


def _epics(text: str, name: str, detector: int) -> Spectrum:
    """Epics MCA text: "KEY: a b c" with a value for each detector, then a row for each channel."""
    head = {key: value.split() for key, value in re.findall(r"^(\w+):[ \t]*([^\n]*)", text, re.MULTILINE)}
    body = re.split(r"^DATA:", text, maxsplit=1, flags=re.MULTILINE)[1]
    rows = [line.split() for line in body.splitlines() if line.strip()]
    if not rows or not 0 <= detector < len(rows[0]):
        raise ValueError(f"it holds {len(rows[0]) if rows else 0} detectors, from 0; {detector} was asked for")
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("its rows have different lengths, so it is damaged")
    value = {key: _number(words[detector]) if detector < len(words) else None for key, words in head.items()}
    return Spectrum(
        np.array([float(row[detector]) for row in rows]),
        zero=value.get("CAL_OFFSET"),
        gain=value.get("CAL_SLOPE"),
        name=name,
        live_time=value.get("LIVE_TIME"),
    )


def _columns(text: str, name: str, _: int) -> Spectrum:
    """Rows of counts, or of energy or channel and counts, below lines of words."""
    rows = [_row(line) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    while rows and rows[0] is None:
        del rows[0]
    width = len(rows[0] or ()) if rows else 0
    if width not in (1, 2) or any(row is None or len(row) != width for row in rows):
        raise ValueError("one or two columns of numbers were expected. Is it a spectrum?")
    columns = np.array(rows, np.float64).T
    zero = gain = None
    if width == 2 and not (columns[0][0] in (0, 1) and np.all(np.diff(columns[0]) == 1)):
        zero, gain = _straight(columns[0])
    return Spectrum(columns[-1], zero=zero, gain=gain, name=name)


FORMATS: tuple[tuple[str, Callable[[str, str, int], Spectrum]], ...] = (
    (r"\A#\s*FORMAT\s*:\s*EMSA", _emsa),
    (r"<TRTSpectrum\b", _bruker),
    (r"^\$DATA:", _maestro),
    (r"^@A", _spec),
    (r"^CAL_SLOPE:[^\0]*^DATA:", _epics),
)


def _straight(energy: np.ndarray) -> tuple[float, float]:
    """Zero and gain [keV] of energies [keV or eV] that rise evenly; raises ValueError for others."""
    scale = 1e-3 if energy[-1] > MOST_KEV else 1.0
    gain = float(energy[-1] - energy[0]) / max(len(energy) - 1, 1)
    off = np.abs(energy - energy[0] - gain * np.arange(len(energy))).max()
    rounded = min(10 ** -_decimals(energy), gain / 4)
    if not gain > 0 or off > UNEVEN * gain + rounded:
        raise ValueError("its first column must hold energies that rise by the same step from row to row")
    return float(energy[0] * scale), float(gain * scale)


def _decimals(values: np.ndarray) -> int:
    """Digits after the point to which all the values are rounded, at most 6."""
    return next((n for n in range(6) if np.allclose(values, values.round(n), rtol=0, atol=1e-9)), 6)


def _row(line: str) -> list[float] | None:
    """Numbers of a row; a comma beside other separators is a decimal comma, alone it separates. None for words."""
    words = [word.rstrip(",") for word in re.split(r"[;\s]+", line.strip()) if word.strip(",")]
    words = words[0].split(",") if len(words) == 1 else [word.replace(",", ".") for word in words]
    try:
        return [float(word) for word in words]
    except ValueError:
        return None


def _numbers(text: str) -> np.ndarray:
    """All numbers of a text, separated by commas or blanks; raises ValueError for anything else."""
    return np.array([float(word) for word in text.replace(",", " ").split()], np.float64)


def _number(word: str | None) -> float | None:
    """The finite number that a text begins with, or None."""
    try:
        value = float((word or "").replace(",", ".").split()[0])
    except (ValueError, IndexError):
        return None
    return value if np.isfinite(value) else None


def _pair(words: list[str]) -> tuple[float | None, float | None]:
    """Zero and gain [keV] from the first two words, or none where they are no axis."""
    zero, gain = (_number(words[0]), _number(words[1])) if len(words) > 1 else (None, None)
    return (zero, gain) if zero is not None and gain is not None and gain > 0 else (None, None)
