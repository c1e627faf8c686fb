import re

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.spectra.explain import elements_in, explain
from velatura.spectra.families import families_of
from velatura.spectra.response import Detector, line_matrix
from velatura.spectra.scatter import scatter_matrix

AXIS = np.arange(4096) * 0.01
DETECTOR = Detector(noise=0.07)


def spectrum(elements, *, anode=None, scale=1.0, rng=None):
    """Background, families of given areas {"Fe-K": 1e5}, and the scatter of a tube."""
    expected = 300 * np.exp(-AXIS / 6) * (AXIS > 0.5) * (AXIS < 38)
    for name, area in elements.items():
        element, kind = name.split("-")
        family = next(f for f in families_of(element, window=(0.9, 40)) if f.kind == kind)
        energies = np.array([line.energy for line in family.lines])
        owners = np.zeros(len(energies), int)
        expected += area * line_matrix(energies, family.shares, owners, axis=AXIS, detector=DETECTOR)[0]
    if anode:
        expected += 2e4 * scatter_matrix(anode, AXIS, DETECTOR)[2]
    return rng.poisson(expected * scale)


PAINT = {
    "Ca-K": 2e5, "Fe-K": 8e4, "Pb-L": 3e5, "Pb-M": 4e4, "Hg-L": 3e4, "Hg-M": 5e3, "Cu-K": 2e4, "Zn-K": 5e3, "Sn-K": 4e3,
    "Sn-L": 2e3, "Ba-L": 6e3, "Mn-K": 4e3, "K-K": 8e3, "Ar-K": 5e3, "Rh-K": 1e4, "Rh-L": 6e3,
}  # fmt: skip


def test_a_painting_is_explained_by_its_elements_and_the_tube_and_the_air_are_named(rng):
    found = explain(spectrum(PAINT, anode="Rh", rng=rng), AXIS, detector=DETECTOR)
    assert found.anode == "Rh"
    roles = {role: {one.element for one in found.found if one.role == role} for role in ("sample", "tube", "air")}
    assert roles["sample"] == {"Ca", "Fe", "Pb", "Hg", "Cu", "Zn", "Sn", "Ba", "Mn", "K"}
    assert roles["tube"] == {"Rh"}
    assert roles["air"] == {"Ar"}
    lines = {one.element: one.line for one in found.found}
    assert (lines["Fe"], lines["Pb"], lines["Ba"]) == ("Fe-Ka", "Pb-La", "Ba-La")
    assert next(one.counts for one in found.found if one.element == "Fe") == pytest.approx(0.88 * 8e4, rel=0.05)


@pytest.mark.parametrize(
    ("present", "absent"),
    [
        ({"Pb-L": 3e5, "Pb-M": 3e4}, {"As", "S", "Se", "Br", "Bi", "Hg"}),  # Pb-La is As-Ka, Pb-M is S-Ka
        ({"Fe-K": 3e5}, {"Co", "Mn", "Cr"}),  # Fe-Kb is Co-Ka; the escape peak lies among Ti and V
        ({"Ti-K": 3e5}, {"Ba", "V", "Cr"}),  # Ti-Ka is Ba-La
        ({"K-K": 2e5, "Ca-K": 2e5}, {"Cd", "Sn", "Sb", "In"}),  # soft L lines lie below K and Ca
        ({"S-K": 2e5}, {"Mo", "Pb", "Hg"}),
    ],
)
def test_overlaps_are_not_taken_for_other_elements(rng, present, absent):
    found = {one.element for one in elements_in(spectrum(present, anode="Rh", rng=rng), AXIS, detector=DETECTOR)}
    assert found >= {name.split("-")[0] for name in present}
    assert not found & absent


def test_the_overlapped_element_is_found_when_it_is_there(rng):
    found = elements_in(
        spectrum({"Pb-L": 1e5, "As-K": 1e5, "Fe-K": 2e5, "Co-K": 6e4}, rng=rng), AXIS, detector=DETECTOR
    )
    assert {one.element for one in found} == {"Pb", "As", "Fe", "Co"}


def test_sum_peaks_and_escape_peaks_are_not_elements(rng):
    expected = spectrum({"Fe-K": 4e6, "Ca-K": 3e6}, rng=rng).astype(float)
    piled = np.convolve(expected, expected)[: len(AXIS)]
    both = rng.poisson(expected + piled / piled.sum() * 0.01 * expected.sum())
    assert {one.element for one in elements_in(both, AXIS, detector=DETECTOR)} == {"Fe", "Ca"}


def test_background_alone_holds_no_element(rng):
    spectra = [spectrum({}, scale=scale, rng=rng) for scale in (0.05, 0.3, 1, 10, 100)]
    assert [elements_in(one, AXIS, detector=DETECTOR) for one in spectra] == [()] * 5
    assert elements_in(np.zeros(len(AXIS)), AXIS) == ()


def test_the_tube_voltage_and_the_candidates_limit_what_is_proposed(rng):
    counts = spectrum({"Sn-K": 5e4, "Sn-L": 1e4, "Fe-K": 1e5}, rng=rng)
    assert {one.line for one in elements_in(counts, AXIS, detector=DETECTOR)} == {"Sn-Ka", "Fe-Ka"}
    low = elements_in(counts, AXIS, detector=DETECTOR, tube_voltage=20.0)
    assert {one.line for one in low} == {"Sn-La", "Fe-Ka"}
    assert {one.element for one in elements_in(counts, AXIS, detector=DETECTOR, candidates=("Fe", "Cu"))} == {"Fe"}


def test_few_counts_name_the_strongest_element(rng):
    found = elements_in(spectrum(PAINT, scale=1e-3, anode="Rh", rng=rng), AXIS, detector=DETECTOR, anode="Rh")
    assert {"Pb", "Ca"} <= {one.element for one in found} <= {name.split("-")[0] for name in PAINT}


def test_wrong_shapes_and_elements_are_refused():
    with pytest.raises(InputError, match="one count a channel"):
        elements_in(np.ones((2, 100)), AXIS)
    with pytest.raises(InputError, match="no element"):
        elements_in(np.ones(len(AXIS)), AXIS, candidates=("Fe", "Xx"))


PURE = ["Cr", "Cu", "Fe", "Ni", "S", "Si", "Sn", "Ti", "Zr"]


def emsa(path):
    """Counts and energies [keV] of a one-column or two-column EMSA text."""
    head, body = path.read_text(errors="replace").split("#SPECTRUM")
    get = {name: float(re.search(rf"#{name}\s*:\s*(\S+)", head)[1]) for name in ("XPERCHAN", "OFFSET")}
    numbers = np.array(re.findall(r"-?\d[\d.eE+-]*", body.split("\n", 1)[1].split("#")[0]), float)
    counts = numbers[1::2] if "XY" in re.search(r"#DATATYPE\s*:\s*(\S+)", head)[1] else numbers
    return np.maximum(counts, 0), get["OFFSET"] + get["XPERCHAN"] * np.arange(len(counts))


@pytest.mark.real
@pytest.mark.parametrize("element", PURE)
def test_pure_elements_are_recognised(data, element):
    counts, energy = emsa(data / f"standards/nexlspectrum/XRF Stainless/{element}_50kv_50_ma_Rh_vac_D1.msa")
    assert elements_in(counts, energy, detector=Detector(noise=0.085), anode="Rh")[0].element == element


@pytest.mark.real
@pytest.mark.parametrize("element", ["Al", "Cu", "Fe", "Mg", "Ti", "Zn"])
def test_pure_elements_of_another_instrument_are_recognised(data, element):
    counts, energy = emsa(data / f"standards/xrflab-standards/{element}.txt")
    assert elements_in(counts, energy, detector=Detector(noise=0.07))[0].element == element


@pytest.mark.real
@pytest.mark.parametrize("name", ["NIST 2586", "NIST 2587"])
def test_certified_soils_hold_what_is_certified(data, name):
    """Lead, zinc, copper ... at some hundred mg/kg, in the certificates of NIST SRM 2586 and 2587."""
    counts, energy = emsa(data / f"standards/xrflab-standards/{name}.txt")
    found = {one.element for one in elements_in(counts, energy, detector=Detector(noise=0.07))}
    assert found >= {"Al", "Si", "K", "Ca", "Ti", "Cr", "Mn", "Fe", "Cu", "Zn", "Sr", "Zr", "Pb"}
    assert not found & {"As", "Co", "Ni", "Hg", "Au", "Br", "Cd", "Sn", "Sb", "Se", "V"}
