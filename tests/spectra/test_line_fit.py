import dask.array as da
import numpy as np
import pytest
from scipy.optimize import nnls

from velatura.atomic.lines import group
from velatura.spectra.families import families_of, family_matrix
from velatura.spectra.line_fit import line_maps, net_counts, plan_fit, plan_windows, without_negatives
from velatura.spectra.response import Detector

AXIS = np.arange(1024) * 0.02
DETECTOR = Detector(noise=0.08)
ELEMENTS = ("K", "Ca", "Ti", "Mn", "Fe", "Co", "Cu", "As", "Pb", "Ba")
FAMILIES = tuple(f for name in ELEMENTS for f in families_of(name, window=(0.9, 20)) if f.kind in "KL")
MAIN = tuple(family.main for family in FAMILIES)
SHARES = np.array([family.share_of(family.main) for family in FAMILIES])
HATS = np.array([np.interp(AXIS, [0, 7, 14, 20.5], unit) for unit in np.eye(4)]) * np.exp(-AXIS / 8)
SHAPES = np.concatenate([family_matrix(FAMILIES, AXIS, DETECTOR).whole / SHARES[:, None], HATS])
COLUMNS = len(SHAPES)
UNDER = np.ones(4) @ HATS


def pixels(rng, count, scale=1.0):
    """(areas of rows [pixel, row], Poisson counts [pixel, channel])."""
    areas = rng.gamma(0.5, 200, (count, COLUMNS)) * (rng.random((count, COLUMNS)) < 0.6) * scale
    areas[:, len(FAMILIES) :] = rng.gamma(5, 0.3, (count, 4)) * scale
    return areas, rng.poisson(areas @ SHAPES).astype(np.uint16)


def plan(counts, lines=MAIN, **options):
    return plan_fit(
        lines, FAMILIES, SHAPES, channels=slice(0, 1024), expected=counts.mean(axis=0), background=UNDER, **options
    )


def test_counts_without_noise_give_their_areas_back(rng):
    areas, counts = pixels(rng, 50)
    net, _, _ = net_counts(plan(counts), (areas @ SHAPES).astype(np.float32))
    assert pytest.approx(areas[:, : len(FAMILIES)], abs=0.3) == net.T


@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_errors_are_true(rng, scale):
    """Net counts scatter about the truth by the stated standard deviation and are not biased."""
    areas, counts = pixels(rng, 1500, scale)
    net, error, _ = net_counts(plan(counts, non_negative=False), counts)
    off = net - areas.T[: len(FAMILIES)]
    assert np.all(np.abs(off.mean(axis=1)) < 4 * off.std(axis=1) / np.sqrt(1500))
    pull = (off / error).std(axis=1)
    if scale == 1:
        assert pull == pytest.approx(1, abs=0.2)
    assert np.all(pull < 1.2)  # of few counts the error is at least one count, so the pull may be small


def test_the_refit_equals_non_negative_least_squares(rng):
    _, counts = pixels(rng, 60, 0.1)
    made = plan(counts)
    net, error, _ = net_counts(made, counts)
    expected = counts.mean(axis=0)
    weight = 1 / np.sqrt(expected + 1e-3 * expected.max() + 1e-12)
    for i in range(60):
        areas, _ = nnls((SHAPES * weight).T, counts[i] * weight)
        assert np.abs(net[:, i] - areas[: len(FAMILIES)]).max() < 0.02 * error[:, i].max()
    assert net.min() >= 0


def test_without_negatives_leaves_what_is_positive():
    gram = np.array([[2.0, 0.5], [0.5, 1.0]])
    areas = np.array([[3.0, -1.0], [1.0, 2.0]], np.float32)
    fixed = without_negatives(areas, gram)
    assert fixed[:, 0] == pytest.approx(areas[:, 0], rel=1e-5)
    assert fixed[:, 1] == pytest.approx([0.0, 2.0 - 0.5], rel=1e-4)  # by hand: moment 1.5, over 1


def test_groups_of_a_family_share_its_fit(rng):
    _, counts = pixels(rng, 20)
    lines = (group("Pb-La"), group("Pb-Lb"), group("Pb-L"))
    net, error, _ = net_counts(plan(counts, lines), counts)
    family = next(f for f in FAMILIES if f.main.name == "Pb-La")
    shares = [family.share_of(line) for line in lines]
    for values in (net, np.maximum(error, 1.01)):
        assert values[1, values[0] > 5] / values[0, values[0] > 5] == pytest.approx(shares[1] / shares[0], rel=0.02)
    assert net[2] == pytest.approx(net[0] / shares[0] * shares[2], rel=1e-5)


def test_the_detection_limit_tells_absence_from_presence(rng):
    areas = np.zeros((2000, COLUMNS))
    areas[:, len(FAMILIES) :] = 3
    areas[:, [line.name for line in MAIN].index("Fe-Ka")] = 300
    counts = rng.poisson(areas @ SHAPES)
    net, error, limit = net_counts(plan(counts, non_negative=False), counts)
    cu = [line.name for line in MAIN].index("Cu-Ka")
    assert np.mean(net[cu] > limit[cu]) < 0.01  # 3 standard deviations: 0.13 % for a Gaussian, more for few counts
    areas[:, cu] = 2 * np.median(limit[cu])
    again, _, _ = net_counts(plan(counts, non_negative=False), rng.poisson(areas @ SHAPES))
    assert np.mean(again[cu] > limit[cu]) > 0.9
    assert np.median(limit[cu] / error[cu]) == pytest.approx(3, rel=0.1)


def test_windows_count_a_free_line_and_take_the_background_off(rng):
    areas = np.zeros((400, COLUMNS))
    areas[:, len(FAMILIES) :] = 4
    copper = [line.name for line in MAIN].index("Cu-Ka")
    areas[:, copper] = 500
    counts = rng.poisson(areas @ SHAPES)
    net, error, limit = net_counts(
        plan_windows((MAIN[copper], group("Ca-Ka")), AXIS, background=UNDER, detector=DETECTOR), counts
    )
    assert net.mean(axis=1) == pytest.approx([500, 0], abs=8)
    assert (net.std(axis=1) / error.mean(axis=1)) == pytest.approx(1, abs=0.15)
    assert np.mean(net[1] > limit[1]) < 0.02


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_maps_are_the_pixels_band_by_band(rng, dtype):
    _, counts = pixels(rng, 60, 0.05)
    cube = counts.reshape(10, 6, 1024).astype(dtype)
    valid = rng.random((10, 6)) < 0.8
    made = plan(counts)
    alone = np.stack(net_counts(made, counts)).reshape(3, -1, 10, 6)
    for data in (cube, da.from_array(cube, chunks=(3, 6, 1024))):
        maps = np.stack(line_maps(data, made, valid=valid))
        assert maps.dtype == np.float32
        assert np.array_equal(np.isnan(maps[0, 0]), ~valid)
        np.testing.assert_allclose(maps[..., valid], alone[..., valid], rtol=1e-3, atol=0.05)
