import dask.array as da
import numpy as np
import pytest

from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.spectra.summary import hotmax_spectra, pixel_spectra, summarise


@pytest.mark.parametrize("chunks", [None, (2, 5, 64), (7, 5, 64)])
def test_sum_maximum_and_place_equal_plain_numpy(rng, chunks):
    counts = rng.poisson(3, (7, 5, 64)).astype(np.uint16)
    valid = rng.random((7, 5)) < 0.7
    cube = make_cube(counts if chunks is None else da.from_array(counts, chunks=chunks), gain=0.1, valid=valid)
    found = summarise(cube)
    flat = np.where(valid[..., None], counts.astype(int), -1).reshape(-1, 64)
    np.testing.assert_array_equal(found.sum_spectrum, flat[valid.ravel()].sum(axis=0))
    np.testing.assert_array_equal(found.max_spectrum, flat.max(axis=0))
    np.testing.assert_array_equal(found.max_pixel, flat.argmax(axis=0))
    assert found.pixels == valid.sum()


def test_hotmax_is_the_spectrum_of_the_pixel_that_holds_the_peak(rng):
    counts = rng.poisson(2, (6, 4, 400)).astype(np.uint8)
    counts[3, 2, 118:123] += 40
    cube = make_cube(da.from_array(counts, chunks=(2, 4, 400)), gain=0.02)
    found = summarise(cube)
    np.testing.assert_array_equal(hotmax_spectra(cube, found, np.array([2.4]))[0], counts[3, 2])
    np.testing.assert_array_equal(pixel_spectra(cube, np.array([14, 0, 13])), counts.reshape(-1, 400)[[14, 0, 13]])


def test_a_masked_scan_is_refused():
    with pytest.raises(InputError, match="masked"):
        summarise(make_cube(np.ones((2, 2, 8), np.uint8), valid=np.zeros((2, 2), bool)))
