"""What is written for other programs can be read by them, and cubes come back as they were."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from velatura.base.cube import lazy_counts, make_cube
from velatura.base.errors import InputError
from velatura.io.export import (
    export_maps,
    images_of,
    write_matrix,
    write_pixels,
    write_png,
    write_spectra,
    write_tiff,
    write_tiff16,
)
from velatura.io.export_cube import write_npz, write_rpl
from velatura.io.formats import open_scan
from velatura.io.options import ReadOptions


@pytest.fixture
def maps(rng: np.random.Generator) -> xr.Dataset:
    return xr.Dataset(
        {
            "intensity": (("line", "y", "x"), rng.normal(5, 3, (2, 4, 6)).astype(np.float32)),
            "labels": (("y", "x"), np.arange(24, dtype=np.int16).reshape(4, 6) - 1),
            "sum_spectrum": (("energy",), rng.poisson(9, 8).astype(float)),
            "spectrum": (("line", "energy"), rng.random((2, 8))),
        },
        coords={"line": ["Fe-Ka", "Pb-La/x"], "energy": 0.1 * np.arange(8)},
    )


def test_images_are_named_by_their_label(maps: xr.Dataset) -> None:
    assert list(images_of(maps)) == ["intensity_Fe-Ka", "intensity_Pb-La/x", "labels"]


def test_float_tiff_keeps_values_names_and_pitch(tmp_path: Path, maps: xr.Dataset) -> None:
    images = images_of(maps)
    images["labels"] = np.where(images["labels"] < 0, np.nan, images["labels"])
    write_tiff(tmp_path / "maps.tif", images, pitch=0.5)
    with tifffile.TiffFile(tmp_path / "maps.tif") as file:
        assert [page.description for page in file.pages] == list(images)
        for page, image in zip(file.pages, images.values(), strict=True):
            assert page.dtype == np.float32
            np.testing.assert_array_equal(page.asarray(), image)
        assert file.pages[0].get_resolution("MILLIMETER") == pytest.approx((2, 2))


def test_16_bit_tiff_with_its_scale_gives_the_values_back(tmp_path: Path, maps: xr.Dataset) -> None:
    images = images_of(maps) | {"flat": np.full((4, 6), 3.5), "nothing": np.full((4, 6), np.nan)}
    beside = write_tiff16(tmp_path / "maps.tif", images)
    assert beside == tmp_path / "maps.scale.csv"
    with beside.open() as file:
        scales = {row["image"]: row for row in csv.DictReader(file)}
    stored = dict(zip(images, tifffile.imread(tmp_path / "maps.tif"), strict=True))
    for name in images_of(maps):
        low, high = float(scales[name]["value_at_0"]), float(scales[name]["value_at_65535"])
        assert stored[name].dtype == np.uint16
        np.testing.assert_allclose(low + (high - low) * stored[name] / 65535, images[name], atol=(high - low) / 131000)
    assert not stored["flat"].any()
    assert float(scales["flat"]["value_at_0"]) == 3.5
    assert not stored["nothing"].any()


def test_png_is_grey_within_its_limits(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.array([[-1.0, 0.0, 0.5, 1.0, 9.0, np.nan]]), limits=(0, 1))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).tolist() == [[0, 0, 128, 255, 255, 0]]


def test_matrix_and_table(tmp_path: Path, maps: xr.Dataset) -> None:
    images = images_of(maps)
    write_matrix(tmp_path / "m.csv", images["labels"])
    assert np.array_equal(np.loadtxt(tmp_path / "m.csv", delimiter=","), images["labels"])
    write_pixels(tmp_path / "p.csv", images)
    table = np.genfromtxt(tmp_path / "p.csv", delimiter=",", names=True, deletechars="")
    assert table.dtype.names == ("y", "x", "intensity_Fe-Ka", "intensity_Pb-La/x", "labels")
    rows, columns = table["y"].astype(int), table["x"].astype(int)
    assert table["intensity_Fe-Ka"] == pytest.approx(images["intensity_Fe-Ka"][rows, columns], rel=1e-6)


def test_spectra_with_their_energy(tmp_path: Path, maps: xr.Dataset) -> None:
    write_spectra(tmp_path / "s.csv", maps)
    table = np.genfromtxt(tmp_path / "s.csv", delimiter=",", names=True, deletechars="")
    assert table.dtype.names == ("energy_keV", "sum_spectrum", "spectrum_Fe-Ka", "spectrum_Pb-La/x")
    assert table["energy_keV"] == pytest.approx(maps.energy.values)
    assert table["spectrum_Fe-Ka"] == pytest.approx(maps.spectrum.values[0])


@pytest.mark.parametrize("kind", ["tiff", "tiff16", "png", "csv"])
def test_one_file_for_each_map(tmp_path: Path, maps: xr.Dataset, kind: str) -> None:
    files = export_maps(tmp_path / "out", maps, kind=kind, pitch=0.5)
    assert [file.stem for file in files] == ["intensity_Fe-Ka", "intensity_Pb-La_x", "labels"]
    assert all(file.stat().st_size for file in files)
    left = {file.name for file in (tmp_path / "out").iterdir()} - {file.name for file in files}
    assert left == ({f"{file.stem}.scale.csv" for file in files} if kind == "tiff16" else set())


def test_unknown_kind_is_told(tmp_path: Path, maps: xr.Dataset) -> None:
    with pytest.raises(InputError, match=r'tiff, tiff16, png, csv; found "tif"; did you mean "tiff"'):
        export_maps(tmp_path, maps, kind="tif")


@settings(deadline=None, max_examples=25)
@given(
    dtype=st.sampled_from(["u1", "<u2", ">u2", "u4"]),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 9)),
    rows=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_cubes_come_back_as_they_were(tmp_path_factory, dtype, shape, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(20, shape).astype(dtype)
    facts = {"zero": -0.956, "gain": 0.010002, "pitch": 0.7}
    folder = tmp_path_factory.mktemp("cubes")
    write_rpl(folder / "a.rpl", make_cube(lazy_counts(counts, rows=rows), **facts))
    read = open_scan(folder / "a.rpl")
    assert np.array_equal(read.counts, counts)
    assert read.counts.dtype.itemsize == counts.itemsize
    assert facts.items() <= read.counts.attrs.items()
    cube = make_cube(
        lazy_counts(counts, rows=rows),
        valid=rng.random(shape[:2]) > 0.3,
        live_time=rng.random(shape[:2]),
        quadratic=1e-8,
        anode="Rh",
        tube_voltage=50.0,
        calibration="two points",
        **facts,
    )
    write_npz(folder / "b.npz", cube)
    again = open_scan(folder / "b.npz", ReadOptions(axes="yxe"))
    assert again.counts.attrs.pop("source").startswith("b.npz sha256:")
    xr.testing.assert_identical(again.compute(), cube.compute())


def test_rpl_has_no_place_for_a_quadratic_axis(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"linear energy axis; found quadratic 1e-06. Write .npz"):
        write_rpl(tmp_path / "a.rpl", make_cube(np.ones((2, 3, 4), np.uint8), quadratic=1e-6))


def test_failing_export_leaves_no_file(tmp_path: Path) -> None:
    def cancel(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    cube = make_cube(np.ones((2, 3, 4), np.uint8))
    for write in (write_rpl, write_npz):
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "a.npz", cube, progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_images_along_two_axes_carry_both_labels() -> None:
    values = np.arange(2 * 3 * 4 * 5, dtype=np.float16).reshape(2, 3, 4, 5)
    coords = {"paint": ["visible", "hidden"], "xrf_class": ["Pb", "Hg", "Cu-As"]}
    maps = xr.Dataset({"probability": (("paint", "xrf_class", "y", "x"), values)}, coords)
    images = images_of(maps)
    assert len(images) == 6
    np.testing.assert_array_equal(images["probability_hidden_Cu-As"], values[1, 2])
