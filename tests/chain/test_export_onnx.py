"""Networks as ONNX files: what they give, what they say of themselves, what is refused."""

import json
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.chain import export_onnx as chain
from velatura.chain.export_onnx import export_onnx
from velatura.cli.main import run
from velatura.nn.embedding_net import embedding_of
from velatura.tasks.embedding_model import load_embedder, save_embedder, untrained_embedder
from velatura.tasks.recolour_model import load_recolourer, save_recolourer, untrained
from velatura.train.weights import ModelCard, save_weights

onnx = pytest.importorskip("onnx")


def evaluated(path: Path, values: np.ndarray) -> list[np.ndarray]:
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(path)
    return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: values})


@pytest.mark.parametrize(("design", "outputs", "judged"), [("small-uvit", 3, 0), ("pixels", 4, 0), ("pixels", 4, 1)])
def test_a_recolourer(design: str, outputs: int, judged: bool, tmp_path: Path) -> None:
    path, key = tmp_path / "mine.safetensors", jax.random.key(1)
    save_recolourer(path, untrained(design, inputs=5, outputs=outputs, side=32, judged=bool(judged), key=key))
    done = export_onnx(path, tmp_path / "out")
    assert done.path == tmp_path / "out" / "mine.onnx"
    assert done.inputs == (32, 32, 5)
    assert done.outputs == ("rgb", "told")[: outputs - 2]
    assert done.difference < 1e-5
    net = load_recolourer(path).net
    values = np.random.default_rng(2).normal(size=(1, 32, 32, 5)).astype(np.float32)
    rgb, *told = evaluated(done.path, values)
    expected = np.asarray(eqx.filter_jit(net)(values[0], key=None))
    np.testing.assert_allclose(rgb[0], np.clip(expected[..., :3], 0, 1), atol=1e-5)
    assert len(told) == outputs - 3
    for one in told:
        np.testing.assert_allclose(one[0], expected[..., 3], atol=1e-5)
    notes = {entry.key: entry.value for entry in onnx.load(done.path).metadata_props}
    assert notes["stamp"].startswith("A hypothesis, not evidence")
    assert json.loads(notes["card"])["architecture"]["side"] == 32
    assert len(json.loads(notes["calibration"])["told"]) == 65


@pytest.mark.parametrize("kind", ["pca3", "taught"])
def test_an_embedder(kind: str, tmp_path: Path) -> None:
    embedder = untrained_embedder(kind, key=jax.random.key(3))
    rng = np.random.default_rng(4)
    mean, deviation = (values.astype(np.float32) for values in rng.uniform(0.5, 2, (2, embedder.features)))
    embedder = embedder._replace(calibration=embedder.calibration._replace(mean=mean, deviation=deviation))
    path = tmp_path / "mine.safetensors"
    save_embedder(path, embedder)
    done = export_onnx(path, tmp_path)
    assert (done.inputs, done.outputs) == ((embedder.channels,), ("features",))
    assert done.difference < 1e-5
    counts = rng.poisson(0.7, (2, embedder.channels)).astype(np.float32)
    counts[0] = 0
    kept = load_embedder(path)
    expected = np.array([eqx.filter_jit(embedding_of)(kept.net, row) for row in counts])
    (found,) = evaluated(done.path, counts)
    calibrated = (expected - kept.calibration.mean) / kept.calibration.deviation
    np.testing.assert_allclose(found, calibrated, rtol=1e-5, atol=1e-5)


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"no weights 'nothing': neither a file nor shipped"):
        export_onnx("nothing", tmp_path)
    other = tmp_path / "other.safetensors"
    save_weights(other, {"a": np.zeros(2, np.float32)}, ModelCard({"design": "fast"}, {}, 0, {}))
    with pytest.raises(InputError, match="neither an embedder nor a recolourer"):
        export_onnx(other, tmp_path)
    save_embedder(tmp_path / "mine.safetensors", untrained_embedder("pca3", key=jax.random.key(3)))
    monkeypatch.setattr(chain, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match=r"differs from JAX by .*; nothing was written"):
        export_onnx(tmp_path / "mine.safetensors", tmp_path)
    assert not list(tmp_path.glob("*.onnx"))


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    save_embedder(tmp_path / "mine.safetensors", untrained_embedder("pca3", key=jax.random.key(3)))
    assert run(["export", str(tmp_path / "mine.safetensors"), str(tmp_path / "out"), "--kind", "onnx"]) == 0
    told = capfd.readouterr().out
    assert "batch x 1024 to features" in told
    assert "checked against JAX: largest difference" in told
    assert (tmp_path / "out" / "mine.onnx").is_file()
