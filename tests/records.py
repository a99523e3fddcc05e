"""Records as a stage would leave them, for tests that need no stage to run."""

import json

from bench.work.integrity import describe, sealed


def write_record(job, **fields):
    """The record of a job that ended well, sealed, with its table, empty if there is none yet, and arrays."""
    job.folder.mkdir(parents=True, exist_ok=True)
    if not job.table.exists():
        job.table.write_text("metric,step,index,value\n")
    left = [path for path in (job.table, job.arrays) if path.exists()]
    files = {path.name: describe(path).model_dump(exclude_unset=True) for path in left}
    names = dict(zip(("stage", "task", "method", "settings", "seed"), job.key, strict=True))
    content = {"status": "ok", "fingerprint": job.fingerprint, "tier": job.tier, "files": files, **names}
    job.record.write_text(sealed(content | fields))


def reseal(path, **changes):
    """The same sidecar with other values, sealed anew: written by whoever has the right to."""
    path.write_text(sealed(json.loads(path.read_text()) | changes))


def retell(path):
    """The same sidecar of a table that was changed beside it: other numbers, of which nothing is damaged."""
    files = json.loads(path.read_text())["files"]
    table = path.with_suffix(".csv")
    reseal(path, files=files | {table.name: describe(table).model_dump(exclude_unset=True)})


def write_sidecar(shown):
    """The sidecar of a table or figure, whose files lie beside it."""
    *files, path = shown.outputs
    written = {one.name: describe(one).model_dump(exclude_unset=True) for one in files}
    path.write_text(sealed({"fingerprint": shown.fingerprint, "files": written}))
