"""Where the code of a cell lies, found by name, whether it is written yet, and whether a tier runs it."""

from __future__ import annotations

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.stages import STAGES
from bench.errors import SpecError
from bench.work.cells import Cell, asked_by, cloned_cell, donor_cell, resolve, where_run
from bench.work.modules import module_path
from bench.work.rivals import rival_cell


def method_module(method: str) -> str:
    """Module that holds a method: its name with underscores, under `bench.methods`."""
    return f"bench.methods.{method.replace('-', '_')}"


def collector_module(catalogue: Catalogue, task: str) -> str:
    """Module that makes and reads a task's dataset: its world's, or a reader of real data."""
    given = catalogue.tasks[task].given
    if given is not None:
        return f"bench.datasets.{given.reader.replace('-', '_')}"
    return f"{world_package(catalogue, task)}.data"


def world_package(catalogue: Catalogue, task: str) -> str:
    """Folder of a task's world, under `bench.worlds`."""
    return f"bench.worlds.{catalogue.tasks[task].environment.replace('-', '_')}"


def world_test(catalogue: Catalogue, task: str) -> str:
    """Module that says what is played to score a policy on a task: its world's."""
    return f"{world_package(catalogue, task)}.test"


def evaluator_module(catalogue: Catalogue, cell: Cell) -> str:
    """Module that plays a cell's policy: as one that reads its past episodes, or as its protocol says."""
    if catalogue.methods[cell.method].in_context:
        return "bench.evaluators.in_context"
    protocol = catalogue.protocols[catalogue.tasks[cell.task].protocol]
    return f"bench.evaluators.{protocol.evaluator.replace('-', '_')}"


def root_of(catalogue: Catalogue, call: str, cell: Cell) -> str:
    """What a stage calls by name, such as `method.Learner`, as the definition in the cell's own module."""
    kind, _, name = call.partition(".")
    match kind:
        case "collector":
            module = collector_module(catalogue, cell.task)
        case "test":
            module = world_test(catalogue, cell.task)
        case "method":
            module = method_module(cell.method)
        case _:
            module = evaluator_module(catalogue, cell)
    return f"{module}.{name}"


def why_not_built(catalogue: Catalogue, stage: str, cell: Cell) -> str:
    """Empty if the code for this stage of the cell exists, else what is not built yet."""
    task = catalogue.tasks[cell.task]
    if module_path(f"bench.stages.{stage}") is None:
        return f"stage {stage} is not built yet"
    there = task.built and module_path(world_test(catalogue, cell.task)) is not None
    if STAGES[stage].needs_world and not there:
        return f"task {cell.task} is not built yet"
    if STAGES[stage].subject == "task":
        return ""
    if module_path(method_module(cell.method)) is None:
        return f"method {cell.method} is not built yet"
    if not _can_play(catalogue, cell):
        return f"method {cell.method} is not built for {task.environment} tasks yet"
    rival = rival_cell(catalogue, cell) if STAGES[stage].times_rival else None
    if rival and (why := why_not_built(catalogue, stage, rival)):
        return f"its rival {rival.method}: {why}"
    asked_by = STAGES[stage].asked_by
    if asked_by and asked_by not in catalogue.protocols[task.protocol].options:
        return f"protocol {task.protocol} has no options for stage {stage}"
    return ""


def _can_play(catalogue: Catalogue, cell: Cell) -> bool:
    """Whether the method acts in the task's kind of space, has settings for its problem, and can be tested.

    A method that learns in context can be tested if the protocol says so.
    """
    task, method = catalogue.tasks[cell.task], catalogue.methods[cell.method]
    tested = not method.in_context or catalogue.protocols[task.protocol].in_context
    settings_known = not method.settings_for or task.problem in method.settings_for
    return task.space in method.acts_in and settings_known and tested


def why_missing(catalogue: Catalogue, tier: str, cell: Cell, stage: str) -> str:
    """Why a tier has no number of a cell's stage; empty where it runs it."""
    missing = why_not_built(catalogue, stage, cell)
    if missing:
        return missing
    for left in catalogue.tier(tier).left_out:
        everywhere = left.tasks == "any" or cell.task in left.tasks
        if cell.method in left.methods and everywhere and stage in left.stages:
            return left.reason
    resolved = resolve(catalogue, tier, cell, stage)
    if resolved is None:
        return where_run(catalogue, cell, stage)
    if STAGES[stage].reads_donor(resolved.options):
        donor = donor_cell(catalogue, cell, resolved.options["donor"])
        why = next(
            (why for read in STAGES[stage].reads if (why := why_missing(catalogue, tier, donor, read))), ""
        )
        return f"its donor {donor.task}: {why}" if why else ""
    if STAGES[stage].reads_clone(resolved.options):
        why = why_missing(catalogue, tier, cloned_cell(catalogue, cell), stage)
        return f"its encoder: {why}" if why else ""
    return ""


def why_unmeasured(catalogue: Catalogue, tier: str, cell: Cell, metric: str) -> str:
    """Why a tier that runs a cell's probe has no such number of it: it counts, and times nothing."""
    known = catalogue.metrics[metric]
    if known.deterministic or not STAGES[known.stage].costs:
        return ""
    resolved = resolve(catalogue, tier, cell, known.stage)
    assert resolved is not None
    return "" if resolved.options["probe_repeats"] else f"counted and not timed in the {tier} tier"


def check_sweep(
    catalogue: Catalogue, tier: str, cell: Cell, stage: str, swept: set[str], artifact: str
) -> None:
    """SpecError where a tier sets what an artifact varies: the cell would bear another value in its name."""
    resolved = resolve(catalogue, tier, cell, stage)
    assert resolved is not None
    both = swept & set(resolved.budget.options) - asked_by(catalogue, cell).held.keys()
    if both:
        raise SpecError(
            f"workflow/tiers/{tier}.yaml: budget {resolved.budget.label!r} sets {sorted(both)[0]}, which "
            f"{artifact} varies for {cell.key}. Remove it from the budget's options."
        )
