"""What QT and Q-DeMa share: a sequence policy that imitates and climbs critics (Hu et al. 2024; DeMa App. H).

Shapes as in `bench.methods.return_conditioned`: B windows of K steps, S numbers in a state, A in an action.
1. The policy pi descends its imitation loss less `value_weight` mean Q_i(s, pi) / mean |Q_j(s, pi)| over real
   steps, one of the two critics being i and the other j, by chance.
2. Two critics of a state and an action learn values that are backed up along a window from the slow copies'
   (`value_backup`), of which the smaller counts.
3. Slow copies: of the critics after every update; of the policy, without dropout, after every
   `slow_policy_every`-th from `slow_policy_from` on.
4. Decoding: see `bench.methods.candidates`.

One optimiser updates everything. The gradients of the policy's loss do not reach the critics, nor theirs the
policy. QT clips each of the two by itself; here the critics', which are long while values are far off, are
clipped before all together are, and so leave the policy's its direction and most of its length.

Other than in QT's code the policy climbs the critics as they are before the update that both take part in;
critics have ReLU and not Mish; next states are not predicted besides; and the reward of a step that ends in a
termination counts, which the code drops.

What is counted: `parameters` are all that is trained, policy and critics, or the policy's without
`count_critics`; `macs` are those of one pass of the policy over a window, without candidates and critics.
Slow copies are never counted.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from bench.datasets.trajectories import Trajectories
from bench.methods.actor_critic import CRITICS, make_critics, values_of
from bench.methods.base import Batch
from bench.methods.candidates import CandidateModel, CandidatePolicy
from bench.methods.return_conditioned import ReturnConditionedLearner, ReturnConditionedModel
from bench.nn.state import Memory


def backed_up(
    rewards: Tensor, values: Tensor, terminations: Tensor, discount: float, to_the_end: bool
) -> Tensor:
    """(B, K) targets of the steps of windows.

    Takes rewards (B, K), values of the states (B, K), and whether the last step terminates (B,). One step:
    r_t + discount v_{t+1}. To the end: r_t + discount r_{t+1} + ... + discount^n v_K, v_K being the last
    state's value. Nothing comes after a termination: the target of that step is its reward, and then so is
    v_K. Where the last step does not terminate it has no target; what stands there is its reward.
    """
    last = rewards[:, -1]
    if not to_the_end:
        return torch.cat([rewards[:, :-1] + discount * values[:, 1:], last[:, None]], dim=1)
    targets, ahead = [last], torch.where(terminations > 0, last, values[:, -1])
    for step in range(rewards.shape[1] - 2, -1, -1):
        ahead = rewards[:, step] + discount * ahead
        targets.append(ahead)
    return torch.stack(targets[::-1], dim=1)


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, share: float) -> None:
    """Move a slow copy by that share of its way to the original."""
    for behind, ahead in zip(slow.parameters(), fast.parameters(), strict=True):
        behind.lerp_(ahead, share)


class ValueGuidedModel(ReturnConditionedModel):
    """A sequence policy, two critics, and slow copies of all three. A forward pass is the policy's."""

    def __init__(self, policy: CandidateModel, slow_policy: CandidateModel, options: dict[str, Any]) -> None:
        super().__init__()
        still = options | {"dropout": 0.0}
        self.policy, self.slow_policy = policy, slow_policy
        self.critics, self.slow_critics = make_critics(still), make_critics(still)
        for slow, fast in ((slow_policy, policy), (self.slow_critics, self.critics)):
            slow.load_state_dict(fast.state_dict())
            slow.requires_grad_(False)

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor, mask: Tensor,
        **others: Tensor,
    ) -> Tensor:  # fmt: skip
        """Predicted actions (B, K, A); what else a batch holds is for the critics and is not looked at."""
        predicted: Tensor = self.policy(returns, states, actions, timesteps, mask)
        return predicted

    def step(
        self, returns: Tensor, states: Tensor, before: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Predicted action (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory."""
        return self.policy.step(returns, states, before, timestep, memory)

    def allocate_state(self, episodes: int, steps: int) -> Memory:
        """The policy's memory before the first of at most `steps` steps."""
        return self.policy.allocate_state(episodes, steps)

    def judged(self, states: Tensor, actions: Tensor) -> Tensor:
        """(critics, n) values of actions (n, A) in states (n, S): gradients reach the actions alone."""
        pairs = torch.cat([states, actions], dim=-1)
        fixed = [
            functional_call(critic, {name: p.detach() for name, p in critic.named_parameters()}, (pairs,))
            for critic in self.critics
        ]
        return torch.stack(fixed).squeeze(-1)

    def lowest_values(self, states: Tensor, actions: Tensor) -> Tensor:
        """(...) the smaller slow critic's value of actions (..., A) in states (..., S)."""
        return values_of(self.slow_critics, states, actions).amin(dim=0)


class ValueGuidedLearner(ReturnConditionedLearner):
    """A return-conditioned policy guided by critics; sub-classes give the policy."""

    model: ValueGuidedModel

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.drawn = 0

    @abstractmethod
    def make_policy(self, options: dict[str, Any]) -> CandidateModel:
        """The sequence policy, freshly initialised."""

    def make_model(self) -> ValueGuidedModel:
        """Policy, critics and their slow copies, freshly initialised."""
        policy = self.make_policy(self.options)
        return ValueGuidedModel(policy, self.make_policy(self.options | {"dropout": 0.0}), self.options)

    def counted(self) -> nn.Module:
        """Policy and critics, or the policy alone without `count_critics`."""
        return self.model if self.options["count_critics"] else self.model.policy

    def prepare(self, dataset: Trajectories) -> None:
        """Also the rewards, divided by `reward_scale`."""
        super().prepare(dataset)
        self.rewards = dataset.rewards / np.float32(self.options["reward_scale"])

    def batch(self, dataset: Trajectories, generator: np.random.Generator) -> Batch:
        """Windows, their rewards (B, K), terminations (B,) of their last steps, and the critic to climb."""
        if self.drawn:
            self._follow()
        self.drawn += 1
        return super().batch(dataset, generator) | {"judge": torch.tensor(generator.integers(CRITICS))}

    def _follow(self) -> None:
        options, model = self.options, self.model
        follow(model.slow_critics, model.critics, options["target_update"])
        if self.drawn >= options["slow_policy_from"] and self.drawn % options["slow_policy_every"] == 0:
            follow(model.slow_policy, model.policy, options["slow_policy_update"])

    def _gather(
        self,
        dataset: Trajectories,
        start: NDArray[np.int64],
        first: NDArray[np.int64],
        end: NDArray[np.int64],
        length: int,
    ) -> Batch:
        windows = super()._gather(dataset, start, first, end, length)
        index = np.maximum(end[:, None] - length + np.arange(length), first[:, None])
        return windows | {
            "rewards": torch.from_numpy(self.rewards[index]) * windows["mask"],
            "terminations": torch.from_numpy(dataset.terminations[end - 1]),
        }

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Full windows with random content, none of which ends in a termination."""
        windows = super().synthetic_batch(sequences, generator)
        rewards = generator.standard_normal(windows["mask"].shape, dtype=np.float32)
        return windows | {
            "rewards": torch.from_numpy(rewards),
            "terminations": torch.zeros(sequences),
            "judge": torch.tensor(generator.integers(CRITICS)),
        }

    def policy_loss(self, batch: Batch) -> Tensor:
        """Mean squared error over real steps, less `value_weight` mean Q_i / mean |Q_j| of its actions.

        No gradient passes through the critics' parameters nor through |Q_j|.
        """
        mask = batch["mask"]
        predicted = self.model(**batch)[mask]
        values = self.model.judged(batch["states"][mask], predicted)
        judge = batch["judge"]
        scale = self.options["value_weight"] / values[1 - judge].detach().abs().mean()
        return nn.functional.mse_loss(predicted, batch["actions"][mask]) - scale * values[judge].mean()

    @torch.no_grad()
    def targets(self, batch: Batch) -> Tensor:
        """(B, K) targets of the critics, from the slow critics' values of the slow policy's actions."""
        names = ("returns", "states", "actions", "timesteps", "mask")
        actions = self.model.slow_policy(**{name: batch[name] for name in names})
        values = self.model.lowest_values(batch["states"], actions)
        to_the_end = self.options["value_backup"] == "window"
        discount = self.options["value_discount"]
        return backed_up(batch["rewards"], values, batch["terminations"], discount, to_the_end)

    def critic_loss(self, batch: Batch) -> Tensor:
        """Mean squared error of each critic over the steps that have a target, summed; 0 where none has."""
        learnt = batch["mask"].clone()
        learnt[:, -1] = batch["terminations"] > 0
        values = values_of(self.model.critics, batch["states"][learnt], batch["actions"][learnt])
        errors = (values - self.targets(batch)[learnt]).square()
        return errors.sum() / learnt.sum().clamp(min=1)

    def loss(self, batch: Batch) -> Tensor:
        """The policy's loss and the critics', whose gradient alone is no longer than `gradient_clip`."""
        critic_loss = self.critic_loss(batch)
        gradients = torch.autograd.grad(critic_loss, list(self.model.critics.parameters()), retain_graph=True)
        norm = torch.nn.utils.get_total_norm(gradients)
        share = (self.options["gradient_clip"] / norm).clamp(max=1.0)
        clipped = critic_loss.detach() + share * (critic_loss - critic_loss.detach())
        return self.policy_loss(batch) + clipped

    def policy(
        self, episodes: int, cached: bool = True, generator: torch.Generator | None = None
    ) -> CandidatePolicy:
        """The trained policy for `episodes` environments, from a window; `cached` has no say.

        `generator` draws the candidates; without one the stream of that name does.
        """
        return CandidatePolicy(self, episodes, generator)

    def state(self) -> dict[str, Any]:
        """The normaliser, and the count of updates, which says when the slow policy moves."""
        return super().state() | {"drawn": self.drawn}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        super().restore(state)
        self.drawn = state["drawn"]
