"""Measured scans that are no paintings: they are recoloured all the same, and the trust map says what that is worth."""

import json
from pathlib import Path

import numpy as np
import pytest

from velatura.chain.recolour import can_recolour
from velatura.io.formats import open_scan
from velatura.tasks.recolour_cube import Recolouring, recolour_cube

pytestmark = pytest.mark.real

SCANS = (
    "pixlise-core/laguna_salinas_25x25.npz",  # a rock
    "colourspec-xfm/ts2_01_sub_export_10x20.npy",  # a thin section
    "xrf-maps-aps/axo_std.npz",  # a thin film of metals
    "xrf-maps-aps/2xfm_0010.npz",  # cells
    "sem-geologist-bcf/P45_8bit_compressed_80keV_range.bcf",  # a rock under electrons
)
MOST = 0.3  # mean trust


@pytest.mark.parametrize("model", ["velatura", "paper"])
@pytest.mark.parametrize("name", SCANS)
def test_what_is_no_painting_is_not_trusted(data: Path, name: str, model: str) -> None:
    if not can_recolour(Recolouring(model=model)):
        pytest.skip(f"the weights {model} are not shipped")
    maps = recolour_cube(open_scan(data / "scans" / name), Recolouring(model=model))
    there = np.isfinite(maps.rgb.values).all(axis=-1)
    assert there.any()
    assert maps.trust.values[there].mean() < MOST
    assert any("do not take the colours" in note for note in json.loads(maps.attrs["notes"]))
