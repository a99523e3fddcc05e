"""Tiers as data: `tiers/<tier>.yaml`, what is run and at what cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bench.catalogue.models import Values
from bench.catalogue.names import AnyTasks
from bench.catalogue.stages import StageName
from bench.catalogue.strict import Name, OptionName, Strict, Value


class Budget(Strict):
    """What a tier spends on the cells it matches; the first match in the file counts."""

    label: str
    ceiling: Name | None = None
    tasks: AnyTasks
    methods: tuple[Name, ...] | Literal["any"]
    settings: dict[OptionName, tuple[Value, ...] | Literal["any"]] | Literal["any"] = Field(default={})
    stages: tuple[StageName, ...]
    seeds: int = Field(ge=1, default=1)
    options: Values = Field(default={})
    core_seconds: dict[StageName, Annotated[float, Field(gt=0)]]

    @model_validator(mode="after")
    def _every_stage_has_a_cost(self) -> Budget:
        missing = set(self.stages) - set(self.core_seconds)
        if missing:
            raise ValueError(f"core_seconds lacks {', '.join(sorted(missing))}")
        return self


class LeftOut(Strict):
    """What a tier does not run although it could be written down, and why."""

    methods: tuple[Name, ...] = Field(min_length=1)
    tasks: AnyTasks = "any"
    stages: tuple[StageName, ...] = ("train", "evaluate")
    reason: str = Field(min_length=1)


class Spending(Strict):
    """What is run of a tier and what is not: all that the folder of a lab's own papers may add to one."""

    budgets: tuple[Budget, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


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
