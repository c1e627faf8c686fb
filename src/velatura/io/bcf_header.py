"""The acquisition header of a Bruker .bcf: XML that is often not XML, so fields are found, not parsed.

Real headers hold decimal commas, tag names that XML forbids and bytes of another encoding. Every value wanted is the
text between two tags inside a known section, which a search finds whatever stands around it.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from velatura.base.errors import FileFormatError

ANODES = {22: "Ti", 24: "Cr", 26: "Fe", 29: "Cu", 42: "Mo", 45: "Rh", 46: "Pd", 47: "Ag", 74: "W", 79: "Au"}


@dataclass(frozen=True)
class SpectrumHeader:
    """What the header says of one stream."""

    channels: int
    zero: float
    """[keV]"""
    gain: float
    """[keV/channel]"""
    acquisition: dict[str, Any]
    """Attributes of a cube (`base/cube.py`); None where the header is silent."""


def read_spectrum_header(text: str, number: int) -> SpectrumHeader:
    """Return calibration and acquisition of stream `number`. Raises FileFormatError when the calibration is missing."""
    part = section(text, f"<SpectrumData{number}>", f"</SpectrumData{number}>")
    spectrum = section(part, 'Type="TRTSpectrumHeader"', "</ClassInstance>")
    zero, gain, channels = (field(spectrum, name) for name in ("CalibAbs", "CalibLin", "ChannelCount"))
    if zero is None or gain is None or channels is None or not 1 <= channels <= 2**16:
        raise FileFormatError(
            f"the header of SpectrumData{number} lacks ChannelCount, CalibAbs or CalibLin "
            f"(found {channels}, {zero}, {gain}). Export the scan as .raw with its .rpl instead"
        )
    tube = section(part, 'Type="TRTXrfHeader"', "</ClassInstance>")
    microscope = section(text, 'Type="TRTSEMData"', "</ClassInstance>")
    electrons = section(part, 'Type="TRTESMAHeader"', "</ClassInstance>")
    pitch = field(microscope, "DX")
    anode = field(tube, "Anode")
    return SpectrumHeader(
        int(channels),
        zero,
        gain,
        {
            "anode": None if anode is None else ANODES.get(int(anode), f"Z{int(anode)}"),
            "tube_voltage": field(tube, "Voltage") or field(microscope, "HV") or field(electrons, "PrimaryEnergy"),
            "incidence_angle": field(tube, "ExcitationAngle"),
            "take_off_angle": field(tube, "DetectionAngle") or field(electrons, "ElevationAngle"),
            "pitch": pitch / 1000 if pitch else None,
            "instrument": "Bruker "
            + words(section(part, 'Type="TRTDetectorHeader"', "</ClassInstance>"), "Technology Type"),
        },
    )


def read_live_time(text: str, height: int, width: int) -> np.ndarray | None:
    """Return the live time of each pixel [s] [y, x], or None when the header holds none. Stored as microseconds."""
    part = section(text, 'Name="PixelTimes"', "</Plane0>")
    found = re.search(r"<Data>([A-Za-z0-9+/=\s]*)</Data>", part)
    if found is None:
        return None
    try:
        data = base64.b64decode(found[1])
    except binascii.Error:
        return None
    size = len(data) // (height * width)
    if size not in (2, 4) or len(data) != size * height * width or not any(data):
        return None
    return (np.frombuffer(data, f"<u{size}").reshape(height, width) / 1e6).astype(np.float32)


def section(text: str, start: str, stop: str) -> str:
    """Return the text from `start` to the next `stop`, or nothing."""
    first = text.find(start)
    last = text.find(stop, first)
    return text[first:last] if 0 <= first < last else ""


def field(text: str, name: str) -> float | None:
    """Return the first finite number between <name> and the next tag; a decimal comma is a point."""
    found = re.search(rf"<{name}>\s*([-+0-9.,eE]+)\s*<", text)
    try:
        value = float(found[1].replace(",", ".")) if found else float("nan")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def words(text: str, names: str) -> str:
    """Return the text of the last <name> for several names, joined."""
    return " ".join(hits[-1] for name in names.split() if (hits := re.findall(rf"<{name}>([^<]{{1,80}})<", text)))
