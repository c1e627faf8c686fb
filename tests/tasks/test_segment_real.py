"""Measured scans from four instruments: segmentation runs with its defaults on each, tiny ones included."""

import json

import numpy as np
import pytest

from velatura.io.formats import open_scan
from velatura.tasks.segment import Segmentation, segment

pytestmark = pytest.mark.real

SCANS = (
    "pixlise-core/laguna_salinas_25x25.npz",  # 625 pixels, 97,000 counts each
    "colourspec-xfm/ts2_01_sub_export_10x20.npy",  # 200 pixels
    "xrf-maps-aps/axo_std.npz",  # 121 pixels of one uniform film
    "xrf-maps-aps/2xfm_0010.npz",
    "xrf-maps-aps/2xfm_0011_fly.h5",  # 99 pixels
    "sem-geologist-bcf/P45_job_hyperspy.bcf",  # 9 counts a pixel
)


@pytest.mark.parametrize("name", SCANS)
def test_defaults_run_on_measured_scans(data, name):
    cube = open_scan(data / "scans" / name)
    maps = segment(cube, Segmentation(proposals=0))
    used = maps.used.values
    assert used.mean() > 0.99
    np.testing.assert_allclose(maps.membership.values[:, used].sum(0), 1, atol=1e-5)
    assert maps.sizes["cluster"] == 14
    assert np.all(np.isfinite(maps.spectrum))
    assert float(maps.mean_spectrum.sum()) == pytest.approx(cube.counts.values[used].sum() / used.sum(), rel=1e-6)
    assert isinstance(json.loads(maps.attrs["notes"]), list)


def test_components_are_cut_down_where_pixels_are_few(data):
    maps = segment(open_scan(data / "scans" / SCANS[1]), Segmentation(proposals=0))
    assert maps.sizes["component"] == 3
    assert any(
        "components were kept: 200 pixels tell no more apart" in note for note in json.loads(maps.attrs["notes"])
    )


def test_clusters_of_one_count_level_are_found_again_at_another(data):
    """The same field at 617 and 122 counts a pixel, on two energy axes: clusters of the first applied to both."""
    folder = data / "scans" / "sem-geologist-bcf"
    many = open_scan(folder / "P45_8bit_compressed_80keV_range.bcf")
    few = open_scan(folder / "P45_12bit_packed_8bit.bcf")
    options = Segmentation(clusters=4, fuzzifier=1.3, proposals=0)
    maps = segment(many, options)
    again = segment(few, options, clusters_from=maps)
    assert np.mean(maps.labels.values == again.labels.values) > 0.85
