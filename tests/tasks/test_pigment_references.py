"""The nearest of a user's own spectra is the one with the same lines, whatever its axis, dose and background."""

import numpy as np

from velatura.io.library import LibrarySpectrum
from velatura.tasks.pigment_references import nearest_references


def spectrum(energy: np.ndarray, lines: tuple[float, ...], *, background: float = 0.0) -> np.ndarray:
    peaks = sum(np.exp(-(((energy - at) / 0.1) ** 2)) for at in lines)
    return (1e4 * peaks * (energy[1] - energy[0]) / 0.02 + background * np.exp(-energy / 10)).round()


def test_the_nearest_reference_has_the_same_lines() -> None:
    coarse, fine = 0.04 * np.arange(1000), 0.1 + 0.01 * np.arange(2500)
    known = {"copper": (8.05, 8.9), "lead": (10.55, 12.61), "iron": (6.4, 7.06)}
    library = [LibrarySpectrum(name, (0, 0, 0), coarse, spectrum(coarse, lines)) for name, lines in known.items()]
    sums = np.stack([spectrum(fine, known[name], background=300) for name in ("iron", "lead")])
    found = nearest_references(sums.astype(np.int64), fine, library)
    assert [text.split()[0] for text in found] == ["iron", "lead"]
    assert min(float(text.split()[1]) for text in found) > 0.9


def test_what_is_like_none_is_not_named() -> None:
    energy = 0.02 * np.arange(1500)
    library = [LibrarySpectrum("copper", (0, 0, 0), energy, spectrum(energy, (8.05,)))]
    assert nearest_references(spectrum(energy, (3.7,))[None].astype(np.int64), energy, library) == ("",)
