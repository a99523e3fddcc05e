"""Everything declared under `workflow/`, as one object that is looked up by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.catalogue.artifacts import Artifact
from bench.catalogue.models import Method, Metric, Options, Protocol, Tier
from bench.catalogue.sources import DatasetRow, Given
from bench.errors import unknown


@dataclass(frozen=True)
class Task:
    """A task: its family, and the values in which it differs from the family's defaults.

    Collector and data source are those of this run: where it was given real data that the family has a reader
    for, `given` is that data, and `rows` are the task's datasets in it.
    """

    name: str
    title: str
    family: str
    environment: str
    collector: str
    protocol: str
    data_source: str
    environment_options: Options
    data_options: Options
    values: dict[str, Any]
    built: bool
    given: Given | None
    rows: tuple[DatasetRow, ...]

    @property
    def data_names(self) -> tuple[str, ...]:
        """The options its dataset depends on: real data is read whole, whatever a stand-in is asked for."""
        return (*self.environment_options, *(() if self.given else self.data_options))


@dataclass(frozen=True)
class Catalogue:
    """Everything declared under `workflow/`, cross-checked."""

    methods: dict[str, Method]
    method_options: dict[str, Options]
    probe_options: Options
    tasks: dict[str, Task]
    protocols: dict[str, Protocol]
    metrics: dict[str, Metric]
    tiers: dict[str, Tier]
    artifacts: dict[str, Artifact]
    datasets: dict[str, DatasetRow]

    def method(self, name: str, where: str = "request") -> Method:
        """The method of that name; SpecError if none."""
        if name not in self.methods:
            raise unknown("method", name, self.methods, where)
        return self.methods[name]

    def task(self, name: str, where: str = "request") -> Task:
        """The task of that name; SpecError if none."""
        if name not in self.tasks:
            raise unknown("task", name, self.tasks, where)
        return self.tasks[name]

    def tier(self, name: str) -> Tier:
        """The tier of that name; SpecError if none."""
        if name not in self.tiers:
            raise unknown("tier", name, self.tiers, "config key tier (workflow/tiers/*.yaml)")
        return self.tiers[name]

    def artifact(self, name: str) -> Artifact:
        """The artifact of that name; SpecError if none."""
        if name not in self.artifacts:
            raise unknown("artifact", name, self.artifacts, "request (workflow/papers/*/*.yaml)")
        return self.artifacts[name]

    def options(self, task: str, method: str | None) -> Options:
        """Every option a cell of this task and method can set (`None`: the task's alone)."""
        family = self.tasks[task]
        own = {**self.method_options[method], **self.probe_options} if method else {}
        return {
            **family.environment_options,
            **family.data_options,
            **self.protocols[family.protocol].options,
            **own,
        }
