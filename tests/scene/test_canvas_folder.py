"""Data sets of canvases: made once, resumed, the same bytes, true to the splits."""

import numpy as np
import pytest
from PIL import Image

from velatura.base.errors import InputError
from velatura.scene.canvas_file import read_canvas, write_canvas
from velatura.scene.canvas_folder import CanvasFolder, write_canvases
from velatura.scene.canvas_tables import read_table, write_tables
from velatura.scene.colour_canvas import POOLS, pool_instrument
from velatura.scene.seed_images import seed_images
from velatura.scene.training import grid

SIZE = 16


def bytes_of(folder, pattern="*.npz"):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob(pattern))}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("seeds"), np.random.default_rng(8)
    rows = ["file,artist_died,split"]
    for number, split in enumerate(("train", "train", "test")):
        colours = rng.integers(0, 256, (5, 7, 3), np.uint8)
        Image.fromarray(colours).resize((35, 25), Image.Resampling.BILINEAR).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{1600 + number},{split}")
    (folder / "paintings.csv").write_text("\n".join(rows))
    return seed_images(folder)


@pytest.fixture(scope="module")
def made(images, tmp_path_factory):
    return write_canvases(tmp_path_factory.mktemp("canvases"), images, seed=3, size=SIZE)


def stop_after(number):
    def progress(stage, done, total):
        if done == number:
            raise KeyboardInterrupt

    return progress


def test_a_set_holds_each_picture_in_both_kinds(made, images):
    files = made.listed()
    assert files == made.planned()
    assert [(file.number, file.kind) for file in files] == [(n, k) for n in range(3) for k in ("library", "layers")]
    assert [file.name for file in made.listed("test")] == ["2.png", "2.png"]
    for file in files:
        canvas = made.read(file)
        assert canvas.kind == file.kind
        assert canvas.rgb.shape == (SIZE, round(1.4 * SIZE), 3)
        np.testing.assert_allclose(canvas.rates.sum(axis=1), 1, rtol=1e-5)
        rgb, entry = made.read_pixels(file)
        np.testing.assert_array_equal(rgb, canvas.rgb)
        np.testing.assert_array_equal(entry, canvas.entry)


def test_scanners_of_the_test_are_never_seen_in_training(made):
    def scanners(split):
        return {repr(made.read(file).instrument) for file in made.listed(split, "layers")}

    pools = {split: {repr(pool_instrument(split, n)) for n in range(size)} for split, size in POOLS.items()}
    assert scanners("train") <= pools["train"]
    assert scanners("test") <= pools["test"]


def test_a_scanner_sees_nothing_beyond_its_axis(made):
    canvases = [made.read(file) for file in made.listed(kind="layers")]
    ends = [canvas.instrument.axis()[-1] for canvas in canvases]
    assert min(ends) < grid()[-1]
    assert not any(canvas.rates[:, grid() > end].any() for canvas, end in zip(canvases, ends, strict=True))


def test_a_killed_run_goes_on_to_the_same_bytes(made, images, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_canvases(tmp_path, images, seed=3, size=SIZE, progress=stop_after(4))
    assert len(bytes_of(tmp_path)) == 4
    assert not list(tmp_path.glob("*.part"))
    write_canvases(tmp_path, images, seed=3, size=SIZE)
    assert bytes_of(tmp_path) == bytes_of(made.folder)


def test_a_finished_set_is_left_alone_and_another_one_refused(made, images):
    before = {path: path.stat().st_mtime_ns for path in made.folder.glob("*.npz")}
    write_canvases(made.folder, images, seed=3, size=SIZE, kinds=("layers",))
    assert {path: path.stat().st_mtime_ns for path in made.folder.glob("*.npz")} == before
    with pytest.raises(InputError, match="Choose another folder"):
        write_canvases(made.folder, images, seed=4, size=SIZE)
    with pytest.raises(InputError, match="library, layers"):
        write_canvases(made.folder, images, kinds=("oil",))
    with pytest.raises(InputError, match="'oil'"):
        made.listed(kind="oil")
    with pytest.raises(InputError, match="holds no canvases"):
        CanvasFolder(made.folder / "nowhere")


def test_a_canvas_comes_back_from_its_file(made, tmp_path):
    canvas = made.read(made.listed("train", "layers")[0])
    rng = np.random.default_rng(1)
    rates = rng.gamma(0.1, size=canvas.rates.shape).astype(np.float32)
    canvas = canvas._replace(rates=rates / rates.sum(axis=1, keepdims=True))
    write_canvas(tmp_path / "one.npz", canvas)
    again = read_canvas(tmp_path / "one.npz")
    np.testing.assert_allclose(again.rates, canvas.rates, rtol=2e-3, atol=1e-9)
    for name in ("rgb", "entry", "brightness", "unseen", "painted", "instrument", "kind"):
        np.testing.assert_array_equal(getattr(again, name), getattr(canvas, name))
        assert np.asarray(getattr(again, name)).dtype == np.asarray(getattr(canvas, name)).dtype
    (tmp_path / "one.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="holds no canvas"):
        read_canvas(tmp_path / "one.npz")


def test_tables_resume_to_the_same_bytes(made, images, tmp_path):
    def embed(counts):
        return counts[:, :3]

    write_tables(made, "three", embed, draws=4, counts=300.0)
    files = made.listed()
    table = read_table(made, files[1], "three")
    assert table.shape == (len(made.read(files[1]).rates), 4, 3)
    other = write_canvases(tmp_path, images, seed=3, size=SIZE)
    with pytest.raises(KeyboardInterrupt):
        write_tables(other, "three", embed, draws=4, counts=300.0, progress=stop_after(2))
    with pytest.raises(InputError, match="Make them with write_tables"):
        read_table(other, files[-1], "three")
    write_tables(other, "three", embed, draws=4, counts=300.0)
    assert bytes_of(other.folder, "*.npy") == bytes_of(made.folder, "*.npy")
    with pytest.raises(InputError, match="Choose another name"):
        write_tables(made, "three", embed, draws=4, counts=500.0)
