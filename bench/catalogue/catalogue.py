"""Everything declared under `workflow/` and in the folder of a lab's own papers, looked up by name."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.catalogue.artifacts import Artifact
from bench.catalogue.choices import VARIABLE as READING_VARIABLE
from bench.catalogue.choices import Choice, PaperReadings, ReadingName
from bench.catalogue.folders import VARIABLE
from bench.catalogue.models import Method, Metric, OptionTable, Protocol
from bench.catalogue.paper import Paper
from bench.catalogue.sources import DRAWN_BY, DatasetRow, Given
from bench.catalogue.sources import VARIABLE as DATA
from bench.catalogue.tiers import Spending, Tier
from bench.errors import unknown
from bench.files import ROOT, shown

WORKFLOW = ROOT / "workflow"


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
    space: str
    problem: str
    collector: str
    protocol: str
    data_source: str
    environment_options: OptionTable
    data_options: OptionTable
    model_options: OptionTable
    values: dict[str, Any]
    built: bool
    given: Given | None
    rows: tuple[DatasetRow, ...]

    @property
    def data_names(self) -> tuple[str, ...]:
        """The options its dataset depends on.

        Real data is read whole, whatever a stand-in is asked for, or drawn from by its reader's own options.
        """
        drawn = DRAWN_BY.get(self.given.reader, ()) if self.given else tuple(self.data_options)
        return (*self.environment_options, *drawn)


def paper_name(name: str) -> str:
    """The paper that the name of an artifact or a claim begins with."""
    return name.split("_")[0]


@dataclass(frozen=True)
class Catalogue:
    """Everything that is declared, cross-checked."""

    papers: dict[str, Paper]  # in the order of their pages
    methods: dict[str, Method]
    option_groups: dict[str, OptionTable]  # each file of `options/`
    method_options: dict[str, OptionTable]  # those of its groups and its own
    tasks: dict[str, Task]
    protocols: dict[str, Protocol]
    sets: dict[str, tuple[str, ...]]  # names for lists of tasks
    metrics: dict[str, Metric]
    tiers: dict[str, Tier]
    artifacts: dict[str, Artifact]
    datasets: dict[str, DatasetRow]
    # Each file of a tier with what it spends: the suite's, then a lab's own.
    spendings: dict[str, dict[Path, Spending]]
    files: dict[str, dict[str, Path]]  # kind, such as methods or claims -> name -> the file that declares it
    reported: tuple[Path, ...]  # CSV files of what the papers print
    code_defaults: tuple[Path, ...]  # those of what their code holds: no artifact reads them
    contradictions: tuple[Path, ...]  # those of what is stated of the papers, for the audit alone
    given: Path | None  # the folder of a lab's own papers
    named: str  # that folder as the run was given it
    data: str  # the real data that the run was given
    readings: dict[str, PaperReadings]  # of each paper that has two
    choices: dict[str, Choice]  # those of all papers that became options
    reading: ReadingName  # that of whatever does not name one
    workflow: Path
    # What `once` has found: function and arguments -> result.
    found: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def probe_options(self) -> OptionTable:
        """The options of the stage `probe`, which every method has."""
        return self.option_groups["probe"]

    def where(self, kind: str, name: str) -> str:
        """The file that declares a name, as a message shows it."""
        return shown(self.files[kind][name])

    def is_suites(self, kind: str, name: str) -> bool:
        """Whether the suite declares a name, and not the folder of a lab's own papers."""
        return self.given is None or not self.files[kind][name].is_relative_to(self.given)

    def assignments(self, task: str = "") -> str:
        """`BENCH_PAPERS=... ` and so on, to stand before a command on what this run was given.

        Of real data only what the task was given is said; without a task, what any was.
        """
        papers = f"{VARIABLE}={shlex.quote(self.named)} " if self.named else ""
        reading = f"{READING_VARIABLE}={self.reading.text} " if self.reading != ReadingName() else ""
        given = bool(self.data) and (not task or self.tasks[task].given is not None)
        return papers + reading + (f"{DATA}={shlex.quote(self.data)} " if given else "")

    @property
    def reading_said(self) -> str:
        """What follows a tier's name in a heading, to say which reading a run is of; empty for `text`."""
        return "" if self.reading == ReadingName() else f", reading {self.reading.text}"

    def paper_of(self, name: str) -> Paper:
        """The paper of an artifact or a claim, by its name."""
        return self.papers[paper_name(name)]

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
            raise unknown("artifact", name, self.artifacts, "request (papers/*/*.yaml)")
        return self.artifacts[name]

    def options(self, task: str, method: str | None) -> OptionTable:
        """Every option a cell of this task and method can set (`None`: the task's alone)."""
        family = self.tasks[task]
        protocol = self.protocols[family.protocol]
        own = {**family.model_options, **self.method_options[method], **self.probe_options} if method else {}
        return {
            **family.environment_options,
            **family.data_options,
            **protocol.options,
            **protocol.drawn,
            **own,
        }
