"""The nodes and stored arrays of an ONNX graph that is being written, and JAX's operations as such nodes."""

import string
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from velatura.base.errors import InputError

PLAIN: Mapping[str, str] = MappingProxyType({  # JAX's name: ONNX's; the arguments are the same
    "abs": "Abs", "add": "Add", "and": "And", "asinh": "Asinh", "cos": "Cos", "div": "Div", "eq": "Equal", "erf": "Erf",
    "exp": "Exp", "floor": "Floor", "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual", "log": "Log",
    "logistic": "Sigmoid", "lt": "Less", "max": "Max", "min": "Min", "mul": "Mul", "neg": "Neg", "not": "Not",
    "or": "Or", "pow": "Pow", "sign": "Sign", "sin": "Sin", "sqrt": "Sqrt", "sub": "Sub", "tanh": "Tanh",
})  # fmt: skip
WHOLE = 2**31 - 1  # as the end of a slice: to the last
REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}


class Nodes:
    """Nodes and stored arrays so far."""

    def __init__(self, onnx: ModuleType) -> None:
        """Start an empty graph."""
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []
        self.stored: dict[tuple, str] = {}

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Write a node with one output; return its name."""
        return self.several(kind, *inputs, outputs=1, **attributes)[0]

    def several(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Write a node; return the names of its outputs."""
        names = [f"{kind.lower()}_{len(self.nodes)}_{place}" for place in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def array(self, values: Any, dtype: Any = None) -> str:
        """Store an array, each only once; return its name."""
        kept = np.asarray(values, dtype, order="C")
        identity = (kept.dtype.str, kept.shape, kept.tobytes())
        if identity not in self.stored:
            self.stored[identity] = f"array_{len(self.arrays)}"
            self.arrays.append(self.onnx.numpy_helper.from_array(kept, self.stored[identity]))
        return self.stored[identity]

    def numbers(self, values: Sequence[int]) -> str:
        """Store whole numbers."""
        return self.array(values, np.int64)


def _dot(nodes: Nodes, names: list[str], params: Mapping, avals: Sequence) -> str:
    """A matrix product where that is what it is, else Einstein's sum."""
    (left, right), (left_batch, right_batch) = params["dimension_numbers"]
    rows, columns = (
        [axis for axis in range(len(aval.shape)) if axis not in (*summed, *batch)]
        for aval, summed, batch in zip(avals, (left, right), (left_batch, right_batch), strict=True)
    )
    if len(left) == len(columns) == 1 and (len(rows) == 1 or not left_batch):
        one = _transposed(nodes, names[0], [*left_batch, *rows, *left])
        return nodes.node("MatMul", one, _transposed(nodes, names[1], [*right_batch, *right, *columns]))
    letters = iter(string.ascii_lowercase)
    axes = [[""] * len(aval.shape) for aval in avals]
    for one, other in (*zip(left_batch, right_batch, strict=True), *zip(left, right, strict=True)):
        axes[0][one] = axes[1][other] = next(letters)
    for part, free in zip(axes, (rows, columns), strict=True):
        for axis in free:
            part[axis] = next(letters)
    found = [axes[0][axis] for axis in (*left_batch, *rows)] + [axes[1][axis] for axis in columns]
    return nodes.node("Einsum", *names, equation=f"{''.join(axes[0])},{''.join(axes[1])}->{''.join(found)}")


def _transposed(nodes: Nodes, name: str, axes: Sequence[int]) -> str:
    order = [int(axis) for axis in axes]
    return name if order == sorted(order) else nodes.node("Transpose", name, perm=order)


def _convolution(nodes: Nodes, names: list[str], params: Mapping, avals: Sequence) -> str:
    if any(step != 1 for step in params["lhs_dilation"]) or params["batch_group_count"] != 1:
        raise InputError("the network uses a transposed convolution, which cannot be written as ONNX yet")
    numbers = params["dimension_numbers"]
    image, kernel = (_transposed(nodes, *one) for one in zip(names, (numbers.lhs_spec, numbers.rhs_spec), strict=True))
    starts, ends = zip(*params["padding"], strict=True)
    made = nodes.node(
        "Conv", image, kernel,
        strides=list(params["window_strides"]), pads=[*starts, *ends], dilations=list(params["rhs_dilation"]),
        group=params["feature_group_count"],
    )  # fmt: skip
    return _transposed(nodes, made, [int(axis) for axis in np.argsort(numbers.out_spec)])


def _pad(nodes: Nodes, names: list[str], params: Mapping, avals: Sequence) -> str:
    starts, ends, between = zip(*params["padding_config"], strict=True)
    if any(between):
        raise InputError("the network pads between values, which cannot be written as ONNX yet")
    cut = [(max(-start, 0), min(end, 0), axis) for axis, (start, end) in enumerate(zip(starts, ends, strict=True))]
    if cut := [(first, end or WHOLE, axis) for first, end, axis in cut if first or end]:
        names[0] = nodes.node("Slice", names[0], *(nodes.numbers(column) for column in zip(*cut, strict=True)))
    widths = nodes.numbers([max(width, 0) for width in (*starts, *ends)])
    return nodes.node("Pad", names[0], widths, names[1])


def _slice(nodes: Nodes, names: list[str], params: Mapping, avals: Sequence) -> str:
    steps = params["strides"] or [1] * len(params["start_indices"])
    whole = zip(params["start_indices"], params["limit_indices"], steps, avals[0].shape, strict=True)
    parts = [(first, end, axis, step) for axis, (first, end, step, size) in enumerate(whole)
             if first != 0 or step != 1 or end != size]  # fmt: skip
    return nodes.node("Slice", names[0], *(nodes.numbers(column) for column in zip(*parts, strict=True)))


def _reshape(nodes: Nodes, names: list[str], params: Mapping, avals: Sequence) -> str:
    sizes = [size if isinstance(size, int) else -1 for size in params["new_sizes"]]
    if sizes.count(-1) > 1:
        raise InputError("the network spreads a batch over two axes, which cannot be written as ONNX")
    return nodes.node("Reshape", names[0], nodes.numbers(sizes))


def _stack(nodes: Nodes, names: list[str], params: Mapping, avals: Sequence) -> str:
    axis = nodes.numbers([params["axis"]])
    return nodes.node("Concat", *(nodes.node("Unsqueeze", name, axis) for name in names), axis=params["axis"])


def _select(nodes: Nodes, names: list[str], params: Mapping) -> str:
    which, no, yes = names
    return nodes.node("Where", nodes.node("Cast", which, to=nodes.onnx.TensorProto.BOOL), yes, no)


def _cast(nodes: Nodes, names: list[str], params: Mapping) -> str:
    return nodes.node("Cast", names[0], to=nodes.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(params["new_dtype"])))


def _power(nodes: Nodes, names: list[str], params: Mapping) -> str:
    if params["y"] == 2:
        return nodes.node("Mul", *names, *names)
    return nodes.node("Pow", *names, nodes.array(params["y"], np.float32))


def _one(nodes: Nodes) -> str:
    return nodes.array(1, np.float32)


ELEMENTWISE: Mapping[str, Callable[[Nodes, list[str], Mapping], str]] = MappingProxyType(
    {
        "clamp": lambda nodes, names, _: nodes.node("Min", nodes.node("Max", names[1], names[0]), names[2]),
        "convert_element_type": _cast,
        "erfc": lambda nodes, names, _: nodes.node("Sub", _one(nodes), nodes.node("Erf", *names)),
        "expm1": lambda nodes, names, _: nodes.node("Sub", nodes.node("Exp", *names), _one(nodes)),
        "integer_pow": _power,
        "log1p": lambda nodes, names, _: nodes.node("Log", nodes.node("Add", *names, _one(nodes))),
        "ne": lambda nodes, names, _: nodes.node("Not", nodes.node("Equal", *names)),
        "rsqrt": lambda nodes, names, _: nodes.node("Reciprocal", nodes.node("Sqrt", *names)),
        "select_n": _select,
        "square": lambda nodes, names, _: nodes.node("Mul", *names, *names),
    }
)
SHAPING: Mapping[str, Callable[[Nodes, list[str], Mapping, Sequence], str | list[str]]] = MappingProxyType(
    {
        "concatenate": lambda nodes, names, params, _: nodes.node("Concat", *names, axis=params["dimension"]),
        "conv_general_dilated": _convolution,
        "dot_general": _dot,
        "pad": _pad,
        "reshape": _reshape,
        "slice": _slice,
        "split": lambda nodes, names, params, _: nodes.several(
            "Split", names[0], nodes.numbers(params["sizes"]), outputs=len(params["sizes"]), axis=params["axis"]
        ),
        "squeeze": lambda nodes, names, params, _: nodes.node("Squeeze", *names, nodes.numbers(params["dimensions"])),
        "stack": _stack,
        "transpose": lambda nodes, names, params, _: _transposed(nodes, names[0], params["permutation"]),
        **{
            name: lambda nodes, names, params, _, kind=kind: nodes.node(
                kind, *names, nodes.numbers(params["axes"]), keepdims=0
            )
            for name, kind in REDUCTIONS.items()
        },
    }
)
