import json

import dask.array as da
import numpy as np
import pytest

from velatura.atomic.attenuation import fluorescence_production
from velatura.atomic.lines import group
from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.spectra.families import families_of
from velatura.spectra.response import Detector, line_matrix
from velatura.tasks.elements import Elements, element_maps

AXIS = np.arange(2048) * 0.02
DETECTOR = Detector(noise=0.08)


def family_row(name):
    element, kind = name.split("-")
    family = next(f for f in families_of(element, window=(0.9, 40)) if f.kind == kind)
    energies = np.array([line.energy for line in family.lines])
    row = line_matrix(energies, family.shares, np.zeros(len(energies), int), axis=AXIS, detector=DETECTOR)[0]
    return row / family.share_of(family.main)


def panel(rng, height=24, width=20):
    """A cube with Pb everywhere, Fe on the left half, Hg in six pixels; returns (cube, true counts by line)."""
    truth = {"Pb-La": np.full((height, width), 400.0), "Ca-Ka": np.full((height, width), 150.0)}
    truth["Fe-Ka"] = np.where(np.arange(width) < width // 2, 250.0, 0.0) * np.ones((height, 1))
    truth["Hg-La"] = np.zeros((height, width))
    truth["Hg-La"][4:6, 7:10] = 300
    rows = {"Pb-La": "Pb-L", "Ca-Ka": "Ca-K", "Fe-Ka": "Fe-K", "Hg-La": "Hg-L"}
    expected = (np.exp(-AXIS / 6) * 0.5) * np.ones((height, width, 1))
    for line, image in truth.items():
        expected = expected + image[..., None] * family_row(rows[line])
    return make_cube(rng.poisson(expected).astype(np.uint16), gain=0.02, noise=0.08), truth


@pytest.mark.parametrize("method", ["fit", "window"])
def test_maps_hold_the_true_counts_within_their_errors(rng, method):
    cube, truth = panel(rng)
    maps = element_maps(cube, Elements(method=method))
    assert set(maps.line.values) == set(truth)
    for line, image in truth.items():
        found, strong = maps.sel(line=line), image > 100
        off = (found.intensity.values - image)[strong]
        error = np.sqrt((found.uncertainty.values[strong] ** 2).sum()) / strong.sum()
        assert abs(off.mean()) < 4 * error + (0.02 if method == "fit" else 0.1) * image.max()  # Hg and Pb windows touch
    iron = maps.sel(line="Fe-Ka")
    seen = (iron.intensity > iron.detection_limit).values
    assert seen[:, :10].mean() > 0.99
    assert seen[:, 10:].mean() < 0.03


def test_the_result_is_what_the_docs_promise(rng):
    cube, _ = panel(rng, 8, 8)
    maps = element_maps(cube)
    for name in ("intensity", "uncertainty", "detection_limit"):
        assert maps[name].dims == ("line", "y", "x")
        assert maps[name].dtype == np.float32
    for name in ("sum_spectrum", "max_spectrum", "background", "fit"):
        assert maps[name].dims == ("energy",)
        assert maps[name].dtype == np.float64
    np.testing.assert_array_equal(maps.sum_spectrum, cube.counts.sum(("y", "x")))
    np.testing.assert_array_equal(maps.max_spectrum, cube.counts.max(("y", "x")))
    assert list(maps.element.values) == [str(line).split("-")[0] for line in maps.line.values]
    assert np.all(np.diff(maps.line_energy) > 0)
    assert maps.attrs["method"] == "fit"
    assert any("As-Ka (10.53 keV) would hide under Pb-La" in text for text in json.loads(maps.attrs["warnings"]))
    assert json.loads(maps.attrs["parameters"])["noise"] == 0.08
    inside = (AXIS > 1) & (AXIS < 14)
    misfit = (maps.fit - maps.sum_spectrum)[inside]
    assert float(np.sqrt((misfit**2 / np.maximum(maps.sum_spectrum[inside], 4)).mean())) < 2.5


def test_a_rare_element_is_found_in_single_pixels(rng):
    cube, _ = panel(rng, 60, 60)
    found = json.loads(element_maps(cube).attrs["parameters"])
    assert "Hg" in {one["element"] for one in found["found"]}
    lean, _ = panel(rng, 8, 8)
    assert not json.loads(element_maps(lean).attrs["parameters"])["rare"]


def test_lines_may_be_asked_for_in_any_spelling(rng):
    cube, _ = panel(rng)
    maps = element_maps(cube, Elements(lines=("Fe", "Pb_Lb", "Hg-La", "Fe-Ka")))
    assert list(maps.line.values) == ["Fe-Ka", "Pb-Lb", "Hg-La"]
    family = families_of("Pb", window=(0.9, 40))[0]
    share = family.share_of(group("Pb-Lb")) / family.share_of(group("Pb-La"))
    assert float(maps.intensity.sel(line="Pb-Lb").mean()) == pytest.approx(400 * share, rel=0.05)


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        (Elements(method="roi"), "method must be one of fit, window"), (Elements(lines=("Xx-Ka",)), "no element"),
        (Elements(lines=("Fe-Kz",)), "it has"), (Elements(lines=("Pb-Ka",)), "lies outside"),
        (Elements(lines=("C",)), "no line between"),
        (Elements(lines=("Sn-Ka",), tube_voltage=20.0), "more than 29.2 kV"),
    ],
)  # fmt: skip
def test_bad_wishes_are_refused(rng, config, hint):
    cube, _ = panel(rng, 6, 6)
    with pytest.raises(InputError, match=hint):
        element_maps(cube, config)


def test_an_empty_scan_is_refused_with_a_remedy():
    with pytest.raises(InputError, match="no counts at all"):
        element_maps(make_cube(np.zeros((3, 4, 512), np.uint8), gain=0.04))


def test_left_out_pixels_are_nan_and_do_not_count(rng):
    cube, _ = panel(rng)
    counts, valid = cube.counts.values.copy(), np.ones((24, 20), bool)
    counts[3, 5], valid[3, 5] = 60000, False
    masked = element_maps(make_cube(counts, gain=0.02, noise=0.08, valid=valid), Elements(lines=("Fe-Ka",)))
    assert np.isnan(masked.intensity.values[0, 3, 5])
    assert np.isfinite(masked.intensity.values[0]).sum() == 24 * 20 - 1
    assert masked.max_spectrum.max() < 60000


def test_a_lazy_cube_gives_the_same_maps(rng):
    cube, _ = panel(rng)
    lazy = make_cube(da.from_array(cube.counts.values, chunks=(5, 20, 2048)), gain=0.02, noise=0.08)
    one, other = element_maps(cube), element_maps(lazy)
    np.testing.assert_array_equal(one.line, other.line)
    np.testing.assert_allclose(one.intensity, other.intensity, rtol=1e-3, atol=0.02)


@pytest.mark.real
def test_the_laguna_salinas_scan_holds_its_rock_elements(data):
    with np.load(data / "scans/pixlise-core/laguna_salinas_25x25.npz") as stored:
        cube = make_cube(stored["A"], gain=0.01, anode="Rh")
    maps = element_maps(cube)
    assert set(maps.element.values) >= {"Al", "Si", "S", "Cl", "K", "Ca", "Ti", "Mn", "Fe", "Sr"}
    assert not set(maps.element.values) & {"Rh", "Ar", "Hg", "As", "Cd", "Sn", "Sb"}


@pytest.mark.real
def test_areas_of_the_thin_film_standard_stand_in_the_right_ratio(data):
    """AXO film, 10 keV: counts over stated area density and atomic sensitivity, relative to iron, no air path.

    Cu agrees within 15 %. Ca is measured 33 % above Fe, in all four detectors, and air or windows could only lower it;
    the value is held here so that a change is seen. Detector 1; axis through Ca-Ka, Fe-Ka and Cu-Ka.
    """
    with np.load(data / "scans/xrf-maps-aps/axo_std.npz") as stored:
        counts = stored["spectra"][:, :, 1]
    cube = make_cube(counts, zero=-0.0069, gain=0.0096006, tube_voltage=10.0, noise=0.17)
    maps = element_maps(cube)
    assert set(maps.element.values) >= {"Ca", "Fe", "Cu", "La", "Si"}
    sensitivity = {}
    for element, area in (("Ca", 1.931), ("Fe", 0.504), ("Cu", 0.284)):
        family = families_of(element, window=(0.9, 20))[0]
        made = float(fluorescence_production(element, "K", 10.0)) * family.share_of(family.main) * area
        sensitivity[element] = float(maps.intensity.sel(line=f"{element}-Ka").mean()) / made
    assert sensitivity["Cu"] / sensitivity["Fe"] == pytest.approx(1, abs=0.15)
    assert sensitivity["Ca"] / sensitivity["Fe"] == pytest.approx(1.33, abs=0.15)
