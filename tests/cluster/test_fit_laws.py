"""Laws of a clustering: what may not change memberships, what a record keeps, what the drivers agree on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.base.errors import InputError
from velatura.cluster import METHODS, ClusterOptions, Clusters, assign_pixels, fit, memberships

CLUSTERS, FEATURES, PIXELS = 3, 4, 1500
KEY = jax.random.key(7)
TOLERANCE = {"float32": 5e-5, "float64": 1e-9}
"""Of memberships after five iterations from the same start; float32 rounds the pixels themselves."""


def ellipsoids(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores [d, n] of three rotated ellipsoids that touch, and a random start."""
    rng = np.random.default_rng(seed)
    turns = np.linalg.qr(rng.normal(size=(CLUSTERS, FEATURES, FEATURES)))[0]
    labels = rng.integers(CLUSTERS, size=PIXELS)
    centres = 2.5 * np.eye(FEATURES)[:CLUSTERS]
    steps = rng.normal(size=(PIXELS, FEATURES)) * np.geomspace(1, 0.1, FEATURES)
    scores = centres[labels] + np.einsum("nij,nj->ni", turns[labels], steps)
    return scores.T.astype(np.float32), rng.dirichlet(np.ones(CLUSTERS), PIXELS).T


def five(scores: np.ndarray, start: np.ndarray, *, precision: str = "float64", **options: float) -> np.ndarray:
    """Memberships after five iterations, clusters ordered as in the start."""
    chosen = ClusterOptions(clusters=CLUSTERS, iterations=5, tolerance=1e-15, precision=precision, **options)
    found = memberships(fit(scores, chosen, key=KEY, start=start), scores, precision=precision)
    return found[np.argsort(found @ np.arange(PIXELS))]  # an order that no change of the axes touches


SCORES, START = ellipsoids(0)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_order_of_pixels_scale_shift_and_rotation_leave_memberships(precision: str) -> None:
    rng = np.random.default_rng(1)
    before = five(SCORES, START, precision=precision)
    turn = np.linalg.qr(rng.normal(size=(FEATURES, FEATURES)))[0]
    wide = SCORES.astype(np.float64)
    changed = {"scale": 3.7 * wide, "shift": wide + 20.0, "rotation": turn @ wide}
    for name, scores in changed.items():
        np.testing.assert_allclose(
            five(scores.astype(precision), START, precision=precision), before, atol=TOLERANCE[precision], err_msg=name
        )
    order = rng.permutation(PIXELS)
    options = ClusterOptions(clusters=CLUSTERS, iterations=5, tolerance=1e-15, precision=precision)
    shuffled = fit(SCORES[:, order], options, key=KEY, start=START[:, order])
    np.testing.assert_allclose(
        memberships(shuffled, SCORES, precision=precision),
        memberships(fit(SCORES, options, key=KEY, start=START), SCORES, precision=precision),
        atol=TOLERANCE[precision],
    )


def test_axes_may_be_scaled_one_by_one_only_without_shrinkage() -> None:
    stretched = SCORES * np.array([1, 7, 0.3, 2])[:, None]
    free = five(SCORES, START, shrinkage=0.0, condition_limit=1e12)
    np.testing.assert_allclose(five(stretched, START, shrinkage=0.0, condition_limit=1e12), free, atol=1e-9)
    assert np.abs(five(stretched, START) - five(SCORES, START)).max() > 0.05


@pytest.mark.parametrize("method", METHODS)
def test_same_key_same_result_ordered_by_first_component(method: str) -> None:
    options = ClusterOptions(method=method, clusters=CLUSTERS)
    first, again = (fit(SCORES, options, key=KEY) for _ in range(2))
    np.testing.assert_array_equal(first.centres, again.centres)
    assert np.all(np.diff(first.centres[:, 0]) > 0)
    found = assign_pixels(first, SCORES)
    np.testing.assert_allclose(found.membership.sum(axis=0), 1, atol=1e-6)
    assert found.membership.dtype == np.float32
    assert first.converged
    nearest = np.linalg.norm(
        np.einsum("kij,kjn->kin", first.whiteners, SCORES[None] - first.centres[:, :, None]), axis=1
    ).min(axis=0)
    np.testing.assert_allclose(found.distance, nearest, rtol=1e-4, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0.01, 100),
    st.sampled_from([1.05, 1.2, 1.5, 2.0, 3.0]),
    st.integers(0, 2**31 - 1),
)
def test_memberships_are_shares_whatever_the_fuzzifier_and_the_pixel(size: float, fuzzifier: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = np.linalg.qr(rng.normal(size=(CLUSTERS, FEATURES, FEATURES)))[0]
    clusters = Clusters(
        **dict.fromkeys(("log_volumes", "iterations", "converged", "change", "objective", "validity")),
        method="gustafson-kessel",
        fuzzifier=fuzzifier,
        centres=rng.normal(size=(CLUSTERS, FEATURES)),
        covariance=np.tile(np.eye(FEATURES), (CLUSTERS, 1, 1)),
        whiteners=shapes,
        log_weights=np.zeros(CLUSTERS),
        noise_distance=np.inf,
        scale=1.0,
    )
    far = np.full((FEATURES, 1), 1e15)
    pixels = np.concatenate([clusters.centres.T, size * rng.normal(size=(FEATURES, 5)), far], axis=1)
    found = memberships(clusters, pixels.astype(np.float32))
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(found[:, :CLUSTERS], np.eye(CLUSTERS), atol=1e-3)


def test_weights_count_like_repeated_pixels_and_zero_like_absence() -> None:
    weights = np.where(np.arange(PIXELS) < 500, 2.0, 1.0)
    weights[-300:] = 0
    options = ClusterOptions(clusters=CLUSTERS, iterations=5, tolerance=1e-15, precision="float64", shrinkage=0.0)
    weighted = fit(SCORES, options, key=KEY, start=START, weights=weights)
    repeated = [np.concatenate([array[:, :-300], array[:, :500]], axis=1) for array in (SCORES, START)]
    plain = fit(repeated[0], options, key=KEY, start=repeated[1])
    np.testing.assert_allclose(weighted.centres, plain.centres, atol=1e-9)
    np.testing.assert_allclose(weighted.covariance, plain.covariance, atol=1e-9)


def test_a_record_survives_storage_and_serves_another_scan() -> None:
    options = ClusterOptions(clusters=CLUSTERS, noise=True)
    clusters = fit(SCORES, options, key=KEY)
    plain = {name: getattr(value, "tolist", lambda v=value: v)() for name, value in clusters.to_dict().items()}
    stored = json.loads(json.dumps(plain))
    other = ellipsoids(5)[0]
    np.testing.assert_array_equal(memberships(Clusters.from_dict(stored), other), memberships(clusters, other))
    assert memberships(clusters, other).shape == (CLUSTERS + 1, PIXELS)
    with pytest.raises(InputError, match="missing: centres"):
        Clusters.from_dict({name: value for name, value in stored.items() if name != "centres"})
    with pytest.raises(InputError, match=r"need scores \[4, pixel\]; found \(3, 1500\)"):
        memberships(clusters, other[:3])


def test_a_stream_of_parts_gives_what_one_array_gives() -> None:
    passes = 0

    def parts() -> Iterator[np.ndarray]:
        nonlocal passes
        passes += 1
        yield from np.split(SCORES, [600, 1000], axis=1)

    options = ClusterOptions(clusters=CLUSTERS, iterations=5, tolerance=1e-15, noise=True)
    centres = SCORES[:, :CLUSTERS].T
    whole, streamed = (fit(scores, options, key=KEY, start=centres) for scores in (SCORES, parts))
    np.testing.assert_allclose(memberships(streamed, SCORES), memberships(whole, SCORES), atol=1e-4)
    assert passes == 12  # a survey, five passes, one for the noise distance, five more


EIGHT_DEVICES = """
import jax, numpy as np, sys
from velatura.cluster import ClusterOptions, fit, memberships
scores, start = np.load(sys.argv[1])["scores"], np.load(sys.argv[1])["start"]
options = ClusterOptions(clusters=len(start), iterations=5, tolerance=1e-15)
assert len(jax.devices()) == 8
one, eight = (fit(scores, options, key=jax.random.key(0), start=start, devices=jax.devices()[:n]) for n in (1, 8))
print(np.abs(memberships(one, scores) - memberships(eight, scores)).max(), np.abs(one.centres - eight.centres).max())
"""


def test_eight_devices_agree_with_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "case.npz", scores=SCORES, start=START)
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_DEVICES, str(tmp_path / "case.npz")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert max(float(number) for number in done.stdout.split()) <= 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "gustavson-kessel"}, 'did you mean "gustafson-kessel"'),
        ({"precision": "float16"}, "precision must be float32 or float64; found 'float16'"),
        ({"fuzzifier": 1.0}, "fuzzifier must be above 1, e.g. 1.5; found 1.0"),
        ({"clusters": 0}, "must be 1 or more; found 0"),
        ({"volumes": (1.0, 2.0)}, "volumes must be 10 positive numbers"),
        ({"method": "k-means", "noise": True}, "noise cluster needs a fuzzy method; found k-means"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ClusterOptions(**arguments)


@pytest.mark.parametrize(
    ("scores", "further", "message"),
    [
        (np.ones(5), {}, "scores must be .component, pixel.; found 1 axes"),
        (np.full((2, 30), np.nan), {}, "scores must be finite"),
        (np.ones((2, 5)), {}, "10 clusters need as many pixels; found 5"),
        (np.ones((2, 30)), {"weights": np.zeros(30)}, "needs pixels of positive weight; found none"),
        (np.ones((2, 30)), {"weights": -np.ones(30)}, "weights must be finite and 0 or more"),
        (np.ones((2, 30)), {"weights": np.ones(29)}, "weights must be one a pixel"),
        (np.ones((2, 30)), {"start": np.ones((3, 30))}, r"start must be memberships \(10, 30\) or centres \(10, 2\)"),
        (lambda: iter([np.ones((2, 30)), np.ones((3, 30))]), {}, "all parts need 2 components; found one of 3"),
    ],
)
def test_scores_that_cannot_be_clustered_are_refused(scores, further: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(scores, ClusterOptions(), key=KEY, **further)
