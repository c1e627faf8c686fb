"""Spectra of a scan for an embedder: whole counts on its grid, of valid pixels alone, the same by the same seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import velatura.chain.embedding_target as chain
from velatura.base.cube import make_cube
from velatura.base.errors import InputError
from velatura.base.workspace import create_workspace
from velatura.chain.embedding_target import target_counts
from velatura.chain.train_embedding import embedding_recipe

RECIPE = embedding_recipe("short")
GAIN = 0.05


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """6 x 7 pixels; the first row has 7 counts at 10 keV, the second is not valid, the rest have 60, 61, ... there.

    All have 500 counts at 0.2 keV, below any grid.
    """
    counts = np.zeros((6, 7, 400), np.uint16)
    counts[..., 4] = 500
    counts[0, :, 200] = 7
    counts[1:, :, 200] = 60 + np.arange(35).reshape(5, 7)
    valid = np.ones((6, 7), bool)
    valid[1] = False
    create_workspace(tmp_path / "scan.zarr", make_cube(counts, zero=0.0, gain=GAIN, valid=valid))
    return tmp_path / "scan.zarr"


@pytest.mark.parametrize("recipe", ["short", "paper"])
def test_valid_pixels_with_enough_counts_come_onto_the_grid(scan: Path, recipe: str) -> None:
    found = target_counts(scan, embedding_recipe(recipe))
    assert (found.shape, found.dtype) == ((28, 1024), np.float32)
    np.testing.assert_array_equal(found.sum(axis=1), 67 + np.arange(28))
    high = 41.0 if recipe == "short" else 38.5
    peak = 0.5 + (found.sum(axis=0).argmax() + 0.5) * (high - 0.5) / 1024
    assert peak == pytest.approx(10.0, abs=GAIN)


def test_a_sample_follows_from_the_seed(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = target_counts(scan, RECIPE)
    monkeypatch.setattr(chain, "MOST", 9)
    one, same, other = (target_counts(scan, replace(RECIPE, seed=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    sums = [set(part.sum(axis=1)) for part in (one, other, whole)]
    assert len(sums[0]) == len(sums[1]) == 9
    assert sums[0] != sums[1]
    assert sums[0] | sums[1] <= sums[2]


def test_a_scan_without_counts_is_refused(tmp_path: Path) -> None:
    create_workspace(tmp_path / "dark.zarr", make_cube(np.zeros((2, 2, 400), np.uint16), zero=0.0, gain=GAIN))
    with pytest.raises(InputError, match=r"dark.zarr has no pixel with 50 counts from 0.5 to 41 keV"):
        target_counts(tmp_path / "dark.zarr", RECIPE)
