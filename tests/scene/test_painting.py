import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.physics.material import Paint
from velatura.scene.inventory import inventory
from velatura.scene.painting import Painting, Passage, varied_thickness

SHAPE = (6, 8)
CANVAS = Paint("canvas", {"linen_canvas": 1.0}, loading=1.0)
GROUND = Paint("ground", {"chalk": 0.8, "lead_white": 0.2}, loading=0.5)
FLESH = Paint("flesh", {"lead_white": 0.9, "vermilion": 0.1})
SKY = Paint("sky", {"azurite": 1.0})
VARNISH = Paint("varnish", {"dammar": 1.0}, loading=1.0)
LEFT = np.arange(8) < np.full((6, 1), 4)
TOP = np.arange(6)[:, None] < np.full(8, 3)


def portrait() -> Painting:
    bare = Painting(SHAPE, pitch=0.5).support(CANVAS, thickness=500.0).ground(GROUND, thickness=100.0)
    figure = bare.pentimento(Passage(FLESH, 30.0, LEFT))
    return figure.overpaint(Passage(SKY, 20.0, TOP)).varnish(VARNISH, thickness=15.0)


def test_a_method_returns_a_new_painting() -> None:
    bare = Painting(SHAPE).support(CANVAS, thickness=500.0)
    one, other = bare.passages(Passage(FLESH, 10.0)), bare.passages(Passage(SKY, 10.0))
    assert [len(painting.sheets) for painting in (bare, one, other)] == [1, 2, 2]
    assert one.sheets[0] is other.sheets[0]
    with pytest.raises(ValueError, match="read-only"):
        one.sheets[0].labels[0, 0] = 3


def test_hidden_is_what_lies_beneath_opaque_paint() -> None:
    hidden = portrait().hidden()
    assert np.array_equal(hidden[2], LEFT & TOP)
    assert not hidden[[0, 1, 3, 4]].any()


def test_equal_paints_share_a_label_and_kinds_are_numbered() -> None:
    painting = Painting(SHAPE).passages(Passage(SKY, 10.0, LEFT), Passage(SKY, 20.0, ~LEFT)).passages(Passage(SKY, 5.0))
    assert painting.sheets[0].paints == (SKY,)
    assert np.array_equal(painting.sheets[0].thickness, np.where(LEFT, 10.0, 20.0))
    assert [sheet.name for sheet in painting.sheets] == ["passages", "passages 2"]


def test_no_thickness_is_no_paint() -> None:
    (sheet,) = Painting(SHAPE).passages(Passage(SKY, np.where(TOP, 10.0, 0.0))).sheets
    assert np.array_equal(sheet.labels == -1, ~TOP)


def test_masses_are_those_of_the_paints() -> None:
    truth = inventory(portrait())
    mass = truth.mass_thickness
    flesh = mass.sel(layer="pentimento").sum("pigment").values
    binder = 0.6 * 1.05
    np.testing.assert_allclose(flesh, np.where(LEFT, (FLESH.density() - binder) * 30e-4, 0), rtol=1e-5)
    ratio = float(
        mass.sel(layer="pentimento", pigment="vermilion")[0, 0]
        / mass.sel(layer="pentimento", pigment="lead_white")[0, 0]
    )
    assert ratio == pytest.approx(
        0.1 * FLESH.table["vermilion"].density / (0.9 * FLESH.table["lead_white"].density), rel=1e-5
    )
    assert list(truth.pigment.values) == ["azurite", "chalk", "lead_white", "vermilion"]
    assert mass.dtype == truth.thickness.dtype == np.float32
    assert truth.label.dtype == np.int16


def test_colours_show_the_paint_on_top_and_what_it_hides() -> None:
    truth = inventory(portrait())
    sky, flesh = truth.rgb.values[0, 7], truth.rgb.values[5, 0]
    assert sky[2] > sky[0] + 0.1
    assert flesh[0] > flesh[2] + 0.1
    np.testing.assert_array_equal(truth.hidden_rgb.values[5, 7], truth.hidden_rgb.values[0, 7])
    assert truth.hidden_rgb.values[0, 0, 0] > truth.rgb.values[0, 0, 0] + 0.1
    assert truth.rgb.values.min() >= 0
    assert truth.rgb.values.max() <= 1


def test_variation_keeps_the_mean_and_the_bounds() -> None:
    varied = varied_thickness(20.0, (80, 90), relative=0.3, scale=3.0, rng=np.random.default_rng(1))
    assert varied.mean() == pytest.approx(20.0, rel=0.05)
    assert varied.std() / varied.mean() == pytest.approx(0.25, abs=0.05)
    assert varied.min() >= 8.0
    assert varied.max() <= 32.0
    still = varied_thickness(20.0, (1, 1), relative=0.3, scale=3.0, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(still, 20.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: p.passages(Passage(SKY, 10.0, LEFT), Passage(FLESH, 10.0, TOP)),
            r"passage 2 \('flesh'\) .* passage 1 \('sky'\) on 12 pix",
        ),
        (
            lambda p: p.passages(Passage(SKY, -1.0)),
            "thickness of 'sky' in layer 'passages' must be 0 um or more; found -1",
        ),
        (lambda p: p.passages(Passage(SKY, np.full(SHAPE, np.nan))), "must be 0 um or more; found nan"),
        (lambda p: p.passages(Passage(SKY, np.ones((2, 2)))), r"thickness .* shape \(6, 8\); found \(2, 2\)"),
        (lambda p: p.passages(Passage(SKY, 1.0, np.ones((2, 2), bool))), r"area .* shape \(6, 8\); found \(2, 2\)"),
        (lambda p: p.passages(Passage(SKY, 1.0, np.ones(SHAPE))), "area .* true or false in each pixel; found float64"),
        (lambda p: p.passages(), "layer 'passages' has no passage"),
        (lambda p: p.sheet("galze", [Passage(SKY, 1.0)]), "no kind of layer 'galze'.*did you mean \"glaze\""),
        (lambda p: p.sheet("glaze", [Passage(SKY, 1.0)], name="support"), "two layers are called 'support'"),
        (lambda p: Painting((0, 4)), "a height and a width of 1 pixel or more"),
        (lambda p: Painting((2, 4), pitch=0.0), "pitch must be a positive length"),
        (
            lambda p: varied_thickness(1.0, SHAPE, relative=0.6, scale=1.0, rng=np.random.default_rng(1)),
            "0 to 0.45; found 0.6",
        ),
    ],
)
def test_refusals(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(Painting(SHAPE).support(CANVAS, thickness=500.0))
