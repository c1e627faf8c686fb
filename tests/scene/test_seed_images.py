"""Seed images: which split they are in, and that they are read whole, upright and undistorted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from velatura.base.errors import InputError
from velatura.scene.seed_images import hashed_split, read_seed, seed_images, window

COLOURS = np.random.default_rng(5).integers(0, 256, (6, 6, 3), np.uint8)


def saved(path, width, height):
    Image.fromarray(COLOURS).resize((width, height), Image.Resampling.NEAREST).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.jpg", ".hidden.png", "c.txt"):
        path = tmp_path / name
        path.write_text("no picture") if name == "c.txt" else Image.fromarray(COLOURS).save(path)
    return tmp_path


def test_a_folder_of_pictures_is_listed_by_name(folder):
    assert [image.name for image in seed_images(folder)] == ["a.jpg", "b.png"]
    assert all(image.split == hashed_split(image.name) and image.died is None for image in seed_images(folder))


def test_a_table_decides_the_splits_and_knows_the_artists(folder):
    rows = ["file,artist,artist_died,split", "b.png,Giotto,1337,test", "a.jpg,unknown,,"]
    (folder / "paintings.csv").write_text("\n".join(rows))
    first, second = seed_images(folder)
    assert (second.split, second.died) == ("test", 1337)
    assert (first.split, first.died) == (hashed_split("unknown"), None)
    assert [image.name for image in seed_images(folder, splits=("test",)) if image.split == "test"][-1] == "b.png"


def test_hashed_splits_are_of_the_size_that_is_said():
    splits = [hashed_split(f"{number:05}.jpg") for number in range(4000)]
    shares = [splits.count(name) / len(splits) for name in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.03)


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(InputError, match="found none at"):
        seed_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no split 'training'"):
        seed_images(folder, splits=("training",))
    (folder / "paintings.csv").write_text("file,split\nlost.jpg,test")
    with pytest.raises(InputError, match=r"lost\.jpg"):
        seed_images(folder)
    (folder / "paintings.csv").write_text("file,split\na.jpg,tset")
    with pytest.raises(InputError, match="'tset'"):
        seed_images(folder)
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="holds no pictures"):
        seed_images(folder / "empty")
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_seed(folder / "c.txt")


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.integers(2, 48), st.floats(1, 2))
def test_any_picture_comes_in_the_size_that_is_asked_for(tmp_path_factory, width, height, size, ratio):
    path = saved(tmp_path_factory.getbasetemp() / "any.png", width, height)
    assert read_seed(path, size).shape == (size, size, 3)
    longest = round(ratio * size)
    whole = read_seed(path, size, longest=longest)
    assert min(whole.shape[:2]) == size
    assert max(whole.shape[:2]) == min(longest, max(size, round(size * max(width, height) / min(width, height))))


def test_a_picture_keeps_its_proportions_and_its_way_up(tmp_path):
    rgb = np.zeros((60, 120, 3), np.uint8)
    rgb[:30] = 255, 0, 0
    rgb[30:, 40:80] = 0, 0, 255
    Image.fromarray(rgb).save(tmp_path / "wide.png")
    small = read_seed(tmp_path / "wide.png", 20, longest=40).astype(int)
    assert small.shape == (20, 40, 3)
    assert small[2, 2].tolist() == [255, 0, 0]
    assert small[-3, 20].tolist() == [0, 0, 255]
    blue = (small[-3, :, 2] > 128).sum()
    assert blue == pytest.approx(40 / 3, abs=1)


def test_the_middle_is_cut_without_a_generator_and_any_part_with_one(tmp_path):
    path = saved(tmp_path / "wide.png", 96, 24)
    np.testing.assert_array_equal(read_seed(path, 24), read_seed(path, 24, longest=96)[:, 36:60])
    parts = [window((24, 96), (24, 24), rng=np.random.default_rng(seed)) for seed in range(9)]
    assert {rows.start for rows, _ in parts} == {0}
    assert len({columns.start for _, columns in parts}) > 5
    assert all(0 <= columns.start <= 72 and columns.stop - columns.start == 24 for _, columns in parts)
