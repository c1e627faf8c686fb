import numpy as np
import pytest

from velatura.physics.instrument import preset
from velatura.physics.material import materials
from velatura.physics.simulate import prepare
from velatura.scene.classes import xrf_classes
from velatura.scene.evidence_bank import labels_of
from velatura.scene.rivals import decided, rivals_of
from velatura.scene.sampler import Sampling, sample_elements, sample_stacks

CLASSES = xrf_classes()
NUMBER = {row.name: number for number, row in enumerate(CLASSES)}


@pytest.fixture(scope="module")
def judged(request):
    options = Sampling(palette=("lithopone", "vermilion", "azurite"), hidden=0.4)
    scanner = prepare(preset("laboratory").rebinned(512), sample_elements(options))
    sampled = sample_stacks(60, scanner.elements, options=options, rng=np.random.default_rng(0))
    labels = labels_of(sampled, scanner, CLASSES, options=options)
    return labels, decided(sampled, scanner, CLASSES, options=options)


def test_rivals_share_an_element_and_can_be_seen() -> None:
    rivals = rivals_of(CLASSES, materials())
    names = {CLASSES[k].name for k in rivals[NUMBER["Zn-Ba"]]}
    assert {"Zn", "Ba"} <= names
    assert not names & {"Hg", "Cu", "Zn-Ba", "light", "none"} - {"Hg"}
    assert NUMBER["Pb"] in rivals[NUMBER["Pb-Sn"]]
    assert NUMBER["Pb-Sn"] in rivals[NUMBER["Pb"]]


def test_rivals_only_take_evidence_away(judged) -> None:
    plain, strict = judged
    assert np.all(strict.delta_chi2 <= plain.delta_chi2 * (1 + 1e-6))
    np.testing.assert_array_equal(strict.share, plain.share)
    assert np.isinf(plain.absence).all()
    assert strict.absence.min() >= 0


def test_white_of_zinc_and_barium_stands_for_lithopone_and_nothing_for_vermilion(judged) -> None:
    plain, strict = judged
    seen = plain.delta_chi2[:, 0] * 1e4 >= 25
    kept = strict.delta_chi2[:, 0] * 1e4 >= 25
    lithopone, vermilion = NUMBER["Zn-Ba"], NUMBER["Hg"]
    assert seen[:, lithopone].sum() >= 10
    assert kept[:, lithopone].sum() < 0.3 * seen[:, lithopone].sum()
    alone = seen[:, vermilion] & (plain.share[:, 1] == 0).all(axis=1)
    assert kept[alone, vermilion].mean() > 0.9
    excused = strict.absence[:, 0] * 1e4 < 25
    assert excused[seen[:, lithopone] & ~kept[:, lithopone]][:, [NUMBER["Zn"], NUMBER["Ba"]]].mean() > 0.7


def test_nothing_is_hidden_where_one_paint_would_look_the_same(judged) -> None:
    plain, strict = judged
    buried = plain.share[:, 1] > 0
    order = np.broadcast_to(plain.order[:, None], buried.shape)
    assert buried.any()
    assert np.all(strict.delta_chi2[:, 1][buried] <= order[buried])
    stirred = buried & (plain.share[:, 0] == 0)
    assert np.all(strict.absence[:, 0][stirred] <= order[stirred])
    assert np.any(strict.delta_chi2[:, 1] * 1e5 >= 25)
    np.testing.assert_array_equal(strict.unrivalled, plain.delta_chi2)
