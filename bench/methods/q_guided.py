"""What QT and Q-DeMa share: a sequence policy that imitates and climbs critics (Hu et al. 2024; DeMa App. H).

Shapes as in `bench.methods.windows`: B windows of K steps, S numbers in a state, A in an action.
1. The policy pi descends its imitation loss less `value_weight` mean Q_i(s, pi) / mean |Q_j(s, pi)| over real
   steps, one of the two critics being i and the other j, by chance.
2. Two critics of a state and an action learn values that are backed up along a window from those of
   the target networks (`value_backup`), of which the smaller counts.
3. Target networks: of the critics after every update; of the policy, without dropout, after every
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
Target networks are never counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch, Learner, Timed, Trial
from bench.methods.candidates import CandidatePolicy
from bench.methods.critics import (
    CRITICS,
    make_critics,
    polyak_update,
    start_target,
    values_of,
    values_through_fixed_critic,
    without_dropout,
)
from bench.methods.normaliser import make_normaliser
from bench.methods.places import places_of, taken
from bench.methods.return_conditioned import ReturnConditionedModel
from bench.methods.state_reader import StateReader
from bench.methods.token_model import TokenModel
from bench.methods.windows import OWN_RETURN, Steps, draw_windows, random_windows
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


class QGuidedModel(ReturnConditionedModel):
    """A sequence policy, two critics, and target networks of all three. A forward pass is the policy's."""

    def __init__(self, policy: TokenModel, target_policy: TokenModel, options: Options) -> None:
        super().__init__()
        still = without_dropout(options)
        self.layout = policy.layout
        self.policy, self.target_policy = policy, target_policy
        self.critics, self.target_critics = make_critics(still), make_critics(still)
        start_target(target_policy, policy)
        start_target(self.target_critics, self.critics)
        self.normaliser = make_normaliser(options)

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, previous_actions: Tensor, timesteps: Tensor,
        mask: Tensor, real: Tensor | None = None, **others: Tensor,
    ) -> Tensor:  # fmt: skip
        """Predicted actions (B, K, A); what else a batch holds is for the critics and is not looked at."""
        predicted: Tensor = self.policy(returns, states, actions, previous_actions, timesteps, mask, real)
        return predicted

    def step(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Predicted action (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory."""
        return self.policy.step(returns, states, last_action, timestep, memory)

    def allocate_state(self, count: int, steps: int) -> Memory:
        """The policy's memory of `count` episodes before the first of at most `steps` steps."""
        return self.policy.allocate_state(count, steps)

    def values_through_fixed_critics(self, states: Tensor, actions: Tensor) -> Tensor:
        """(critics, n) values of actions (n, A) in states (n, S): gradients reach the actions alone."""
        return torch.stack([values_through_fixed_critic(one, states, actions) for one in self.critics])

    def lowest_values(self, states: Tensor, actions: Tensor) -> Tensor:
        """(...) the smaller target critic's value of actions (..., A) in states (..., S)."""
        return values_of(self.target_critics, states, actions).amin(dim=0)


def with_target(mask: NDArray[np.bool_], terminations: NDArray[Any]) -> Tensor:
    """(n,) places of the steps that have a target, of windows whose real steps are `mask` (B, K)."""
    learnt = mask.copy()
    learnt[:, -1] = terminations > 0
    return places_of(learnt)


class RewardedWindows:
    """Windows, their rewards (B, K), terminations (B,) of their last steps, and the critic to climb.

    `learnt` (n,) are the places of the steps that have a target: real ones, of which a window's last has one
    where it terminates.
    """

    def __init__(self, options: Options, normaliser: StateReader) -> None:
        self.options, self.normaliser = options, normaliser

    def prepare(self, dataset: Trajectories) -> None:
        """Fit the states' normaliser, and lay out windows and rewards, divided by `reward_scale`."""
        self.normaliser.fit(dataset)
        self.steps = Steps(dataset, self.options, self.normaliser, OWN_RETURN)
        self.rewards = dataset.rewards / np.float32(self.options["reward_scale"])

    def draw(self, generator: np.random.Generator) -> Batch:
        """`batch_size` windows."""
        dataset, length = self.steps.dataset, self.options["context_length"]
        spans = draw_windows(dataset, self.options, generator)
        windows = self.steps.gather(spans, length)
        terminations = dataset.terminations[spans.end - 1]
        index = np.maximum(spans.end[:, None] - length + np.arange(length), spans.first[:, None])
        return windows | {
            "rewards": torch.from_numpy(self.rewards[index]) * windows["mask"],
            "terminations": torch.from_numpy(terminations),
            "judge": torch.tensor(generator.integers(CRITICS)),
            "learnt": with_target(windows["mask"].numpy(), terminations),
        }

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Full windows with random content, none of which ends in a termination."""
        windows = random_windows(self.options, sequences, self.options["context_length"], generator)
        rewards = generator.standard_normal(windows["mask"].shape, dtype=np.float32)
        return windows | {
            "rewards": torch.from_numpy(rewards),
            "terminations": torch.zeros(sequences),
            "judge": torch.tensor(generator.integers(CRITICS)),
            "learnt": with_target(windows["mask"].numpy(), np.zeros(sequences)),
        }


class QGuidedLearner(Learner):
    """A return-conditioned policy guided by critics; `make_policy` makes it, freshly initialised."""

    model: QGuidedModel

    def __init__(self, options: Options, make_policy: Callable[[Options], TokenModel]) -> None:
        model = QGuidedModel(make_policy(options), make_policy(without_dropout(options)), options)
        super().__init__(options, model, RewardedWindows(options, model.normaliser))

    def move(self, done: int, generator: np.random.Generator) -> None:
        """Move the target networks, by the update before."""
        options, model = self.options, self.model
        if done:
            polyak_update(model.target_critics, model.critics, options["target_update"])
            if done >= options["slow_policy_from"] and done % options["slow_policy_every"] == 0:
                polyak_update(model.target_policy, model.policy, options["slow_policy_update"])

    def timed(self, generator: np.random.Generator) -> Timed:
        """A pass over a window; what counts are policy and critics, or the policy without `count_critics`."""
        counted = self.model if self.options["count_critics"] else self.model.policy
        return Timed(counted, self.whole_pass(generator))

    def policy_loss(self, batch: Batch) -> Tensor:
        """Mean squared error over real steps, less `value_weight` mean Q_i / mean |Q_j| of its actions.

        No gradient passes through the critics' parameters nor through |Q_j|.
        """
        real = batch["real"]
        predicted = taken(self.model(**batch), real)
        values = self.model.values_through_fixed_critics(taken(batch["states"], real), predicted)
        # Selected where they are: as a number, the critic's would be read back from a GPU.
        judge = batch["judge"].view(1)
        other, judged = (values.index_select(0, which) for which in (1 - judge, judge))
        scale = self.options["value_weight"] / other.detach().abs().mean()
        return nn.functional.mse_loss(predicted, taken(batch["actions"], real)) - scale * judged.mean()

    @torch.no_grad()
    def targets(self, batch: Batch) -> Tensor:
        """(B, K) targets of the critics, from the target critics' values of the target policy's actions."""
        names = ("returns", "states", "actions", "previous_actions", "timesteps", "mask")
        actions = self.model.target_policy(**{name: batch[name] for name in names})
        values = self.model.lowest_values(batch["states"], actions)
        to_the_end = self.options["value_backup"] == "window"
        discount = self.options["value_discount"]
        return backed_up(batch["rewards"], values, batch["terminations"], discount, to_the_end)

    def critic_loss(self, batch: Batch) -> Tensor:
        """Mean squared error of each critic over the steps that have a target, summed; 0 where none has."""
        learnt = batch["learnt"]
        states, actions, targets = (
            taken(values, learnt) for values in (batch["states"], batch["actions"], self.targets(batch))
        )
        errors = (values_of(self.model.critics, states, actions) - targets).square()
        return errors.sum() / max(len(learnt), 1)

    def loss(self, batch: Batch) -> Tensor:
        """The policy's loss and the critics', whose gradient alone is no longer than `gradient_clip`."""
        critic_loss = self.critic_loss(batch)
        gradients = torch.autograd.grad(critic_loss, list(self.model.critics.parameters()), retain_graph=True)
        norm = torch.nn.utils.get_total_norm(gradients)
        share = (self.options["gradient_clip"] / norm).clamp(max=1.0)
        clipped = critic_loss.detach() + share * (critic_loss - critic_loss.detach())
        return self.policy_loss(batch) + clipped

    def policy(self, trial: Trial) -> CandidatePolicy:
        """The trained policy, from a window, whether a trial is `cached` or not; it draws the candidates."""
        return CandidatePolicy(self.model.eval(), self.model.normaliser, self.options, trial)
