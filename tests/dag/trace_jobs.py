"""Make jobs of the tier `every_method` and name what ran or was read that their fingerprints do not hold.

Run in the folder of a copy of the suite. Arguments: the methods to look at, or none for all. Prints one line
of JSON: how many jobs were looked at, and what was found.
"""

import importlib
import inspect
import json
import sys
import threading
from pathlib import Path

from bench.stages.runner import run
from bench.work.digests import is_left_out
from bench.work.fingerprint import closure_of
from bench.work.plan import all_jobs
from bench.work.suite import Suite

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
            if path.is_relative_to(HERE) and path.is_file():
                self.files.add(path)

    def profile(self, frame, event, argument):
        code = frame.f_code
        # The body of a class runs when its module is loaded, and is no function.
        is_function = code.co_flags & inspect.CO_OPTIMIZED
        if event != "call" or not is_function or not code.co_filename.startswith(f"{HERE}/bench/"):
            return
        # What a module calls as it is loaded makes a constant, which holds it if the job uses it.
        if frame.f_back is None or frame.f_back.f_code.co_name != "<module>":
            self.definitions.add((module_of(Path(code.co_filename)), code.co_qualname.split(".")[0]))


def module_of(path):
    folder = path.parent.parent if path.parent.name == "__pycache__" else path.parent
    parts = (*folder.relative_to(HERE).parts, path.name.split(".")[0])
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def outside(job, watch):
    """What was seen that the job's fingerprint does not hold."""
    closure = closure_of(tuple(job.roots))
    for module, name in watch.definitions:
        if not is_left_out(module) and not name.startswith("<") and not closure.holds(module, name):
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


def kinds_of_job(methods):
    """The first job of each stage, method, rival and world, of these methods or of all."""
    kinds = {}
    for job in all_jobs(Suite.open(), TIER):
        if not methods or job.cell.method in methods:
            rival = job.rival.cell.method if job.rival else ""
            kinds.setdefault((job.stage, job.cell.method, rival, job.cell.task.split("-")[0]), job)
    return list(kinds.values())


def make(job, made, watch):
    """Make a job, after what it reads, and note what its fingerprint does not hold."""
    for before in job.upstream:
        if before not in made:
            make(before, made, watch)
    made[job] = {}
    work = getattr(importlib.import_module(f"bench.stages.{job.stage}"), job.stage)
    watch.clear()
    threading.setprofile(watch.profile)
    sys.setprofile(watch.profile)
    run(job, work)
    sys.setprofile(None)
    threading.setprofile(None)
    made[job] = sorted(set(outside(job, watch)))


def main(methods):
    made, watch = {}, Watch()
    for job in kinds_of_job(methods):
        if job not in made:
            make(job, made, watch)
    found = {f"{job.stage} {job.cell.key}": missed for job, missed in made.items() if missed}
    print(json.dumps({"stages": sorted({job.stage for job in made}), "jobs": len(made), "found": found}))


main(sys.argv[1:])
