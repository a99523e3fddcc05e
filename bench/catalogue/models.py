"""The vocabulary of the suite as data: options, methods, tasks, protocols and metrics.

The other files under `workflow/` have models of their own: `artifacts.py`, `paper.py` and `tiers.py` beside
this one, and `bench/work/claims.py`. A key that no model knows is refused: a typo is never a silent default.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from bench.catalogue.names import Tasks
from bench.catalogue.stages import STAGES, StageName
from bench.catalogue.strict import Name, OptionName, Strict, Value

Reader = Literal["d4rl", "minari-sets", "dqn-replay"]
Selection = Literal["last", "best", "mean-of-last-3"]
SELECTIONS: tuple[Selection, ...] = get_args(Selection)
# The option that says which checkpoint a number is read at.
SELECTION = "selection"


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


OptionTable = dict[OptionName, Option]
Values = dict[OptionName, Value]


class SameAs(Strict):
    """Stands for the value that another option has by default on the same task."""

    same_as: OptionName


class Override(Strict):
    """Values that hold for some tasks only, as printed per dataset in a paper."""

    tasks: Tasks
    values: dict[OptionName, Value | SameAs]

    def values_given(self, others: dict[str, Value]) -> dict[str, Value]:
        """Its values, if the options of the task have these others."""
        return {
            key: others[value.same_as] if isinstance(value, SameAs) else value
            for key, value in self.values.items()
        }


class Method(Strict):
    """A learning method; its code, once built, is `bench/methods/<name with underscores>.py`."""

    title: str
    source: str
    acts_in: tuple[Name, ...] = ()  # kinds of space; empty: reported numbers only, so far
    settings_for: tuple[Name, ...] = ()  # the problems that its settings are known for; empty: any
    groups: tuple[Name, ...] = ()
    options: OptionTable = Field(default={})
    per_task: tuple[Override, ...] = ()

    @property
    def in_context(self) -> bool:
        """Whether it learns from its own past episodes while it acts."""
        return "in-context" in self.groups


class TaskEntry(Strict):
    """One task of a family: the values in which it differs from the family's defaults."""

    title: str
    groups: tuple[Name, ...] = ()  # of the family's; a later one wins, and the values below win over all
    dataset: str = ""  # row of workflow/datasets.csv
    minari: tuple[Name, ...] = ()  # rows of workflow/datasets.csv, joined: Minari's nearest to it
    built: bool = True  # whether the environment's code plays it already
    values: Values = Field(default={})


class TaskFamily(Strict):
    """Tasks of one world that share a protocol."""

    title: str
    environment: Name  # the world: a folder of bench/worlds/
    space: Name  # what its states and actions are, such as `continuous`; methods say which kinds they act in
    problem: Name  # such as `locomotion`: a method may have settings for some problems only
    protocol: Name
    data_source: Literal["real", "local", "stand-in"]
    # Collectors of real data, which take the place of the world's own in a run that has it, each with the
    # values that go with its data.
    readers: dict[Reader, Values] = Field(default={})
    environment_options: OptionTable = Field(default={})
    data_options: OptionTable = Field(default={})
    # How a model of any method reads the family's states; no part of the data.
    model_options: OptionTable = Field(default={})
    groups: dict[Name, Values] = Field(default={})  # values that several of its tasks share
    tasks: dict[Name, TaskEntry]


class Protocol(Strict):
    """How a score is read off a run: options, score selection, equivalence margin.

    `options` are those of the test; `selection` is the default of the option by which records are read.
    """

    title: str
    in_context: bool = False  # whether methods that read their own past episodes can be tested
    # What plays the test of a method that is asked for a return: a module of bench/evaluators/.
    evaluator: Name = "return-conditioned"
    score: str
    curve: str = ""  # the metric whose last point is the score: its points are judged by the same margin
    selection: Selection
    margin: float = Field(gt=0)
    options: OptionTable = Field(default={})

    @cached_property
    def drawn(self) -> OptionTable:
        """The options by which numbers are read off records: no training and no test depends on them."""
        told = "which checkpoint a number is read at, of all that were evaluated"
        return {SELECTION: Option(default=self.selection, choices=SELECTIONS, help=told)}


class Derived(Strict):
    """A metric that sets another one's value against that of a baseline method on the same task.

    `share` is the value over the baseline's, `saved` the percent of the baseline's that it is less, and
    `times-fewer` the baseline's over it.
    """

    metric: OptionName
    baseline: Name
    form: Literal["share", "saved", "times-fewer"] = "share"

    def of(self, value: float, baseline: float) -> float:
        """The metric of a value and that of the baseline."""
        match self.form:
            case "share":
                return value / baseline
            case "saved":
                return 100.0 * (1.0 - value / baseline)
            case "times-fewer":
                return baseline / value


class Metric(Strict):
    """A number a stage produces, or one derived from such numbers."""

    title: str
    unit: str
    stage: StageName
    better: Literal["higher", "lower", "neither"]
    deterministic: bool = False
    timed: bool = False  # a time, or made of times: a busy machine may have moved it
    # Two readings agree within this factor, as they do for memory; 1 where repeats say how far it spreads.
    tolerance: float = Field(default=1.0, ge=1.0)
    decimals: int = 1
    derived: Derived | None = None

    @property
    def is_cost(self) -> bool:
        """Whether it is a size or a time, which rests on no data and is compared by ratio."""
        return STAGES[self.stage].costs
