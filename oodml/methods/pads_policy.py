"""The policy of PADS: an actor-critic that looks at validation metrics and scales the bins of a histogram."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

WINDOW = 20  # metric vectors that the policy sees one by one
MEANS = (2, 8, 16, 32)  # and the numbers of latest ones that it sees the mean of
WIDTH = 128
DISCOUNT, CLIP, VALUE_WEIGHT = 0.99, 0.2, 0.5
REFRESH = 5  # updates after which the old policy becomes the new one


class Observations(nn.Module):
    """The latest validation metrics, from which the state of the policy is made.

    Args:
        num_metrics: Numbers m per validation.
    """

    def __init__(self, num_metrics: int) -> None:
        super().__init__()
        self.register_buffer("recent", torch.zeros(max(WINDOW, *MEANS), num_metrics))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.recent: Tensor
        self.count: Tensor

    def add(self, metrics: Sequence[float]) -> None:
        """Remembers metrics (m,); the first ones fill the past with copies."""
        new = torch.tensor(metrics, dtype=self.recent.dtype, device=self.recent.device)
        past = new.expand_as(self.recent) if int(self.count) == 0 else self.recent
        self.recent.copy_(torch.cat([past[1:], new[None]]))
        self.count += 1

    def state(self, probabilities: Tensor, progress: float) -> Tensor:
        """Single metrics, means over what there is of the latest, histogram and progress.

        Args:
            probabilities: The histogram, shape (bins,), with sum 1.
            progress: Share of the training that is done, in [0, 1].

        Returns:
            Shape (24 m + bins + 1,), the oldest metrics first.
        """
        known = int(self.count)
        means = [self.recent[-min(length, known) :].mean(0) for length in MEANS]
        return torch.cat([self.recent[-WINDOW:].flatten(), *means, probabilities, probabilities.new_tensor([progress])])


class ActorCritic(nn.Module):
    """Two shared layers, then log-probabilities of every action per bin, and the value of the state."""

    def __init__(self, num_inputs: int, num_actions: int, num_bins: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(num_inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
        self.actor = nn.Linear(WIDTH, num_actions * num_bins)
        self.critic = nn.Linear(WIDTH, 1)
        self.num_actions = num_actions

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """State (s,) to log-probabilities (actions, bins) and a value ()."""
        hidden = self.body(state)
        return self.actor(hidden).view(self.num_actions, -1).log_softmax(0), self.critic(hidden).squeeze()


class Policy(nn.Module):
    """One action per bin and validation, learned by clipped policy gradients (PPO) with a memory of one step.

    Args:
        num_metrics: Numbers per validation.
        num_actions: Choices per bin.
        num_bins: Bins of the histogram.
        lr: Learning rate of Adam.
        published: Fit the value to the metric itself, while the advantage counts signs.
    """

    def __init__(self, num_metrics: int, num_actions: int, num_bins: int, lr: float, published: bool = False) -> None:
        super().__init__()
        size = (WINDOW + len(MEANS)) * num_metrics + num_bins + 1
        self.published = published
        self.current = ActorCritic(size, num_actions, num_bins)
        self.old = copy.deepcopy(self.current).requires_grad_(False)
        self.observations = Observations(num_metrics)
        self.optimizer = torch.optim.Adam(self.current.parameters(), lr=lr)
        self.register_buffer("last_state", torch.zeros(size))
        self.register_buffer("last_actions", torch.zeros(num_bins, dtype=torch.int64))
        self.register_buffer("last_metric", torch.zeros((), dtype=torch.float64))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.last_state: Tensor
        self.last_actions: Tensor
        self.last_metric: Tensor
        self.updates: Tensor

    def act(self, state: Tensor, metric: float, generator: torch.Generator) -> Tensor:
        """Draws actions (bins,) for a state, and remembers both with the metric that was reached there."""
        with torch.no_grad():
            probabilities = self.current(state)[0].exp()
        actions = torch.multinomial(probabilities.T, 1, generator=generator).squeeze(1)
        self.last_state.copy_(state)
        self.last_actions.copy_(actions)
        self.last_metric.fill_(metric)
        return actions

    def learn(self, state: Tensor, metric: float) -> None:
        """One step on what the last actions led to: a state (s,) and the metric that is reached there."""
        reward = torch.sign(metric - self.last_metric).float()
        loss = self.loss(state, reward, self.last_metric.new_tensor(metric).float() if self.published else reward)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.updates += 1
        if int(self.updates) % REFRESH == 0:
            self.old.load_state_dict(self.current.state_dict())

    def loss(self, state: Tensor, reward: Tensor, target: Tensor) -> Tensor:
        """- mean over bins of min(ratio A, clip(ratio) A) + (V - target)^2 / 2, with A = reward + .99 V(new) - V(last).

        Args:
            state: The new state, shape (s,).
            reward: What the last actions earned, shape ().
            target: What the value of the last state is fitted to, shape ().
        """
        chosen = self.last_actions[None, :]
        log_probabilities, value = self.current(self.last_state)
        with torch.no_grad():
            old = self.old(self.last_state)[0].gather(0, chosen)
            advantage = reward + DISCOUNT * self.current(state)[1] - value
        ratio = (log_probabilities.gather(0, chosen) - old).exp()
        gain = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
        result: Tensor = VALUE_WEIGHT * (value - target).square() - gain.mean()
        return result
