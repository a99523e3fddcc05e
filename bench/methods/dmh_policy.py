"""How DM-H acts: a sub-goal each c steps from Mamba's state, actions from the transformer (Algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.datasets.arrays import Actions
from bench.datasets.episodes import Episodes
from bench.methods.base import Floats, Observation, Trial
from bench.methods.dmh_blocks import Blocks
from bench.methods.dmh_local import Begun, Step
from bench.methods.dmh_model import DMHModel
from bench.methods.in_context import choose_actions, read_past
from bench.nn.state import Memory


class SlidingWindow:
    """The last c steps of an episode, across the borders of blocks, read anew at each step.

    So does the authors' test path (gym/src/evaluation/evaluate_episodes.py). All steps are told the sub-goal
    of the block that the last one is in.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.states: list[Tensor] = []
        self.passed: list[Step] = []

    def add(self, states: Tensor) -> int:
        """Go on by a step whose states (count, S) are seen; returns w, how many steps there are."""
        self.states = [*self.states, states][-self.steps :]
        held = len(self.states)
        self.passed = self.passed[len(self.passed) - (held - 1) :]
        return held

    def read(self, model: DMHModel, goals: Tensor, time: int) -> Tensor:
        """Logits or actions (count, A) at step `time`, the sub-goals (count, w, Z) told."""
        count, held = goals.shape[:2]
        # What the step to come does and earns is not seen by it.
        steps = [*self.passed, Step(model.space.any_action(count, goals.device), goals.new_zeros(count))]
        actions, rewards = (torch.stack(values, dim=1) for values in zip(*steps, strict=True))
        times = torch.arange(time - held + 1, time + 1, device=goals.device).expand(count, -1)
        predicted: Tensor = model.local(goals, torch.stack(self.states, dim=1), actions, rewards, times)
        return predicted[:, -1]


class DMHPolicy:
    """Acts in many environments at once.

    Attributes: `time`, the step of the episode; `last`, the step before it, none at a block's start.
    """

    begun: Begun
    hidden: Tensor
    goals: Tensor
    long_state: Memory
    last: Step | None

    def __init__(self, model: DMHModel, trial: Trial) -> None:
        self.model, self.trial, self.options = model.eval(), trial, model.options
        self.steps, self.device = self.options["steps_per_subgoal"], next(model.parameters()).device
        self.slides = self.options["local_window"] == "sliding"

    def begin(self, past: Episodes) -> None:
        """Begin an episode: Mamba reads the context of the earlier ones."""
        long, context = self.model.long_term, read_past(past, self.options, self.model.normaliser)
        self.time = 0
        # Of the block that is going on: the states reached and the rewards earned.
        self.reached: list[Tensor] = []
        self.rewards: list[Tensor] = []
        self.wanted = torch.full((self.trial.count,), self.options["target_return"], device=self.device)
        self.window = SlidingWindow(self.steps)
        self.begun = self.model.local.begin(self.trial.count)
        if not context.lengths.shape[1]:
            self.long_state = long.backbone.allocate_state(self.trial.count, 0)
            return
        blocks = Blocks(context, self.steps)
        sequence, valid, _ = blocks.long_sequence(self.wanted.cpu().numpy(), long.rich, right=True)
        mask = None if bool(valid.all()) else valid.repeat_interleave(long.per_block, dim=1).to(self.device)
        tokens = long.tokens(**{name: values.to(self.device) for name, values in sequence.items()})
        _, self.long_state = long.backbone.prefill(tokens.flatten(1, 2), mask)

    def act(self, seen: Observation) -> Actions:
        """Actions (count,) or (count, A)."""
        states = self.model.normaliser(torch.from_numpy(seen.states).to(self.device))
        if self.rewards:
            # The state that an action led to is known only now.
            self.reached.append(states)
        place = self.time % self.steps
        if place == 0:
            self._recall(states)
        if self.slides:
            held = self.window.add(states)
            goals = self.goals if self.goals.shape[1] == 1 else self._drawn(held)
            predicted = self.window.read(self.model, goals.expand(-1, held, -1), self.time)
        else:
            goal = self.goals[:, place % self.goals.shape[1]]
            predicted, self.begun = self.model.local.step(goal, states, self.time, self.last, self.begun)
        self.chosen = choose_actions(predicted, self.model.space, self.trial)
        return self.chosen

    def _recall(self, states: Tensor) -> None:
        """Feed Mamba the end of the block before and the state of this one; draw its sub-goal."""
        long = self.model.long_term
        if self.rewards:
            rewards = torch.stack(self.rewards, dim=1)
            going_on = torch.zeros(len(rewards), dtype=torch.bool, device=self.device)
            whole = (torch.stack(self.reached, dim=1), rewards) if long.rich else (None, None)
            self._read(long.after_acting(rewards.sum(dim=1), going_on, *whole))
        self.hidden = self._read(long.before_acting(self.wanted, states))
        self.goals = self._drawn(long.goals.draws)
        self.begun, self.last = self.model.local.begin_again(self.begun), None
        self.reached, self.rewards = [], []

    def _read(self, tokens: Tensor) -> Tensor:
        """Feed Mamba tokens (count, N, D); its output (count, D) at the last one."""
        hidden, self.long_state = self.model.long_term.backbone.read(tokens, self.long_state)
        return hidden

    def _drawn(self, draws: int) -> Tensor:
        """Sub-goals (count, `draws`, Z) of the block that is going on."""
        gaussian, generator = self.model.long_term.goals, self.trial.generator
        # Drawn where the generator is, so that every device draws alike.
        noise = torch.randn(
            self.trial.count, draws, gaussian.size, generator=generator, device=generator.device
        )
        drawn: Tensor = gaussian(self.hidden, noise.to(self.device))
        return drawn

    def observe(self, rewards: Floats) -> None:
        """Take in the rewards (count,) of the actions just chosen."""
        reward = torch.from_numpy(rewards).to(self.device)
        self.last = Step(torch.from_numpy(self.chosen).to(self.device), reward)
        self.window.passed.append(self.last)
        self.rewards.append(reward)
        self.wanted = self.wanted - reward
        self.time += 1
