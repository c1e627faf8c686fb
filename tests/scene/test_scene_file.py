import copy
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from velatura.base.errors import InputError
from velatura.physics.instrument import PRESETS, write_instrument
from velatura.scene.areas import Areas
from velatura.scene.scene_file import read_scene, scene_from

ROOT = Path(__file__).resolve().parents[2]
TEXT = """
title = "Little test"
width = 20
height = 10
pitch = 0.5
instrument = "crono"
channels = 1024
counts = 800
seed = 3

[paints.flesh]
pigments = { lead_white = 0.9, vermilion = 0.1 }
loading = 0.35
binder = "egg_yolk"

[areas]
left = { rectangle = [0, 0, 0.5, 1] }
disc = { ellipse = [0.5, 0.5, 0.2, 0.4] }

[[layer]]
kind = "support"
paint = "linen_canvas"
thickness = 400

[[layer]]
kind = "ground"
paint = "chalk"
thickness = 100
variation = 0.2

[[layer]]
kind = "pentimento"
paint = "flesh"
area = "disc"
thickness = [10, 30]
along = [[0, 0], [1, 0]]

[[layer]]
kind = "overpaint"
name = "sky"
    [[layer.passage]]
    paint = "azurite"
    area = "left"
    thickness = 20
    [[layer.passage]]
    paint = "flesh"
    area = "rest"
    thickness = 15
"""


@pytest.fixture
def content() -> dict:
    return tomllib.loads(TEXT)


def read(content: dict, folder: Path = ROOT):
    return scene_from(content, folder=folder, where="test.toml")


def areas(folder: Path = ROOT, shape: tuple[int, int] = (40, 60), **named) -> Areas:
    return Areas(shape, named, folder=folder, rng=np.random.default_rng(1))


def test_what_is_written_is_painted(content) -> None:
    scene = read(content)
    painting = scene.painting
    assert (painting.shape, painting.pitch, scene.counts, scene.seed, scene.title) == (
        (10, 20),
        0.5,
        800,
        3,
        "Little test",
    )
    assert (scene.instrument.name, scene.instrument.channels, scene.beam) == ("crono", 1024, 0.0)
    assert [sheet.name for sheet in painting.sheets] == ["support", "ground", "pentimento", "sky"]
    canvas, ground, flesh, sky = (sheet.paints for sheet in painting.sheets)
    assert (canvas[0].loading, ground[0].loading, ground[0].pigments) == (1.0, 0.4, {"chalk": 1.0})
    assert (flesh[0].loading, flesh[0].binder, flesh[0].pigments["vermilion"]) == (0.35, "egg_yolk", pytest.approx(0.1))
    assert [paint.name for paint in sky] == ["azurite", "flesh"]
    np.testing.assert_array_equal(painting.sheets[3].labels[0], [0] * 10 + [1] * 10)
    assert 5 < painting.sheets[1].thickness.std() < 25


def test_the_same_file_gives_the_same_painting_and_another_seed_another_one(content) -> None:
    ground = read(content).painting.sheets[1].thickness
    np.testing.assert_array_equal(ground, read(content).painting.sheets[1].thickness)
    assert np.abs(ground - read(content | {"seed": 4}).painting.sheets[1].thickness).max() > 1


def test_thickness_runs_along_a_line(content) -> None:
    sheet = read(content).painting.sheets[2]
    inside = sheet.labels[5] == 0
    np.testing.assert_allclose(sheet.thickness[5][inside], (10 + 20 * (np.arange(20) + 0.5) / 20)[inside], rtol=1e-5)


def test_soft_outlines_run_out(content) -> None:
    content["layer"][2] |= {"thickness": 20, "soft": 0.3}
    del content["layer"][2]["along"]
    soft = read(content).painting.sheets[2].thickness
    assert soft.max() <= 20
    assert 0 < soft[5][soft[5] > 0].min() < 10


def test_an_instrument_may_be_a_table_or_a_file(content, tmp_path: Path) -> None:
    table = {"like": "bruker-m6", "tube": {"voltage": 45.0}}
    assert read(content | {"instrument": table, "channels": 2048}).instrument.tube.voltage == 45.0
    write_instrument(PRESETS["infn-chnet"], tmp_path / "head.toml")
    assert read(content | {"instrument": "head.toml"}, tmp_path).instrument.tube.anode == "Mo"


def test_materials_of_ones_own(content, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("id,formula,density_g_cm3\nmy_red,HgS,7.0\n")
    content["paints"]["flesh"]["pigments"] = {"my_red": 1.0}
    paint = read(content | {"materials": "own.csv"}, tmp_path).painting.sheets[2].paints[0]
    assert paint.mass_fractions()["Hg"] > 0.5


def test_shapes_cover_what_they_say() -> None:
    y, x = (np.mgrid[:40, :60] + 0.5) / np.array([40, 60])[:, None, None]
    draw = areas(box={"rectangle": [0.25, 0.5, 0.75, 1.0]}).mask
    np.testing.assert_array_equal(draw("box"), (x >= 0.25) & (x < 0.75) & (y >= 0.5))
    disc = draw({"ellipse": [0.5, 0.5, 0.3, 0.4]})
    assert disc.mean() == pytest.approx(np.pi * 0.3 * 0.4, rel=0.01)
    np.testing.assert_array_equal(draw({"polygon": [[0, 0], [1, 0], [0, 1]]}), x + y < 1)
    turns = np.arange(12) * np.pi / 6
    round_curve = [[0.5 + 0.3 * np.cos(t), 0.5 + 0.4 * np.sin(t)] for t in turns]
    assert (draw({"curve": round_curve}) != disc).mean() < 0.005
    np.testing.assert_array_equal(draw({"rectangle": [0, 0, 1, 1], "minus": "box"}), ~draw("box"))
    np.testing.assert_array_equal(draw(["box", {"rectangle": [0, 0, 1, 1], "minus": "box"}]), draw("everything"))
    rough = draw({"ellipse": [0.5, 0.5, 0.3, 0.4], "rough": 0.03})
    assert 0.01 < (rough != disc).mean() < 0.2


def test_a_picture_as_a_mask(tmp_path: Path) -> None:
    Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 30, axis=1).repeat(40, axis=0)).save(
        tmp_path / "mask.png"
    )
    mask = areas(tmp_path).mask({"image": "mask.png"})
    assert not mask[:, :30].any()
    assert mask[:, 30:].all()


def change(content: dict, path: tuple, value) -> dict:
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return content


FLESH, SKY = ("paints", "flesh"), ("layer", 3, "passage")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((*FLESH, "pigments"), {"vermillion": 1.0}, r'\[paints.flesh\]: no material \'vermillion\'.*mean "vermilion"'),
        ((*FLESH, "pigments"), {"vermilion": 0.5}, r"\[paints.flesh\]: .*sum to 1; found vermilion 0.5 \(sum 0.5\)"),
        ((*FLESH, "pigments"), {"vermilion": "much"}, "vermilion must be a number, 0 or more; found 'much'"),
        ((*FLESH, "pigments"), {"vermilion": -1.0, "chalk": 2.0}, "vermilion must be a number, 0 or more; found -1"),
        ((*FLESH, "loading"), 1.5, "loading of paint 'flesh' must lie in 0 to 1; found 1.5"),
        ((*FLESH, "bindr"), "oil", "no key 'bindr' in a paint.*mean \"binder\""),
        (("paints", "flesh"), 3, r"\[paints.flesh\]: write pigments"),
        (("paints",), 3, "paints is a table of names"),
        (("layer", 1, "paint"), "chalc", r'layer 2 \(ground\): no paint \'chalc\'.*mean "chalk"'),
        (("layer", 1, "thickness"), -20, r"layer 2 \(ground\): thickness must be a number, 0 or more; found -20"),
        (("layer", 1, "thickness"), None, "thickness missing: paint ="),
        (("layer", 1, "thickness"), [1, 2, 3], r"thickness is a number of um, or \[from, to\]"),
        (("layer", 1, "thickness"), [1, 2], r"along = \[\[x, y\], \[x, y\]\] says"),
        (("layer", 1, "along"), [[0, 0], [1, 1]], r"along needs thickness = \[from, to\]; found 100"),
        (("layer", 2, "along"), [[0, 0], [0, 0]], "along needs two different points"),
        (("layer", 1, "variation"), 0.8, "a variation is relative to the thickness, 0 to 0.45; found 0.8"),
        (("layer", 1, "thicknes"), 5, r'layer 2 \(ground\): no key \'thicknes\'.*mean "thickness"'),
        (("layer", 1, "kind"), "grund", r"layer 2 \(grund\): no kind of layer 'grund'.*mean \"ground\""),
        (("layer", 1, "kind"), None, "layer 2: kind is missing: one of support"),
        (("layer", 1, "name"), "support", "two layers are called 'support'"),
        (("layer", 1), 3, "layer 2: write it as a table"),
        (("layer",), [], "a scene needs layers"),
        (("layer", 3, "paint"), "chalk", "paint stands both in the layer and in its passages"),
        (
            (*SKY, 1, "area"),
            "disc",
            r"layer 4 \(overpaint\): passage 2 \('flesh'\) of layer 'sky' overlaps passage 1 \('az",
        ),
        ((*SKY, 1, "area"), "dsic", "passage 2: no area 'dsic'.*mean \"disc\""),
        ((*SKY, 1, "area"), {"elipse": [0, 0, 1, 1]}, "no key 'elipse' in an area.*mean \"ellipse\""),
        ((*SKY, 1, "area"), {"rough": 0.1}, "an area has one of .*; found none"),
        (
            (*SKY, 1, "area"),
            {"ellipse": [0, 0, 1]},
            r"write ellipse = \[x, y, rx, ry\] with numbers; found \[0, 0, 1\]",
        ),
        ((*SKY, 1, "area"), {"ellipse": [0, 0, 1, 0]}, "an ellipse has positive half axes"),
        ((*SKY, 1, "area"), {"polygon": [[0, 0]]}, "polygon needs three points"),
        ((*SKY, 1, "area"), {"curve": [[0, 0], [0, 0], [1, 1]]}, "two neighbouring points of a curve are the same"),
        ((*SKY, 1, "area"), {"ellipse": [5, 5, 1, 1]}, "has no pixel. Is it outside"),
        ((*SKY, 1, "area"), {"image": "no.png"}, "cannot read the mask no.png"),
        ((*SKY, 1, "area"), {"ellipse": [0, 0, 1, 1], "rough": 2}, "rough is a share of the picture's height"),
        ((*SKY, 1, "area"), 7, "an area is a name, a list or a table"),
        (
            ("areas", "left"),
            {"rectangle": [0, 0, 1, 1], "minus": "left"},
            r"'left' is made from itself \(left > left\)",
        ),
        (("areas", "rest"), {"rectangle": [0, 0, 1, 1]}, "'rest' has its own meaning"),
        (("instrument",), "cronos", "no instrument 'cronos'.*mean \"crono\""),
        (("instrument",), {"tube": {"voltage": 90.0}}, "a Rh tube is known from 20 to 50 kV; found 90 kV"),
        (("instrument",), "none.toml", "cannot read the instrument in .*none.toml"),
        (("instrument",), 5, "instrument is one of laboratory"),
        (("channels",), 1000, "1000 channels do not divide"),
        (("counts",), 0, "counts must be a number, 1 or more; found 0"),
        (("width",), 2.5, "width must be a whole number, 1 or more; found 2.5"),
        (("width",), None, "width is missing"),
        (("width",), 40000, "height and width are pixels, up to 4000"),
        (("pitch",), 0, "pitch must be a positive length"),
        (("hight",), 7, "test.toml: no key 'hight' in a scene.*mean \"height\""),
        (("materials",), "none.csv", "cannot read the materials in .*none.csv"),
    ],
)
def test_mistakes_get_one_message(content, path: tuple, value, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(change(content, path, value))
    assert str(caught.value).startswith("test.toml: ")
    assert len(str(caught.value).splitlines()) <= 2


def test_a_file_that_is_missing_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the scene .*none\.toml"):
        read_scene(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("width = = 3")
    with pytest.raises(InputError, match=r"cannot read the scene .*bad.toml.*line 1"):
        read_scene(tmp_path / "bad.toml")


def test_the_example_hides_a_first_version() -> None:
    scene = read_scene(ROOT / "examples" / "scenes" / "portrait.toml")
    names = [sheet.name for sheet in scene.painting.sheets]
    hidden = scene.painting.hidden()[names.index("first version")]
    assert 0.1 < hidden.mean() < 0.4
    assert [sheet.kind for sheet in scene.painting.sheets].count("glaze") == 2
    assert "retouch" in names


def test_the_scene_of_the_documentation_is_read() -> None:
    page = (ROOT / "docs" / "scenes.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    scene = scene_from(tomllib.loads(example), folder=ROOT, where="scenes.md")
    assert scene.painting.hidden().any()
