"""Weights in files: round trip, half precision, and files that do not fit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.base.errors import FileFormatError, InputError
from velatura.train.weights import ModelCard, load_weights, read_card, save_weights, shipped_file

ARCHITECTURE = {"design": "dense", "width": 8}


def net(seed: int, width: int = 8) -> eqx.nn.MLP:
    return eqx.nn.MLP(3, 2, width, 2, key=jax.random.key(seed))


def arrays(model) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))]


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(ARCHITECTURE, {"steps": 100, "data": "none"}, 5, {"macro F1": 0.5}, {"classes": ["Pb", "Hg"]})


def test_round_trip(tmp_path, card) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(path, net(1), card)
    assert read_card(path) == card
    back = load_weights(path, net(2), architecture=ARCHITECTURE)
    for saved, loaded in zip(arrays(net(1)), arrays(back), strict=True):
        np.testing.assert_array_equal(saved, loaded)
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(back(x), net(1)(x))
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_colleagues_may_read_what_they_may_read_of_other_files(tmp_path, card) -> None:
    save_weights(tmp_path / "net.safetensors", net(1), card)
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "net.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_shapes_alone_are_enough_to_load(tmp_path, card) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(path, net(1), card)
    back = load_weights(path, eqx.filter_eval_shape(net, 2), architecture=ARCHITECTURE)
    np.testing.assert_array_equal(back(jnp.ones(3)), net(1)(jnp.ones(3)))


def test_half_precision(tmp_path, card) -> None:
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_weights(full, net(1, 64), card)
    save_weights(half, net(1, 64), card, half=True)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    back = load_weights(half, net(2, 64), architecture=ARCHITECTURE)
    for saved, loaded in zip(arrays(net(1, 64)), arrays(back), strict=True):
        assert loaded.dtype == np.float32
        np.testing.assert_allclose(loaded, saved, rtol=2**-11, atol=1e-7)


def test_another_network_is_refused(tmp_path, card) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(path, net(1), card)
    with pytest.raises(
        FileFormatError, match=r"another network: width is 8 there, 16 was asked for\. Build the network"
    ):
        load_weights(path, net(1, 16), architecture={"design": "dense", "width": 16})
    with pytest.raises(FileFormatError, match=r"layers\[0\]\.weight is \[8, 3\] there, \[16, 3\] was asked for"):
        load_weights(path, net(1, 16), architecture=ARCHITECTURE)
    with pytest.raises(FileFormatError, match=r"layers\[2\]\.weight is \[2, 8\] there, missing was asked for"):
        load_weights(path, eqx.tree_at(lambda m: m.layers[2].weight, net(1), None), architecture=ARCHITECTURE)


def test_files_of_others_are_refused(tmp_path) -> None:
    from safetensors.numpy import save_file

    with pytest.raises(InputError, match="there is no file"):
        read_card(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_bytes(b"counts" * 40)
    with pytest.raises(FileFormatError, match="no whole safetensors file"):
        read_card(tmp_path / "text.safetensors")
    save_file({"a": np.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(FileFormatError, match="not written by velatura"):
        read_card(tmp_path / "other.safetensors")


def test_half_a_file_is_refused(tmp_path, card) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(path, net(1), card)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FileFormatError, match="no whole safetensors file"):
        load_weights(path, net(1), architecture=ARCHITECTURE)


def test_weights_of_the_package_are_found_by_their_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("velatura.train.weights.files", lambda package: tmp_path / package)
    (path := tmp_path / "velatura" / "weights" / "net.safetensors").parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert shipped_file("net.safetensors") == path
    assert shipped_file("other.safetensors") is None
    assert shipped_file(None) is None
