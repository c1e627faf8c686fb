"""Rare passages: found where they were swallowed, nothing added where nothing is."""

import json

import numpy as np
import pytest

from velatura.base.cube import make_cube
from velatura.tasks.rare import lost_groups, odd_patch
from velatura.tasks.segment import Segmentation, segment

ENERGY = 0.04 * np.arange(300)


def painting(blob: bool):
    """Three stripes of iron, copper and zinc, and a blob of 12 pixels of strontium (0.4 %)."""
    lines = {"Fe": 6.4, "Cu": 8.05, "Zn": 8.64, "Sr": 5.2}
    spectra = np.array([np.exp(-0.5 * ((ENERGY - line) / 0.07) ** 2) * 60 for line in lines.values()])
    spectra += 2 * np.exp(-ENERGY / 5)
    labels = np.repeat(np.arange(3), 20)[None].repeat(50, 0)
    if blob:
        labels[20:24, 8:11] = 3
    counts = np.random.default_rng(8).poisson(spectra[labels]).astype(np.uint16)
    return make_cube(counts, gain=0.04), labels


def test_a_blob_of_its_own_material_gets_a_cluster():
    cube, labels = painting(blob=True)
    options = {"clusters": 3, "components": 4, "proposals": 0}
    without = segment(cube, Segmentation(**options))
    assert without.sizes["cluster"] == 3
    found = segment(cube, Segmentation(**options, rare=True))
    assert found.sizes["cluster"] == 4
    assert any("1 rare cluster was added" in note for note in json.loads(found.attrs["notes"]))
    blob = labels == 3
    of_blob = np.bincount(found.labels.values[blob]).argmax()
    np.testing.assert_array_equal(found.labels.values == of_blob, blob)


def test_nothing_is_added_where_nothing_was_lost():
    cube, _ = painting(blob=False)
    found = segment(cube, Segmentation(clusters=3, proposals=0, rare=True))
    assert found.sizes["cluster"] == 3
    assert json.loads(found.attrs["notes"]) == []


def test_lost_groups_are_small_and_matched_by_no_cluster():
    groups = np.repeat([0, 1, 2, 3], [500, 450, 30, 20])
    labels = np.repeat([0, 1, 2, 0], [500, 450, 30, 20])
    assert lost_groups(groups, labels) == [3]
    assert lost_groups(groups, groups) == []
    assert lost_groups(np.repeat([0, 1], [995, 5]), np.zeros(1000, int)) == []  # too few pixels to be a group


@pytest.mark.parametrize(("size", "height", "found"), [(3, 5.0, True), (2, 5.0, False), (3, 1.2, False)])
def test_odd_patches_are_far_and_of_several_pixels(rng, size, height, found):
    distance = rng.uniform(0, 1, (40, 40))
    distance[10 : 10 + size, 20 : 20 + size] = height
    used = np.ones((40, 40), bool)
    used[:3] = False
    patch = odd_patch(distance[used], used)
    assert (patch is not None) == found
    if patch is not None:
        image = np.zeros((40, 40), bool)
        image[used] = patch
        assert image[10 : 10 + size, 20 : 20 + size].all()
        assert image.sum() <= size**2 + 4
