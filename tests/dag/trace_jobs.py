"""Make jobs of the tier `every_method` and name what ran or was read that their fingerprints do not hold.

Run in the folder of a copy of the suite. Arguments: the stages to look at. Prints one line of JSON: how many
jobs were looked at, and what was found.
"""

import importlib
import json
import sys
import threading
from pathlib import Path

from bench.stages.runner import run
from bench.work.digests import Symbol, is_left_out
from bench.work.fingerprint import closure_of
from bench.work.jobs import all_jobs

HERE = Path.cwd()
TIER = "every_method"


class Watch:
    """What runs and is read while a job is made: definitions, modules and files of the suite."""

    def __init__(self):
        self.definitions, self.modules, self.files = set(), set(), set()
        sys.addaudithook(self.audit)

    def clear(self):
        for seen in (self.definitions, self.modules, self.files):
            seen.clear()

    def audit(self, event, arguments):
        if event == "import" and arguments[0].startswith("bench."):
            self.modules.add(arguments[0])
        elif event == "open" and isinstance(arguments[0], str | Path):
            path = Path(arguments[0]).absolute()
            if path.is_relative_to(HERE):
                self.files.add(path)

    def profile(self, frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(f"{HERE}/bench/"):
            self.definitions.add((module_of(Path(code.co_filename)), code.co_qualname.split(".")[0]))


def module_of(path):
    folder = path.parent.parent if path.parent.name == "__pycache__" else path.parent
    parts = (*folder.relative_to(HERE).parts, path.name.split(".")[0])
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def outside(job, watch):
    """What was seen that the job's fingerprint does not hold."""
    closure = closure_of(tuple(job.roots))
    for module, name in watch.definitions:
        if (
            not is_left_out(module)
            and not name.startswith("<")
            and Symbol(module, name) not in closure.symbols
        ):
            yield f"{module}.{name} ran"
    modules = watch.modules | {module_of(path) for path in watch.files if path.suffix in (".py", ".pyc")}
    for module in modules:
        if not is_left_out(module) and module not in closure.modules:
            yield f"{module} was loaded"
    for path in watch.files:
        place = path.relative_to(HERE)
        is_code = path.suffix in (".py", ".pyc")
        named = f"{path.parent.name}/{path.name}" in job.parts["files"]
        if not is_code and place.parts[0] not in ("results", "workflow") and not named:
            yield f"{place} was read"


def main(stages):
    watch, found, count, seen = Watch(), {}, 0, set()
    for job in all_jobs(TIER):
        kind = (job.stage, job.cell.method, job.cell.task.split("-")[0], job.cell.slug != "default")
        works = job.stage in stages and kind not in seen
        seen.add(kind)
        watch.clear()
        work = getattr(importlib.import_module(f"bench.stages.{job.stage}"), job.stage)
        if works:
            threading.setprofile(watch.profile)
            sys.setprofile(watch.profile)
        run(job, work)
        sys.setprofile(None)
        threading.setprofile(None)
        if works:
            count += 1
            missed = sorted(set(outside(job, watch)))
            if missed:
                found[f"{job.stage} {job.cell.key}"] = missed
    print(json.dumps({"jobs": count, "found": found}))


main(sys.argv[1:])
