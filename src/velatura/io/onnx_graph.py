"""JAX functions as ONNX models: the program that JAX traces, written operation by operation; the batch stays open.

What does not depend on the inputs is computed while writing, and arrays that JAX repeats stay small: ONNX stretches
axes of length 1 by itself. Standard operations of opset 18 (2022), so that every runtime reads the files. Needs the
package `onnx` (extra `export`).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from velatura.base.errors import InputError
from velatura.io.onnx_nodes import ELEMENTWISE, PLAIN, SHAPING, Nodes

OPSET, IR_VERSION = 18, 10
UNCHANGED = ("stop_gradient", "copy", "copy_p", "optimization_barrier")
CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def require_onnx() -> ModuleType:
    """Return the package onnx; raises InputError where it is not installed."""
    try:
        import onnx
    except ImportError as error:
        raise InputError("writing ONNX needs the package onnx. Install it: pip install 'velatura[export]'") from error
    return onnx


def onnx_model(
    function: Callable[[Any], Any], shape: Sequence[int], *, names: Sequence[str], notes: Mapping[str, str]
) -> Any:
    """Return the ONNX model (ModelProto) of a function from float32 [batch, *shape] to an array or a tuple of arrays.

    The function must treat every entry of the batch alike (`jax.vmap`), for any size of the batch. names: of the input,
    then of the outputs; notes: go into the model's metadata. Raises InputError where onnx is not installed, or for an
    operation that is not known here.
    """
    import jax
    import jax.numpy as jnp
    from jax.export import symbolic_shape

    onnx = require_onnx()
    (batch,) = symbolic_shape("batch")
    traced = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((batch, *shape), jnp.float32))
    writer = _Writer(onnx, batch, names[0])
    found = writer.run(traced.jaxpr, traced.consts, [_Value(names[0], (batch, *shape))])
    for value, variable, name in zip(found, traced.jaxpr.outvars, names[1:], strict=True):
        writer.graph.nodes.append(onnx.helper.make_node("Identity", [writer.whole(value, variable.aval)], [name]))

    def told(name: str, sizes: Sequence) -> Any:
        named = [size if isinstance(size, int) else "batch" for size in sizes]
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, named)

    ends = [told(name, one.aval.shape) for name, one in zip(names[1:], traced.jaxpr.outvars, strict=True)]
    start = [told(names[0], (batch, *shape))]
    graph = onnx.helper.make_graph(writer.graph.nodes, "velatura", start, ends, writer.graph.arrays)
    imports = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="velatura")
    onnx.helper.set_model_props(model, dict(notes))
    onnx.checker.check_model(model, full_check=True)
    return model


class _Value(NamedTuple):
    """Something computed: an array that is known already or a name in the graph, and its shape as it is kept."""

    held: np.ndarray | str
    shape: tuple


class _Writer:
    """Goes through a traced program and writes the graph of what it does."""

    def __init__(self, onnx: ModuleType, batch: Any, source: str) -> None:
        self.graph, self.batch, self.source = Nodes(onnx), batch, source

    def run(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[_Value]) -> list[_Value]:
        """Write a traced program; return its results."""
        known = {one: _known(value) for one, value in zip(jaxpr.constvars, consts, strict=True)}
        known.update(zip(jaxpr.invars, inputs, strict=True))

        def value(one: Any) -> _Value:
            return _known(np.asarray(one.val, one.aval.dtype)) if hasattr(one, "val") else known[one]

        for step in jaxpr.eqns:
            results = self.step(step, [value(one) for one in step.invars])
            known.update(zip(step.outvars, results, strict=True))
        return [value(one) for one in jaxpr.outvars]

    def step(self, step: Any, values: list[_Value]) -> list[_Value]:
        """Write one operation."""
        name, params = step.primitive.name, step.params
        inner = next((params[key] for key in CALLS if key in params), None)
        if inner is not None:
            return self.run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values)
        if name in UNCHANGED:
            return values
        outputs = [one.aval for one in step.outvars]
        if name == "broadcast_in_dim":
            return [self.stretched(values[0], params)]
        if all(isinstance(one.held, np.ndarray) for one in values) and _fixed(step):
            arguments = [np.broadcast_to(v.held, one.aval.shape) for v, one in zip(values, step.invars, strict=True)]
            results = step.primitive.bind(*arguments, **params)
            return [_known(one) for one in (results if step.primitive.multiple_results else [results])]
        if name in PLAIN or name in ELEMENTWISE:
            names = [self.name(one) for one in values]
            plain = PLAIN.get(name)
            held = self.graph.node(plain, *names) if plain else ELEMENTWISE[name](self.graph, names, params)
            return [_Value(held, _joined([one.shape for one in values]))]
        if name not in SHAPING:
            raise InputError(f"the network uses {name!r}, which cannot be written as ONNX yet. Choose another design")
        names = [self.whole(one, variable.aval) for one, variable in zip(values, step.invars, strict=True)]
        made = SHAPING[name](self.graph, names, params, [one.aval for one in step.invars])
        made = made if isinstance(made, list) else [made]
        return [_Value(held, tuple(aval.shape)) for held, aval in zip(made, outputs, strict=True)]

    def name(self, value: _Value) -> str:
        """Return the name of a value as it is kept."""
        return value.held if isinstance(value.held, str) else self.graph.array(value.held)

    def whole(self, value: _Value, aval: Any) -> str:
        """Return the name of a value in its full shape."""
        if tuple(value.shape) == tuple(aval.shape):
            return self.name(value)
        sizes = [size if isinstance(size, int) else 1 for size in aval.shape]
        if sizes == list(aval.shape):
            return self.graph.node("Expand", self.name(value), self.graph.numbers(sizes))
        length = self.graph.node("Shape", self.source, start=0, end=1)
        parts = [
            self.graph.numbers([size]) if isinstance(size, int) else self.length(size, length) for size in aval.shape
        ]
        return self.graph.node("Expand", self.name(value), self.graph.node("Concat", *parts, axis=0))

    def length(self, size: Any, batch: str) -> str:
        """Return the name of a length that is a multiple of the batch."""
        times, rest = divmod(size, self.batch)
        if not isinstance(times, int) or rest != 0:
            raise InputError(f"the network makes an axis of {size} for a batch; only multiples can be written as ONNX")
        return batch if times == 1 else self.graph.node("Mul", batch, self.graph.numbers([times]))

    def stretched(self, value: _Value, params: Mapping[str, Any]) -> _Value:
        """Give a value more axes, of length 1 as far as that is enough."""
        sizes, places = params["shape"], params["broadcast_dimensions"]
        new = [axis for axis in range(len(sizes)) if axis not in places]
        shape = [1] * len(sizes)
        for axis, size in zip(places, value.shape, strict=True):
            shape[axis] = size
        if isinstance(value.held, np.ndarray):
            return _Value(value.held.reshape(shape), tuple(shape))
        held = self.graph.node("Unsqueeze", value.held, self.graph.numbers(new)) if new else value.held
        return _Value(held, tuple(shape))


def _known(value: Any) -> _Value:
    array = np.asarray(value)
    return _Value(array, array.shape)


def _fixed(step: Any) -> bool:
    """Whether no shape in this operation depends on the batch."""
    return all(isinstance(size, int) for one in (*step.invars, *step.outvars) for size in one.aval.shape)


def _joined(shapes: Sequence[tuple]) -> tuple:
    """Shape of values that are stretched to each other."""
    reversed_axes = zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1)
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in reversed_axes)[::-1]
