"""Refinement: laws of fits of simulated spectra; one scanner, so that one program is compiled."""

from dataclasses import replace

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.instrument import preset
from velatura.physics.material import Paint
from velatura.physics.simulate import expected_counts, prepare
from velatura.physics.stack import Layer, Stack, pack
from velatura.scene.classes import xrf_classes
from velatura.tasks.refine import (
    NEEDED,
    NOT_NEEDED,
    UNTOLD,
    Proposal,
    Refining,
    propose,
    refine,
    refine_region,
)  # fmt: skip
from velatura.tasks.refine_light import NUISANCES, light_of, states, windowed
from velatura.tasks.refine_stack import components_of

CELLS = Refining.cells
SCANNER = replace(preset("laboratory").rebinned(1024), detector=replace(preset("laboratory").detector, pile_up=0.02))
BASE = (
    Layer(Paint("canvas", {"linen_canvas": 1.0}, loading=1.0), 300.0),
    Layer(Paint("ground", {"chalk": 1.0}, loading=0.5), 120.0),
)
BLUE = Layer(Paint("blue", {"azurite": 0.6, "lead_white": 0.4}, loading=0.35), 15.0)
RED = Layer(Paint("red", {"vermilion": 0.7, "red_ochre": 0.3}, loading=0.35), 20.0)
LAYERED, SINGLE = Stack((*BASE, RED, BLUE)), Stack((*BASE, BLUE))


@pytest.fixture(scope="module")
def scanner():
    return prepare(SCANNER)


@pytest.fixture(scope="module")
def spectra(scanner):
    """Noiseless, of 1 count: two paints, one paint, float64 [2, channel]."""
    found = expected_counts(pack([LAYERED, SINGLE], scanner.elements), scanner, cells=CELLS).astype(np.float64)
    return found / found.sum(axis=1, keepdims=True)


def proposed(*, hidden=True) -> Proposal:
    """Right materials, wrong amounts."""
    beneath = {"vermilion": 0.3, "red_ochre": 0.7} if hidden else {}
    return Proposal({"azurite": 0.3, "lead_white": 0.7}, beneath, (3.0, 1.5))


def grams(layer: Layer, name: str) -> float:
    """Mass of a pigment in a layer, mg/cm2."""
    from velatura.physics.material import material

    return 0.1 * layer.paint.volumes()[name] * layer.thickness * material(name).density


@pytest.fixture(scope="module")
def noiseless(scanner, spectra):
    """Fits of two paints at 10^5 and at 4 x 10^5 counts, of one paint with and without a hidden one proposed."""
    counts = np.stack([1e5 * spectra[0], 4e5 * spectra[0], 1e5 * spectra[1], 1e5 * spectra[1]])
    proposals = [proposed(), proposed(), proposed(), proposed(hidden=False)]
    return refine(counts, proposals, scanner=scanner)


def test_a_fit_of_a_noiseless_spectrum_returns_the_truth(noiseless) -> None:
    mass, share = noiseless.layered.mass, noiseless.layered.share
    for paint, layer in enumerate((BLUE, RED)):
        whole = sum(grams(layer, name) for name in layer.paint.pigments)
        for name in layer.paint.pigments:
            place = 1, paint, noiseless.pigments.index(name)
            assert mass.low[place] < grams(layer, name) < mass.high[place]
            assert mass.value[place] == pytest.approx(grams(layer, name), rel=0.1)  # the prior pulls a little
            assert share.value[place] == pytest.approx(grams(layer, name) / whole, abs=0.04)
    assert np.all(noiseless.layered.settled)
    assert noiseless.layered.reduced_chi2[0] < 0.02


def test_uncertainties_shrink_with_the_root_of_the_counts(noiseless) -> None:
    azurite = noiseless.pigments.index("azurite")
    few, many = noiseless.layered.mass.width()[:2, 0, azurite]
    assert 1.6 < few / many < 2.05  # 2 but for what the prior and the axis hold


def test_absent_pigments_have_no_mass(noiseless) -> None:
    vermilion = noiseless.pigments.index("vermilion")
    assert noiseless.layered.mass.value[0, 0, vermilion] == 0
    assert noiseless.layered.mass.value[3, 1].sum() == 0
    assert noiseless.layered.share.value.sum(axis=2)[:3] == pytest.approx(1.0)


def test_verdicts_on_the_hidden_paint(noiseless) -> None:
    assert noiseless.verdict == (NEEDED, NEEDED, NOT_NEEDED, "")
    assert noiseless.delta_chi2[1] == pytest.approx(4 * noiseless.delta_chi2[0], rel=0.1)
    assert [noiseless.best(n) for n in range(4)] == ["layered", "layered", "single", "layered"]


def test_white_under_the_same_white_cannot_be_told(scanner) -> None:
    white = Layer(Paint("white", {"lead_white": 1.0}, loading=0.4), 60.0)
    counts = expected_counts(pack([Stack((*BASE, white))], scanner.elements), scanner, cells=CELLS).astype(np.float64)
    proposal = Proposal({"lead_white": 1.0}, {"lead_white": 1.0})
    found = refine(counts * (1e4 / counts.sum()), [proposal], scanner=scanner)
    assert found.verdict == (UNTOLD,)
    assert found.power[0] < 25


def test_poisson_noise_gives_a_reduced_chi2_of_one(scanner, spectra, rng) -> None:
    counts = rng.poisson(1e5 * np.repeat(spectra[:1], 4, axis=0))
    found = refine(counts, [proposed()] * 4, scanner=scanner)
    assert np.all(np.abs(found.layered.reduced_chi2 - 1) < 0.35)  # some 150 windows: 0.12 is one deviation
    assert found.verdict == (NEEDED,) * 4
    azurite, truth = found.pigments.index("azurite"), grams(BLUE, "azurite")
    mass = found.layered.mass
    deviations = np.log(mass.value[:, 0, azurite] / truth) / mass.width()[:, 0, azurite]
    assert np.all(np.abs(deviations) < 4)


def test_a_wrong_model_widens_the_intervals(scanner, spectra) -> None:
    counts = 1e5 * spectra[:1]
    right = refine(counts, [proposed()], scanner=scanner)
    wrong = refine(counts, [Proposal({"azurite": 1.0, "lead_white": 1.0}, {"vermilion": 1.0})], scanner=scanner)
    place = 0, 0, 0
    assert right.pigments[0] == wrong.pigments[0] == "azurite"
    assert wrong.layered.reduced_chi2[0] > 2
    assert wrong.layered.mass.width()[place] > right.layered.mass.width()[place]


def test_model_error_widens_the_intervals(scanner, spectra) -> None:
    counts = 1e5 * spectra[:1]
    sure, unsure = (
        refine(counts, [proposed()], scanner=scanner, options=Refining(model_error=error)) for error in (0.0, 0.05)
    )
    seen = sure.layered.mass.value > 0
    assert np.all(unsure.layered.mass.width()[seen] > sure.layered.mass.width()[seen])


def test_slopes_are_those_of_finite_differences(scanner) -> None:
    light = light_of(scanner)
    parts = components_of(proposed(), scanner.elements)
    nuisances = np.array([12.0, 0.1, 0.02, 0.004, 3e-4, 0.01])
    held, directions = parts.held(parts.start), parts.directions(parts.start)
    (state,) = states([held], [directions], [nuisances], light=light, cells=CELLS)
    number, step = len(parts.start), 0.04

    def counts_at(place: np.ndarray) -> np.ndarray:
        held = parts.held(place[:number])
        return states([held], [held[None][:0]], [place[number:]], light=light, cells=CELLS)[0].counts

    place = np.concatenate([parts.start, nuisances])
    scale = np.ones(len(place))
    scale[-len(NUISANCES) :] = 1.0, 1.0, 0.1, 0.1, 0.02, 0.5
    assert len(state.slopes) == len(place)
    for row in [*range(0, number, 3), *range(number, len(place))]:
        move = step * scale[row] * np.eye(len(place))[row]
        differences = (counts_at(place + move) - counts_at(place - move)) / (2 * step * scale[row])
        loose = 2e-3 * np.abs(differences).max() + 2e-6 * state.counts.max() / (step * scale[row])  # float32
        np.testing.assert_allclose(state.slopes[row], differences, atol=loose)


def test_slopes_of_the_prior_are_those_of_finite_differences(scanner) -> None:
    parts = components_of(proposed(), scanner.elements)
    place = parts.start + np.linspace(-0.5, 0.5, len(parts.start))
    _, slopes = parts.strain(place)
    for row in range(len(place)):
        move = 1e-5 * np.eye(len(place))[row]
        differences = (parts.strain(place + move)[0] - parts.strain(place - move)[0]) / 2e-5
        np.testing.assert_allclose(slopes[:, row], differences, atol=1e-6)


def test_a_proposal_starts_with_the_shares_that_it_names(scanner) -> None:
    proposal = proposed()
    parts = components_of(proposal, scanner.elements)
    mass = np.exp(parts.start)
    assert parts.pigments == ((0, "azurite"), (0, "lead_white"), (1, "vermilion"), (1, "red_ochre"))
    found = [1e3 * mass[parts.owner == number].sum() for number in range(4)]
    assert found == pytest.approx([0.9, 2.1, 0.45, 1.05])
    held = parts.held(parts.start)
    assert held.sum() == pytest.approx(mass.sum())
    assert parts.directions(parts.start).sum(axis=0) == pytest.approx(held)


def test_windows_hold_every_count_between_their_ends(scanner) -> None:
    fine = prepare(replace(SCANNER, channels=1300, gain=SCANNER.gain / 2))
    for prepared in (scanner, fine):
        light = light_of(prepared, window=(2.0, 12.0))
        counts = np.where((prepared.axis > 2.3) & (prepared.axis < 11.5), 1.0, 0.0)
        assert windowed(counts, light).sum() == counts.sum()
        assert len(light.axis) <= 1024


def test_layerless_keeps_the_grams() -> None:
    joined = Proposal({"azurite": 1.0, "lead_white": 3.0}, {"lead_white": 1.0}, (2.0, 1.0)).layerless()
    assert joined.visible == pytest.approx({"azurite": 0.5, "lead_white": 2.5})
    assert joined.hidden == {}
    assert joined.amount[0] == pytest.approx(3.0)


def test_proposals_from_answers() -> None:
    classes = xrf_classes()
    names = [row.name for row in classes]
    share, found = np.zeros((2, len(classes))), np.zeros((2, len(classes)), bool)
    first, second = names.index(classes[3].name), 5
    share[0, first], share[1, second] = 0.7, 0.4
    found[0, first] = found[1, second] = True
    chosen = classes[second].members[-1]
    proposal = propose(share, classes, found=found, amount=(1.5, 0.0), members={names[second]: chosen})
    assert proposal.visible == {classes[first].members[0]: 0.7}
    assert proposal.hidden == {chosen: 0.4}
    assert proposal.amount == (1.5, 0.2)
    with pytest.raises(InputError, match="nothing is found in the visible paint"):
        propose(share, classes, found=np.zeros_like(found))


def test_a_region_takes_its_channels_from_the_axis(scanner, spectra) -> None:
    counts = 1e5 * spectra[:1]
    here = refine(counts, [proposed()], scanner=scanner)
    there = refine_region(
        counts, [proposed()], instrument=SCANNER, axis=SCANNER.axis(), options=Refining()
    )  # fmt: skip
    np.testing.assert_allclose(there.layered.mass.value, here.layered.mass.value, rtol=1e-3)
    with pytest.raises(InputError, match="linear energy axis"):
        refine_region(counts, [proposed()], instrument=preset("laboratory"), axis=SCANNER.axis() ** 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Proposal({}), "needs a pigment in the visible paint"),
        (lambda: Proposal({"azurite": -1.0}), "share of pigment 'azurite' must be positive"),
        (lambda: Proposal({"azurite": 1.0}, amount=(0.0, 1.0)), "amounts of pigment must be positive"),
        (lambda: components_of(Proposal({"azurit": 1.0}), ("C", "H", "O")), "no material 'azurit'"),
        (lambda: components_of(Proposal({"azurite": 1.0}), ("Cu", "C", "H", "O")), "not prepared for"),
        (lambda: Refining(scatter=0.0), "scatter of a refinement must be positive"),
        (lambda: Refining(rounds=0), "rounds and cells of 1 or more"),
    ],
)
def test_what_cannot_be_used_is_refused(make, message) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_counts_that_cannot_be_used_are_refused(scanner, spectra) -> None:
    with pytest.raises(InputError, match="of shape \\(1, 1024\\)"):
        refine(spectra, [proposed()], scanner=scanner)
    with pytest.raises(InputError, match="negative or undefined"):
        refine(-spectra[:1], [proposed()], scanner=scanner)
    with pytest.raises(InputError, match="no counts in the energies"):
        refine(0 * spectra[:1], [proposed()], scanner=scanner)
    with pytest.raises(InputError, match="no channels from 100 to 40 keV"):
        refine(spectra[:1], [proposed()], scanner=scanner, options=Refining(window=(100.0, 200.0)))


def test_a_start_in_a_side_minimum_is_left(scanner) -> None:
    """A thick layer of umber hides what a thin one would explain; from there a fit alone does not return."""
    thin = Layer(Paint("brown", {"burnt_umber": 0.2, "chrome_yellow": 0.8}, loading=0.3), 8.0)
    counts = expected_counts(pack([Stack((*BASE, thin))], scanner.elements), scanner, cells=CELLS).astype(np.float64)
    proposal = Proposal({"burnt_umber": 0.7, "chrome_yellow": 0.3}, amount=(15.0, 1.0))
    found = refine(counts * (1e5 / counts.sum()), [proposal], scanner=scanner)
    assert found.layered.reduced_chi2[0] < 0.1
    umber = found.pigments.index("burnt_umber")
    assert found.layered.mass.low[0, 0, umber] < grams(thin, "burnt_umber") < found.layered.mass.high[0, 0, umber]
