"""`velatura analyse` on every measured cube: it ends with maps and a report, and names what is there."""

from pathlib import Path

import numpy as np
import pytest

from velatura.base.workspace import open_workspace, read_cube, read_maps
from velatura.cli.main import run

CUBES = {  # file, lines that must be among the mapped ones
    "pixlise-core/laguna_salinas_25x25.npz": {"Ca-Ka", "Fe-Ka"},
    "colourspec-xfm/ts2_01_sub_export_10x20.npy": set(),
    "xrf-maps-aps/axo_std.npz": {"Ca-Ka", "Fe-Ka", "Cu-Ka"},
    "xrf-maps-aps/2xfm_0010.npz": set(),
    "xrf-maps-aps/2xfm_0011_fly.h5": set(),
    "sem-geologist-bcf/P45_8bit_compressed_80keV_range.bcf": {"Ca-Ka", "Fe-Ka"},
    "sem-geologist-bcf/P45_12bit_packed_8bit.bcf": {"Ca-Ka", "Fe-Ka"},
    "sem-geologist-bcf/P45_the_default_job.bcf": {"Ca-Ka", "Fe-Ka"},
    "sem-geologist-bcf/P45_job_hyperspy.bcf": {"Ca-Ka", "Fe-Ka"},
}


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", CUBES)
def test_analyse(name: str, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "scan.zarr"
    assert run(["analyse", str(data / "scans" / name), "-o", str(path)]) == 0
    workspace = open_workspace(path)
    maps, elements = read_maps(workspace, "segment"), read_maps(workspace, "elements")
    used = maps.used.values
    assert used.any()
    np.testing.assert_allclose(maps.membership.sum("cluster").values[used], 1, atol=1e-5)
    assert CUBES[name] <= set(map(str, elements.line.values))
    cube = read_cube(workspace)
    np.testing.assert_allclose(
        float(maps.mean_spectrum.sum()) * used.sum(), float(cube.counts.values[used].sum()), rtol=1e-6
    )
    assert (tmp_path / "scan-report" / "report.html").stat().st_size > 30_000
