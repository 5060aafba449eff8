"""Few-shot training of a network on images: the loop that `full` and `lora` share, one problem after the other.

The protocol is that of `linear` with newly augmented images in every step: the same batches, criteria, optimiser and
numbers of steps. Nothing differs but what trains.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from oodml.adapters.base import Problem
from oodml.adapters.criteria import Criterion
from oodml.adapters.protocol import Draws, FineTuning, draw
from oodml.errors import UsageError
from oodml.model import Network, extract
from oodml.training_watch import LossWatch


def train_on_support(network: Network, problem: Problem, draws: Draws, criterion: Criterion, lr: float) -> None:
    """Trains all parameters of a network that require a gradient, in place and in the mode that it is in.

    Args:
        network: A copy of the problem's network, which reads its noise (dropout and so on) from the problem, too.
        problem: Whose labelled images are trained on.
        draws: Batches and what mining takes; as many steps as it holds.
        criterion: What Adam minimises, without weight decay.
        lr: Learning rate of all parameters.

    Raises:
        DivergedError: If the loss is not finite.
    """
    seed, device = problem.generator("noise").initial_seed(), problem.model.device
    network.method.context.generator.manual_seed(seed)
    with torch.enable_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # layers that draw have no other source
        _train(network, problem, draws, criterion, lr)


def _train(network: Network, problem: Problem, draws: Draws, criterion: Criterion, lr: float) -> None:
    model, images, augmentation = problem.model, problem.support.ravel(), problem.generator("augmentation")
    labels, uniform = (draws.picks // problem.support.shape[1]).to(model.device), draws.uniform.to(model.device)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=lr, weight_decay=0.0, fused=True)
    watch = LossWatch(len(labels))
    for step, picks in enumerate(draws.picks.numpy()):
        z = network.method.embed(network(model.source.train_inputs(model.rows[images[picks]], augmentation)))
        loss = criterion(z[None], labels[None, step], uniform[None, step]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.after_step(loss, step + 1)


class NetworkTuning(FineTuning):
    """Trains a copy of the network; a subclass says what of it, in `prepare`."""

    def prepare(self, network: Network, problem: Problem) -> None:
        """Sets the mode of a copied network, and which of its parameters require a gradient."""
        raise NotImplementedError

    def finish(self, network: Network) -> None:
        """Called after the last step."""

    def trained(self, problem: Problem) -> Network:
        """A trained copy of the network of a problem.

        Raises:
            UsageError: If nothing in it can train.
            DivergedError: If the loss is not finite.
        """
        network = copy.deepcopy(problem.model.network)
        network.trains_backbone = True  # also where the method itself leaves it alone
        self.prepare(network, problem)
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise UsageError(
                f"{type(network.method).__name__} on {type(network.backbone).__name__} has no layer that {self.name} "
                "could train; use linear, which adds one"
            )
        draws = draw(problem, self.steps(problem), self.batch_size, 1, self.criterion.draws)
        train_on_support(network, problem, draws, self.criterion, self.lr)
        self.finish(network)
        return network

    def adapt_one(self, problem: Problem) -> Tensor:
        """Test-time embeddings of the queries under a network trained on the support, shape (q, d)."""
        model, network = problem.model, self.trained(problem)
        found = extract(network, model.source, model.rows[problem.queries], network.method.embed)
        return found.to(model.device)
