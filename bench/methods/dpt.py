"""Decision-Pretrained Transformer (Lee et al. 2023): predict the optimal action from a set of transitions.

A context is a set of transitions (s, a, s', r) of one task, a token each; the state in question (the
query) is the first token. The transformer is trained by cross-entropy to the optimal action of the
query state, after every prefix of the context. At test time the context of an episode is the episodes
before it and stays what it is until the next; actions are sampled from the prediction.

Tricks, and where the paper leaves something to choose:
1. Contexts are transitions of a training task's learning history (published: of a behaviour policy).
   `history_share` takes them from its beginning, where the learner still explores: contexts without
   any reward, which a test starts with, occur only there.
2. `optimal_action=x-first` is the rule of the published code; `even` spreads the label over all
   optimal actions, so that a model that does not know the goal yet explores along both axes.
3. `context_transitions` trains on fewer transitions than a test shows, and so on more queries at the
   same cost: there is one query a context, since every token depends on it.
4. `empty_context_trained` trains the prediction after no transition at all as well, which is what the
   first test episode acts by. Its paper sums over prefixes from the first transition on and its code
   drops that prediction, so that its first episode acts by an output that was never trained.
5. `position_embedding`: the context is a set, but the GPT-2 of its code adds its learnt positions.
6. Nothing that happens within an episode reaches the query, by the method's design. In
   `dark-key-to-door` the optimal action depends on whether the key was taken, which the position does
   not tell: with `reward_memory` a state also says whether a reward was seen before it in its episode,
   which the agent knows by itself. Without it the label of a query is drawn with and without the key
   evenly, and the best a model can do is to mix both ways.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Actions
from bench.datasets.episodes import Episodes
from bench.datasets.histories import Histories
from bench.methods import base
from bench.methods.backbones import PositionedModel, transformer
from bench.methods.base import Batch, Floats, Observation, Trial
from bench.methods.in_context import choose_actions, kept_episodes, random_episodes
from bench.methods.spaces import space_of
from bench.worlds.gridworld.oracle import action_labels, optimal_actions
from bench.worlds.gridworld.world import ACTIONS

TOKENS_AT_ONCE = 2**15  # bounds the memory of a test, in which every room has a whole context


class DPTModel(PositionedModel):
    """One linear map of a transition to a token, causal GPT-2 blocks, and an action head.

    Shapes: B contexts of N transitions, D `embedding_dim`.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        width = options["embedding_dim"]
        self.options = options
        self.space, self.memory = space_of(options), options["reward_memory"]
        self.state_features = self.space.state_features + self.memory
        self.max_tokens = options["context_episodes"] * options["horizon"] + 1
        self.embed = nn.Linear(2 * self.state_features + ACTIONS + 1, width)
        self.make_positions(self.max_tokens, width, options["position_embedding"], options["dropout"])
        self.backbone = transformer(options, options["layers"])
        self.head = nn.Linear(width, ACTIONS)

    def _state(self, positions: Tensor, rewarded: Tensor) -> Tensor:
        features = self.space.encode_states(positions)
        return torch.cat([features, rewarded.float().unsqueeze(-1)], dim=-1) if self.memory else features

    def query(self, positions: Tensor, rewarded: Tensor) -> Tensor:
        """Tokens (B, 1, D) of queries at (B, 2) coordinates: a transition of which only s is there."""
        state = self._state(positions, rewarded)
        missing = state.new_zeros(len(state), self.embed.in_features - self.state_features)
        token: Tensor = self.embed(torch.cat([state, missing], dim=-1))
        return token.unsqueeze(1)

    def transitions(
        self, positions: Tensor, actions: Tensor, next_positions: Tensor, rewards: Tensor, rewarded: Tensor
    ) -> Tensor:
        """Tokens (B, N, D) of transitions between positions (B, N, 2); the rest is (B, N)."""
        after = rewarded | (rewards > 0)
        features = [
            self._state(positions, rewarded),
            nn.functional.one_hot(actions, ACTIONS).float(),
            self._state(next_positions, after),
            rewards.unsqueeze(-1),
        ]
        tokens: Tensor = self.embed(torch.cat(features, dim=-1))
        return tokens

    def hidden(self, query: Tensor, transitions: Tensor) -> Tensor:
        """What the blocks make (B, 1 + N, D) of a query and its context."""
        tokens = torch.cat([query, transitions], dim=1)
        hidden: Tensor = self.backbone(self.placed_from_first(tokens))
        return hidden

    def forward(
        self,
        query: Tensor,
        query_rewarded: Tensor,
        positions: Tensor,
        actions: Tensor,
        next_positions: Tensor,
        rewards: Tensor,
        rewarded: Tensor,
        label: Tensor,
    ) -> Tensor:
        """Logits (B, 1 + N, ACTIONS) of the query's action after 0 ... N transitions; `label` is not read."""
        context = self.transitions(positions, actions, next_positions, rewards, rewarded)
        logits: Tensor = self.head(self.hidden(self.query(query, query_rewarded), context))
        return logits


def transition_tensors(episodes: Episodes) -> dict[str, Tensor]:
    """The N = E * T transitions of episodes (B, E, T, ...), in their order."""
    positions, actions, rewards = episodes.tensors
    paid = (rewards > 0).long()
    return {
        "positions": positions[:, :, :-1].flatten(1, 2),
        "actions": actions.flatten(1),
        "next_positions": positions[:, :, 1:].flatten(1, 2),
        "rewards": rewards.flatten(1),
        "rewarded": (paid.cumsum(dim=2) - paid > 0).flatten(1),
    }


class Queries:
    """A sampler of contexts of the training tasks' histories, each with one query and its optimal action."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def prepare(self, dataset: Histories) -> None:
        """Keep the histories."""
        self.dataset = dataset

    def draw(self, generator: np.random.Generator) -> Batch:
        """Contexts of `batch_size` random training tasks, each with one query and its optimal action."""
        options, dataset = self.options, self.dataset
        length = max(options["context_episodes"], round(options["history_share"] * dataset.actions.shape[1]))
        task, chosen = self._draw_episodes(len(dataset.actions), length, generator)
        rows = task[:, None]
        drawn = Episodes.whole(
            dataset.positions[rows, chosen], dataset.actions[rows, chosen], dataset.rewards[rows, chosen]
        )
        if options["context_order"] == "return":
            drawn = drawn.ordered("return")
        context = self._some(transition_tensors(drawn), generator)
        return self._labelled(context, dataset.train_goals[task], generator)

    def _some(self, context: dict[str, Tensor], generator: np.random.Generator) -> dict[str, Tensor]:
        """`context_transitions` of the transitions of each context, shuffled or in their order."""
        count, length = context["actions"].shape
        wanted = self.options["context_transitions"] or length
        order = generator.random((count, length)).argsort(axis=1)[:, :wanted]
        if self.options["context_order"] != "shuffled":
            order.sort(axis=1)
        every = torch.arange(count)[:, None]
        return {name: values[every, torch.from_numpy(order)] for name, values in context.items()}

    def _draw_episodes(
        self, tasks: int, length: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A task (B,) for each context, and its episodes (B, E) among the first `length`, in time."""
        count, wanted = self.options["batch_size"], self.options["context_episodes"]
        task = generator.integers(tasks, size=count)
        if self.options["context_selection"] == "contiguous":
            first = generator.integers(length - wanted + 1, size=(count, 1))
            return task, first + np.arange(wanted)
        return task, np.sort(generator.integers(length, size=(count, wanted)), axis=1)

    def _labelled(
        self, context: dict[str, Tensor], goals: NDArray[np.int64], generator: np.random.Generator
    ) -> Batch:
        """Add a query from `query_states` and the probabilities of its optimal actions."""
        options, count = self.options, len(goals)
        if options["query_states"] == "room":
            query = torch.from_numpy(generator.integers(options["room_side"], size=(count, 2)))
            rewarded = torch.from_numpy(generator.integers(2, size=count) == 1)
        else:
            place = torch.from_numpy(generator.integers(context["actions"].shape[1], size=count))
            every = torch.arange(count)
            query, rewarded = context["positions"][every, place], context["rewarded"][every, place]
        optimal = optimal_actions(options["world"], query.numpy(), goals, rewarded.numpy())
        label = torch.from_numpy(action_labels(optimal, options["optimal_action"]))
        return context | {"query": query, "query_rewarded": rewarded, "label": label}

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Full contexts with random content."""
        episodes = random_episodes(self.options, sequences, self.options["context_episodes"], generator)
        label = np.eye(ACTIONS, dtype=np.float32)[generator.integers(ACTIONS, size=sequences)]
        return transition_tensors(episodes) | {
            "query": torch.from_numpy(generator.integers(self.options["room_side"], size=(sequences, 2))),
            "query_rewarded": torch.zeros(sequences, dtype=torch.bool),
            "label": torch.from_numpy(label),
        }


class Learner(base.Learner):
    """Decision pretraining on the learning histories of the training tasks."""

    model: DPTModel

    def __init__(self, options: Options) -> None:
        super().__init__(options, DPTModel(options), Queries(options))

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy to the query's optimal action over the prefixes of all contexts."""
        logits = self.model(**batch)
        if not self.options["empty_context_trained"]:
            logits = logits[:, 1:]
        label = batch["label"].unsqueeze(1).expand_as(logits)
        return nn.functional.cross_entropy(logits.flatten(0, 1), label.flatten(0, 1))

    def policy(self, trial: Trial) -> DPTPolicy:
        """The trained model as a policy."""
        return DPTPolicy(self.model, trial)


class DPTPolicy:
    """Acts in a batch of rooms; answers are cached within an episode."""

    def __init__(self, model: DPTModel, trial: Trial) -> None:
        self.model, self.trial = model.eval(), trial
        self.options, self.device = model.options, next(model.parameters()).device

    def begin(self, past: Episodes) -> None:
        """Begin an episode: its context is `context_episodes` of `past`."""
        context = kept_episodes(past, self.options, self.options["context_episodes"])
        self.context = self.model.transitions(
            **{name: values.to(self.device) for name, values in transition_tensors(context).items()}
        )
        self.rewarded = np.zeros(self.trial.count, dtype=bool)
        cells = 2 * self.options["room_side"] ** 2
        self.answers = torch.zeros(self.trial.count, cells, ACTIONS, device=self.device)
        self.known = np.zeros((self.trial.count, cells), dtype=bool)

    def act(self, seen: Observation) -> Actions:
        """(count,) actions for coordinates (count, 2)."""
        positions = seen.states
        side, rows = self.options["room_side"], np.arange(self.trial.count)
        cell = (positions[:, 0] * side + positions[:, 1]) * 2 + self.rewarded
        asked = np.flatnonzero(~self.known[rows, cell])
        for part in np.array_split(asked, -(-len(asked) * self.model.max_tokens // TOKENS_AT_ONCE) or 1):
            if len(part):
                query = self.model.query(
                    torch.from_numpy(positions[part]).to(self.device),
                    torch.from_numpy(self.rewarded[part]).to(self.device),
                )
                last = self.model.hidden(query, self.context[part])[:, -1]
                self.answers[part, cell[part]] = self.model.head(last)
        self.known[asked, cell[asked]] = True
        return choose_actions(self.answers[rows, cell], self.model.space, self.trial)

    def observe(self, rewards: Floats) -> None:
        """Take in the rewards (count,) of the actions just chosen, for `reward_memory` alone."""
        if self.options["reward_memory"]:
            self.rewarded |= rewards > 0
