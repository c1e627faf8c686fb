"""Embedders and recolourers as ONNX files for other programs, checked against JAX before they are kept."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from velatura.base.aside import written_aside
from velatura.base.errors import InputError
from velatura.io.onnx_graph import onnx_model, require_onnx
from velatura.train.weights import ModelCard, read_card, shipped_file

TOLERANCE = 1e-5  # of the agreement with JAX, for values of about 1
CHECKED = 3  # entries of the batch that is compared; another number than any that was traced
STAMP = "A hypothesis, not evidence: colours that a network trained on simulated paintings expects from X-ray spectra."


class Exported(NamedTuple):
    """A file that was written."""

    path: Path
    inputs: tuple[int, ...]
    """Shape of one entry of the batch."""
    outputs: tuple[str, ...]
    difference: float
    """Largest difference from JAX, relative to the largest value or 1."""


class _Program(NamedTuple):
    """A function of a batch, and what a reader of the file must know."""

    function: Callable[[Any], Any]
    shape: tuple[int, ...]
    names: tuple[str, ...]
    notes: dict[str, str]
    trial: np.ndarray


def export_onnx(weights: str | Path, folder: Path) -> Exported:
    """Write the network of a weights file as folder/NAME.onnx: an embedder or a recolourer.

    weights: a file, or the name of shipped weights such as "recolour" or "embedding". The size of the batch is open,
    that of an image fixed. Raises InputError where onnx is not installed, where there are no such weights or weights of
    another kind, or where the file would not give what JAX gives to 1e-5.
    """
    onnx = require_onnx()
    path = _found(weights)
    card = read_card(path)
    build = card.architecture
    if "design" in build and "side" in build:
        program = _recolourer(path, card)
    elif "embedder" in build:
        program = _embedder(path, card)
    else:
        raise InputError(f"{path} holds neither an embedder nor a recolourer: {dict(build)}. Choose another file")
    model = onnx_model(program.function, program.shape, names=program.names, notes=program.notes)
    difference = _difference(program, model)
    if not difference <= TOLERANCE:
        raise InputError(f"{path}: the ONNX model differs from JAX by {difference:.1e}; nothing was written")
    with written_aside(Path(folder) / f"{path.stem}.onnx") as aside:
        onnx.save(model, aside)
    return Exported(Path(folder) / f"{path.stem}.onnx", program.shape, program.names[1:], difference)


def _found(weights: str | Path) -> Path:
    path = Path(weights) if Path(weights).is_file() else shipped_file(f"{weights}.safetensors")
    if path is None:
        raise InputError(
            f"no weights {str(weights)!r}: neither a file nor shipped, such as recolour, recolour-paper, embedding"
        )
    return path


def _recolourer(path: Path, card: ModelCard) -> _Program:
    import jax
    import jax.numpy as jnp

    from velatura.tasks.recolour_model import load_recolourer

    recolourer = load_recolourer(path)
    net: Any = recolourer.net
    side, inputs = recolourer.side, recolourer.features
    tells = recolourer.flips == 1

    def colours(image: jax.Array) -> tuple[jax.Array, ...]:
        values = net(image, key=None)
        rgb = jnp.clip(values[..., :3], 0, 1)
        return (rgb, values[..., 3]) if tells else (rgb,)

    notes = {
        "stamp": STAMP,
        "embedded": f"float32 [batch, y, x, feature], features of the embedder {recolourer.embedder!r}",
        "rgb": "float32 [batch, y, x, colour], sRGB, 0 to 1",
        "told": "float32 [batch, y, x], what the network tells of its error",
        "calibration": json.dumps({name: row.tolist() for name, row in recolourer.calibration._asdict().items()}),
        "card": json.dumps(asdict(card)),
    }
    trial = np.random.default_rng(0).normal(size=(CHECKED, side, side, inputs)).astype(np.float32)
    return _Program(jax.vmap(colours), (side, side, inputs), ("embedded", "rgb", "told")[: 2 + tells], notes, trial)


def _embedder(path: Path, card: ModelCard) -> _Program:
    import jax

    from velatura.nn.embedding_net import embedding_of
    from velatura.tasks.embedding_model import load_embedder

    embedder = load_embedder(path)
    mean, deviation = embedder.calibration.mean, embedder.calibration.deviation

    def features(counts: jax.Array) -> jax.Array:
        return (jax.vmap(lambda row: embedding_of(embedder.net, row))(counts) - mean[None]) / deviation[None]

    grid = f"{embedder.channels} channels from {embedder.low} to {embedder.high} keV (outer edges)"
    notes = {
        "counts": f"float32 [batch, channel], whole counts, {grid}",
        "features": "float32 [batch, feature], mean 0 and deviation 1 on spectra of training",
        "card": json.dumps(asdict(card)),
    }
    rng = np.random.default_rng(0)
    shape = rng.gamma(0.3, 1.0, (CHECKED, embedder.channels))
    doses = np.geomspace(300, 30_000, CHECKED)[:, None]
    trial = rng.poisson(doses * shape / shape.sum(axis=1, keepdims=True)).astype(np.float32)
    return _Program(features, (embedder.channels,), ("counts", "features"), notes, trial)


def _difference(program: _Program, model: Any) -> float:
    """Largest difference between JAX and an independent reader of ONNX, relative to the largest value or 1."""
    import jax
    from onnx.reference import ReferenceEvaluator

    with jax.default_matmul_precision("highest"):
        expected = jax.jit(program.function)(program.trial)
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = ReferenceEvaluator(model).run(None, {program.names[0]: program.trial})
    pairs = [(np.asarray(one), other) for one, other in zip(expected, found, strict=True)]
    return max(float(np.abs(one - other).max() / max(1.0, np.abs(one).max())) for one, other in pairs)
