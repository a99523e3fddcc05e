"""Every stage of the work as a row of one table: what is read off it is asked for nowhere else.

The row `train` belongs to the module `bench.stages.train`, to its rule, its record and its log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

from bench.errors import unknown

# A task's environment and data, a method's own and its groups', the protocol's, and those of probes.
OptionGroup = Literal["data", "method", "protocol", "probe"]


@dataclass(frozen=True)
class Stage:
    """One kind of work on a cell, done once for each of its seeds."""

    name: str
    title: str
    # What a footnote calls its result: "its training".
    noun: str
    # The options its result depends on.
    options: tuple[OptionGroup, ...]
    # What it calls by name in the modules of its cell: `method.Learner`, say. Its code starts there.
    calls: tuple[str, ...]
    # The stages whose records it reads.
    reads: tuple[str, ...] = ()
    # An option and its value with which it reads the same of the cell's donor too.
    donor_if: tuple[str, str] | None = None
    # An option and its value with which it also reads the training that clones the task's actions.
    clone_if: tuple[str, str] | None = None
    # A stage of a task is done once for all cells that share the data.
    subject: Literal["task", "cell"] = "cell"
    in_cells: bool = True
    # Its numbers are sizes and times: they rest on no data, and are compared by ratio.
    costs: bool = False
    # What `regress` foretells from the stored seeds: "protocol" for the protocol's score, or a metric.
    score: str = ""
    # The option by which a protocol asks for it; empty for what every protocol has.
    asked_by: str = ""
    # The folder it keeps beside its record.
    keeps: str = ""
    gpu: bool = False
    # Whether it also builds the rival that a cell names by `timed_against`. What it calls of the cell's
    # method, it then calls of the rival's too.
    times_rival: bool = False
    # Nothing else may run on the machine meanwhile.
    alone: bool = False

    @property
    def needs_world(self) -> bool:
        """Whether it takes a task's data or plays the task, and does not build a model alone."""
        return bool(self.reads) or any(not call.startswith("method.") for call in self.calls)

    def reads_donor(self, options: Mapping[str, object]) -> bool:
        """Whether a cell of these options is read together with its donor."""
        return _has(options, self.donor_if)

    def reads_clone(self, options: Mapping[str, object]) -> bool:
        """Whether a cell of these options takes its encoder from the training that clones actions."""
        return _has(options, self.clone_if)


def _has(options: Mapping[str, object], wanted: tuple[str, str] | None) -> bool:
    return wanted is not None and options.get(wanted[0]) == wanted[1]


ROWS = (
    Stage(
        name="dataset",
        title="Make the dataset of a task.",
        noun="dataset",
        options=("data",),
        calls=("collector.make",),
        subject="task",
        in_cells=False,
        keeps="data",
    ),
    Stage(
        name="train",
        title="Train a cell with one seed.",
        noun="training",
        options=("data", "method"),
        calls=("method.Learner", "collector.load"),
        reads=("dataset",),
        clone_if=("encoder", "frozen"),
        keeps="checkpoints",
        gpu=True,
    ),
    Stage(
        name="evaluate",
        title="Evaluate every checkpoint of a trained cell.",
        noun="evaluation",
        options=("data", "method", "protocol"),
        calls=("method.Learner", "evaluator.evaluate", "test.make_world", "test.scores", "test.CONSECUTIVE"),
        reads=("train",),
        score="protocol",
    ),
    Stage(
        name="attend",
        title="Look at a trained cell's hidden attention along an episode.",
        noun="hidden attention",
        options=("data", "method", "protocol"),
        calls=("method.Learner", "evaluator.evaluate", "test.make_world", "test.scores", "test.CONSECUTIVE"),
        reads=("train",),
        asked_by="attend_from",
    ),
    Stage(
        name="intervene",
        title="Play a trained cell with its hidden attention replaced, or as it is.",
        noun="intervention",
        options=("data", "method", "protocol"),
        calls=("method.Learner", "evaluator.episode_scores", "test.make_world"),
        reads=("train",),
        donor_if=("intervention", "swap"),
        score="intervened_score",
        asked_by="intervention",
    ),
    Stage(
        name="probe",
        title="Count parameters and MACs and measure time and memory, alone on the machine.",
        noun="probe",
        options=("data", "method", "protocol", "probe"),
        calls=("method.Learner",),
        costs=True,
        times_rival=True,
        alone=True,
    ),
)
STAGES = {stage.name: stage for stage in ROWS}


def _known(name: str) -> str:
    if name not in STAGES:
        raise ValueError(str(unknown("stage", name, STAGES, "bench/catalogue/stages.py")))
    return name


# In a file under `workflow/`, a name that is no row's is an error.
StageName = Annotated[str, AfterValidator(_known)]
