"""Canvases: what a picture's pixels send to the scanner, in both kinds."""

import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.physics.instrument import Instrument
from velatura.physics.material import material
from velatura.scene.canvas_paint import LEVELS, MOST, fine_colours, painted_picture
from velatura.scene.classes import xrf_classes
from velatura.scene.colour_canvas import POOLS, cropped, layers_canvas, library_canvas, pool_instrument
from velatura.scene.ganx import choose_colours, mixture
from velatura.scene.image_paint import library_of, named_palette
from velatura.scene.painters_palette import matched, mixtures, painters_palette
from velatura.scene.training import CHANNELS, HIGH, LOW, grid

HEAD = Instrument()


def picture(height=40, width=56):
    v, u = np.mgrid[:height, :width]
    rgb = np.stack([90 + 2 * v, 60 + 2 * u, 150 - 2 * v], axis=-1)
    rgb[5:20, 8:30] = 205, 60, 45
    rgb[22:36, 30:50] = 235, 228, 210
    return (rgb + np.random.default_rng(0).integers(-4, 5, rgb.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def layered():
    beneath = np.repeat([[[230, 225, 210]], [[40, 60, 120]]], 6, axis=0).repeat(9, axis=1).astype(np.uint8)
    return layers_canvas(
        picture(), rng=np.random.default_rng(2), instrument=HEAD, died=1650, beneath=beneath, colours=24
    )


def window(canvas, energy, half=0.15):
    return canvas.rates[:, np.abs(grid() - energy) < half].sum(axis=1)


def test_a_library_canvas_is_ganx(rng):
    canvas = library_canvas(picture(), rng=np.random.default_rng(4), instrument=HEAD, threshold=0.3)
    library = library_of(named_palette("recolouring12"), HEAD, window=(LOW, HIGH), channels=CHANNELS)
    colours = choose_colours(picture(), start=10, rng=np.random.default_rng(4))
    assert len(canvas.rates) in (9, 10)
    np.testing.assert_array_equal(canvas.entry, colours.labels)
    shares = mixture(colours.rgb, library, threshold=0.3)
    np.testing.assert_allclose(canvas.rates, shares @ library.spectra, rtol=1e-5, atol=1e-9)
    names = [row.name for row in xrf_classes()]
    hg = shares[:, library.names.index("cinnabar")]
    np.testing.assert_allclose(canvas.visible[:, names.index("Hg")], hg, atol=1e-6)
    np.testing.assert_allclose(canvas.unseen, shares[:, library.names.index("carbon_black")], atol=1e-6)
    np.testing.assert_array_equal(canvas.rgb, picture())
    assert (canvas.brightness == 1).all()


def test_the_laws_of_a_canvas(layered):
    entries = len(layered.rates)
    assert layered.entry.dtype == np.int32
    assert set(np.unique(layered.entry)) == set(range(entries))
    np.testing.assert_allclose(layered.rates.sum(axis=1), 1, rtol=1e-5)
    assert layered.rates.min() >= 0
    assert layered.brightness[layered.entry].mean() == pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(layered.visible.sum(axis=1), 1, rtol=1e-5)
    over = layered.hidden.sum(axis=1)
    assert set(np.round(over, 4)) == {0, 1}
    assert layered.organic.shape == layered.entry.shape


def test_the_same_generator_paints_the_same_canvas(layered):
    again = layers_canvas(picture(), rng=np.random.default_rng(5), instrument=HEAD, colours=8)
    twice = layers_canvas(picture(), rng=np.random.default_rng(5), instrument=HEAD, colours=8)
    other = layers_canvas(picture(), rng=np.random.default_rng(6), instrument=HEAD, colours=8)
    for one, two in zip(again, twice, strict=True):
        np.testing.assert_array_equal(one, two)
    assert again.visible.shape != other.visible.shape or not np.allclose(again.visible, other.visible)
    assert not again.hidden.any()


def test_what_is_painted_looks_like_the_picture(layered):
    away = colour_difference(srgb_to_lab(picture() / 255), srgb_to_lab(layered.painted[layered.entry] / 255))
    assert np.median(away) < 9
    names = [row.name for row in xrf_classes()]
    assert layered.visible[layered.entry[28:34, 34:46], names.index("Pb")].mean() > 0.4


def test_spectra_show_the_paint(layered):
    """More lead in the paint means a larger share of the counts near Pb La, entry by entry."""
    names = [row.name for row in xrf_classes()]
    lead, share = window(layered, 10.55), layered.visible[:, names.index("Pb")]
    if share.std() < 0.05:
        pytest.fail("the picture was painted without lead; choose another seed")
    assert np.corrcoef(lead, share)[0, 1] > 0.4


def test_pools_of_scanners_are_different_and_stay_the_same():
    every = [pool_instrument(split, number) for split, size in POOLS.items() for number in range(size)]
    assert len({repr(instrument) for instrument in every}) == sum(POOLS.values())
    assert pool_instrument("test", 1) == pool_instrument("test", 1)
    with pytest.raises(InputError, match="asked for test 4"):
        pool_instrument("test", 4)


def test_a_part_keeps_its_spectra(layered):
    middle = cropped(layered, 32)
    np.testing.assert_array_equal(middle.entry, layered.entry[4:36, 12:44])
    np.testing.assert_array_equal(middle.rgb, picture()[4:36, 12:44])
    with pytest.raises(InputError, match="does not fit"):
        cropped(layered, 41)


def test_what_is_no_picture_is_refused(rng):
    with pytest.raises(InputError, match=r"uint8 \[y, x, 3\]"):
        layers_canvas(picture() / 255, rng=rng)
    with pytest.raises(InputError, match=r"uint8 \[y, x, 3\]"):
        library_canvas(picture()[..., 0], rng=rng)


def test_there_are_few_stacks_however_wild_the_picture(rng):
    noise = rng.integers(0, 256, (48, 48, 3), np.uint8)
    found = painted_picture(noise, died=None, beneath=noise[::-1], colours=80, rng=rng)
    assert len(found.stacks) <= MOST
    assert found.entry.max() == len(found.stacks) - 1
    assert all(len(stack.layers) <= found.slots for stack in found.stacks)
    depths = {
        round(stack.layers[-1].thickness, 6) for stack in found.stacks if stack.layers[-1].paint.name != "varnish"
    }
    assert len(depths) in (0, len(LEVELS))


def test_fine_colours_are_means_of_their_pixels(rng):
    labels, lab = fine_colours(picture(), 12, rng=rng)
    pixels = srgb_to_lab(picture() / 255)
    for number, colour in enumerate(lab):
        np.testing.assert_allclose(colour, pixels[labels == number].mean(axis=0), atol=1e-3)
    one, single = fine_colours(np.full((4, 5, 3), 80, np.uint8), 12, rng=rng)
    assert (one == 0).all()
    assert len(single) == 1


@pytest.mark.parametrize("year", [1420, 1650, 1850, 1950])
def test_palettes_are_of_their_time(year, rng):
    drawn = [painters_palette(year, rng=rng) for _ in range(20)]
    assert all(10 <= len(set(palette)) == len(palette) <= 14 for palette in drawn)
    assert len(set(drawn)) > 15
    for name in {name for palette in drawn for name in palette}:
        first, last = material(name).period
        assert first <= year <= last
    if year < 1835:
        assert {palette[0] for palette in drawn} == {"lead_white"}


def test_a_mixture_is_matched_by_its_own_pigments(rng):
    pigments = ("lead_white", "vermilion", "azurite", "yellow_ochre")
    mixed = mixtures(pigments, loading=0.4, thickness=40.0, ground=(0.9, 0.88, 0.8))
    np.testing.assert_allclose(mixed.volume.sum(axis=1), 1)
    found = matched(mixed.lab[:40], mixed, rng=rng)
    assert colour_difference(found.lab, mixed.lab[:40]).max() < 0.5 + 1e-9
    np.testing.assert_array_equal(found.volume[:4] > 0, np.eye(4, dtype=bool))


def test_a_colour_between_the_mixtures_is_met(rng):
    pigments = ("lead_white", "bone_black", "burnt_umber")
    mixed = mixtures(pigments, loading=0.4, thickness=40.0, ground=(0.9, 0.88, 0.8))
    steps = mixed.lab[3:14]  # from black to white
    greys = (steps[1:] + steps[:-1]) / 2
    nearest = colour_difference(greys[:, None], mixed.lab).min(axis=1)
    found = matched(greys, mixed, rng=rng)
    np.testing.assert_allclose(found.volume.sum(axis=1), 1)
    assert colour_difference(greys, found.lab).mean() < 0.5 * nearest.mean()
