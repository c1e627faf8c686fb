"""A few stacks through many instruments: the same spectra as the forward model gives, whatever the instrument."""

from dataclasses import replace

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.detector import Detector
from velatura.physics.instrument import Geometry, Instrument, Tube
from velatura.physics.material import Paint
from velatura.physics.sample import sample_stack
from velatura.physics.simulate import expected_counts, prepare
from velatura.physics.stack import Stack, pack
from velatura.physics.trials import Trials

GEOMETRY = Geometry(70.0, 45.0, azimuth=100.0)
AIR = Instrument("test", Tube("Rh", 40.0), GEOMETRY, Detector(), 512, 0.0, 0.08, parasites=(("Ni", 0.01),))
VACUUM = replace(AIR, tube=Tube("Rh", 40.0, lens=(14.0, 2.0)), geometry=Geometry(67.0, 67.0, atmosphere="vacuum"))
STACKS = (
    sample_stack("acrylic", thickness=5000.0),
    Stack()
    .paint(Paint("plate", {"acrylic": 1.0}), thickness=150)
    .paint(Paint("red", {"red_ochre": 1.0}), thickness=20),
)


def test_it_gives_the_spectra_of_the_forward_model():
    trials = Trials(STACKS, AIR.geometry, cells=3)
    trials.spectra(AIR)
    changed = replace(AIR, scatter=2.0, multiple=0.2, tube=replace(AIR.tube, window=200.0))
    scanner = prepare(changed, trials.elements)
    known = expected_counts(pack(STACKS, scanner.elements, slots=2), scanner, cells=3)
    found = trials.spectra(changed)
    np.testing.assert_allclose(found.sum(axis=1), known.sum(axis=1), rtol=1e-3)
    seen = (known > 1e-4 * known.max(axis=1, keepdims=True)) & (changed.axis() > 0.9)
    np.testing.assert_allclose(found[seen], known[seen], rtol=0.015)


def test_pile_up_adds_energies():
    axis_above = replace(VACUUM, zero=-1.0, channels=530)
    trials = Trials((sample_stack("Fe"),), VACUUM.geometry)
    plain, piled = (trials.spectra(replace(axis_above, detector=Detector(pile_up=share)))[0] for share in (0.0, 0.02))
    place = axis_above.axis()[np.argmax(piled - plain)]
    assert place == pytest.approx(2 * 6.4, abs=0.08)


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("SiO2", {"Si": 0.4675, "O": 0.5325}),
        ("Fe:0.70, Cr:18%, Ni=0.12", {"Fe": 0.70, "Cr": 0.18, "Ni": 0.12}),
        ("chalk", {"Ca": 0.4004, "C": 0.12, "O": 0.4796}),
    ],
)
def test_samples_in_words(text, shares):
    layer = sample_stack(text).layers[0]
    assert layer.paint.mass_fractions() == pytest.approx(shares, abs=2e-3)
    assert layer.mass_thickness() >= 10.0


def test_thin_samples_have_their_mass():
    assert sample_stack("Fe", thickness=10.0, density=7.87).layers[0].mass_thickness() == pytest.approx(7.87e-3)
    assert sample_stack("acrylic", thickness=1000.0).layers[0].mass_thickness() == pytest.approx(0.115, rel=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("acrylc", r'did you mean "acrylic"'),
        ("Fe:0.5,Cr:0.1", r"must sum to 1; .* sums to 0\.6"),
        ("Fe:abc", r"must read like"),
        ("Xx", r"is no material, formula or list of shares"),
        ("Fe:1.5,Cr:-0.5", r"must read like|must sum to 1"),
    ],
)
def test_what_is_no_sample_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        sample_stack(text)


def test_a_thin_sample_of_unknown_density_is_refused():
    with pytest.raises(InputError, match=r"needs its density"):
        sample_stack("Fe", thickness=10.0)
