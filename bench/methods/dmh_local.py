"""DM-H's local module: a causal transformer over c steps, told a sub-goal (arXiv 2406.00079, equations 6, 7).

Shapes: S blocks, w steps of each, at most c; Z numbers of a sub-goal, A `action_dim`, D `embedding_dim`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.backbones import PositionedModel, transformer
from bench.methods.dmh_embeddings import Embeddings
from bench.methods.dmh_long import subgoal_size
from bench.methods.spaces import space_of
from bench.nn.kept_program import KeptProgram
from bench.nn.state import Memory

if TYPE_CHECKING:
    from bench.nn.compiled import Compiled


class Begun(NamedTuple):
    """What the module remembers of a block: attention's memory, and the tokens read."""

    memory: Memory
    tokens: int


class Step(NamedTuple):
    """An action (count,) or (count, A) and the reward (count,) that it earned."""

    action: Tensor
    reward: Tensor


class LocalModule(PositionedModel):
    """A causal transformer over the c steps of a block, told a sub-goal (equations 6 and 7).

    `local_tokens=separate` makes four tokens a step (sub-goal, state, action, reward) and reads the action
    off the state's; `merged` makes one, of the sub-goal, s_t, a_{t-1} and r_{t-1}. Tokens are told their
    place in the block, the step of the episode, or neither (`local_position`).
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        width, self.steps = options["embedding_dim"], options["steps_per_subgoal"]
        self.space, self.goal_size = space_of(options), subgoal_size(options)
        self.merged, self.reward_scale = options["local_tokens"] == "merged", options["reward_scale"]
        self.per_step = 1 if self.merged else 4
        if not options["subgoal_layer"] and self.goal_size != width:
            raise ValueError(
                f"subgoal_layer: a sub-goal of {self.goal_size} numbers needs a layer to the width {width}; "
                f"set subgoal_layer to true, or subgoal_size to width"
            )
        # A merged token may stand at a block's start, which no action of the block precedes.
        actions = self.space.action_dim + int(self.merged)
        maps: dict[str, nn.Module] = {
            "goal": nn.Linear(self.goal_size, width) if options["subgoal_layer"] else nn.Identity(),
            "state": nn.Linear(self.space.state_features, width),
            "action": nn.Linear(actions, width),
            "reward": nn.Linear(1, width),
        }
        self.embed = Embeddings(maps, width, options["embedding_norm"] == "shared")
        timed = options["local_position"] == "timestep"
        self.timestep_embedding = nn.Embedding(self.space.horizon, width) if timed else None
        placed = options["local_position"] == "block"
        self.make_positions(self.steps * self.per_step, width, placed, options["dropout"])
        self.backbone = transformer(options, options["transformer_layers"])
        self.head = self.space.head(width)
        # Of a step within a block, and of the first of one.
        self.kept = KeptProgram(), KeptProgram()

    def forward(
        self, goals: Tensor, states: Tensor, actions: Tensor, rewards: Tensor, times: Tensor
    ) -> Tensor:
        """Logits or actions (S, w, A).

        Sub-goals (S, w, Z), states (S, w, ...), actions (S, w, ...), rewards (S, w), steps of the episode
        `times` (S, w), integers.
        """
        codes, time = self._codes(actions), self._time(times)
        if self.merged:
            codes = torch.cat([self._no_action(codes[:, :1]), codes[:, :-1]], dim=1)
            rewards = torch.cat([torch.zeros_like(rewards[:, :1]), rewards[:, :-1]], dim=1)
        goal, state = self._shown(goals, states, time)
        action, reward = self.embed("action", codes, time), self._reward(rewards, time)
        if self.merged:
            hidden = self.backbone(self.placed_from_first(goal + state + action + reward))
        else:
            tokens = torch.stack([goal, state, action, reward], dim=2).flatten(1, 2)
            hidden = self.backbone(self.placed_from_first(tokens))[:, 1::4]
        predicted: Tensor = self.head(hidden)
        return predicted

    def begin(self, sequences: int) -> Begun:
        """What is remembered before the first block: nothing."""
        return Begun(self.backbone.allocate_state(sequences, self.steps * self.per_step), 0)

    def begin_again(self, begun: Begun) -> Begun:
        """What is remembered before the next block: nothing, in the same buffers."""
        return Begun(begun.memory.at(0), 0)

    def step(
        self, goals: Tensor, states: Tensor, time: int, last: Step | None, begun: Begun
    ) -> tuple[Tensor, Begun]:
        """Logits or actions (count, A) at step `time` of an episode.

        Sub-goals (count, Z), states (count, ...); `last`: the step before, if it is of this block.
        """
        if self.timestep_embedding is None:
            kept = self.kept[last is None]
            program = kept.to_read(
                goals, begun.memory, self, lambda parameters: self._lay_out(parameters, last is None)
            )
            if program is not None:
                return self._read_at_once(program, goals, states, last, begun)
        now = self._time(torch.full((len(goals),), time, device=goals.device))
        goal, state = self._shown(goals, states, now)
        if self.merged:
            tokens = [goal + state + self._before(last, goals, now)]
        elif last is None:
            tokens = [goal, state]
        else:
            then = self._time(torch.full((len(goals),), time - 1, device=goals.device))
            action = self.embed("action", self._codes(last.action), then)
            tokens = [action, self._reward(last.reward, then), goal, state]
        memory, position = begun
        placed = [self.placed(token, position + number) for number, token in enumerate(tokens)]
        hidden, memory = self.backbone.read(torch.stack(placed, dim=1), memory)
        return self.head(hidden), Begun(memory, position + len(tokens))

    def _kinds(self, begins: bool) -> list[list[str]]:
        """What the tokens of a step are made of."""
        if self.merged:
            return [["goal", "state", "action", "reward"]]
        return [["goal"], ["state"]] if begins else [["action"], ["reward"], ["goal"], ["state"]]

    def _lay_out(self, parameters: Sequence[Tensor], begins: bool) -> Compiled | None:
        """The program of a step; `begins`: of the first of a block."""
        from bench.nn.reading_program import reading_program

        kinds = self._kinds(begins)
        numbers = {"goal": self.goal_size, "state": self.space.state_features, "reward": 1}
        numbers["action"] = self.space.action_dim + int(self.merged)
        maps = {kind: (numbers[kind], self.embed.chain(kind)) for token in kinds for kind in token}
        return reading_program(maps, kinds, self.position, self.backbone, self.head, parameters)

    def _read_at_once(
        self, program: Compiled, goals: Tensor, states: Tensor, last: Step | None, begun: Begun
    ) -> tuple[Tensor, Begun]:
        """`step` by one compiled call."""
        values = {"goal": goals, "state": self.space.encode_states(states)}
        if last is not None:
            values |= {"action": self._codes(last.action), "reward": last.reward / self.reward_scale}
        elif self.merged:
            values |= {"action": self.space.no_action(1, device=goals.device), "reward": goals.new_zeros(1)}
        kinds = self._kinds(last is None)
        shown: list[Any] = [values[kind].numpy() for token in kinds for kind in token]
        if self.position is not None:
            shown += [begun.tokens + number for number in range(len(kinds))]
        predicted, memory = program.read(begun.memory, len(kinds), *shown)
        return predicted, Begun(memory, begun.tokens + len(kinds))

    def _before(self, last: Step | None, goals: Tensor, now: Tensor | None) -> Tensor:
        """The embedding (count, D) of the action and the reward before a merged token."""
        if last is None:
            codes = self.space.no_action(len(goals), device=goals.device)
            rewards = goals.new_zeros(len(goals))
        else:
            codes, rewards = self._codes(last.action), last.reward
        return self.embed("action", codes, now) + self._reward(rewards, now)

    def _shown(self, goals: Tensor, states: Tensor, time: Tensor | None) -> tuple[Tensor, Tensor]:
        """Embeddings (..., D) of what is known before acting."""
        return self.embed("goal", goals, time), self.embed("state", self.space.encode_states(states), time)

    def _reward(self, rewards: Tensor, time: Tensor | None) -> Tensor:
        """The embedding (..., D) of rewards (...)."""
        embedded: Tensor = self.embed("reward", rewards.unsqueeze(-1) / self.reward_scale, time)
        return embedded

    def _codes(self, actions: Tensor) -> Tensor:
        """Actions as they are embedded: (..., A), and a number more for "none yet" in merged tokens."""
        return self.space.encode_actions(actions)[..., : self.space.action_dim + int(self.merged)]

    def _no_action(self, like: Tensor) -> Tensor:
        return self.space.no_action(*like.shape[:-1], device=like.device)

    def _time(self, times: Tensor) -> Tensor | None:
        """Embeddings (..., D) of steps of an episode, None where tokens are not told them."""
        if self.timestep_embedding is None:
            return None
        embedded: Tensor = self.timestep_embedding(times)
        return embedded
