"""One spectrum from a file: what is written comes back, each format by hand, wrong files, and real ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.base.errors import FileFormatError, InputError
from velatura.io.spectrum import Spectrum, read_spectrum_file, write_spectrum_file

COUNTS = [0, 3, 12, 40, 7, 1]
LISTED = " ".join(map(str, COUNTS))
BRUKER = f"""<?xml version="1.0"?><TRTSpectrum><ClassInstance Type="TRTSpectrumHardwareHeader"><LifeTime>2500</LifeTime>
</ClassInstance><ClassInstance Type="TRTXrfHeader"><Voltage>5E1</Voltage><Anode>45</Anode>
<ExcitationAngle>5E1</ExcitationAngle><DetectionAngle>4.5E1</DetectionAngle></ClassInstance>
<ClassInstance Type="TRTSpectrumHeader"><CalibAbs>-9.5E-1</CalibAbs><CalibLin>1E-2</CalibLin></ClassInstance>
<Channels>{",".join(map(str, COUNTS))}</Channels></TRTSpectrum>"""
EMSA = """#FORMAT      : EMSA/MAS Spectral Data File
#TITLE       : glass
#NPOINTS     : 6
#XUNITS      : eV
#DATATYPE    : {kind}
#XPERCHAN    : 10.0
#OFFSET      : -20.0
#LIVETIME  -s: 12.5
#BEAMKV      : 30
#ELEVANGLE   : 45.0
##OXINSTLABEL: 14, 1.740, Si
#SPECTRUM    :
{body}
#ENDOFDATA   :
"""
FILES = {
    "a.msa": EMSA.format(kind="Y", body="0., 3., 12., 40.,\n7., 1.,"),
    "b.msa": EMSA.format(kind="XY", body="\n".join(f"{10 * i - 20:.3f}, {n}." for i, n in enumerate(COUNTS))),
    "c.mca": f"#F c.mca\n#S 1\n#@CTIME 13 12.5 14\n#@CALIB -0.02 0.01 0\n@A {LISTED[:7]}\\\n {LISTED[7:]}\n",
    "d.spe": f"$SPEC_ID:\nx\n$MEAS_TIM:\n12.5 14\n$DATA:\n0 5\n{LISTED}\n$MCA_CAL:\n3\n-0.02 0.01 0 keV\n",
    "e.spe": f"$DATA:\n0 5\n{LISTED}\n$ENER_FIT:\n-0.02 0.01\n$MEAS_TIM:\n12.5 14\n",
    "f.csv": "energy,counts\n" + "".join(f"{i / 100 - 0.02:.2f},{n}\n" for i, n in enumerate(COUNTS)),
    "g.txt": "".join(f"{i / 100 - 0.02:.2f}\t{n}\n".replace(".", ",") for i, n in enumerate(COUNTS)),
}


def write(folder: Path, name: str, text: str) -> Path:
    """A file of that text."""
    path = folder / name
    path.write_text(text)
    return path


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.one_of(st.integers(0, 10**7), st.floats(0, 1e6)), min_size=2, max_size=40).filter(any),
    zero=st.none() | st.floats(-2, 2),
    gain=st.floats(1e-3, 0.1),
    live_time=st.none() | st.floats(1e-3, 1e5),
    anode=st.sampled_from([None, "Rh", "Mo"]),
)
def test_what_is_written_comes_back(tmp_path_factory, counts, zero, gain, live_time, anode):
    path = tmp_path_factory.mktemp("spectrum") / "spectrum.msa"
    known = Spectrum(
        np.array(counts, float), zero, None if zero is None else gain, "lead white, 50 kV", live_time, anode
    )
    write_spectrum_file(known, path)
    again = read_spectrum_file(path)
    np.testing.assert_array_equal(again.counts, known.counts)
    assert replace(again, counts=known.counts).__dict__ == known.__dict__


@pytest.mark.parametrize("name", FILES)
def test_each_format_gives_the_same_spectrum(tmp_path, name):
    found = read_spectrum_file(write(tmp_path, name, FILES[name]))
    np.testing.assert_array_equal(found.counts, COUNTS)
    np.testing.assert_allclose(found.axis(), -0.02 + 0.01 * np.arange(6), rtol=0, atol=1e-12)
    assert found.live_time == (None if name[0] in "fg" else 12.5)


def test_energies_of_emsa_headers_are_known(tmp_path):
    found = read_spectrum_file(write(tmp_path, "a.msa", FILES["a.msa"]))
    assert (found.name, found.tube_voltage, found.take_off_angle, found.anode) == ("glass", 30.0, 45.0, None)


def test_bruker_tells_of_tube_and_angles(tmp_path):
    found = read_spectrum_file(write(tmp_path, "a.spx", BRUKER))
    np.testing.assert_array_equal(found.counts, COUNTS)
    assert (found.zero, found.gain, found.live_time) == (-0.95, 0.01, 2.5)
    assert (found.anode, found.tube_voltage, found.incidence_angle, found.take_off_angle) == ("Rh", 50.0, 50.0, 45.0)


def test_amptek(tmp_path):
    text = f"<<PMCA SPECTRUM>>\nLIVE_TIME - 9.5\n<<CALIBRATION>>\n0 -0.02\n5 0.03\n<<DATA>>\n{LISTED}\n<<END>>\n"
    found = read_spectrum_file(write(tmp_path, "a.mca", text))
    np.testing.assert_array_equal(found.counts, COUNTS)
    assert (found.zero, found.gain, found.live_time) == (-0.02, 0.01, 9.5)


@pytest.mark.parametrize("detector", [0, 1])
def test_epics_holds_several_detectors(tmp_path, detector):
    rows = "\n".join(f" {n} {2 * n}" for n in COUNTS)
    text = f"VERSION: 3.1\nLIVE_TIME: 1.5 2.5\nCAL_OFFSET: -0.02 -0.03\nCAL_SLOPE: 0.01 0.011\nDATA:\n{rows}\n"
    path = write(tmp_path, "a.mca", text)
    found = read_spectrum_file(path, detector=detector)
    np.testing.assert_array_equal(found.counts, np.array(COUNTS) * (1 + detector))
    assert (found.zero, found.gain, found.live_time) == [(-0.02, 0.01, 1.5), (-0.03, 0.011, 2.5)][detector]
    with pytest.raises(FileFormatError, match=r"holds 2 detectors, from 0; 2 was asked"):
        read_spectrum_file(path, detector=2)


@pytest.mark.parametrize("text", ["# a list\n" + "\n".join(map(str, COUNTS)), "\n".join(
    f"{i}, {n}" for i, n in enumerate(COUNTS))])  # fmt: skip
def test_lists_of_channels_have_no_axis(tmp_path, text):
    found = read_spectrum_file(write(tmp_path, "a.txt", text))
    np.testing.assert_array_equal(found.counts, COUNTS)
    with pytest.raises(InputError, match=r"no energy axis"):
        found.axis()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (EMSA.format(kind="Y", body="0, 3, 12"), r"promises 6 channels, it holds 3"),
        (EMSA.partition("#SPECTRUM")[0], r"no line #SPECTRUM, so it is cut short"),
        ("$DATA:\n0 9\n1 2 3\n", r"promises 10 channels, it holds 3"),
        (BRUKER.replace("<Channels>", "<Chann>"), r"lacks Channels"),
        ("1 2 3\n4 5 6\n", r"one or two columns"),
        ("0.1 5\n0.2 6\n0.4 7\n", r"rise by the same step"),
        ("5\n-6\n7\n", r"counts must be 0 or more.*background subtracted"),
        ("just words", r"one or two columns"),
        ("", r"one or two columns"),
        ("0\n0\n0", r"not all 0"),
        ("CAL_SLOPE: 1\nDATA:\n1 2\n3\n", r"different lengths"),
    ],
)
def test_what_is_no_spectrum_is_refused(tmp_path, text, said):
    with pytest.raises(FileFormatError, match=rf"^a\.txt .*{said}"):
        read_spectrum_file(write(tmp_path, "a.txt", text))


def test_a_missing_file_is_named_with_its_neighbour(tmp_path):
    write(tmp_path, "iron.msa", FILES["a.msa"])
    with pytest.raises(InputError, match=r'there is no spectrum .*iro\.msa; did you mean "iron\.msa"'):
        read_spectrum_file(tmp_path / "iro.msa")


def test_few_counts_below_zero_are_what_a_correction_leaves(tmp_path):
    assert read_spectrum_file(write(tmp_path, "a.txt", "500\n-3\n200\n")).counts.min() == -3


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "channels", "total", "gain"),
    [
        ("nexlspectrum/XRF Stainless/Fe_50kv_50_ma_Rh_vac_D1.msa", 4096, 7643964, 0.009999),
        ("nexlspectrum/XRF backgrounds/20170510_D1_Mo_50kv_100mA_acryl 0.spx", 4096, 7325590, 0.010001),
        ("nexlspectrum/Example 2/Al std.msa", 4096, 3928896, 0.01001223),
        ("xrflab-standards/Fe.txt", 4096, 603142, 0.01),
        ("pymca/XRFSpectrum.mca", 4096, 56640073, None),
        ("pymca/Steel.spe", 2048, 5607017, None),
        ("xraylarch/srm1832.mca", 2048, 4634946, 0.01465549),
    ],
)
def test_measured_files(data, name, channels, total, gain):
    found = read_spectrum_file(data / "standards" / name)
    assert (len(found.counts), found.counts.sum()) == (channels, total)
    assert found.gain == (None if gain is None else pytest.approx(gain, rel=1e-9))
