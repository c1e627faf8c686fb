"""Published weights: one safetensors file with its model card in the header."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from velatura.base.errors import FileFormatError
from velatura.train.arrays import read_arrays, read_header, write_arrays


@dataclass(frozen=True)
class ModelCard:
    """What a network is, how it was made and how good it is; plain JSON values only."""

    architecture: Mapping[str, Any]
    """All that is needed to build it, such as {"design": "residual", "channels": 1024}."""
    recipe: Mapping[str, Any]
    """How to train it again: data, steps, learning rate, versions."""
    seed: int
    scores: Mapping[str, float]
    """Measured on held-out data, by name."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What a task must know to use it: names of the classes, energy grid, temperatures."""


def shipped_file(name: str | None) -> Path | None:
    """Return a file of weights that comes with the package; None for None and where it was left out."""
    path = Path(str(files("velatura"))) / "weights" / (name or "")
    return path if path.is_file() else None


def save_weights(path: Path, model: PyTree, card: ModelCard, *, half: bool = False) -> None:
    """Write the arrays of a model and its card; half: as float16, half the size, three decimal digits."""
    write_arrays(path, model, header={"card": asdict(card)}, half=half)


def read_card(path: Path) -> ModelCard:
    """Return the card without reading the weights; raises FileFormatError where a file has none."""
    header = read_header(path)
    try:
        return ModelCard(**header["card"])
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{path} holds arrays but no model card. Choose a file of published weights") from error


def load_weights(path: Path, like: PyTree, *, architecture: Mapping[str, Any]) -> PyTree:
    """Return the model `like` (or its shapes, of `eqx.filter_eval_shape`) with the weights of a file, in its dtypes.

    architecture: what `like` was built from. Raises FileFormatError, with the first difference, where the card or the
    arrays tell of another one.
    """
    found = dict(read_card(path).architecture)
    for name in dict.fromkeys([*architecture, *found]):
        there, asked = found.get(name), architecture.get(name)
        if there != asked:
            raise FileFormatError(
                f"{path} holds another network: {name} is {there!r} there, {asked!r} was asked for. "
                "Build the network from the file's model card"
            )
    return read_arrays(path, like)
