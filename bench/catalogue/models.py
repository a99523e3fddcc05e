"""The vocabulary of the suite as data: pydantic models of every file under `workflow/`.

A file that holds a key these models do not know is refused (`extra="forbid"`), so that a
typo is an error and never a silent default.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.catalogue.stages import StageName

Value = bool | int | float | str
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
OptionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Reader = Literal["d4rl", "minari-sets"]
Selection = Literal["last", "best", "mean-of-last-3"]
SELECTIONS: tuple[Selection, ...] = get_args(Selection)


class Strict(BaseModel):
    """Base of every model: unknown keys are errors, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Option(Strict):
    """One thing that can be set: its default is what the paper prints, or the choice we state."""

    default: Value
    help: str
    choices: tuple[Value, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    source: str = "our choice"

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value` for this option, or None."""
        wanted = type(self.default)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not wanted:
            return f"must be of type {wanted.__name__} like its default {self.default!r}, got {value!r}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(map(repr, self.choices))}, got {value!r}"
        if isinstance(value, int | float):
            if self.minimum is not None and value < self.minimum:
                return f"must be at least {self.minimum:g}, got {value!r}"
            if self.maximum is not None and value > self.maximum:
                return f"must be at most {self.maximum:g}, got {value!r}"
        return None

    @model_validator(mode="after")
    def _default_is_valid(self) -> Option:
        problem = self.problem(self.default)
        if problem:
            raise ValueError(f"default {problem}")
        return self


Options = dict[OptionName, Option]
Values = dict[OptionName, Value]


class Override(Strict):
    """Values that hold for some tasks only, as printed per dataset in a paper."""

    tasks: tuple[Name, ...]
    values: Values


class Method(Strict):
    """A learning method; its code, once built, is `bench/methods/<name with underscores>.py`."""

    title: str
    source: str
    built_for: tuple[Name, ...] = ()  # environments its code can act in; empty: reported numbers only, so far
    groups: tuple[Name, ...] = ()
    options: Options = {}
    per_task: tuple[Override, ...] = ()

    @property
    def in_context(self) -> bool:
        """Whether it learns from its own past episodes while it acts."""
        return "in-context" in self.groups


class TaskEntry(Strict):
    """One task of a family: the values in which it differs from the family's defaults."""

    title: str
    dataset: str = ""  # row of workflow/datasets.csv
    minari: tuple[Name, ...] = ()  # rows of workflow/datasets.csv, joined: Minari's nearest to it
    built: bool = True  # whether the environment's code plays it already
    values: Values = {}


class TaskFamily(Strict):
    """Tasks that share an environment module, a dataset module and a protocol."""

    title: str
    environment: Name
    collector: Name
    protocol: Name
    data_source: Literal["real", "local", "stand-in"]
    readers: tuple[
        Reader, ...
    ] = ()  # collectors of real data, which take the place of `collector` in a run that has it
    environment_options: Options = {}
    data_options: Options = {}
    tasks: dict[Name, TaskEntry]


class Protocol(Strict):
    """How a score is read off a run: evaluator, options, score selection, equivalence margin."""

    title: str
    evaluator: Name
    in_context_evaluator: Name | None = None  # for methods that read their own past episodes, if it differs
    score: str
    selection: Selection
    margin: float = Field(gt=0)
    options: Options = {}


class Derived(Strict):
    """A metric that is another one's value over that of a baseline method on the same task."""

    metric: OptionName
    baseline: Name


class Metric(Strict):
    """A number a stage produces, or one derived from such numbers."""

    title: str
    unit: str
    stage: StageName
    better: Literal["higher", "lower", "neither"]
    deterministic: bool = False
    decimals: int = 1
    derived: Derived | None = None


class Budget(Strict):
    """What a tier spends on the cells it matches; the first match in the file counts."""

    label: str
    ceiling: Name | None = None
    tasks: tuple[Name, ...] | Literal["any"]
    methods: tuple[Name, ...] | Literal["any"]
    settings: dict[OptionName, tuple[Value, ...] | Literal["any"]] | Literal["any"] = {}
    stages: tuple[StageName, ...]
    seeds: int = Field(ge=1, default=1)
    options: Values = {}
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
    tasks: tuple[Name, ...] | Literal["any"] = "any"
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
    ceilings: dict[Name, float] = {}
    # Whether a result in the committed store counts as done if its fingerprint is the one at hand, so that a
    # long tier can be finished over many machines; a short one is run for real by whoever runs it.
    takes_stored: bool = False
    budgets: tuple[Budget, ...]
