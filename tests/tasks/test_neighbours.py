"""Neighbours that show the same spectrum decide together; others have no say; bands make no difference."""

import numpy as np
import pytest

from velatura.tasks.neighbours import coarse, likeness, shared_evidence, with_rows_around
from velatura.tasks.pigment_model import Answers

HEIGHT, WIDTH, CLASSES = 9, 7, 3


def image(rng: np.random.Generator) -> tuple[Answers, np.ndarray, np.ndarray]:
    shape = (HEIGHT, WIDTH)
    answers = Answers(
        rng.uniform(0.02, 0.98, (*shape, 2, CLASSES)).astype(np.float32), *rng.random((3, *shape), np.float32),
        rng.random((*shape, 2, CLASSES), np.float32), rng.random((*shape, 2), np.float32),
    )  # fmt: skip
    bins = rng.poisson(50, (*shape, 64)).astype(np.float32)
    return answers, bins, np.ones(shape, bool)


def test_likeness_is_high_within_noise_and_nothing_beyond(rng) -> None:
    mean = rng.uniform(5, 50, 64)
    same = likeness(rng.poisson(mean, (400, 64)), rng.poisson(3 * mean, (400, 64)))
    other = likeness(rng.poisson(mean, (400, 64)), rng.poisson(mean[::-1], (400, 64)))
    assert same.mean() > 0.6
    assert other.max() < 1e-3


def test_alike_spectra_share_the_mean_of_their_logits(rng) -> None:
    answers, bins, answered = image(rng)
    bins[:] = 40.0
    mixed = shared_evidence(answers, bins, answered)
    logit = np.log(answers.probability / (1 - answers.probability))
    mean = logit[3:6, 2:5].mean(axis=(0, 1))
    np.testing.assert_allclose(mixed.probability[4, 3], 1 / (1 + np.exp(-mean)), atol=1e-5)
    np.testing.assert_array_equal(mixed.share, answers.share)


def test_unlike_or_unanswered_neighbours_have_no_say(rng) -> None:
    answers, bins, answered = image(rng)
    bins[4, 3] = np.where(np.arange(64) < 5, 5000.0, 0.0)
    answered[:, 0] = False
    mixed = shared_evidence(answers, bins, answered)
    np.testing.assert_allclose(mixed.probability[4, 3], answers.probability[4, 3], atol=1e-5)
    changed = answers._replace(probability=answers.probability.copy())
    changed.probability[:, 0] = 0.5
    np.testing.assert_array_equal(shared_evidence(changed, bins, answered).probability[:, 1:], mixed.probability[:, 1:])


@pytest.mark.parametrize("heights", [(9,), (1, 1, 1, 1, 1, 1, 1, 1, 1), (4, 1, 4), (2, 7)])
def test_bands_make_no_difference(rng, heights) -> None:
    answers, bins, answered = image(rng)
    whole = shared_evidence(answers, bins, answered)
    stops = np.cumsum(heights)
    rows = [slice(int(stop - height), int(stop)) for stop, height in zip(stops, heights, strict=True)]
    parts = [(here, Answers(*(a[here] for a in answers)), bins[here], answered[here]) for here in rows]
    found = list(with_rows_around(iter(parts)))
    assert [here for here, *_ in found] == rows
    joined = np.concatenate([part.probability for _, part, _ in found])
    np.testing.assert_allclose(joined, whole.probability, rtol=1e-6)


def test_coarse_spectra_keep_the_counts(rng) -> None:
    features = rng.poisson(3, (5, 1024)).astype(np.float32)
    np.testing.assert_array_equal(coarse(features).sum(axis=1), features.sum(axis=1))
