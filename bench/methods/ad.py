"""Algorithm Distillation (Laskin et al. 2023): a sequence model imitates a learner's whole history.

The context holds `context_episodes` episodes of one task; every action in it is predicted from
everything before it, and the loss is the distance to the action the learner took. At test time
the model acts in an unseen task, its own past episodes as context, without any update.

Tricks, in the order in which they matter here:
1. Training contexts are random episodes of a history in ascending order of return
   (`context_selection`, `context_order`), as DM-H says of methods that learn in context (equation 4).
   AD's own paper takes contiguous parts of thinned histories: `context_selection=contiguous`,
   `context_order=time` and fewer `stored_episodes`. `test_context_order` is that of a test.
2. Actions are sampled at test time (`temperature`); the likeliest action does not explore.
3. `step_tokens=separate`: tokens s_t, a_t, r_t of each step; a_t is read off the s_t token.
   `merged`: one token a step, of s_t, a_{t-1} and r_{t-1}; a third of the length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Actions
from bench.datasets.episodes import Episodes, Packed, pack
from bench.methods.backbones import PositionedModel
from bench.methods.base import Batch, Floats, Learner, Observation, OnlineWork, Timed, Trial
from bench.methods.in_context import (
    Contexts,
    StepEmbedding,
    choose_actions,
    normaliser_of,
    random_past,
    read_past,
)
from bench.methods.places import places_of, taken
from bench.methods.spaces import space_of
from bench.nn.backbone import Backbone
from bench.nn.kept_program import KeptProgram

if TYPE_CHECKING:
    from bench.nn.compiled import Compiled


class ADModel(PositionedModel):
    """Embeddings, a causal backbone over the whole context, and an action head.

    Args:
        backbone: maps (B, tokens, D) to the same, causally.
        options: those of the task, context_episodes, step_tokens, embedding_dim, dropout.
        positions: whether a learnt position embedding is added.
    """

    def __init__(self, backbone: Backbone, options: Options, positions: bool) -> None:
        super().__init__()
        width, space = options["embedding_dim"], space_of(options)
        self.options = options
        self.merged = options["step_tokens"] == "merged"
        self.per_step = 1 if self.merged else 3
        self.max_tokens = options["context_episodes"] * space.horizon * self.per_step
        self.embed = StepEmbedding(space, options)
        self.make_positions(self.max_tokens, width, positions, options["dropout"])
        self.backbone = backbone
        self.head = space.head(width)
        self.normaliser = normaliser_of(space, options)
        self.kept = KeptProgram()

    def tokens(self, states: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
        """Tokens of packed steps, (B, N * tokens a step, D), positions not yet added.

        states (B, N, S), actions (B, N) or (B, N, A), rewards (B, N).
        """
        state = self.embed.state(states)
        if self.merged:
            return state + self.embed.before(actions, rewards)
        action = self.embed.action(self.embed.space.encode_actions(actions))
        return torch.stack([state, action, self.embed.reward(rewards)], dim=2).flatten(1, 2)

    def lay_out(self, parameters: Sequence[Tensor]) -> Compiled | None:
        """The program of a decision that knows of the step before it."""
        from bench.nn.reading_program import reading_program

        embed, features = self.embed, self.embed.space.state_features
        maps = {
            "action": (embed.space.action_dim + 1, embed.action_embedding),
            "reward": (1, nn.Sequential(*embed.reward_embedding)),
            "state": (features, embed.state_embedding),
        }
        kinds = [["state", "action", "reward"]] if self.merged else [["action"], ["reward"], ["state"]]
        return reading_program(maps, kinds, self.position, self.backbone, self.head, parameters)

    def forward(self, states: Tensor, actions: Tensor, rewards: Tensor, real: Tensor) -> Tensor:
        """Logits, or actions, of the steps at the places `real` (n,) from what came before them: (n, A)."""
        tokens = self.tokens(states, actions, rewards)
        hidden = self.backbone(self.placed_from_first(tokens))
        predicted: Tensor = self.head(taken(hidden[:, :: self.per_step], real))
        return predicted


def packed_batch(episodes: Episodes, generator: np.random.Generator) -> Batch:
    """The packed steps of contexts, and the places `real` (n,) of those that are no padding."""
    steps = pack(episodes)._asdict()
    return steps | {"real": places_of(steps.pop("valid").numpy())}


class ADLearner(Learner):
    """Algorithm Distillation over a given backbone.

    `keeps_state`: the backbone keeps a state in any case, so that no decision reads the context again.
    """

    model: ADModel

    def __init__(self, options: Options, backbone: Backbone, positions: bool, keeps_state: bool) -> None:
        model = ADModel(backbone, options, positions)
        super().__init__(options, model, Contexts(options, model.normaliser, packed_batch))
        self.keeps_state = keeps_state

    def loss(self, batch: Batch) -> Tensor:
        """Distance to the learner's actions, over all real steps."""
        return self.model.embed.space.loss(self.model(**batch), taken(batch["actions"], batch["real"]))

    def policy(self, trial: Trial) -> ADPolicy:
        """The trained model as a policy."""
        return ADPolicy(self.model, trial)

    def timed(self, generator: np.random.Generator) -> Timed:
        """A pass over the whole context, and an online test from the state, a cache, or the whole context."""
        return Timed(self.model, self.whole_pass(generator), self._online_work)

    def _online_work(self, fill: int, cached: bool, generator: np.random.Generator) -> OnlineWork:
        work = _Online(self.model, self.device, fill, generator)
        if cached or self.keeps_state:
            work.begin()
            return OnlineWork(work.begin, work.decide, 1)
        return OnlineWork(lambda: None, work.read_again, 1)


class ADPolicy:
    """Acts in a batch of environments, token by token from a recurrent state or a key-value cache."""

    last: tuple[Tensor, Tensor] | None  # the action and reward of the last step, if they are not read yet

    def __init__(self, model: ADModel, trial: Trial) -> None:
        self.model, self.trial = model.eval(), trial
        self.device = next(model.parameters()).device

    def begin(self, past: Episodes) -> None:
        """Begin an episode: the context of the earlier ones is read at once."""
        context = read_past(past, self.model.options, self.model.normaliser)
        if context.lengths.shape[1]:
            packed = pack(context, right=True)
            self.read(packed.to(self.device), bool(packed.valid.all()))
        else:
            self.states = self.model.backbone.allocate_state(self.trial.count, self.model.max_tokens)
            self.place = torch.zeros(self.trial.count, dtype=torch.long, device=self.device)
            self.last = None

    def read(self, packed: Packed, is_whole: bool) -> None:
        """Take in steps that lie behind: (count, N, ...), padded on the left unless they are whole."""
        model = self.model
        tokens = model.tokens(packed.states, packed.actions, packed.rewards)
        mask = packed.valid.repeat_interleave(model.per_step, dim=1)
        places = (mask.cumsum(dim=1) - 1).clamp(min=0)
        whole = None if is_whole else mask
        # A row's first real token has nothing before it, which padding on its left would otherwise be.
        if whole is not None and model.merged:
            tokens = self._without_before(tokens, packed)
        _, self.states = model.backbone.prefill(model.placed(tokens, places), whole, model.max_tokens)
        self.place = mask.sum(dim=1)
        self.last = (packed.actions[:, -1], packed.rewards[:, -1]) if model.merged else None

    def _without_before(self, tokens: Tensor, packed: Packed) -> Tensor:
        """Merged tokens in which the first real step of each row knows of no step before it."""
        first = packed.valid & (packed.valid.cumsum(dim=1) == 1)
        embed, space = self.model.embed, self.model.embed.space
        none = embed.action(space.no_action(1, device=self.device))
        none = none + embed.reward(torch.zeros(1, device=self.device))
        return torch.where(first.unsqueeze(-1), embed.state(packed.states) + none.unsqueeze(0), tokens)

    def _feed(self, tokens: list[Tensor]) -> Tensor:
        """The backbone's output (count, D) at the last of the next tokens, each (count, D)."""
        last = self.model.max_tokens - 1
        placed = [
            self.model.placed(token, (self.place + number).clamp(max=last))
            for number, token in enumerate(tokens)
        ]
        hidden, self.states = self.model.backbone.read(torch.stack(placed, dim=1), self.states)
        self.place = self.place + len(tokens)
        return hidden

    def act(self, seen: Observation) -> Actions:
        """Actions (count,) or (count, A)."""
        predicted = self.predict(self.model.normaliser(torch.from_numpy(seen.states).to(self.device)))
        self.chosen = choose_actions(predicted, self.model.embed.space, self.trial)
        return self.chosen

    def predict(self, states: Tensor) -> Tensor:
        """Logits, or actions, (count, A), in states (count, S) as the model reads them."""
        embed, space, count = self.model.embed, self.model.embed.space, self.trial.count
        if self.last is not None:
            code, rewards = space.encode_actions(self.last[0]), self.last[1]
        elif self.model.merged:
            code = space.no_action(count, device=self.device)
            rewards = torch.zeros(count, device=self.device)
        else:
            predicted: Tensor = self.model.head(self._feed([embed.state(states)]))
            return predicted
        program = self.model.kept.to_read(code, self.states, self.model, self.model.lay_out)
        if program is not None:
            return self._read_at_once(program, space.encode_states(states), code, rewards)
        made = [embed.action(code), embed.reward(rewards), embed.state(states)]
        fed: Tensor = self._feed([sum(made[:2], made[2])] if self.model.merged else made)
        return self.model.head(fed)

    def _read_at_once(self, program: Compiled, state: Tensor, code: Tensor, rewards: Tensor) -> Tensor:
        """`predict` from the codes of a state and of the step before it, by one compiled call."""
        tokens, first = self.model.per_step, int(self.place)
        scaled = rewards / self.model.embed.reward_embedding.scale
        shown: list[Any] = [code.numpy(), scaled.numpy(), state.numpy()]
        if self.model.position is not None:
            shown += [min(first + number, self.model.max_tokens - 1) for number in range(tokens)]
        predicted, self.states = program.read(self.states, tokens, *shown)
        self.place = self.place + tokens
        return predicted

    def observe(self, rewards: Floats) -> None:
        """Take in the rewards (count,) of the actions just chosen."""
        self.last = torch.from_numpy(self.chosen).to(self.device), torch.from_numpy(rewards).to(self.device)


class _Online:
    """One environment with `fill` steps in its context, to be timed."""

    def __init__(
        self, model: ADModel, device: torch.device, fill: int, generator: np.random.Generator
    ) -> None:
        self.model, horizon = model, model.embed.space.horizon
        self.policy = ADPolicy(model, Trial(1, torch.Generator()))
        count = -(-(fill + 1) // horizon)
        packed = pack(random_past(model.options, count * horizon, generator)).to(device)
        self.steps = Packed(*(values[:, : fill + 1] for values in packed))
        self.past = Packed(*(values[:, :fill] for values in packed))
        self.real = torch.arange(fill + 1, device=device)
        self.tokens = fill * model.per_step

    def begin(self) -> None:
        """Read the context."""
        if self.past.valid.shape[1]:
            self.policy.read(self.past, is_whole=True)
            # A decision inside an episode takes in the action and the reward before it.
            self.policy.last = self.past.actions[:, -1], self.past.rewards[:, -1]
        else:
            self.policy.begin(random_past(self.model.options, 0, np.random.default_rng(0)))

    def decide(self) -> Tensor:
        """A decision by one step; what it writes is forgotten, so that the fill stays what it is."""
        place, last = self.policy.place, self.policy.last
        predicted = self.policy.predict(self.steps.states[:, -1])
        self.policy.place, self.policy.last = place, last
        self.policy.states = self.policy.states.at(self.tokens)
        return predicted

    def read_again(self) -> Tensor:
        """A decision by a pass over the whole context."""
        states, actions, rewards, _ = self.steps
        predicted: Tensor = self.model(states, actions, rewards, self.real)
        return predicted[-1]
