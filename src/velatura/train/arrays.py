"""The arrays of a tree in one safetensors file, written whole or not at all, with a JSON text in its header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from velatura.base.aside import written_aside
from velatura.base.errors import FileFormatError, InputError

HEADER = "velatura"  # the entry of the file's metadata that holds our JSON


def named_arrays(tree: PyTree) -> dict[str, Any]:
    """Return the arrays of a tree by their path in it, such as .trunk.stem.weight; real or only their shapes."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    kept = ((path, leaf) for path, leaf in leaves if _is_array(leaf))
    return {jax.tree_util.keystr(path): leaf for path, leaf in kept}


def write_arrays(path: Path, tree: PyTree, *, header: Mapping[str, Any], half: bool = False) -> None:
    """Write the arrays of a tree and a header of plain JSON values; half: floating numbers as float16."""
    from safetensors.numpy import save

    arrays = {name: np.asarray(jax.device_get(leaf), order="C") for name, leaf in named_arrays(tree).items()}
    if half:
        arrays = {name: a.astype(np.float16) if a.dtype.kind == "f" else a for name, a in arrays.items()}
    text = json.dumps(dict(header), sort_keys=True)
    with written_aside(Path(path)) as aside:
        aside.write_bytes(save(arrays, metadata={HEADER: text}))  # save_file would lock colleagues out


def read_header(path: Path) -> dict[str, Any]:
    """Return the header; raises InputError where there is no file, FileFormatError where it is none of ours."""
    with _opened(path) as file:
        return json.loads((file.metadata() or {})[HEADER])


def read_arrays(path: Path, like: PyTree) -> PyTree:
    """Return `like` with its arrays (or shapes) replaced by those of the file, in the dtype of `like`.

    What is no array stays as it is in `like`. Raises FileFormatError naming the first array that differs.
    """
    wanted = named_arrays(like)
    with _opened(path) as file:
        stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  no mapping
        for name in [*wanted, *stored]:
            asked = tuple(wanted[name].shape) if name in wanted else None
            if stored.get(name) != asked:
                raise FileFormatError(
                    f"{path} does not fit: {name} is {_shape(stored.get(name))} there, {_shape(asked)} was asked "
                    "for. Build the network that the file's header names"
                )
        read = {name: file.get_tensor(name) for name in wanted}
    values = {name: jax.numpy.asarray(value.astype(wanted[name].dtype)) for name, value in read.items()}
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    filled = [values.get(jax.tree_util.keystr(at), leaf) if _is_array(leaf) else leaf for at, leaf in leaves]
    return jax.tree_util.tree_unflatten(structure, filled)


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else str(list(shape))


def _opened(path: Path) -> Any:
    """Open a file of ours for reading."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}. Check the name")
    try:
        file = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise FileFormatError(f"{path} is no whole safetensors file: {error}. Copy or train it again") from error
    if HEADER not in (file.metadata() or {}):
        raise FileFormatError(f"{path} was not written by velatura: its header lacks {HEADER!r}. Choose another file")
    return file
