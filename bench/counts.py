"""Parameters and MACs of a probe's cell, counted in this process: nothing is timed."""

from __future__ import annotations

from bench.counting import macs, parameters
from bench.methods.base import make_learner
from bench.record import Rows
from bench.spec.jobs import Job
from bench.spec.seeds import stream


def counts(job: Job) -> Rows:
    """The rows of a probe that do not depend on the machine."""
    learner = make_learner(job.cell.method, job.options)
    batch = learner.synthetic_batch(1, stream("probe", job.cell.key))
    counted = {"parameters": parameters(learner.counted()), "macs": macs(learner.model, batch)}
    return [(name, 0, 0.0, float(value)) for name, value in counted.items()]
