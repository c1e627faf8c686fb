"""Fixtures for every test: where measured data lie (outside the project), and a seeded generator."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run side by side: threads of BLAS would only get in their way

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VELATURA_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of measured scans and standards; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no measured data at {DATA}; set VELATURA_TEST_DATA")
    return DATA


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20261120)
