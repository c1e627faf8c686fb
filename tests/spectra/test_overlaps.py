import pytest

from velatura.spectra.overlaps import overlaps
from velatura.spectra.response import Detector

DETECTOR = Detector()


def pairs(elements, **more):
    found = overlaps(elements, detector=DETECTOR, window=(0.9, 25.0), limit=40.0, **more)
    return {(one.first.name, one.second.name) for one in found}


@pytest.mark.parametrize(
    ("elements", "pair"),
    [
        (("Pb", "As"), ("Pb-La", "As-Ka")), (("S", "Mo"), ("S-Ka", "Mo-La")), (("S", "Pb"), ("S-Ka", "Pb-Ma")),
        (("Ba", "Ti"), ("Ba-La", "Ti-Ka")), (("Cr", "Mn"), ("Cr-Kb", "Mn-Ka")), (("Mn", "Fe"), ("Mn-Kb", "Fe-Ka")),
        (("Fe", "Co"), ("Fe-Kb", "Co-Ka")), (("Cl", "Rh"), ("Cl-Ka", "Rh-La")), (("K", "Cd"), ("K-Ka", "Cd-Lb")),
        (("Sn", "Ca"), ("Sn-Lb", "Ca-Ka")),
    ],
)  # fmt: skip
def test_the_well_known_overlaps_come_out_of_energies_and_widths(elements, pair):
    assert pair in pairs(elements)


@pytest.mark.parametrize("elements", [("Ca", "Fe"), ("Cu", "Pb"), ("Hg", "Fe"), ("Fe",), ()])
def test_separate_elements_give_no_warning(elements):
    assert not pairs(elements)


def test_a_better_detector_overlaps_less():
    elements = ("Cr", "Mn", "Fe", "Co", "Cl", "Rh", "K", "Cd")
    wide, narrow = (
        overlaps(elements, detector=Detector(noise=noise), window=(0.9, 25.0), limit=40.0) for noise in (0.2, 0.01)
    )
    assert len(wide) > len(narrow)


def test_what_could_hide_is_said_with_the_line_that_decides():
    found = overlaps(("Pb", "Fe"), detector=DETECTOR, window=(0.9, 25.0), hidden=("As", "Cu"), limit=40.0)
    (arsenic,) = [one for one in found if one.hidden]
    sentence = arsenic.sentence(DETECTOR)
    assert sentence.startswith("As-Ka (10.53 keV) would hide under Pb-La (10.54 keV); lines are 0.18 keV wide.")
    assert "Pb-Lb (12.62 keV)" in sentence
    assert "As-Kb (11.73 keV)" in sentence


@pytest.mark.parametrize("limits", [{"window": (0.9, 9.0)}, {"window": (4.0, 25.0), "limit": 11.0}])
def test_lines_outside_the_window_or_above_the_tube_do_not_warn(limits):
    assert not overlaps(("Pb", "As"), detector=DETECTOR, **limits)
