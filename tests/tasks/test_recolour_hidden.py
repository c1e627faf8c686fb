"""The paint beneath in colours: those of its pigments by two-flux light, none where nothing is found, less sure where
pigments of one class look different."""

import numpy as np
import pytest
import xarray as xr

from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.physics.material import material
from velatura.scene.image_paint import GROUND_COLOUR, LOADING, THICKNESS
from velatura.scene.render import appearance, below_surface, coat, display, linear
from velatura.tasks import recolour_hidden
from velatura.tasks.recolour_hidden import hidden_colours, painted, speaker

MEMBERS = {"Hg": "cinnabar, vermilion", "Fe": "yellow_ochre, red_ochre, prussian_blue", "Cd": "cadmium_yellow"}


def pigments(beneath: dict[tuple[int, int], dict[str, float]], shape=(3, 4)) -> xr.Dataset:
    """Classes with their shares found beneath some pixels, of probability 1; a second paint is sure there."""
    probability = np.full((2, len(MEMBERS), *shape), 0.05, np.float16)
    share, hidden = np.zeros_like(probability), np.full(shape, 0.1, np.float32)
    for (y, x), classes in beneath.items():
        hidden[y, x] = 1.0
        for name, own in classes.items():
            probability[1, list(MEMBERS).index(name), y, x] = 1.0
            share[1, list(MEMBERS).index(name), y, x] = own
    return xr.Dataset(
        {
            "probability": (("paint", "xrf_class", "y", "x"), probability),
            "share": (("paint", "xrf_class", "y", "x"), share),
            "hidden": (("y", "x"), hidden),
            "unknown": (("y", "x"), np.zeros(shape, np.float32)),
        },
        {
            "paint": ["visible", "hidden"],
            "xrf_class": list(MEMBERS),
            "members": ("xrf_class", list(MEMBERS.values())),
            "threshold": (("paint", "xrf_class"), np.full((2, len(MEMBERS)), 0.5, np.float32)),
        },
    )


def paint_out(recipe: dict[str, float]) -> np.ndarray:
    """By volume, on the same ground."""
    ground = below_surface(linear(np.array(GROUND_COLOUR)))
    return display(appearance([coat(recipe, thickness=THICKNESS, loading=LOADING)], support=ground))


def test_one_pigment_beneath_looks_like_its_paint_out_and_stays_in_its_place() -> None:
    found = hidden_colours(pigments({(0, 2): {"Hg": 0.7}, (2, 1): {"Cd": 0.2}}), blur=0)
    np.testing.assert_allclose(found.rgb[0, 2], paint_out({"vermilion": 1.0}), atol=1e-3)
    np.testing.assert_allclose(found.rgb[2, 1], paint_out({"cadmium_yellow": 1.0}), atol=1e-3)
    assert np.isfinite(found.rgb).all(axis=-1).sum() == 2
    assert found.rgb.dtype == found.trust.dtype == np.float32


def test_shares_of_mass_are_mixed_by_volume() -> None:
    """Equal masses: the lighter cadmium yellow fills more of the paint."""
    names = ["vermilion", "cadmium_yellow"]
    volume = {name: 1 / material(name).density for name in names}
    mixed = painted([material(name) for name in names], np.array([[0.5, 0.5]]))[0]
    np.testing.assert_allclose(mixed, paint_out(volume), atol=1e-6)
    one, other = (srgb_to_lab(paint_out({name: 1.0})) for name in names)
    whole = colour_difference(one, other)
    assert colour_difference(srgb_to_lab(mixed), one) < whole
    assert colour_difference(srgb_to_lab(mixed), other) < whole


def test_nothing_beneath_has_no_colour_and_no_trust() -> None:
    maps = pigments({(0, 0): {"Hg": 1.0}, (1, 1): {"Hg": 1.0}})
    maps.hidden.values[0, 0] = 0.49
    maps.probability.values[1, 0, 0, 0] = 0.49
    maps.threshold.values[:] = 0.1
    maps.hidden.values[1, 1] = np.nan
    found = hidden_colours(maps, blur=0)
    assert np.isnan(found.rgb).all()
    assert not found.trust.any()
    assert "no hidden figure" in found.notes[0]


def test_a_result_without_any_class_is_answered_with_nothing() -> None:
    found = hidden_colours(pigments({}).isel(xrf_class=[]))
    assert np.isnan(found.rgb).all()
    assert not found.trust.any()


def test_trust_is_what_the_evidence_is_worth() -> None:
    maps = pigments({(0, 0): {"Cd": 1.0}, (0, 1): {"Cd": 1.0}, (0, 2): {"Cd": 1.0}, (0, 3): {"Fe": 1.0}})
    maps.probability.values[1, :, 0][maps.probability.values[1, :, 0] == 1] = 0.9
    maps.hidden.values[0, 1] = 0.6
    maps.threshold.values[:] = 0.3
    maps.probability.values[1, 2, 0, 1] = 0.4
    maps.unknown.values[0, 2] = 0.5
    trust = hidden_colours(maps, blur=0).trust[0]
    assert trust[0] == pytest.approx(0.9, abs=1e-3)
    assert trust[1] == pytest.approx(0.6 * 0.4, abs=1e-3)
    assert trust[2] == pytest.approx(0.5 * 0.9, abs=1e-3)
    assert trust[3] < 0.6 * trust[0]


def test_a_class_that_is_sure_says_itself_that_a_paint_lies_beneath() -> None:
    maps = pigments({(0, 0): {"Cd": 1.0}})
    maps.hidden.values[0, 0] = 0.2
    assert hidden_colours(maps, blur=0).trust[0, 0] == pytest.approx(1.0, abs=1e-3)


def test_colours_fade_to_grey_with_the_probability() -> None:
    maps = pigments({(0, x): {"Hg": 1.0} for x in range(3)})
    maps.probability.values[1, 0, 0, :3] = 1.0, 0.75, 0.5
    lab = srgb_to_lab(hidden_colours(maps, blur=0).rgb[0, :3])
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    np.testing.assert_allclose(chroma, chroma[0] * np.array([1.0, 0.75, 0.5]), rtol=0.01)
    np.testing.assert_allclose(lab[:, 0] - 50, (lab[0, 0] - 50) * np.array([1.0, 0.75, 0.5]), atol=0.2)


def test_the_likelier_of_two_pigments_weighs_more() -> None:
    maps = pigments({(0, x): {"Hg": 0.5, "Cd": 0.5} for x in range(2)})
    maps.probability.values[1, 2, 0, 1] = 0.5
    red = srgb_to_lab(paint_out({"vermilion": 1.0}))
    even, odd = (colour_difference(srgb_to_lab(one), red) for one in hidden_colours(maps, blur=0).rgb[0, :2])
    assert odd < even - 5


def test_neighbours_decide_together_and_stay_in_their_place() -> None:
    """A lone find is dropped, a gap is filled, and a pixel without an answer gives and gets none."""
    block = {(y, x): {"Hg": 1.0} for y in range(8, 13) for x in range(2, 7)}
    del block[10, 4]
    maps = pigments(block | {(2, 9): {"Cd": 1.0}}, shape=(15, 12))
    maps.hidden.values[9, 3] = np.nan
    found = hidden_colours(maps)
    there = np.isfinite(found.rgb[..., 0])
    assert there[10, 4]
    assert not there[2, 9]
    assert not there[9, 3]
    assert not there[:7].any()
    alone = srgb_to_lab(paint_out({"vermilion": 1.0}))
    assert colour_difference(srgb_to_lab(found.rgb[11, 4]), alone) < 12


def test_a_large_area_is_the_same_with_and_without_neighbours() -> None:
    maps = pigments({(y, x): {"Hg": 0.3, "Cd": 0.6} for y in range(12) for x in range(12)}, shape=(12, 12))
    alone, together = hidden_colours(maps, blur=0), hidden_colours(maps)
    np.testing.assert_allclose(alone.rgb, together.rgb, atol=0.01)
    np.testing.assert_allclose(alone.trust, together.trust, atol=0.01)


def test_members_of_different_colours_are_told() -> None:
    maps = pigments({(0, 0): {"Fe": 1.0}, (1, 0): {"Hg": 1.0}})
    notes = hidden_colours(maps, blur=0).notes
    assert len(notes) == 1
    assert "yellow ochre speaks for" in notes[0]
    assert "red ochre" in notes[0]


def test_the_usual_member_speaks_where_it_was_in_use() -> None:
    assert speaker("Ca-P", ["bone_white", "bone_black"]).usual.name == "bone_black"
    assert speaker("Ca-P", ["bone_white"]) == (material("bone_white"), (), 1.0)
    earths = speaker("Fe", ["yellow_ochre", "gold_ochre", "prussian_blue"])
    assert earths.unlike == ("prussian_blue",)
    assert 0 < earths.sure < 1


def test_bands_of_rows_give_the_same(monkeypatch) -> None:
    maps = pigments({(y, x): {"Hg": 0.5, "Fe": 0.1 + 0.2 * y} for y in range(3) for x in range(4)})
    whole = hidden_colours(maps, blur=0)
    monkeypatch.setattr(recolour_hidden, "ROWS", 4)
    cut = hidden_colours(maps, blur=0)
    np.testing.assert_array_equal(whole.rgb, cut.rgb)
    np.testing.assert_array_equal(whole.trust, cut.trust)
