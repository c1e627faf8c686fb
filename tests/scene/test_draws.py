"""Draws by cell tables: the probabilities are exact, also those smaller than a cell; rows stand on their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.scene.draws import CELLS, LEFT_OVER, MixtureCounts, cell_table, draw_bins


def probabilities(table, bins: int) -> np.ndarray:
    """What the table draws from, by its construction."""
    whole = np.bincount(table.cells[table.cells != LEFT_OVER], minlength=bins)
    left = np.count_nonzero(table.cells == LEFT_OVER)
    return (whole + left * np.diff(table.rest, prepend=0.0)) / CELLS


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=50).filter(lambda p: sum(p) > 1e-6))
def test_the_table_keeps_every_probability(weights: list[float]) -> None:
    p = np.array(weights) / np.sum(weights)
    np.testing.assert_allclose(probabilities(cell_table(p), len(p)), p, atol=1e-12)


def chi_squared(found: np.ndarray, expected: np.ndarray) -> float:
    """Distance from the expectation in standard deviations of chi-squared, over the bins that can be filled."""
    used = expected > 0
    assert not found[~used].any()
    excess = np.sum((found[used] - expected[used]) ** 2 / expected[used]) - (used.sum() - 1)
    return abs(excess) / np.sqrt(2 * (used.sum() - 1))


def test_draws_follow_the_spectrum(rng: np.random.Generator) -> None:
    """Twenty million draws: a table of 65,536 cells alone would be off by a hundred sigma."""
    p = np.exp(-np.linspace(0, 12, 1000)) + 0.2 * np.eye(1000)[300]
    p[500:510] = 0
    p /= p.sum()
    draws = 20_000_000
    found = np.bincount(draw_bins(cell_table(p), draws, rng=rng), minlength=1000)
    assert chi_squared(found, draws * p) < 4
    rounded = np.rint(p * CELLS) / np.rint(p * CELLS).sum()
    surprise = np.sum((found - draws * rounded)[p > 0] ** 2 / (draws * p[p > 0])) - 1000
    assert surprise / np.sqrt(2000) > 100


@pytest.mark.parametrize("number", [0, 1, 3, 4, 5])
def test_any_number_can_be_drawn(number: int, rng: np.random.Generator) -> None:
    assert draw_bins(cell_table(np.array([0, 1.0])), number, rng=rng).tolist() == [1] * number


SHARES = np.array([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
SPECTRA = np.array([[0.5, 0.5, 0, 0, 0], [0, 0.2, 0.3, 0.5, 0], [0, 0, 0, 0.1, 0.9]])


def mixture_counts(shape: tuple[int, int] = (20, 400), *, poisson: bool = False, counts: int = 100) -> MixtureCounts:
    labels = np.zeros(shape, np.uint8)
    labels[:, shape[1] // 2 :] = 1
    return MixtureCounts(labels, SHARES, SPECTRA, counts, poisson, seed=5)


@pytest.mark.parametrize("poisson", [False, True])
def test_mean_and_spread_of_the_counts(poisson: bool) -> None:
    """Multinomial: covariance N (diag p - p p'); Poisson: N diag p."""
    drawn = mixture_counts(poisson=poisson)[:][:, :200].reshape(-1, 5).astype(float)
    p = SHARES[0] @ SPECTRA
    covariance = 100 * (np.diag(p) - (0 if poisson else np.outer(p, p)))
    np.testing.assert_allclose(drawn.mean(axis=0), 100 * p, atol=4 * np.sqrt(100 / len(drawn)))
    error = 4 * np.sqrt(np.outer(100 * p, 100 * p) * 2 / len(drawn)) + 0.1
    assert np.all(np.abs(np.cov(drawn.T) - covariance) < error)


def test_totals() -> None:
    assert np.all(mixture_counts()[:].sum(axis=2) == 100)
    totals = mixture_counts(poisson=True)[:].sum(axis=2)
    assert totals.var() == pytest.approx(100, rel=0.1)


def test_rows_are_the_same_however_they_are_read() -> None:
    source = mixture_counts((5, 300))
    whole = source[:]
    np.testing.assert_array_equal(source[2:4], whole[2:4])
    np.testing.assert_array_equal(source[3], whole[3])
    np.testing.assert_array_equal(source[::-2, 7:9, 1], whole[::-2, 7:9, 1])
    np.testing.assert_array_equal(source[1, 5], whole[1, 5])
    assert np.any(whole[0] != whole[1])
