"""Format, lint and types are tests too, so that one command runs everything."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {
    "format": ("ruff", "format", "--check", "--diff", "."),
    "lint": ("ruff", "check", "."),
    "types": ("pyrefly", "check", "--output-format=min-text"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_style(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *CHECKS[name]], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
