from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.base.errors import FileFormatError, InputError
from velatura.nn.embedding_net import TaughtNet
from velatura.nn.layers import count_parameters
from velatura.scene.classes import xrf_classes
from velatura.scene.training import grid
from velatura.tasks.embedding_model import (
    FEATURES,
    KNOTS,
    RANKS,
    build_net,
    embed,
    embed_and_judge,
    load_embedder,
    ranks_by_dose,
    save_embedder,
    strangeness,
    untrained_embedder,
)
from velatura.tasks.embedding_scores import (
    calibrated,
    cluster_scores,
    colour_score,
    components,
    held_spectra,
    pigment_score,
    quantiles_by_dose,
)
from velatura.tasks.embedding_training import (
    SCALE,
    Aim,
    Lessons,
    begun,
    exact_counts,
    joined_pools,
    loss_for,
    pool_of,
    settled,
)
from velatura.train.weights import ModelCard, save_weights

CLASSES = len(xrf_classes())


def canvas(rng, lines=(6.4, 8.0, 10.5)):
    """Three spectra of one line each, in three colours."""
    shapes = np.exp(-0.5 * ((grid() - np.array(lines)[:, None]) / 0.07) ** 2) + 2e-3
    entry = rng.integers(3, size=(12, 12)).astype(np.int32)
    colours = np.array([[200, 30, 30], [30, 160, 60], [240, 240, 230]], np.uint8)
    return SimpleNamespace(
        rgb=colours[entry], entry=entry, rates=(shapes / shapes.sum(axis=1, keepdims=True)).astype(np.float32),
        visible=np.eye(CLASSES, dtype=np.float32)[:3], kind="library",
    )  # fmt: skip


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(5)
    return pool_of([canvas(rng), canvas(rng)], "dve", rng=rng)


@pytest.fixture(scope="module")
def embedder(pool):
    rng = np.random.default_rng(6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("velatura.tasks.embedding_scores.CALIBRATION", 3000)
        return _calibrated(pool, rng)


def _calibrated(pool, rng):
    usual = held_spectra(pool, 2000, counts=(400, 400), exact=True, rng=rng).counts
    return calibrated("pca3", components(usual), pool, usual=usual, rng=rng), usual


def test_features_are_standardised_and_do_not_depend_on_company(embedder) -> None:
    made, usual = embedder
    found = embed(made, usual)
    assert (found.shape, found.dtype) == ((2000, 3), np.float32)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-3)
    np.testing.assert_allclose(embed(made, usual[1990:]), found[1990:], atol=1e-5)
    assert embed(made, usual[:0]).shape == (0, 3)


@pytest.mark.parametrize("kind", ["dve", "taught", "pca3"])
def test_embedders_on_disk_answer_the_same(kind: str, tmp_path: Path, rng) -> None:
    made, counts = untrained_embedder(kind, key=jax.random.key(0)), rng.poisson(2, (9, 1024)).astype(np.uint16)
    save_embedder(tmp_path / "e.safetensors", made)
    read = load_embedder(tmp_path / "e.safetensors")
    assert (read.kind, read.name, read.features) == (kind, "e", FEATURES[kind])
    np.testing.assert_allclose(embed(read, counts), embed(made, counts), atol=5e-3)
    assert np.isfinite(strangeness(read, counts)).all()


def test_wrong_spectra_and_files_are_refused(embedder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its grid"):
        embed(embedder[0], np.zeros((3, 512)))
    with pytest.raises(InputError, match="velatura train embedding"):
        load_embedder("nothing")
    save_weights(tmp_path / "w.safetensors", jnp.zeros(3), ModelCard({"design": "x"}, {}, 0, {}))
    with pytest.raises(FileFormatError, match="no embedder"):
        load_embedder(tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="taught"):
        untrained_embedder("taugt", key=jax.random.key(0))


def test_energies_are_those_of_the_published_window() -> None:
    paper, ours = (untrained_embedder(kind, key=jax.random.key(0)).energies for kind in ("dve", "taught"))
    np.testing.assert_allclose(np.diff(paper), 38 / 1024)
    np.testing.assert_allclose(paper[0] - 19 / 1024, 0.5)
    np.testing.assert_allclose(ours, grid())


def test_other_spectra_are_strange(embedder, pool, rng) -> None:
    made, _ = embedder
    own = held_spectra(pool, 500, counts=(5000, 5000), exact=True, rng=rng).counts
    alien = pool_of([canvas(rng, lines=(4.5, 14.2, 20.1))], "dve", rng=rng)
    other = held_spectra(alien, 500, counts=(5000, 5000), exact=True, rng=rng).counts
    usual, strange = strangeness(made, own), strangeness(made, other)
    assert 0.2 < np.median(usual) < 0.8
    assert np.median(strange) > 0.99
    np.testing.assert_array_equal(embed_and_judge(made, other)[1], strange)


def test_ranks_are_uniform_at_every_dose(rng) -> None:
    decades = rng.uniform(2, 5, 20_000)
    far = rng.normal(size=(2, 20_000)) - decades
    ranks = ranks_by_dose(far, decades, quantiles_by_dose(far, decades))
    assert quantiles_by_dose(far, decades).shape == (2, len(KNOTS), RANKS)
    for low in (2.2, 4.2):
        here = ranks[(decades > low) & (decades < low + 0.5)]
        np.testing.assert_allclose(here.mean(), 2 / 3, atol=0.05)  # the larger of two uniform numbers


def test_exact_counts_are_multinomial(rng) -> None:
    shares = np.array([[0.5, 0.3, 0.2, 0.0], [0.0, 0.0, 0.0, 2.0]])
    drawn = exact_counts(np.repeat(shares, 3000, axis=0), 40, rng=rng)
    assert (drawn.sum(axis=1) == 40).all()
    np.testing.assert_allclose(drawn[:3000].mean(axis=0), 40 * shares[0], atol=0.2)
    np.testing.assert_allclose(drawn[:3000, 0].var(), 40 * 0.25, rtol=0.1)
    assert (drawn[3000:, 3] == 40).all()


def test_a_pool_keeps_colours_and_pigments(pool) -> None:
    np.testing.assert_allclose(pool.rates.astype(np.float64).sum(axis=1), SCALE, rtol=1e-3)
    assert pool.entry.max() == 5
    assert (pool.visible[pool.entry].argmax(axis=1) == pool.entry % 3).all()
    both = joined_pools([pool, pool])
    np.testing.assert_array_equal(both.rates[both.entry[512:]], pool.rates[pool.entry])


def test_canvases_are_needed(rng) -> None:
    with pytest.raises(InputError, match="canvases"):
        pool_of([], "taught", rng=rng)
    with pytest.raises(InputError, match="reversal"):
        Aim(adapt=("reversals",))


@pytest.mark.parametrize("exact", [True, False])
def test_a_batch_is_a_function_of_its_step(pool, exact: bool) -> None:
    lessons = [
        Lessons(pool, size=32, steps=10, counts=(300.0, 900.0), exact=exact, key=jax.random.key(1)) for _ in range(2)
    ]
    lessons[0](0)
    one, other, later = lessons[0](3), lessons[1](3), lessons[1](4)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.counts != later.counts).any()
    sums = one.counts.sum(axis=1)
    assert (sums == 300).all() if exact else (sums.min() > 200 and sums.max() > 500)
    assert (one.counts == np.rint(one.counts)).all()


def test_a_settled_autoencoder_tells_spectra_apart(pool, rng) -> None:
    counts = held_spectra(pool, 512, counts=(400, 400), exact=True, rng=rng).counts
    raw = build_net("dve", key=jax.random.key(0))
    made = untrained_embedder("dve", key=jax.random.key(0))
    before, after = (embed(made._replace(net=net), counts) for net in (raw, settled(raw, counts)))
    np.testing.assert_allclose(after.std(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(after.mean(axis=0), 0, atol=0.05)
    assert (before.std(axis=0) < np.abs(before.mean(axis=0)) + 0.5).all()


@pytest.mark.parametrize("kind", ["dve", "taught"])
def test_losses_are_finite_with_both_adaptations(pool, kind: str, rng) -> None:
    aim = Aim(kind, adapt=("reversal", "activations"))
    target = rng.poisson(1, (40, 1024)).astype(np.uint16)
    lessons = Lessons(pool, size=32, steps=4, counts=(300.0, 900.0), exact=False, key=jax.random.key(1), target=target)
    batch = lessons(2)
    model = begun(aim, usual=batch.counts, key=jax.random.key(0))
    value, slopes = eqx.filter_jit(eqx.filter_value_and_grad(loss_for(aim)))(model, batch, key=jax.random.key(2))
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(slopes[1]))


def test_the_taught_net_is_cheap() -> None:
    assert count_parameters(TaughtNet(1024, 16, classes=CLASSES, key=jax.random.key(0))) < 900_000


def test_scores_know_good_features_from_bad(rng, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("velatura.tasks.embedding_scores.REGRESSOR_STEPS", 200)
    truth = rng.integers(5, size=600)
    good, bad = 6 * np.eye(5)[truth] + 0.3 * rng.normal(size=(600, 5)), rng.normal(size=(600, 5))
    lab = np.array([[50, 60, 40], [80, 0, 90], [30, -40, 20], [95, 0, 0], [10, 5, -30]], np.float64)[truth]
    half = slice(0, 300), slice(300, None)
    colours = [
        colour_score((x[half[0]], lab[half[0]]), (x[half[1]], lab[half[1]]), key=jax.random.key(0)) for x in (good, bad)
    ]
    assert colours[0] < 3 < 20 < colours[1]
    pigments = [pigment_score((x[half[0]], truth[half[0]]), (x[half[1]], truth[half[1]])) for x in (good, bad)]
    assert pigments[0] > 0.98 > 0.5 > pigments[1]
    clear, mixed = cluster_scores(good, truth), cluster_scores(bad, truth)
    assert clear["ari"] > 0.98
    assert mixed["ari"] < 0.1
    assert clear["silhouette_pigments"] > 0.8
