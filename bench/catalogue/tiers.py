"""Tiers as data: `tiers/<tier>.yaml`, what is run and at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationInfo, WithJsonSchema, model_validator

from bench.catalogue.models import Values
from bench.catalogue.names import ANY, AnyTasks, names_of
from bench.catalogue.recipes import with_recipes
from bench.catalogue.stages import StageName
from bench.catalogue.strict import Name, OptionName, Strict, Value

AnyMethods = tuple[Name, ...] | Literal["any"]
# For each option that a cell may set, the values that it may have.
Ranges = dict[OptionName, tuple[Value, ...] | Literal["any"]]
AnySettings = Ranges | tuple[Ranges, ...] | Literal["any"]
# Values, the name of a recipe, or values that are `like` one: see `recipes.py`.
BudgetOptions = Annotated[
    Values, WithJsonSchema({"anyOf": [{"type": "string"}, TypeAdapter(Values).json_schema()]})
]


class Budget(Strict):
    """What a tier spends on the cells it matches.

    It matches a cell if it names the cell's task, method and settings. `settings` lists the values that an
    option may have, its default among them if a cell may have that. Options that are not listed have to be at
    their default. A list of such mappings matches what one of them matches. `any` matches everything.

    `must` is whether it is of the tier's must list, which a plan sums up apart: what is to be run before
    anything else is begun.
    """

    label: str
    must: bool = False
    ceiling: Name | None = None
    tasks: AnyTasks
    methods: AnyMethods
    settings: AnySettings = Field(default={})
    stages: tuple[StageName, ...]
    seeds: int = Field(ge=1, default=1)
    options: BudgetOptions = Field(default={})
    core_seconds: dict[StageName, Annotated[float, Field(gt=0)]]

    @property
    def variants(self) -> tuple[Ranges, ...] | Literal["any"]:
        """Its settings as a list."""
        return (self.settings,) if isinstance(self.settings, dict) else self.settings

    def names(self, task: str, method: str, stage: str) -> bool:
        """Whether it names them, whatever the settings of the cell."""
        return (
            stage in self.stages
            and (self.tasks == ANY or task in self.tasks)
            and (self.methods == ANY or method in self.methods)
        )

    def allows(self, settings: Mapping[str, Value], defaults: Mapping[str, Value]) -> bool:
        """Whether it names the settings of a cell, whose other options are at these defaults.

        An option that the cell's method does not have is no condition.
        """
        variants = self.variants
        if isinstance(variants, str):
            return True
        values = {**defaults, **settings}
        return any(
            settings.keys() <= ranges.keys()
            and all(
                allowed == ANY or values[key] in allowed for key, allowed in ranges.items() if key in values
            )
            for ranges in variants
        )

    def is_more_specific(self, other: Budget) -> bool:
        """Whether it names fewer tasks, methods or settings than another, and more of none of the three.

        Fewer means a part of the other's; `any` is everything. Two lists decide nothing if neither is a part
        of the other.
        """
        sides = {
            (_part_of(self.tasks, other.tasks), _part_of(other.tasks, self.tasks)),
            (_part_of(self.methods, other.methods), _part_of(other.methods, self.methods)),
            (_within(self.variants, other.variants), _within(other.variants, self.variants)),
        }
        return (True, False) in sides and (False, True) not in sides

    @model_validator(mode="after")
    def _every_stage_has_a_cost(self) -> Budget:
        missing = set(self.stages) - set(self.core_seconds)
        if missing:
            raise ValueError(f"core_seconds lacks {', '.join(sorted(missing))}")
        return self


def _part_of(some: tuple[Value, ...] | Literal["any"], others: tuple[Value, ...] | Literal["any"]) -> bool:
    """Whether all of some names, or values, are among the others."""
    return isinstance(others, str) or (not isinstance(some, str) and set(some) <= set(others))


def _within(some: tuple[Ranges, ...] | Literal["any"], others: tuple[Ranges, ...] | Literal["any"]) -> bool:
    """Whether each of some ranges of settings lies within one of the others."""
    if isinstance(some, str) or isinstance(others, str):
        return isinstance(others, str)
    return all(
        any(all(key in other and _part_of(one[key], other[key]) for key in one) for other in others)
        for one in some
    )


class LeftOut(Strict):
    """What a tier does not run although it could be written down, and why."""

    methods: tuple[Name, ...] = Field(min_length=1)
    tasks: AnyTasks = "any"
    stages: tuple[StageName, ...] = ("train", "evaluate")
    reason: str = Field(min_length=1)


class Spending(Strict):
    """What is run of a tier and what is not: all that the folder of a lab's own papers may add to one."""

    recipes: dict[Name, Values] = Field(default={})
    budgets: tuple[Budget, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _recipes_in_the_place_of_their_names(cls, given: object, info: ValidationInfo) -> object:
        return with_recipes(given, names_of(info).recipes)


class Tier(Spending):
    """How much of everything is run, and what its jobs ask a cluster for."""

    title: str
    budget: Literal["paper", "reduced"]
    gpus_per_training: int = Field(ge=0, le=1, default=0)
    memory_mib: int = Field(gt=0, default=4096)
    ceilings: dict[Name, float] = Field(default={})
    # Whether a result in the committed store counts as done if its fingerprint is the one at hand, so that a
    # long tier can be finished over many machines; a short one is run for real by whoever runs it.
    takes_stored: bool = False
    budgets: tuple[Budget, ...]
