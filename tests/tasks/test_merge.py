"""Joining clusters: sums are kept, names and colours follow, and the join is applied to other scans too."""

import numpy as np
import pytest
import xarray as xr

from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.tasks.merge import merge
from velatura.tasks.segment import Segmentation, segment


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """Four stripes of one line each, iron and copper twice at different heights."""
    energy = 0.02 * np.arange(600)
    lines = np.array([[6.4, 7.06], [6.4, 7.06], [8.05, 8.9], [8.64, 9.57]])
    shape = np.exp(-0.5 * ((energy - lines[..., None]) / 0.065) ** 2)
    spectra = 20 * (shape[:, 0] + 0.14 * shape[:, 1]) + np.array([0.3, 2.0, 0.3, 0.3])[:, None] * np.exp(-energy / 5)
    mean = np.repeat(np.repeat(spectra, 8, axis=0)[None], 30, axis=0)
    return make_cube(np.random.default_rng(4).poisson(mean).astype(np.uint16), gain=0.02)


@pytest.fixture(scope="module")
def maps(cube) -> xr.Dataset:
    return segment(cube, Segmentation(clusters=4, noise=True))


def test_sums_are_kept(maps):
    found = merge(maps, "C2+C4")
    assert list(found.cluster.values) == ["C1", "C2+C4", "C3"]
    membership = maps.membership.values
    np.testing.assert_allclose(found.membership[1], membership[1] + membership[3], atol=1e-6)
    np.testing.assert_array_equal(found.membership[[0, 2]], membership[[0, 2]])
    np.testing.assert_allclose(found.share, [maps.share[0], maps.share[1] + maps.share[3], maps.share[2]])
    np.testing.assert_array_equal(found.labels, found.membership.values.argmax(0))
    assert np.all(found.entropy <= maps.entropy * np.log(5) / np.log(4) + 1e-6)
    np.testing.assert_array_equal(found.noise, maps.noise)


def test_spectra_are_averaged_by_weight(maps):
    found = merge(maps, "C2+C4")
    mass, spectrum, error = (maps[name].values for name in ("mass", "spectrum", "spectrum_error"))
    total = mass[1] + mass[3]
    np.testing.assert_allclose(found.spectrum[1], (mass[1] * spectrum[1] + mass[3] * spectrum[3]) / total)
    np.testing.assert_allclose(
        found.spectrum_error[1], np.hypot(mass[1] * error[1], mass[3] * error[3]) / total, atol=1e-12
    )
    np.testing.assert_array_equal(found.spectrum[0], spectrum[0])
    assert found.elements.values[0] == maps.elements.values[0]


def test_colour_is_that_of_the_largest_member(maps):
    larger = 1 if maps.share[1] > maps.share[3] else 3
    assert merge(maps, "C2+C4").colour.values[1] == maps.colour.values[larger]


def test_joins_can_be_joined_and_made_at_once(maps):
    one_by_one = merge(merge(maps, "C1+C3"), "C2+C4")
    at_once = merge(maps, "C3+C1, C4+C2")
    xr.testing.assert_allclose(one_by_one, at_once)
    assert list(at_once.cluster.values) == ["C1+C3", "C2+C4"]


def test_composite_maps_keep_their_members_under_the_new_names(maps):
    found = merge(maps, "C2+C4")
    for before, after in zip(maps.members.values, found.members.values, strict=True):
        assert set(str(after).split("+")) >= set(str(before).split("+")) - {""}


def test_the_join_is_applied_to_another_scan(cube, maps):
    joined = merge(maps, "C2+C4")
    applied = segment(cube, clusters_from=joined)
    assert list(applied.cluster.values) == list(joined.cluster.values)
    assert list(applied.colour.values) == list(joined.colour.values)
    np.testing.assert_allclose(applied.membership, joined.membership, atol=1e-5)


@pytest.mark.parametrize(
    ("join", "message"),
    [
        ("C2+C9", "no cluster 'C9'; there are C1, C2, C3, C4"),
        ("C2", "two or more different clusters, like \"C2.C5\"; found 'C2'"),
        ("C2+C2", "two or more different clusters"),
        ("C1+C2,C2+C3", "two or more different clusters"),
    ],
)
def test_joins_that_cannot_be(maps, join, message):
    with pytest.raises(InputError, match=message):
        merge(maps, join)
