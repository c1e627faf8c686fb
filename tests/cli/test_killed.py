"""`velatura analyse` killed at any moment: the old result or none is left, and the next run ends as if unbroken."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from velatura.base.workspace import is_workspace, list_maps, open_workspace, read_cube, read_maps
from velatura.cli.main import run
from velatura.io.export_cube import write_rpl
from velatura.scene.phantom import phantom


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills a process by signal")
def test_killed_runs_lose_nothing(tmp_path: Path) -> None:
    scan, path = tmp_path / "panel.rpl", tmp_path / "killed.zarr"
    write_rpl(scan, phantom(counts=2000, rng=np.random.default_rng(5), shape=(24, 20)).cube)
    order = ["analyse", str(scan), "-o", str(path), "--segmentation.clusters", "4", "--elements.lines", "Pb-La"]
    whole = tmp_path / "whole.zarr"
    started = time.monotonic()
    assert _spawn([*order[:3], str(whole), *order[4:]]).wait() == 0
    usual = time.monotonic() - started
    for share in (0.4, 0.7, 0.9):
        process = _spawn(order)
        time.sleep(share * usual)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert is_workspace(path) or not path.exists()
        if is_workspace(path):
            workspace = open_workspace(path)
            assert read_cube(workspace).counts.shape[:2] == (24, 20)
            for name in list_maps(workspace):
                read_maps(workspace, name)
    assert run(order) == 0
    first, second = (read_maps(open_workspace(one), "segment") for one in (path, whole))
    np.testing.assert_array_equal(first.membership.values, second.membership.values)
    assert not list(tmp_path.glob(".*.part"))


def _spawn(tokens: list[str]) -> subprocess.Popen:
    code = "import sys; from velatura.cli.main import run; sys.exit(run(sys.argv[1:]))"
    return subprocess.Popen([sys.executable, "-c", code, *tokens], stdout=subprocess.DEVNULL)
