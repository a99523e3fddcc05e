"""Recipes: option values that several budgets of a tier share, written once and named.

    recipes:
      grid: {embedding_dim: 64, updates: 2000}
      grid-dmh: {like: grid, long_tokens: rich}
    budgets:
      - {..., options: grid}
      - {..., options: {like: grid-dmh, updates: 500}}

Values beside `like` are added to those of the recipe, or take their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.catalogue.strict import Value, said
from bench.errors import SpecError, unknown

LIKE = "like"
Recipes = Mapping[str, Mapping[str, Value]]


def with_recipes(given: Any, inherited: Recipes) -> Any:
    """The content of a tier's file with each recipe in the place of its name.

    `inherited`: recipes of the suite's tier, which a lab's file may name too. A file with a part of the wrong
    kind stays as it is, and the type of that key refuses it. Raises a validation error if a recipe is unknown
    or used nowhere.
    """
    recipes, budgets = _part(given, "recipes", dict), _part(given, "budgets", list)
    if not budgets or recipes is None or not all(isinstance(recipe, dict) for recipe in recipes.values()):
        return given
    known: dict[str, Mapping[str, Value]] = dict(inherited)
    used: set[str] = set()
    for name, recipe in recipes.items():
        if name in inherited:
            raise said(
                SpecError(f"key recipes.{name}: the suite's tier has a recipe of this name; rename this one")
            )
        known[name] = _whole(recipe, known, used, f"key recipes.{name} (it may be like those above it)")
    budgets = [
        {**budget, "options": _whole(budget["options"], known, used, f"key budgets.{number}.options")}
        if isinstance(budget, dict) and "options" in budget
        else budget
        for number, budget in enumerate(budgets)
    ]
    for name in recipes:
        if name not in used:
            raise said(SpecError(f"key recipes.{name}: no budget names this recipe; name it, or remove it"))
    return {**given, "recipes": {name: known[name] for name in recipes}, "budgets": budgets}


def _part(given: Any, key: str, kind: type) -> Any:
    """A part of a file, empty if it is absent, None if it is not of its kind."""
    part = given.get(key, kind()) if isinstance(given, dict) else None
    return part if isinstance(part, kind) else None


def _whole(options: Any, known: Recipes, used: set[str], where: str) -> Any:
    """Options with those of the recipe that they are like; adds its name to `used`."""
    own = {LIKE: options} if isinstance(options, str) else options
    if not isinstance(own, dict) or not isinstance(own.get(LIKE), str):
        return options
    name = own[LIKE]
    if name not in known:
        raise said(unknown("recipe", name, known, where))
    used.add(name)
    return {**known[name], **{key: value for key, value in own.items() if key != LIKE}}
