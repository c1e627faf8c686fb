"""Recipes of trainings by name."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from velatura.base.errors import InputError, did_you_mean

Recipe = TypeVar("Recipe", bound=Any)


def chosen_recipe(known: Mapping[str, Recipe], name: str, **changes: Any) -> Recipe:
    """Return one of some recipes, dataclasses, with some values changed (None: not changed).

    Raises InputError for an unknown name.
    """
    if name not in known:
        raise InputError(f"no recipe {name!r}; known are {', '.join(known)}{did_you_mean(name, known)}")
    return replace(known[name], **{field: value for field, value in changes.items() if value is not None})
