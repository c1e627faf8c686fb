"""Deciding lines: a network that looks at known channels only has known reasons."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.nn.spectrum_net import Prediction
from velatura.scene.classes import xrf_classes
from velatura.scene.training import grid
from velatura.spectra.response import Detector
from velatura.tasks.explain_pigments import MOST_COUNTS, deciding_lines, line_windows

AXIS, CLASSES = grid(), xrf_classes()
NAMES = [row.name for row in CLASSES]
LINES = {"Ca": 3.691, "Fe": 6.400, "Cu": 8.041, "Zn": 8.631, "Hg": 9.98, "Pb": 10.55, "Sr": 14.14}
NOT_KNOWN = np.zeros(8, np.float32)


def peak(energy: float) -> np.ndarray:
    sigma = Detector().fwhm(energy) / 2.3548
    return np.exp(-0.5 * ((AXIS - energy) / sigma) ** 2)


def spectrum(**counts: float) -> np.ndarray:
    """Counts [channel]: lines of some elements on a falling continuum."""
    shapes = [number * peak(LINES[element]) / peak(LINES[element]).sum() for element, number in counts.items()]
    return np.sum([*shapes, 5 * np.exp(-AXIS / 8)], axis=0)


class Linear(eqx.Module):
    """Logits are sums over channels: of each class in both paints."""

    weight: jax.Array

    def __call__(self, counts, instrument, *, key):
        presence = jnp.stack([self.weight @ counts, -(self.weight @ counts)])
        return Prediction(presence, jnp.zeros((2, 47)), jnp.zeros(()), jnp.zeros(2))


def model(**looks_at: dict[str, float]):
    """A model whose class (first letters: the name with _ for -) weighs the peaks of some elements."""
    weight = np.zeros((47, len(AXIS)))
    for name, parts in looks_at.items():
        row = [*NAMES, "unknown"].index(name.replace("_", "-"))
        weight[row] = sum(share * peak(LINES[element]) for element, share in parts.items())
    return SimpleNamespace(net=Linear(jnp.asarray(weight, jnp.float32)), classes=CLASSES)


def test_without_its_only_line_a_class_loses_its_logit() -> None:
    """And nothing else decides; in the other paint, where the sign is turned, the same line speaks against it."""
    seen = spectrum(Hg=2000, Zn=900)
    speaking, denying = deciding_lines(
        model(Hg={"Hg": 0.01}), seen, NOT_KNOWN, classes=[("visible", "Hg"), ("hidden", "Hg")]
    )
    assert speaking.lines[0].line == "Hg-La"
    assert speaking.lines[0].drop == pytest.approx(speaking.logit, rel=0.05)
    assert speaking.lines[0].counts == pytest.approx(2000, rel=0.05)
    assert sum(line.drop for line in speaking.lines[1:]) < 0.02 * speaking.logit
    assert denying.against[0].line == "Hg-La"
    assert denying.against[0].drop == pytest.approx(-speaking.lines[0].drop)
    assert denying.logit == pytest.approx(-speaking.logit)


def test_lines_come_in_the_order_of_their_weight() -> None:
    seen = spectrum(Cu=1000, Pb=1000, Fe=1000)
    weighs = model(Cu_As={"Cu": 0.02, "Pb": 0.01, "Fe": -0.005})
    (found,) = deciding_lines(weighs, seen, NOT_KNOWN, classes=[("visible", "Cu-As")])
    assert [line.line for line in found.lines[:2]] == ["Cu-Ka", "As-Ka"]  # a peak of two goes by the class's own marker
    assert found.against[0].line == "Fe-Ka"
    (other,) = deciding_lines(model(Pb={"Pb": 0.01}), seen, NOT_KNOWN, classes=[("visible", "Pb")])
    assert other.lines[0].line == "Pb-La"


def test_for_a_linear_network_the_gradient_says_the_same() -> None:
    seen, asked = spectrum(Cu=800, Zn=300, Sr=500), [("visible", "Sr-Cr"), ("hidden", "Zn")]
    weighs = model(Sr_Cr={"Sr": 0.01, "Cu": -0.002}, Zn={"Zn": 0.004, "Cu": 0.001})
    exact, cheap = (
        deciding_lines(weighs, seen, NOT_KNOWN, classes=asked, method=way) for way in ("occlusion", "gradient")
    )
    for one, other in zip(exact, cheap, strict=True):
        assert [line.line for line in one.lines[:2]] == [line.line for line in other.lines[:2]]
        assert [line.drop for line in one.lines] == pytest.approx([line.drop for line in other.lines], abs=1e-3)


def test_the_same_spectrum_gives_the_same_answer_and_ties_keep_their_order(rng: np.random.Generator) -> None:
    seen = rng.poisson(spectrum(Cu=800, Zn=300, Pb=3000)).astype(np.float32)
    one, two = (deciding_lines(model(Cu={"Cu": 1e-3}), seen, NOT_KNOWN, classes=[("visible", "Cu")]) for _ in range(2))
    assert one == two
    (flat,) = deciding_lines(model(), seen, NOT_KNOWN, classes=[("visible", "Cu")])
    assert (flat.lines, flat.against) == ((), ())


def test_sums_of_many_pixels_are_shown_as_the_network_knows_spectra() -> None:
    """The logit is that of at most 100,000 counts; the counts that a line holds are those of the sum."""
    seen = spectrum(Fe=1e7)
    (found,) = deciding_lines(model(Fe={"Fe": 1.0}), seen, NOT_KNOWN, classes=[("visible", "Fe")])
    assert found.logit < MOST_COUNTS
    assert found.lines[0].counts == pytest.approx(1e7, rel=0.05)


def test_other_elements_may_be_tried_for_what_is_unknown() -> None:
    seen = spectrum(Fe=100) + 500 * peak(9.886)
    strange = model(unknown={"Hg": 0.01})  # which looks at 9.98 keV
    without, tried = (
        deciding_lines(strange, seen, NOT_KNOWN, classes=[("visible", "unknown")], elements=more)[0].lines
        for more in ((), ("Ge",))
    )
    assert "Ge-Ka" not in {line.line for line in without}
    assert tried[0].line == "Ge-Ka"


def test_lines_are_named_after_what_the_spectrum_holds() -> None:
    """Windows of Sb-L and Sn-L lie over Ca-K, those of Au-L over As-K: without their own counts they are not named."""
    seen = spectrum(Ca=3000, Cu=1500) + 2000 * (peak(10.54) + 0.16 * peak(11.73)) / peak(10.54).sum()
    (found,) = deciding_lines(model(Hg={"Ca": 0.02, "Cu": 0.01}), seen, NOT_KNOWN, classes=[("visible", "Hg")])
    assert [line.line for line in found.lines[:2]] == ["Ca-Ka", "Cu-Ka"]
    named = {line.line for line in (*found.lines, *found.against)}
    assert not named & {"Sb-La", "Sn-La", "Au-La", "Pb-La"}


def test_a_window_holds_a_line_and_leaves_its_neighbours() -> None:
    windows = line_windows(("Fe", "Pb"), AXIS, tube_voltage=50.0)
    by_name = {family.main.name: mask for family, mask in zip(windows.families, windows.masks, strict=True)}
    assert set(by_name) == {"Fe-Ka", "Pb-La", "Pb-Ma"}
    for name, inside, outside in (("Fe-Ka", (6.40, 7.06), 5.9), ("Pb-La", (10.55, 12.61, 14.76), 11.7)):
        assert all(np.interp(energy, AXIS, by_name[name]) == 1 for energy in inside)
        assert np.interp(outside, AXIS, by_name[name]) == 0
    assert {f.main.name for f in line_windows(("Fe", "Sn"), AXIS, tube_voltage=20.0).families} == {"Fe-Ka", "Sn-La"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": [("visible", "Pb-Snn")]}, "no XRF class 'Pb-Snn'.*\"Pb-Sn\""),
        ({"classes": [("beneath", "Hg")]}, "no paint 'beneath'"),
        ({"method": "guess"}, "occlusion or gradient; found 'guess'"),
        ({"features": np.ones(500)}, r"1024 channels on the common grid; found \(500,\)"),
    ],
)
def test_what_cannot_be_asked_is_said(change: dict, message: str) -> None:
    asked = {"features": spectrum(Fe=1), "classes": [("visible", "Hg")], **change}
    with pytest.raises(InputError, match=message):
        deciding_lines(model(), asked.pop("features"), NOT_KNOWN, **asked)
