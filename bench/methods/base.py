"""The contract of a method: what training, evaluation and the stop-watch ask of it.

A method is one module `bench/methods/<name>.py` with a class `Learner`. It is found by its
name, so that no registry couples one method's code to another's.

A `Learner` holds a model and a sampler. What acts is a `Policy`, which holds the model alone.
`python -m bench conform` checks that a method keeps this contract.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Actions, States
from bench.datasets.episodes import Episodes
from bench.errors import SpecError
from bench.work.availability import method_module

Batch = dict[str, Tensor]
Floats = NDArray[np.float32]
Hook = TypeVar("Hook", bound=Callable[..., Any])


def hook(function: Hook) -> Hook:
    """Mark a method of a base class that its sub-classes may replace; every other one is final."""
    function.is_hook = True  # type: ignore[attr-defined]
    return function


class Observation(NamedTuple):
    """What a policy is shown before it acts in `count` environments at once.

    states (count, S); wanted (count,), the return still asked for; alive (count,), whether an episode is on.
    """

    states: States
    wanted: Floats
    alive: NDArray[np.bool_]


@dataclass(frozen=True)
class Trial:
    """How a policy is to act.

    Attributes: `count` environments side by side; `generator`, which draws whatever is drawn at random;
    `temperature` of discrete actions, 0 for the likeliest; `likeliest`, the number of actions that one is
    drawn from, 0 for all; `cached`, whether a context may be remembered, as against read again at each
    decision.
    """

    count: int
    generator: torch.Generator
    temperature: float = 0.0
    likeliest: int = 0
    cached: bool = True


class Policy(Protocol):
    """A trained model that acts in a batch of environments."""

    def begin(self, past: Episodes) -> None:
        """Begin an episode in every environment, told all earlier ones (count, episodes, ...)."""

    def act(self, seen: Observation) -> Actions:
        """Actions (count,) or (count, A)."""

    def observe(self, rewards: Floats) -> None:
        """Take in the rewards (count,) of the actions just chosen."""


class Sampler(Protocol):
    """Where a method's batches come from. Drawing one changes nothing but the generator."""

    def prepare(self, dataset: Any) -> None:
        """Take what batches are gathered from."""

    def draw(self, generator: np.random.Generator) -> Batch:
        """One training batch, on the CPU."""

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """A batch of the true shapes with random content, on the CPU."""


class OnlineWork(NamedTuple):
    """What an agent does online with a context of a given size, to be timed.

    `begin` is done when an episode begins; `decide` makes `decisions` decisions.
    """

    begin: Callable[[], object]
    decide: Callable[[], object]
    decisions: int


class OnlineTimed(Protocol):
    """The work of acting in one environment with `fill` steps in the context.

    `cached` decides from a key-value cache, else the context is read again at each decision. A recurrent
    state is kept either way.
    """

    def __call__(self, fill: int, cached: bool, generator: np.random.Generator) -> OnlineWork:
        """The work, ready to be done."""


class Timed(NamedTuple):
    """What the stop-watch asks of a method.

    `counted` is the module whose trainable parameters count; `decision` makes one decision with a full
    context; `online` is None if an online test is not timed.
    """

    counted: nn.Module
    decision: Callable[[], object]
    online: OnlineTimed | None = None


class Learner(ABC):
    """A method on a task: a model, its batches and its loss.

    Attributes: `update`, the number of the update that is being made, from 1; 0 before the first.
    """

    def __init__(self, options: Options, model: nn.Module, sampler: Sampler) -> None:
        self.options, self.model, self.sampler = options, model, sampler
        self.update = 0

    @property
    def device(self) -> torch.device:
        """Where the model is. What an environment shows is taken there to act, and actions come back."""
        return next(self.model.parameters()).device

    def on_device(self, batch: Batch) -> Batch:
        """The batch where the model is."""
        return {name: values.to(self.device) for name, values in batch.items()}

    def prepare(self, dataset: Any) -> None:
        """Take what training needs from the dataset."""
        self.sampler.prepare(dataset)

    @hook
    def take_encoder(self, cloned: Learner) -> None:
        """Take the encoder of frames of a trained learner that clones actions, and leave it as it is.

        Called before `prepare`. Raises SpecError for a method that has no such encoder to replace.
        """
        raise SpecError(
            "option encoder: frozen is for sequence models over frames. Set it to end-to-end for this method."
        )

    def begin_update(self, done: int, generator: np.random.Generator) -> None:
        """Begin the update after `done` updates: what moves between updates moves now."""
        self.update = done + 1
        self.move(done, generator)

    @hook
    def move(self, done: int, generator: np.random.Generator) -> None:
        """Move what moves between two updates, such as target networks; `done` updates have been made."""
        return None

    def draw(self, generator: np.random.Generator) -> Batch:
        """One training batch, on the CPU; it changes nothing but the generator."""
        return self.sampler.draw(generator)

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The training loss of a batch on the model's device, a scalar; the model is in training mode."""

    @hook
    def tokens(self, batch: Batch) -> int:
        """Actions that a batch predicts, by which a schedule in tokens counts.

        Raises SpecError for a method whose batches are no windows.
        """
        raise SpecError(
            "options warmup_tokens and decay_tokens: they count the actions of windows, and this method's "
            "batches are none. Leave them at 0 and set warmup_updates."
        )

    @hook
    def clipped(self) -> list[Iterable[nn.Parameter]]:
        """Groups of parameters, the norm of whose gradient is bounded by `gradient_clip`, each on its own."""
        return [self.model.parameters()]

    @abstractmethod
    def policy(self, trial: Trial) -> Policy:
        """The model as it is now, as a policy; it is put into evaluation mode."""

    @hook
    def timed(self, generator: np.random.Generator) -> Timed:
        """What the stop-watch asks; by default a decision is a pass over a full context."""
        return Timed(self.model, self.whole_pass(generator))

    def whole_pass(self, generator: np.random.Generator) -> Callable[[], object]:
        """A forward pass over one full context with random content."""
        batch = self.on_device(self.sampler.synthetic(1, generator))
        return lambda: self.model(**batch)

    @hook
    def unused_parameters(self) -> int:
        """Parameters of the authors' model that no pass uses and that are not built here.

        Theirs are the trainable parameters of `timed(...).counted` and these.
        """
        return 0

    @hook
    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the model's weights and buffers."""
        return {}

    @hook
    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        assert not state


class Family(Protocol):
    """The class `Learner` of a method's module."""

    def __call__(self, options: Options) -> Learner:
        """The learner, its weights freshly initialised from torch's global generator."""


def make_learner(method: str, options: Options) -> Learner:
    """The learner of that name, its weights freshly initialised from torch's global generator."""
    family: Family = importlib.import_module(method_module(method)).Learner
    return family(options)
