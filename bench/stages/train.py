"""Train one cell with one seed: `python -m bench train --tier quick --task darkroom --method ad-mamba`.

Checkpoints lie in the cell's folder. A killed run goes on from the newest one and ends with the
same bytes: weights, optimiser, random states and the loss curve are all in it. It may go on on another
device, whose rounding is its own; the record then names both.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.errors import DamagedError
from bench.methods.base import Batch, Learner
from bench.methods.optimisation import in_tokens, learning_rate_factor, make_optimiser
from bench.seeds import stream, stream_seed
from bench.stages.checkpoints import (
    checked_data,
    checkpoint_path,
    checkpoint_steps,
    initial_learner,
    load_last,
    read_checkpoint,
    require_trained,
    training_options,
)
from bench.stages.runner import DivergedError, require_ok, stage_command
from bench.stages.runtime import described, device_name, one_thread, training_device
from bench.work.availability import collector_module
from bench.work.jobs import Job
from bench.work.record import Facts, Rows
from bench.work.state_files import tensors_beside, write_state

LOSS_POINTS = 50


def clock_of(device: torch.device) -> Callable[[], float]:
    """What an update is timed by: the processor's seconds; on a GPU, whose loss is waited for, the wall's."""
    return time.process_time if device.type == "cpu" else time.perf_counter


def clocks(devices: list[str]) -> str:
    """What a record calls the clocks of a training on the devices named; seconds of two do not compare."""
    return " and ".join(dict.fromkeys("processor" if name == "cpu" else "wall" for name in devices))


class Run:
    """A training run: everything that moves, and how it is saved and taken up again."""

    def __init__(self, job: Job) -> None:
        self.job, self.options = job, training_options(job)
        self.learner: Learner = initial_learner(job)
        self.device = training_device()
        self.devices = [device_name(self.device)]
        self.learner.model.to(self.device)
        self.dropout = ("dropout", job.cell.key, job.seed)
        torch.manual_seed(stream_seed(*self.dropout))
        self.generator = stream("batch", job.cell.key, job.seed)
        # A batch serves so many updates; it is drawn again, from here, where a run goes on in their midst.
        self.updates_per_batch = self.options.get("updates_per_batch", 1)
        self.before_batch: Mapping[str, Any] = {}
        self.batch: Batch = {}
        self.optimiser = make_optimiser(self.learner.model, self.options)
        self.in_tokens = in_tokens(self.options)
        self.step = self.tokens = 0
        self._seed_device()
        self.losses: list[float] = []
        # Seconds of the updates so far, and at each checkpoint, by `clock_of` the device.
        self.spent = 0.0
        self.spent_at: dict[int, float] = {}

    def update(self) -> None:
        """One gradient update; raises DivergedError where the loss is not finite."""
        now = clock_of(self.device)
        begun = now()
        self.learner.begin_update(self.step, self.generator)
        if not self.batch or self.step % self.updates_per_batch == 0:
            self.before_batch = self.generator.bit_generator.state
            self.batch = self.learner.draw(self.generator)
        if self.in_tokens:
            self.tokens += self.learner.tokens(self.batch)
        rate = self.options["learning_rate"] * learning_rate_factor(self.step, self.tokens, self.options)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = self.learner.loss(self.learner.on_device(self.batch))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for parameters in self.learner.clipped():
            torch.nn.utils.clip_grad_norm_(parameters, self.options["gradient_clip"])
        self.optimiser.step()
        self.step += 1
        value = float(loss.detach())
        self.spent += now() - begun
        if not math.isfinite(value):
            raise DivergedError(f"loss is {value} after {self.step} updates")
        self.losses.append(value)

    def save(self) -> None:
        """Write a checkpoint beside its place and move it in."""
        self.spent_at[self.step] = round(self.spent, 3)
        write_state(checkpoint_path(self.job.folder, self.step), {
            "fingerprint": self.job.fingerprint, "step": self.step, "losses": self.losses,
            "spent": self.spent, "spent_at": self.spent_at,
            "model": self.learner.model.state_dict(), "learner": self.learner.state(),
            "optimiser": self.optimiser.state_dict(), "tokens": self.tokens,
            "torch": torch.get_rng_state(), "numpy": self._random_state(),
            "devices": self.devices,
        })  # fmt: skip
        self._seed_device()

    def _random_state(self) -> Mapping[str, Any]:
        """The state from which the next update's batch is drawn, or was, if it serves that update too."""
        in_midst = self.step % self.updates_per_batch != 0
        return self.before_batch if in_midst else self.generator.bit_generator.state

    def _seed_device(self) -> None:
        """Seed a GPU's generator, which dropout draws from there, by the update.

        Done at each checkpoint, so that a run goes on from it alike wherever it was made.
        """
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(stream_seed(*self.dropout, self.step))

    def resume(self) -> None:
        """Go on from the newest checkpoint before which none is missing, damaged or of another training.

        Everything behind it is removed, and made again.
        """
        kept: set[Path] = set()
        saved: dict[str, Any] = {}
        for step in checkpoint_steps(self.options):
            path = checkpoint_path(self.job.folder, step)
            if not path.exists():
                break
            try:
                saved = read_checkpoint(self.job, step)
            except DamagedError as error:
                print(f"{error}; it is made again")
                break
            kept |= {path, tensors_beside(path)}
        for path in (self.job.folder / "checkpoints").glob("*"):
            if path not in kept:
                path.unlink()
        if saved:
            self._take_up(saved)
            print(f"resumed after {self.step} updates")

    def _take_up(self, saved: dict[str, Any]) -> None:
        self.step, self.tokens, self.losses = saved["step"], saved["tokens"], saved["losses"]
        self.spent, self.spent_at = saved["spent"], saved["spent_at"]
        self.learner.model.load_state_dict(saved["model"])
        self.learner.restore(saved["learner"])
        self.optimiser.load_state_dict(saved["optimiser"])
        torch.set_rng_state(saved["torch"])
        self.generator.bit_generator.state = saved["numpy"]
        self.devices = list(dict.fromkeys([*saved["devices"], *self.devices]))
        self._seed_device()


def train(job: Job) -> tuple[Rows, Facts]:
    """Train to the end; returns the loss curve and facts about the model."""
    one_thread()
    source, *cloned = job.upstream
    require_ok("its dataset", source)
    for clone in cloned:
        require_trained(clone, "the training that it takes its encoder from")
    collector = importlib.import_module(collector_module(job.suite.catalogue, job.cell.task))
    dataset = collector.load(checked_data(source))
    run = Run(job)
    for clone in cloned:
        run.learner.take_encoder(load_last(clone)[0])
    run.learner.prepare(dataset)
    run.resume()
    run.learner.model.train()
    steps = checkpoint_steps(run.options)
    every = max(1, run.options["updates"] // LOSS_POINTS)
    while run.step < run.options["updates"]:
        run.update()
        if run.step in steps:
            run.save()
            print(f"update {run.step}: loss {np.mean(run.losses[-every:]):.4f}")
    curve = [
        ("training_loss", start + every, 0.0, float(np.mean(run.losses[start : start + every])))
        for start in range(0, len(run.losses) - every + 1, every)
    ]
    parameters = sum(p.numel() for p in run.learner.model.parameters() if p.requires_grad)
    facts: Facts = {"updates": run.step, "trainable_parameters": parameters}
    facts |= {"training_seconds": run.spent_at, "training_clock": clocks(run.devices)}
    return curve, facts | described(run.device) | {"device": " and ".join(run.devices)}


main = stage_command("train", train)
