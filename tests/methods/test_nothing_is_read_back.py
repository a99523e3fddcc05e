"""An update reads nothing back from where the model is: on a GPU it would wait for all that went before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cases import next_batch, tiny_learner
from test_devices import CASES, SMALL, dataset_of

from bench.conformance.other_device import HERE, OtherDevice, Remote, move

ATEN = torch.ops.aten
# What asks a device for a number, or for the size of what it gives.
ASKS = {ATEN._local_scalar_dense, ATEN.nonzero, ATEN.masked_select, ATEN.equal, ATEN.is_nonzero}
# The units of AMAGO's values follow the returns of each batch.
READS = {"amago": 1}
UPDATES = [
    *CASES,
    # Windows with padding in front, and none that holds a whole episode.
    *(
        ("tmaze-passive-10", method, {"context_length": 5, "window_start": "anywhere"})
        for method in ("dt", "dm", "lstm")
    ),
]


class Watched(OtherDevice):
    """The other device, with a list of all that is read back from it."""

    def __init__(self):
        super().__init__()
        self.read_back = []

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        if self.reads(operator.overloadpacket, arguments, options or {}):
            self.read_back.append(str(operator))
        return super().__torch_dispatch__(operator, types, arguments, options)

    def reads(self, operator, arguments, options):
        if not any(isinstance(argument, Remote) for argument in arguments):
            return False
        if operator in (ATEN.index, ATEN.index_put_, ATEN.index_put):
            return any(index is not None and index.dtype == torch.bool for index in arguments[1])
        copied = operator in (ATEN._to_copy, ATEN.copy_)
        return operator in ASKS or (copied and torch.device(options.get("device") or "meta") == HERE)


@pytest.mark.parametrize(("task", "method", "changes"), UPDATES)
def test_an_update_reads_nothing_back(tmp_path, task, method, changes):
    learner = tiny_learner(task, method, SMALL, **changes)
    learner.model.train()
    dataset = dataset_of(task, learner.options, tmp_path)
    move(learner.model)
    with Watched() as watched:
        learner.prepare(dataset)
        batch = learner.on_device(next_batch(learner, np.random.default_rng(0)))
        watched.read_back.clear()
        learner.loss(batch).backward()
    assert len(watched.read_back) == READS.get(method, 0), watched.read_back


def test_what_is_read_back_is_found_out():
    with Watched() as watched:
        there = torch.arange(3.0).to("meta")
        float(there.sum())
        there[there > 1]
        there.cpu()
    assert [name.split(".")[1] for name in watched.read_back] == ["_local_scalar_dense", "index", "_to_copy"]
