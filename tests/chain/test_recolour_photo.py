"""A workspace recoloured with a photograph: registered, taught, stored, told in words; refused where nothing fits."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.base.workspace import Workspace, create_workspace, read_maps
from velatura.chain.recolour_photo import Photograph, recolour_by_photo
from velatura.imaging.colour import colour_difference, srgb_to_lab
from velatura.tasks.embedding_model import save_embedder, untrained_embedder
from velatura.tasks.recolour_cube import PHOTO_STAMP, STAMP, Recolouring
from velatura.tasks.recolour_model import save_recolourer, untrained
from velatura.tasks.recolour_photo import PhotoTeaching

SHAPE, ENLARGED = (36, 40), 3
QUICK = PhotoTeaching(ways=("plain", "corrected", "linear"))


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Recolouring:
    folder = tmp_path_factory.mktemp("weights")
    keys = jax.random.split(jax.random.key(4))
    save_embedder(folder / "embedding.safetensors", untrained_embedder("pca3", key=keys[0]))
    build = {"inputs": 3, "embedder": str(folder / "embedding.safetensors"), "outputs": 4, "side": 32}
    save_recolourer(folder / "model.safetensors", untrained("pixels", **build, key=keys[1]))
    return Recolouring(model=str(folder / "model.safetensors"))


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    """True colours, float [y, x, 3]: smooth, between a red and a pale blue."""
    field = gaussian_filter(np.random.default_rng(2).normal(size=SHAPE), 4)
    share = ((field - field.min()) / np.ptp(field))[..., None]
    return share * np.array([0.75, 0.2, 0.1]) + (1 - share) * np.array([0.6, 0.7, 0.85])


@pytest.fixture
def workspace(tmp_path: Path, colours: np.ndarray) -> Workspace:
    """The same picture in X-rays: the red has one line, the blue another."""
    axis = 0.04 * np.arange(1024)
    lines = np.stack([np.exp(-(((axis - at) / 0.1) ** 2)) for at in (9.99, 6.93)])
    share = (colours[..., :1] - 0.6) / 0.15
    expected = 30 * (share * lines[0] + (1 - share) * lines[1]) + 0.2
    cube = make_cube(np.random.default_rng(0).poisson(expected).astype(np.uint16), zero=0.0, gain=0.04)
    return create_workspace(tmp_path / "painting.zarr", cube)


def photo_file(folder: Path, colours: np.ndarray, part: tuple[slice, slice] = np.s_[:, :]) -> Path:
    pixels = np.rint(np.kron(colours[part], np.ones((ENLARGED, ENLARGED, 1))) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path := folder / "photo.png")
    return path


def apart(maps, colours: np.ndarray, where: np.ndarray) -> float:
    return float(colour_difference(srgb_to_lab(maps.rgb.values[where]), srgb_to_lab(colours[where])).mean())


def test_half_a_photograph_colours_the_other_half(
    workspace: Workspace, config: Recolouring, colours: np.ndarray, tmp_path: Path
) -> None:
    photo = photo_file(tmp_path, colours, np.s_[:, :24])
    points = tmp_path / "points.csv"
    corners = [(x, y, ENLARGED * x + 1, ENLARGED * y + 1) for x, y in ((2, 3), (20, 4), (10, 30), (22, 33))]
    points.write_text("x_scan,y_scan,x_photo,y_photo\n" + "".join(",".join(map(str, row)) + "\n" for row in corners))
    maps = recolour_by_photo(workspace, Photograph(photo, points), config, teaching=QUICK)
    covered = np.zeros(SHAPE, bool)
    covered[:, :24] = True
    np.testing.assert_array_equal(np.isfinite(maps.photo_rgb.values).all(axis=-1), covered)
    np.testing.assert_array_equal(maps.photo_taught, covered)
    np.testing.assert_allclose(maps.photo_rgb.values[covered], colours[covered], atol=0.03)
    assert not maps.photo_shown.values.any()
    told = json.loads(maps.attrs["photo"])
    assert told["kind"] == "projective"
    assert told["way"] == "linear"
    reported = {trial["way"]: trial["reported"] for trial in told["trials"]}
    assert reported["linear"] < 0.5 * reported["plain"]
    assert apart(maps, colours, ~covered) == pytest.approx(reported["linear"], rel=0.6)
    notes = json.loads(maps.attrs["notes"])
    assert "registered by 4 points (projective)" in notes[2]
    assert maps.attrs["stamp"] == PHOTO_STAMP
    stored = read_maps(workspace, "recolour")
    np.testing.assert_array_equal(stored.rgb, maps.rgb)
    assert stored.photo_taught.dtype == bool
    again = recolour_by_photo(workspace, Photograph(photo, points), config, teaching=QUICK)
    assert again.attrs["inputs"] == maps.attrs["inputs"]


@pytest.mark.parametrize("enlarged", [False, True])
def test_losses_are_filled_and_the_rest_stays(
    enlarged: bool, workspace: Workspace, config: Recolouring, colours: np.ndarray, tmp_path: Path
) -> None:
    lost = np.zeros(SHAPE, bool)
    lost[10:20, 12:24] = True
    photo = photo_file(tmp_path, np.where(lost[..., None], 1.0, colours))
    drawn = np.kron(~lost, np.ones((ENLARGED, ENLARGED), bool)) if enlarged else ~lost
    Image.fromarray((drawn * 255).astype(np.uint8)).save(mask := tmp_path / "mask.png")
    maps = recolour_by_photo(workspace, Photograph(photo, mask=mask, fill=True), config, teaching=QUICK)
    np.testing.assert_array_equal(maps.photo_shown, ~lost)
    np.testing.assert_allclose(maps.rgb.values[~lost], colours[~lost], atol=0.003)
    assert apart(maps, colours, lost) < 8  # of the white that the photograph shows it is more than 30
    assert "taken to show just the scan" in json.loads(maps.attrs["notes"])[2]


def test_a_mask_saved_from_a_turned_photograph_lies_upon_it(
    workspace: Workspace, config: Recolouring, colours: np.ndarray, tmp_path: Path
) -> None:
    lost = np.zeros(SHAPE, bool)
    lost[10:20, 12:24] = True
    notes = Image.Exif()
    notes[0x0112] = 6  # the first row is on the right-hand side
    drawn = np.kron(~lost, np.ones((ENLARGED, ENLARGED), bool))
    Image.fromarray((np.rot90(drawn) * 255).astype(np.uint8)).save(mask := tmp_path / "mask.png", exif=notes)
    photo = Photograph(photo_file(tmp_path, colours), mask=mask)
    maps = recolour_by_photo(workspace, photo, config, teaching=PhotoTeaching(ways=("linear",)))
    np.testing.assert_array_equal(maps.photo_taught, ~lost)


def test_the_stamp_names_a_photograph_only_where_it_gave_colours(
    workspace: Workspace, config: Recolouring, colours: np.ndarray, tmp_path: Path
) -> None:
    photo, teaching = photo_file(tmp_path, colours), PhotoTeaching(ways=("plain",))
    for fill, stamp in ((False, STAMP), (True, PHOTO_STAMP)):
        maps = recolour_by_photo(workspace, Photograph(photo, fill=fill), config, teaching=teaching)
        assert maps.attrs["stamp"] == stamp
    assert "simulated paintings and a photograph suggest" in PHOTO_STAMP


def test_alignment_finds_a_photograph_that_lies_askew(
    workspace: Workspace, config: Recolouring, colours: np.ndarray, tmp_path: Path
) -> None:
    photo = photo_file(tmp_path, np.roll(colours, 1, axis=1))
    maps = recolour_by_photo(workspace, Photograph(photo, align=True), config, teaching=PhotoTeaching(ways=("linear",)))
    told = json.loads(maps.attrs["photo"])
    assert told["kind"] == "resized, refined"
    assert told["explained"][1] > told["explained"][0] + 0.01
    assert told["matrix"][0][2] == pytest.approx(ENLARGED * 1 + 1, abs=2)


def test_what_the_scan_lacks_is_told_too(config: Recolouring, colours: np.ndarray, tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(3.0, (*SHAPE, 256)).astype(np.uint16)
    counts[0, :5] = 0
    workspace = create_workspace(tmp_path / "short.zarr", make_cube(counts, zero=0.0, gain=0.04))
    photo, teaching = Photograph(photo_file(tmp_path, colours)), PhotoTeaching(ways=("linear",))
    notes = json.loads(recolour_by_photo(workspace, photo, config, teaching=teaching).attrs["notes"])
    assert any("to 10.2 keV, the network was trained on" in note for note in notes)
    assert "5 pixels without data or with fewer than 50 counts got no colour" in notes


def test_what_does_not_fit_is_refused(workspace: Workspace, config: Recolouring, colours, tmp_path: Path) -> None:
    photo = photo_file(tmp_path, colours, np.s_[:, :20])
    with pytest.raises(InputError, match="must show just the scan, 40 x 36; found the shape 60 x 108"):
        recolour_by_photo(workspace, Photograph(photo), config)
    with pytest.raises(InputError, match="belong to a photograph"):
        Photograph(fill=True)
    with pytest.raises(InputError, match="found none"):
        recolour_by_photo(workspace, Photograph(), config)
    assert not (workspace.path / "maps" / "recolour").exists()
