"""The recolourer: calibrated errors, trust, files, refusals."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from velatura.base.errors import FileFormatError, InputError
from velatura.tasks.recolour_model import (
    RIGHT,
    calibrated,
    calibrated_by,
    familiar,
    load_recolourer,
    recolour,
    save_recolourer,
    uncalibrated,
    untrained,
)
from velatura.train.weights import ModelCard, save_weights

SIDE = 32


@pytest.fixture(scope="module")
def recolourer():
    return untrained("small-uvit", inputs=3, outputs=4, side=SIDE, embedder="paper", key=jax.random.key(0))


def test_a_calibration_finds_the_error_and_the_share_of_right_colours(rng) -> None:
    """Of errors from an exponential law whose mean is 3 x what was told, both are known."""
    told = rng.uniform(1, 20, 60_000)
    learned = calibrated_by(told, rng.exponential(3 * told))
    error, right = calibrated(np.array([2.0, 5.0, 10.0, 18.0]), learned)
    np.testing.assert_allclose(error, [6, 15, 30, 54], rtol=0.1)
    np.testing.assert_allclose(right, 1 - np.exp(-RIGHT / np.array([6, 15, 30, 54])), atol=0.04)
    assert (np.diff(learned.error) >= 0).all()
    assert (np.diff(learned.right) <= 0).all()
    assert (np.diff(learned.told) >= 0).all()


def test_without_a_calibration_what_is_told_is_taken() -> None:
    error, right = calibrated(np.array([0.0, 15.0, 100.0]), uncalibrated())
    np.testing.assert_allclose(error, [0, 15, 100], atol=1e-4)
    np.testing.assert_allclose(right, 1 - np.exp(-15 / np.array([1e-3, 15, 100])), atol=5e-3)


def test_only_strange_spectra_lose_trust() -> None:
    np.testing.assert_allclose(familiar(np.array([0, 0.5, 0.9, 0.95, 1.0])), [1, 1, 1, 0.5, 0], atol=1e-6)


def test_recolouring_any_size_with_strange_and_missing_pixels(recolourer, rng) -> None:
    embedded = rng.normal(size=(40, 21, 3)).astype(np.float32)
    plain = recolour(recolourer, embedded)
    assert [image.dtype for image in plain] == [np.float32] * 3
    assert plain.rgb.shape == (40, 21, 3)
    assert plain.rgb.min() >= 0
    assert plain.rgb.max() <= 1
    strangeness = np.zeros((40, 21))
    strangeness[:, :5] = 1
    seen = recolour(recolourer, embedded, strangeness=strangeness)
    assert (seen.trust[:, :5] == 0).all()
    np.testing.assert_array_equal(seen.trust[:, 5:], plain.trust[:, 5:])
    valid = np.ones((40, 21), bool)
    valid[3:8, 4] = False
    broken = np.where(valid[..., None], embedded, np.nan)
    kept = recolour(recolourer, broken, valid=valid)
    for image in kept:
        assert np.isnan(image[~valid]).all()
        assert np.isfinite(image[valid]).all()


def test_a_network_that_is_silent_on_its_error_is_asked_in_four_orientations(rng) -> None:
    three = untrained("small-uvit", inputs=3, outputs=3, side=SIDE, key=jax.random.key(0))
    embedded = rng.normal(size=(32, 32, 3)).astype(np.float32)
    by_default, four, one = (recolour(three, embedded, flips=flips) for flips in (None, 4, 1))
    np.testing.assert_array_equal(by_default.rgb, four.rgb)
    assert not np.array_equal(one.rgb, four.rgb)
    turned = recolour(three, embedded[:, ::-1])
    np.testing.assert_allclose(turned.rgb, four.rgb[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(turned.error, four.error[:, ::-1], rtol=1e-4, atol=1e-6)


def test_files_keep_what_is_needed(recolourer, tmp_path, rng) -> None:
    learned = calibrated_by(told := rng.uniform(1, 20, 5000), rng.exponential(told))
    kept = recolourer._replace(calibration=learned, card=replace(recolourer.card, scores={"ms_ssim": 0.5}))
    save_recolourer(tmp_path / "net.safetensors", kept)
    back = load_recolourer(tmp_path / "net.safetensors")
    assert (back.embedder, back.side, back.features, back.card.scores) == ("paper", SIDE, 3, {"ms_ssim": 0.5})
    embedded = rng.normal(size=(32, 32, 3)).astype(np.float32)
    one, other = recolour(kept, embedded), recolour(back, embedded)
    np.testing.assert_allclose(one.rgb, other.rgb, atol=5e-3)  # weights of 11 bits
    np.testing.assert_allclose(one.error, other.error, rtol=2e-2)


def test_what_does_not_fit_is_refused(recolourer, tmp_path) -> None:
    embedded = np.zeros((32, 32, 3), np.float32)
    with pytest.raises(InputError, match=r"embedded cube \[y, x, 3\] of the embedder 'paper'.*found \(32, 32, 16\)"):
        recolour(recolourer, np.zeros((32, 32, 16), np.float32))
    with pytest.raises(InputError, match="strangeness must be"):
        recolour(recolourer, embedded, strangeness=np.zeros((2, 2)))
    with pytest.raises(InputError, match="share 0 to 31; asked for 32"):
        recolour(recolourer, embedded, overlap=32)
    with pytest.raises(InputError, match="1 or 4 orientations"):
        recolour(recolourer, embedded, flips=2)
    with pytest.raises(InputError, match="velatura train recolour"):
        load_recolourer(tmp_path / "none.safetensors")
    other = tmp_path / "other.safetensors"
    save_weights(other, np.zeros(3), ModelCard({"design": "perceptron"}, {}, 0, {}))
    with pytest.raises(FileFormatError, match="no recolourer but 'perceptron'"):
        load_recolourer(other)
