import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.material import Paint
from velatura.physics.stack import Layer, Stack
from velatura.scene.detectability import depth_of_visibility, detectability_maps, evidence
from velatura.scene.painting import Painting, Passage

CANVAS = Layer(Paint("canvas", {"linen_canvas": 1.0}, loading=1.0), 500.0)
GROUND = Layer(Paint("ground", {"chalk": 1.0}, loading=0.5), 120.0)
RED = Paint("red", {"vermilion": 1.0})
WHITE = Paint("white", {"lead_white": 1.0})
AZURITE = Paint("blue", {"azurite": 1.0})


def found(stack: Stack, simulate, *, counts: float = 1e4) -> dict:
    return {(row.layer, row.pigment): row for row in evidence([stack], simulate, counts=counts)}


def test_evidence_is_proportional_to_the_counts_and_never_grows_by_refitting(simulate) -> None:
    stack = Stack((CANVAS, GROUND, Layer(RED, 30.0), Layer(WHITE, 20.0)))
    one, ten = found(stack, simulate), found(stack, simulate, counts=1e5)
    assert list(one) == [(1, "chalk"), (2, "vermilion"), (3, "lead_white")]
    for key, row in one.items():
        assert 0 <= row.delta_chi2[0] <= row.unfitted[0] * (1 + 1e-9)
        assert ten[key].delta_chi2[0] == pytest.approx(10 * row.delta_chi2[0], rel=1e-6)
    assert one[2, "vermilion"].delta_chi2[0] > 100


def test_unfitted_evidence_is_the_chi2_of_the_two_spectra(simulate) -> None:
    stack = Stack((CANVAS, Layer(Paint("pink", {"lead_white": 0.9, "vermilion": 0.1}), 30.0)))
    row = found(stack, simulate)[1, "vermilion"]
    other = Stack((CANVAS, Layer(stack.layers[1].paint.without("vermilion"), 30.0)))
    present, absent = simulate([stack, other]).astype(float) * 1e4 / simulate([stack]).sum()
    assert row.unfitted[0] == pytest.approx(((present - absent) ** 2 / present).sum(), rel=1e-4)


def test_a_pigment_that_another_one_replaces_cannot_be_seen(simulate) -> None:
    """Cinnabar has vermilion's formula: their masses are one direction."""
    both = Stack((CANVAS, Layer(Paint("reds", {"vermilion": 0.5, "cinnabar": 0.5}), 5.0)))
    row = found(both, simulate)[1, "vermilion"]
    assert row.unfitted[0] > 100
    assert row.delta_chi2[0] < 0.02 * row.unfitted[0]


def test_depth_of_visibility_falls_with_the_cover_and_rises_with_the_counts(simulate) -> None:
    depths = [2.0, 10.0, 20.0, 40.0, 80.0, 160.0]
    table = depth_of_visibility("vermilion", WHITE, depths, counts=[1e2, 1e4], simulate=simulate)
    assert np.all(np.diff(table.unfitted.values, axis=1) < 0)
    np.testing.assert_allclose(table.delta_chi2[1], 100 * table.delta_chi2[0])
    shallow, deep = table.visible_depth.values
    assert 2 < shallow < deep < 160
    there = depth_of_visibility("vermilion", WHITE, [deep], counts=[1e4], simulate=simulate)
    assert there.delta_chi2.values[0, 0] == pytest.approx(9, rel=0.5)  # lines between logarithms 80 um apart


def test_a_pigment_that_never_vanishes_has_no_depth(simulate) -> None:
    table = depth_of_visibility("vermilion", WHITE, [1.0, 2.0], counts=[1e6], simulate=simulate)
    assert np.isnan(table.visible_depth.values).all()


def test_stacks_of_different_paints_are_refused(simulate) -> None:
    with pytest.raises(InputError, match="stacks of the same paints"):
        evidence([Stack((CANVAS, Layer(RED, 1.0))), Stack((CANVAS, Layer(WHITE, 1.0)))], simulate, counts=10)


def test_maps_agree_with_the_stacks_they_stand_for(simulate) -> None:
    shape = (12, 20)
    left = np.broadcast_to(np.arange(20) < 10, shape)
    cover = np.broadcast_to(np.linspace(10.0, 25.0, 12)[:, None], shape)
    bare = Painting(shape).support(CANVAS.paint, thickness=500.0).ground(GROUND.paint, thickness=120.0)
    painting = bare.pentimento(Passage(RED, 20.0, left)).overpaint(Passage(WHITE, cover))
    maps = detectability_maps(painting, simulate, counts=1e4)
    red = maps.sel(pigment="vermilion")
    assert maps.detectability.dtype == np.float32
    assert not red.detectability.values[:, 10:].any()
    assert set(np.unique(red.detectability_layer)) == {-1, 2}
    np.testing.assert_array_equal(red.hidden_detectability, red.detectability)
    assert not maps.hidden_detectability.sel(pigment="lead_white").values.any()
    per_pixel = _mean_light(painting, simulate)
    for y in (0, 6, 11):
        stack = Stack((CANVAS, GROUND, Layer(RED, 20.0), Layer(WHITE, float(cover[y, 0]))))
        dose = 1e4 * simulate([stack]).sum() / per_pixel
        exact = found(stack, simulate, counts=dose)[2, "vermilion"].delta_chi2[0]
        assert red.detectability.values[y, 0] == pytest.approx(exact, rel=0.2)


def test_nothing_hidden_means_no_hidden_evidence(simulate) -> None:
    flat = Painting((3, 4)).support(CANVAS.paint, thickness=500.0).passages(Passage(AZURITE, 20.0))
    maps = detectability_maps(flat, simulate, counts=1e4)
    assert not maps.hidden_detectability.values.any()
    assert (maps.detectability.sel(pigment="azurite") > 100).all()


def _mean_light(painting: Painting, simulate) -> float:
    sheets = painting.sheets
    stacks = [
        Stack(tuple(Layer(s.paints[0], float(s.thickness[y, x])) for s in sheets if s.labels[y, x] >= 0))
        for y, x in np.ndindex(painting.shape)
    ]
    return float(simulate(stacks).sum(axis=1).mean())
