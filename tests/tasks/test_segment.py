"""Segment: a simulated painting end to end, laws of its maps, tiny scans, clusters applied to a second draw."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter
from sklearn.metrics import adjusted_rand_score

from velatura.base.cube import lazy_counts, make_cube
from velatura.base.errors import InputError
from velatura.base.workspace import create_workspace, read_maps, write_maps
from velatura.spectra.families import families_of, family_matrix
from velatura.spectra.response import Detector
from velatura.tasks.segment import Segmentation, energy_window, segment

PAINTS = {
    "lead white": {"Pb": 1.0, "Ca": 0.05},
    "vermilion": {"Hg": 0.8, "Pb": 0.2},
    "azurite": {"Cu": 0.9, "Pb": 0.1},
    "ochre": {"Fe": 0.9, "Ca": 0.2},
    "zinc white": {"Zn": 1.0, "Ba": 0.1},
}
GAIN, CHANNELS, SIDE = 0.02, 800, 48


def paint_spectrum(paint: dict[str, float], energy: np.ndarray) -> np.ndarray:
    """Lines of a paint's elements over a smooth background, counts of any unit."""
    spectrum = 0.04 * np.gradient(energy) * np.exp(-energy / 8)
    for element, amount in paint.items():
        families = families_of(element, window=(1.0, float(energy[-1])))
        spectrum = spectrum + amount * family_matrix(families, energy, Detector()).whole.sum(0)
    return spectrum / spectrum.sum()


def draw(seed: int, *, counts: float = 1500, gain: float = GAIN) -> tuple[xr.Dataset, np.ndarray]:
    """(cube, labels) of one fixed painting; only the noise depends on the seed."""
    scene = np.random.default_rng(5)
    energy = gain * np.arange(int(CHANNELS * GAIN / gain))
    spectra = np.array([counts * paint_spectrum(paint, energy) for paint in PAINTS.values()])
    labels = np.argmax([gaussian_filter(scene.normal(size=(SIDE, SIDE)), 6) for _ in PAINTS], axis=0)
    share = np.stack([gaussian_filter((labels == m).astype(float), 0.6) for m in range(len(PAINTS))], -1)
    drawn = np.random.default_rng(seed).poisson(share @ spectra).astype(np.uint16)
    return make_cube(drawn, gain=gain, tube_voltage=40.0), labels


@pytest.fixture(scope="module")
def scan() -> tuple[xr.Dataset, np.ndarray]:
    return draw(1)


@pytest.fixture(scope="module")
def maps(scan) -> xr.Dataset:
    return segment(scan[0], Segmentation(clusters=5))


def test_the_materials_are_found(scan, maps):
    assert adjusted_rand_score(scan[1].ravel(), maps.labels.values.ravel()) > 0.93
    assert maps.sizes["component"] == len(PAINTS) - 1
    assert json.loads(maps.attrs["notes"]) == []
    assert maps.attrs["converged"]


def test_elements_and_contrast_name_the_material(scan, maps):
    main = {"vermilion": "Hg", "azurite": "Cu", "ochre": "Fe", "zinc white": "Zn"}
    for name, element in main.items():
        inside = scan[1] == list(PAINTS).index(name)
        cluster = int(maps.membership.values[:, inside].mean(1).argmax())
        assert element in maps.elements.values[cluster].split(", ")
        assert maps.contrast.values[cluster].startswith(f"{element} x")


def test_schema(maps):
    assert maps.membership.dims == ("cluster", "y", "x")
    types = {"membership": "f4", "labels": "i2", "entropy": "f4", "anomaly": "f4", "used": "b1", "spectrum": "f8"}
    assert {name: maps[name].dtype.str.lstrip("<|") for name in types} == types
    assert list(maps.cluster.values) == ["C1", "C2", "C3", "C4", "C5"]
    assert len(set(maps.colour.values)) == 5
    assert "noise" not in maps
    parameters = json.loads(maps.attrs["parameters"])
    assert parameters["clusters"] == 5
    assert parameters["seed"] == 0
    assert 0 < json.loads(maps.attrs["validity"])["modified_partition_coefficient"] < 1


def test_memberships_sum_to_one_and_decide_labels_and_shares(maps):
    np.testing.assert_allclose(maps.membership.sum("cluster"), 1, atol=1e-5)
    np.testing.assert_array_equal(maps.labels, maps.membership.values.argmax(0))
    np.testing.assert_allclose(maps.share, maps.membership.values.mean((1, 2)), rtol=1e-5)
    assert 0 <= float(maps.entropy.min()) <= float(maps.entropy.max()) <= 1


def test_clusters_come_in_order_of_the_first_component(maps):
    assert np.all(np.diff(maps.centre.values[:, 0]) > 0)


def test_anomaly_is_one_at_the_99_percent_quantile(maps):
    assert np.quantile(maps.anomaly, 0.99) == pytest.approx(1, rel=1e-5)


def test_an_element_too_rare_for_a_component_is_an_anomaly(scan):
    cube = scan[0].copy(deep=True)
    cube.counts.values[30, 20, 660:664] += 6  # 13.2 keV, 24 counts in one pixel of 1,500
    found = segment(cube, Segmentation(clusters=5, components=4, proposals=0))
    here = float(found.anomaly[30, 20])
    assert here > 1.7
    assert np.sum(found.anomaly.values >= here) <= 2  # where three paints meet one pixel is as odd


def test_cluster_spectra_are_weighted_means_of_raw_counts(scan, maps):
    weights = maps.membership.values.astype(float) ** json.loads(maps.attrs["clustering"])["fuzzifier"]
    counts = scan[0].counts.values.astype(float)
    expected = np.einsum("kyx,yxe->ke", weights, counts) / weights.sum((1, 2))[:, None]
    variance = np.einsum("kyx,yxe->ke", weights**2, counts) / weights.sum((1, 2))[:, None] ** 2
    np.testing.assert_allclose(maps.spectrum, expected, rtol=2e-5, atol=1e-9)
    np.testing.assert_allclose(maps.spectrum_error, np.sqrt(variance), rtol=2e-5, atol=1e-9)
    np.testing.assert_allclose(maps.mean_spectrum, counts.mean((0, 1)), rtol=1e-6)


def test_composite_maps_are_proposed_unless_unwanted(scan, maps):
    assert 1 <= maps.sizes["proposal"] <= 10
    assert maps.composite.dims == ("proposal", "y", "x")
    assert "composite" not in segment(scan[0], Segmentation(clusters=3, proposals=0))


@pytest.mark.parametrize(("mean", "expected"), [(2000, (1.7, 0.6)), (200, (1.2, 0.9))])
def test_fuzzifier_and_shrinkage_follow_the_counts(scan, rng, mean, expected):
    """1,000 counts a pixel part the two; what the user says stands."""
    counts = rng.poisson(scan[0].counts.values * (mean / scan[0].counts.values.sum(-1).mean()))
    cube = make_cube(counts.astype(np.uint16), gain=0.02)
    found = segment(cube, Segmentation(clusters=3, proposals=0))
    used = json.loads(found.attrs["parameters"])
    assert (used["fuzzifier"], used["shrinkage"]) == expected
    assert json.loads(found.attrs["clustering"])["fuzzifier"] == expected[0]
    told = segment(cube, Segmentation(clusters=3, proposals=0, fuzzifier=1.4))
    assert json.loads(told.attrs["clustering"])["fuzzifier"] == 1.4


def test_the_same_seed_gives_the_same_maps(scan, maps):
    again = segment(scan[0], Segmentation(clusters=5))
    np.testing.assert_array_equal(again.membership, maps.membership)


def test_lazy_counts_give_the_same_maps(scan, maps):
    lazy = scan[0].assign(counts=scan[0].counts.copy(data=lazy_counts(scan[0].counts.values, rows=7)))
    np.testing.assert_allclose(segment(lazy, Segmentation(clusters=5)).membership, maps.membership, atol=2e-3)


def test_mask_region_and_empty_pixels(scan):
    cube = scan[0].copy(deep=True)
    cube.counts.values[:3] = 0
    cube.valid.values[:, 0] = False
    mask = np.ones((SIDE, SIDE), bool)
    mask[10:14, 10:14] = False
    found = segment(cube, Segmentation(clusters=5, region=(0, 0, 40, SIDE)), mask=mask)
    expected = mask & cube.valid.values
    expected[:3] = expected[:, 40:] = False
    np.testing.assert_array_equal(found.used, expected)
    left_out = ~expected
    assert np.all(found.labels.values[left_out] == -1)
    assert np.all(found.membership.values[:, left_out] == 0)
    assert np.all(np.isnan(found.entropy.values[left_out]))
    assert np.all(np.isnan(found.anomaly.values[left_out]))
    assert json.loads(found.attrs["notes"]) == ["117 pixels without counts were left out"]


def test_automatic_number_of_clusters_follows_the_materials(scan):
    found = segment(scan[0], Segmentation(clusters="auto", proposals=0))
    assert found.sizes["cluster"] == len(PAINTS) + 1
    assert json.loads(found.attrs["notes"]) == ["6 clusters: 4 components stand above the noise"]
    tiny = segment(scan[0].isel(y=slice(0, 3), x=slice(0, 5)), Segmentation(clusters="auto", proposals=0))
    assert tiny.sizes["cluster"] == 3


def test_noise_cluster(scan):
    found = segment(scan[0], Segmentation(clusters=5, noise=True))
    np.testing.assert_allclose(found.membership.sum("cluster") + found.noise, 1, atol=1e-5)
    assert 0 < float(found.noise.mean()) < 0.2


def test_clusters_of_one_scan_on_a_second_draw(maps):
    second, labels = draw(2)
    applied = segment(second, clusters_from=maps)
    assert adjusted_rand_score(labels.ravel(), applied.labels.values.ravel()) > 0.93
    agreement = np.mean(applied.labels.values == maps.labels.values)
    assert agreement > 0.95
    np.testing.assert_array_equal(applied.centre, maps.centre)
    assert list(applied.cluster.values) == list(maps.cluster.values)
    assert np.quantile(applied.anomaly, 0.99) == pytest.approx(1, abs=0.15)


def test_clusters_on_the_scan_they_come_from_change_nothing(scan, maps):
    np.testing.assert_allclose(segment(scan[0], clusters_from=maps).membership, maps.membership, atol=1e-6)


def test_clusters_on_a_scan_with_another_energy_axis(maps):
    other, labels = draw(3, gain=0.0131)
    applied = segment(other, clusters_from=maps)
    assert adjusted_rand_score(labels.ravel(), applied.labels.values.ravel()) > 0.9


def test_clusters_survive_being_stored(tmp_path, scan, maps):
    workspace = create_workspace(tmp_path / "painting.zarr", scan[0])
    write_maps(workspace, "segment", maps)
    stored = read_maps(workspace, "segment")
    np.testing.assert_allclose(segment(scan[0], clusters_from=stored).membership, maps.membership, atol=1e-6)


def test_maps_without_clusters_are_refused(scan):
    with pytest.raises(InputError, match=r"hold no clusters to apply .*Run segment"):
        segment(scan[0], clusters_from=xr.Dataset())


def test_a_tiny_scan_gets_fewer_clusters_and_a_note(scan):
    small = scan[0].isel(y=slice(0, 5), x=slice(0, 6))
    found = segment(small)
    assert found.sizes["cluster"] == 6
    assert "6 clusters instead of 14: the scan has only 30 used pixels" in json.loads(found.attrs["notes"])


def test_asking_too_much_is_refused(scan):
    small = scan[0].isel(y=slice(0, 5), x=slice(0, 6))
    with pytest.raises(InputError, match=r"asked for 20 clusters; found 30 used pixels. Ask for at most 6"):
        segment(small, Segmentation(clusters=20))
    with pytest.raises(InputError, match="at least 5 pixels with counts; found 4"):
        segment(scan[0].isel(y=slice(0, 2), x=slice(0, 2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 1}, 'clusters must be 2 or more, or "auto"; found 1'),
        ({"clusters": "many"}, "or \"auto\"; found 'many'"),
        ({"components": 0}, "components must be 1 or more"),
        ({"proposals": -1}, "proposals must be 0 or more; found -1"),
    ],
)
def test_options_are_checked_at_birth(options, message):
    with pytest.raises(InputError, match=message):
        Segmentation(**options)


def test_masks_and_regions_that_do_not_fit(scan):
    with pytest.raises(InputError, match=r"mask must have one value a pixel, \(48, 48\)"):
        segment(scan[0], mask=np.ones((4, 4), bool))
    with pytest.raises(InputError, match=r"region must be x0,y0,x1,y1 with .*found 3,3,60,5"):
        segment(scan[0], Segmentation(region=(3, 3, 60, 5)))
    with pytest.raises(InputError, match=r"no pixel is left of 48 x 48 \(2304 valid\)"):
        segment(scan[0], mask=np.zeros((SIDE, SIDE), bool))


def test_the_window_ends_at_the_tube_voltage(scan):
    assert energy_window(scan[0], (0.5, None)) == (0.5, None)  # 14 keV axis, 40 kV tube
    cube = make_cube(scan[0].counts.values, gain=0.1, tube_voltage=40.0)
    assert energy_window(cube, (0.5, None)) == (0.5, 40.0)
    assert energy_window(cube, (0.5, 20.0)) == (0.5, 20.0)


def test_progress_tells_the_stages_and_may_cancel(scan):
    stages = []

    def listen(stage: str, done: int, total: int, /) -> None:
        stages.append(stage)
        if stage == "clustering":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment(scan[0], Segmentation(clusters=3), progress=listen)
    assert dict.fromkeys(stages) == dict.fromkeys(["reading counts", "clustering"])
