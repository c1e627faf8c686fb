"""Functions written as ONNX give what JAX gives, for other batches than any that was traced."""

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from velatura.base.errors import InputError
from velatura.io.onnx_graph import onnx_model
from velatura.nn.layers import Convolution, line_evidence

pytest.importorskip("onnx")
SIDE = 8
CONVOLUTION = Convolution(3, 4, taps=3, stride=2, key=jax.random.key(0))
WEIGHT = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)


def both(function: Callable, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from onnx.reference import ReferenceEvaluator

    whole = jax.vmap(function)
    model = onnx_model(whole, values.shape[1:], names=("given", "found"), notes={"about": "a test"})
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("about", "a test")]
    (found,) = ReferenceEvaluator(model).run(None, {"given": values})
    return found, np.asarray(whole(values))


FUNCTIONS = {
    "matrices": lambda x: jnp.tanh(x @ WEIGHT) @ WEIGHT.T,
    "matrix first": lambda x: WEIGHT.T @ x[0].T,
    "attention": lambda x: jnp.einsum("qhk,lhk->hql", x, jax.nn.softmax(x, axis=0)),
    "two sums": lambda x: jnp.einsum("qhk,lhk->ql", x, x),
    "mask of constants": lambda x: jnp.where(jnp.eye(SIDE, dtype=bool)[..., None], -1.0, x),
    "a token for all": lambda x: jnp.concatenate([jnp.ones((1, SIDE, 3)), x]),
    "only constants": lambda x: jnp.arange(5.0) + 0 * x[0, 0, 0],
    "padding and cutting": lambda x: jnp.pad(x, ((1, 2), (0, 0), (0, 0)), constant_values=3)[2:, ::2],
    "less padding than none": lambda x: jax.lax.pad(x, 0.0, [(-1, 2, 0), (1, -3, 0), (0, 0, 0)]),
    "patches": lambda x: x.reshape(2, 4, 2, 4, 3).transpose(0, 2, 1, 3, 4).reshape(4, -1),
    "sums": lambda x: jnp.sum(x, axis=(0, 2)) + jnp.max(x, axis=0).sum() - jnp.min(x, axis=2)[0],
    "activations": lambda x: jax.nn.selu(x) + jax.nn.gelu(x) + jax.nn.gelu(x, approximate=False) + jax.nn.silu(x),
    "safe functions": lambda x: jnp.log1p(jnp.abs(x)) * jnp.expm1(x) + jax.lax.rsqrt(x**2 + 1) + jnp.clip(x, -0.5, 0.5),
    "powers": lambda x: x**3 + jnp.abs(x) ** 0.3 + jnp.sign(x) * jnp.square(x),
    "comparisons": lambda x: jnp.where((x > 0) & ~(x >= 1) | (x != 0), x, jnp.float32(2)),
    "parts": lambda x: jnp.stack(jnp.split(x, 2, axis=1), axis=-1).mean(axis=-1),
    "resized": lambda x: jax.image.resize(x, (16, 16, 3), "bilinear"),
    "line evidence": lambda x: jax.vmap(line_evidence)(jnp.abs(x[..., 0])),
    "convolution": lambda x: CONVOLUTION(x[0]),
    "convolution of an image": lambda x: jax.lax.conv_general_dilated(
        x[None], jnp.ones((3, 3, 1, 3)), (1, 2), [(1, 1), (0, 2)],
        rhs_dilation=(1, 2), dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=3,
    )[0],
    "compiled inside": jax.jit(lambda x: jax.checkpoint(jnp.sin)(x) * jnp.cos(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations(name: str) -> None:
    values = np.random.default_rng(0).normal(size=(3, SIDE, SIDE, 3)).astype(np.float32)
    for batch in (values, values[:1]):
        found, expected = both(FUNCTIONS[name], batch)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, strict=True)


def test_arrays_are_stored_once() -> None:
    model = onnx_model(
        lambda x: x @ WEIGHT @ WEIGHT.T @ WEIGHT, (3,), names=("given", "found"), notes={}
    )  # x is [batch, 3]
    sizes = [int(np.prod(array.dims)) for array in model.graph.initializer]
    assert sizes.count(WEIGHT.size) == 2  # the matrix and its transpose


def test_shapes_are_told() -> None:
    model = onnx_model(
        lambda x: (jax.vmap(lambda one: one[0])(x), x), (SIDE, 3), names=("given", "first", "all"), notes={}
    )  # a tuple of two outputs
    ends = {end.name: [one.dim_param or one.dim_value for one in end.type.tensor_type.shape.dim]
            for end in (*model.graph.input, *model.graph.output)}  # fmt: skip
    assert ends == {"given": ["batch", SIDE, 3], "first": ["batch", 3], "all": ["batch", SIDE, 3]}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: jnp.sort(x), "'sort', which cannot be written as ONNX yet"),
        (lambda x: jax.lax.pad(x, 0.0, [(0, 0, 1)]), "pads between values"),
        (
            lambda x: jax.lax.conv_transpose(x[None, :, None], jnp.ones((3, 1, 1)), (2,), "SAME"),
            "transposed convolution",
        ),
    ],
)
def test_what_cannot_be_written_is_named(function: Callable, message: str) -> None:
    with pytest.raises(InputError, match=message):
        onnx_model(jax.vmap(function), (SIDE,), names=("given", "found"), notes={})


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"needs the package onnx\. Install it: pip install 'velatura\[export\]'"):
        onnx_model(lambda x: x, (3,), names=("given", "found"), notes={})
