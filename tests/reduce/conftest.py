"""Small cubes with known materials: random line spectra, smooth mixing, Poisson counts."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

ENERGY = 0.02 * (np.arange(512) + 0.5)  # keV


def _materials(rng: np.random.Generator, number: int) -> np.ndarray:
    """Normalised spectra [material, channel]: three lines each over a common smooth background."""
    background = 0.2 * np.exp(-ENERGY / 4) / np.exp(-ENERGY / 4).sum()
    centres = rng.uniform(1.5, 9.5, (number, 3))
    lines = np.exp(-0.5 * ((ENERGY - centres[..., None]) / 0.06) ** 2) * rng.uniform(0.3, 1, (number, 3, 1))
    lines = lines.sum(1)
    spectra = background + 0.8 * lines / lines.sum(1, keepdims=True)
    return spectra / spectra.sum(1, keepdims=True)


def _painting(seed: int, *, number: int = 6, side: int = 60, counts: float = 2000, blur: float = 0.7) -> dict:
    rng = np.random.default_rng(seed)
    spectra = _materials(rng, number)
    noise = np.stack([gaussian_filter(rng.normal(size=(side, side)), side / 10) for _ in range(number)])
    labels = noise.argmax(0)
    share = np.stack([gaussian_filter((labels == m).astype(float), blur) for m in range(number)], -1)
    mean = counts * share @ spectra
    return {"energy": ENERGY, "labels": labels, "mean": mean, "counts": rng.poisson(mean).astype(np.uint16)}


@pytest.fixture(scope="session")
def painting() -> Callable[..., dict]:
    """Function (seed, number, side, counts, blur) -> energy [keV], labels, mean counts, counts [y, x, channel]."""
    return _painting
