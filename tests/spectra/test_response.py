import numpy as np
import pytest

from velatura.spectra.response import Detector, escape_ratio, line_matrix

AXIS = np.arange(2048) * 0.01
PLAIN = Detector(tail=0.0, escape=False)
ONE = np.ones(1)
FIRST = np.zeros(1, int)


@pytest.mark.parametrize("detector", [PLAIN, Detector(escape=False), Detector(tail=0.05, escape=False)])
@pytest.mark.parametrize("energy", [1.5, 6.4, 15.0])
def test_a_line_keeps_its_area_inside_the_axis(detector, energy):
    assert line_matrix(ONE * energy, ONE * 7, FIRST, axis=AXIS, detector=detector).sum() == pytest.approx(7, rel=1e-3)


def test_a_line_has_its_mean_and_width():
    row = line_matrix(ONE * 6.4, ONE, FIRST, axis=AXIS, detector=PLAIN)[0]
    mean = row @ AXIS
    assert mean == pytest.approx(6.4, abs=1e-4)
    assert np.sqrt(row @ (AXIS - mean) ** 2) * np.sqrt(8 * np.log(2)) == pytest.approx(PLAIN.fwhm(6.4), rel=2e-3)


def test_tail_and_escape_lie_below_the_line():
    plain, full = (line_matrix(ONE * 6.4, ONE, FIRST, axis=AXIS, detector=d)[0] for d in (PLAIN, Detector(tail=0.02)))
    more = full - plain
    assert more[AXIS < 6.0].sum() > 0.003
    assert more[np.abs(AXIS - 4.66) < 0.2].sum() == pytest.approx(escape_ratio(6.4), rel=0.1)
    assert more[AXIS > 6.75].sum() == pytest.approx(0, abs=1e-6)


def test_rows_add_up_the_lines_of_each_owner():
    owners, areas = np.array([1, 0, 1]), np.array([1.0, 2.0, 3.0])
    rows = line_matrix(np.array([3.0, 6.4, 9.0]), areas, owners, axis=AXIS, detector=PLAIN)
    assert rows.sum(axis=1) == pytest.approx([2, 4], rel=1e-4)
    assert line_matrix(np.array([-5.0, 99.0]), ONE.repeat(2), np.zeros(2, int), axis=AXIS, detector=PLAIN).sum() == 0


def test_the_shelf_is_left_to_the_background():
    with_shelf, without = (
        line_matrix(ONE * 6.4, ONE, FIRST, axis=AXIS, detector=Detector(shelf=s)) for s in (0.1, 0.0)
    )
    assert np.array_equal(with_shelf, without)
